"""Devices that draw power: switched loads, heated rooms, and an appliance that nobody controls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import exp, inf
from typing import ClassVar

from mosvpp.times import to_wire

from .device import Device, Metrics, Order, rounded_kw
from .surroundings import Surroundings

__all__ = ["Appliance", "Relay", "Thermostat", "ZigbeeSwitch", "ZigbeeThermostat"]


@dataclass(kw_only=True)
class Relay(Device):
    """A relay with a load behind it that draws `load_kw` for as long as the relay is closed."""

    load_kw: float = 1.2
    closed: bool = True
    last_switch_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    kind: ClassVar[str] = "switch"
    device_type: ClassVar[int] = 14
    abilities: ClassVar[tuple[str, ...]] = ("on", "off", "telemetry")

    @property
    def flexible_kw(self) -> float:
        """What opening it would save now."""
        return self.load_kw if self.closed else 0.0

    def obey(self, order: Order | None, at: datetime) -> None:
        """Open for off, else close."""
        closed = not (order and order.action == "off")
        if closed != self.closed:
            self.closed, self.last_switch_at = closed, at

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Draw the load or nothing."""
        self.output_kw = -self.load_kw if self.closed else 0.0

    def metrics(self) -> Metrics:
        """Named as in the page's sample."""
        return {
            "relay_state": "closed" if self.closed else "open",
            "last_switch_time": to_wire(self.last_switch_at),
        }


class ZigbeeSwitch(Relay):
    """A switched socket."""

    kind: ClassVar[str] = "zigbee_switch"
    device_type: ClassVar[int] = 30


@dataclass(kw_only=True)
class Thermostat(Device):
    """A room that a heat pump keeps warm; the heat pump adjusts its power once a step.

    `warmth_kwh_per_k` is the heat that the room holds, `loss_kw_per_k` what it loses to the outside.
    """

    setpoint_c: float = 21.0
    temperature_c: float = 21.0
    limit_kw: float = 2.5
    heat_per_power: float = 3.0
    loss_kw_per_k: float = 0.15
    warmth_kwh_per_k: float = 3.0
    cap_kw: float | None = None

    kind: ClassVar[str] = "thermostat"
    device_type: ClassVar[int] = 13
    abilities: ClassVar[tuple[str, ...]] = ("on", "off", "shed", "restore", "telemetry")

    @property
    def flexible_kw(self) -> float:
        """What switching it off would save now."""
        return -self.output_kw

    def obey(self, order: Order | None, at: datetime) -> None:
        """Draw nothing for off, no more than it says for limit, otherwise what the room needs."""
        self.cap_kw = {"off": 0.0, "limit": order.power_kw}.get(order.action) if order else None

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Heat with constant power; the room approaches the temperature at which it loses as much."""
        outdoor = around.outdoor_c(begin)
        lost = self.loss_kw_per_k * (self.setpoint_c - outdoor)
        correction = 2.0 * (self.setpoint_c - self.temperature_c)
        needed = max(0.0, (lost + correction) / self.heat_per_power)
        power = min(needed, self.limit_kw, inf if self.cap_kw is None else self.cap_kw)
        final = outdoor + power * self.heat_per_power / self.loss_kw_per_k
        fading = exp(-hours * self.loss_kw_per_k / self.warmth_kwh_per_k)
        self.temperature_c = final + (self.temperature_c - final) * fading
        self.output_kw = -power

    def metrics(self) -> Metrics:
        """Degrees Celsius, and kW drawn."""
        return {
            "temperature": round(self.temperature_c, 2),
            "setpoint": self.setpoint_c,
            "power_input": rounded_kw(-self.output_kw),
        }


class ZigbeeThermostat(Thermostat):
    """The same over Zigbee."""

    kind: ClassVar[str] = "zigbee_thermostat"
    device_type: ClassVar[int] = 31


@dataclass(kw_only=True)
class Appliance(Device):
    """A load that reports what it draws and obeys nobody."""

    load_kw: float = 0.15

    kind: ClassVar[str] = "no_control"
    device_type: ClassVar[int] = 1
    abilities: ClassVar[tuple[str, ...]] = ("telemetry",)

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Draw about the same all day, a little more when people are at home."""
        self.output_kw = -self.load_kw * (0.8 + 0.4 * around.presence(begin))

    def metrics(self) -> Metrics:
        """Kilowatts drawn."""
        return {"power_input": rounded_kw(-self.output_kw)}
