"""The battery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import exp
from typing import ClassVar

from .device import Device, Metrics, Order, rounded_kw
from .surroundings import Surroundings

__all__ = ["Battery"]


@dataclass(kw_only=True)
class Battery(Device):
    """A battery behind its inverter. Each conversion loses `1 - efficiency` of what goes into it."""

    capacity_kwh: float = 13.5
    reserve_kwh: float = 1.35
    limit_kw: float = 5.0
    efficiency: float = 0.95
    stored_kwh: float = 13.5 * 0.825
    temperature_c: float = 22.0
    asked_kw: float = 0.0

    kind: ClassVar[str] = "battery"
    device_type: ClassVar[int] = 10
    abilities: ClassVar[tuple[str, ...]] = ("charge", "discharge", "telemetry")

    def __post_init__(self) -> None:
        if not (0 <= self.reserve_kwh <= self.capacity_kwh and 0 <= self.stored_kwh <= self.capacity_kwh):
            raise ValueError("a battery holds between 0 and capacity_kwh, and its reserve_kwh fits into it")
        if not (self.capacity_kwh > 0 and self.limit_kw > 0 and 0 < self.efficiency <= 1):
            raise ValueError(
                "a battery has a capacity_kwh and a limit_kw above 0, and an efficiency above 0 and at most 1"
            )

    def obey(self, order: Order | None, at: datetime) -> None:
        """Charge or discharge with a power up to the limit; otherwise wait."""
        wanted = min(order.power_kw, self.limit_kw) if order else 0.0
        self.asked_kw = wanted if order and order.action == "discharge" else -wanted

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Move energy, as far as it is there or fits in; the rest of the step passes idly."""
        if self.asked_kw >= 0:
            available = max(0.0, self.stored_kwh - self.reserve_kwh) * self.efficiency
            given = min(self.asked_kw * hours, available)
            self.stored_kwh -= given / self.efficiency
        else:
            room = max(0.0, self.capacity_kwh - self.stored_kwh) / self.efficiency
            given = -min(-self.asked_kw * hours, room)
            self.stored_kwh -= given * self.efficiency
        self.output_kw = given / hours
        warmest = 22.0 + 2.0 * abs(self.output_kw)
        self.temperature_c = warmest + (self.temperature_c - warmest) * exp(-hours / 0.75)

    def metrics(self) -> Metrics:
        """Named as in the page's sample: percent, kW (positive: giving out), °C."""
        return {
            "state_of_charge": round(100 * self.stored_kwh / self.capacity_kwh, 2),
            "power_output": rounded_kw(self.output_kw),
            "temperature": round(self.temperature_c, 1),
        }
