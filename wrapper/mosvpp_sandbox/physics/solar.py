"""The PV inverter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from .device import Device, Metrics, Order, rounded_kw
from .surroundings import Surroundings

__all__ = ["PvInverter"]


@dataclass(kw_only=True)
class PvInverter(Device):
    """A PV generator; the sun decides, unless it is switched off."""

    peak_kw: float = 6.0
    on: bool = True

    kind: ClassVar[str] = "pv"
    device_type: ClassVar[int] = 11
    abilities: ClassVar[tuple[str, ...]] = ("on", "off", "telemetry")

    def obey(self, order: Order | None, at: datetime) -> None:
        """Stop for off, else run."""
        self.on = not (order and order.action == "off")

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Take what the sun gives."""
        self.output_kw = self.peak_kw * around.sunshine(begin) if self.on else 0.0

    def metrics(self) -> Metrics:
        """Kilowatts."""
        return {"power_output": rounded_kw(self.output_kw)}
