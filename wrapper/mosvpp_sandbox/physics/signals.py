"""Contacts that carry no power, and a device that nobody recognises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from .device import Device, Metrics, Order
from .surroundings import Surroundings

__all__ = ["GpioInput", "GpioOutput", "UnknownDevice"]


@dataclass(kw_only=True)
class GpioInput(Device):
    """A contact that the outside moves, such as a door: active now and then, by the seed."""

    active: bool = False

    kind: ClassVar[str] = "gpio_input"
    device_type: ClassVar[int] = 40
    abilities: ClassVar[tuple[str, ...]] = ("telemetry",)

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Take the state that the outside has now."""
        self.active = around.contact(self.device_id, begin)

    def metrics(self) -> Metrics:
        """A word, as relays have."""
        return {"input_state": "active" if self.active else "inactive"}


@dataclass(kw_only=True)
class GpioOutput(Device):
    """A contact that can be switched; off when nobody says anything."""

    active: bool = False

    kind: ClassVar[str] = "gpio_output"
    device_type: ClassVar[int] = 41
    abilities: ClassVar[tuple[str, ...]] = ("on", "off", "telemetry")

    def obey(self, order: Order | None, at: datetime) -> None:
        """Switch on for on, else off."""
        self.active = order is not None and order.action == "on"

    def metrics(self) -> Metrics:
        """A word, as relays have."""
        return {"output_state": "active" if self.active else "inactive"}


class UnknownDevice(Device):
    """A device of type 0: it is listed, and that is all."""

    kind: ClassVar[str] = "unknown"
    device_type: ClassVar[int] = 0
