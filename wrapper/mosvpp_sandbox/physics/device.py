"""What all devices share, and what they are told to do.

Powers are in kW on the AC side and have one sign everywhere: `output_kw` is what a device gives to the wiring
of the house, so that consumption is negative. Energies are in kWh. Whether MosVPP takes a quantity as a
setpoint, a net export or a change against a baseline is not known (unknown.quantity_meaning); here it is a
setpoint of a battery, and for `shed` a change against what a load drew before. A device without an order
works normally; for a battery that means to wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

from .surroundings import Surroundings

__all__ = ["Device", "Metrics", "Order", "rounded_kw"]

Metrics: TypeAlias = Mapping[str, float | str]


@dataclass(frozen=True)
class Order:
    """What a device shall do: a word of `cmd_type`, or `limit` for drawing no more than `power_kw`."""

    action: str
    power_kw: float = 0.0


@dataclass(kw_only=True)
class Device:
    """A device that does nothing yet.

    `capabilities` is what device sync reports; None reports no list at all. A device that is not `online`
    hears no order, works normally, and is missing from telemetry.
    """

    device_id: str
    name: str | None = None
    capabilities: tuple[str, ...] | None = None
    online: bool = True
    output_kw: float = 0.0

    kind: ClassVar[str]
    device_type: ClassVar[int]
    abilities: ClassVar[tuple[str, ...]] = ()

    @property
    def label(self) -> str:
        """A name for people."""
        return self.name or f"Device {self.device_id}"

    @property
    def flexible_kw(self) -> float:
        """How much less it could draw now."""
        return 0.0

    def obey(self, order: Order | None, at: datetime) -> None:
        """Take an order, from `at` on; None means to work normally."""

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Live through that time, which lies within one minute."""

    def metrics(self) -> Metrics:
        """What it tells of itself. MosVPP's own units and signs are not known (unknown.metric_units)."""
        return {}


def rounded_kw(value: float) -> float:
    """To a watt, without -0.0."""
    return round(value, 3) + 0.0
