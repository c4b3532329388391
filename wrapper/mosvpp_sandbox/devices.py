"""The devices of a site as physics. Each obeys an order, and lives through steps of time.

Powers are in kW on the AC side and have one sign everywhere: `output_kw` is what a device gives to the wiring
of the house, so that consumption is negative. Energies are in kWh. Whether MosVPP takes a quantity as a
setpoint, a net export or a change against a baseline is not known (unknown.quantity_meaning); here it is a
setpoint of a battery, and for `shed` a change against what a load drew before. A device without an order
works normally; for a battery that means to wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import exp, inf
from typing import ClassVar, Protocol

from mosvpp.times import to_wire

from .surroundings import Surroundings

__all__ = ["Battery", "Device", "Meter", "Metrics", "Order", "PvInverter", "Relay", "Thermostat"]

Metrics = Mapping[str, float | str]


@dataclass(frozen=True)
class Order:
    """What a device shall do: a word of `cmd_type`, or `limit` for drawing no more than `power_kw`."""

    action: str
    power_kw: float = 0.0


class Device(Protocol):
    """What all devices have in common, the meter included."""

    device_id: str
    name: str
    device_type: ClassVar[int]
    capabilities: ClassVar[tuple[str, ...]]

    @property
    def output_kw(self) -> float:
        """The average power that it gave to the house during the last step."""
        ...

    def obey(self, order: Order | None, at: datetime) -> None:
        """Take an order, from `at` on; None means to work normally."""
        ...

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Live through that time, which lies within one minute."""
        ...

    def metrics(self) -> Metrics:
        """What it tells of itself. MosVPP's own units and signs are not known (unknown.metric_units)."""
        ...


@dataclass
class Battery:
    """A battery behind its inverter. Each conversion loses `1 - efficiency` of what goes into it."""

    device_id: str
    name: str
    capacity_kwh: float = 13.5
    reserve_kwh: float = 1.35
    limit_kw: float = 5.0
    efficiency: float = 0.95
    stored_kwh: float = 13.5 * 0.825
    temperature_c: float = 22.0
    output_kw: float = 0.0

    device_type: ClassVar[int] = 10
    capabilities: ClassVar[tuple[str, ...]] = ("charge", "discharge", "telemetry")
    _asked_kw: float = field(default=0.0, repr=False)

    def obey(self, order: Order | None, at: datetime) -> None:
        """Charge or discharge with a power up to the limit; otherwise wait."""
        wanted = min(order.power_kw, self.limit_kw) if order else 0.0
        self._asked_kw = wanted if order and order.action == "discharge" else -wanted

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Move energy, as far as it is there or fits in; the rest of the step passes idly."""
        if self._asked_kw >= 0:
            available = max(0.0, self.stored_kwh - self.reserve_kwh) * self.efficiency
            given = min(self._asked_kw * hours, available)
            self.stored_kwh -= given / self.efficiency
        else:
            room = (self.capacity_kwh - self.stored_kwh) / self.efficiency
            given = -min(-self._asked_kw * hours, room)
            self.stored_kwh -= given * self.efficiency
        self.output_kw = given / hours
        warmest = 22.0 + 2.0 * abs(self.output_kw)
        self.temperature_c = warmest + (self.temperature_c - warmest) * exp(-hours / 0.75)

    def metrics(self) -> Metrics:
        """Named as in the page's sample: percent, kW (positive: giving out), °C."""
        return {
            "state_of_charge": round(100 * self.stored_kwh / self.capacity_kwh, 2),
            "power_output": _kw(self.output_kw),
            "temperature": round(self.temperature_c, 1),
        }


@dataclass
class Relay:
    """A relay with a load behind it that draws `load_kw` for as long as the relay is closed."""

    device_id: str
    name: str
    last_switch_at: datetime
    load_kw: float = 1.2
    closed: bool = True
    output_kw: float = 0.0

    device_type: ClassVar[int] = 14
    capabilities: ClassVar[tuple[str, ...]] = ("on", "off", "telemetry")

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


@dataclass
class PvInverter:
    """A PV generator; the sun decides, unless it is switched off."""

    device_id: str
    name: str
    peak_kw: float = 6.0
    on: bool = True
    output_kw: float = 0.0

    device_type: ClassVar[int] = 11
    capabilities: ClassVar[tuple[str, ...]] = ("on", "off", "telemetry")

    def obey(self, order: Order | None, at: datetime) -> None:
        """Stop for off, else run."""
        self.on = not (order and order.action == "off")

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Take what the sun gives."""
        self.output_kw = self.peak_kw * around.sunshine(begin) if self.on else 0.0

    def metrics(self) -> Metrics:
        """Kilowatts."""
        return {"power_output": _kw(self.output_kw)}


@dataclass
class Thermostat:
    """A room that a heat pump keeps warm; the heat pump adjusts its power once a step.

    `warmth_kwh_per_k` is the heat that the room holds, `loss_kw_per_k` what it loses to the outside.
    """

    device_id: str
    name: str
    setpoint_c: float = 21.0
    temperature_c: float = 21.0
    limit_kw: float = 2.5
    heat_per_power: float = 3.0
    loss_kw_per_k: float = 0.15
    warmth_kwh_per_k: float = 3.0
    output_kw: float = 0.0

    device_type: ClassVar[int] = 13
    capabilities: ClassVar[tuple[str, ...]] = ("on", "off", "shed", "restore", "telemetry")
    _cap_kw: float = field(default=inf, repr=False)

    @property
    def flexible_kw(self) -> float:
        """What switching it off would save now."""
        return -self.output_kw

    def obey(self, order: Order | None, at: datetime) -> None:
        """Draw nothing for off, no more than it says for limit, otherwise what the room needs."""
        self._cap_kw = {"off": 0.0, "limit": order.power_kw}.get(order.action, inf) if order else inf

    def step(self, begin: datetime, hours: float, around: Surroundings) -> None:
        """Heat with constant power; the room approaches the temperature at which it loses as much."""
        outdoor = around.outdoor_c(begin)
        lost = self.loss_kw_per_k * (self.setpoint_c - outdoor)
        correction = 2.0 * (self.setpoint_c - self.temperature_c)
        needed = max(0.0, (lost + correction) / self.heat_per_power)
        power = min(needed, self.limit_kw, self._cap_kw)
        final = outdoor + power * self.heat_per_power / self.loss_kw_per_k
        fading = exp(-hours * self.loss_kw_per_k / self.warmth_kwh_per_k)
        self.temperature_c = final + (self.temperature_c - final) * fading
        self.output_kw = -power

    def metrics(self) -> Metrics:
        """Degrees Celsius, and kW drawn."""
        return {
            "temperature": round(self.temperature_c, 2),
            "setpoint": self.setpoint_c,
            "power_input": _kw(-self.output_kw),
        }


@dataclass
class Meter:
    """The meter between the house and the grid. It gives nothing, and obeys nobody."""

    device_id: str
    name: str
    import_kw: float = 0.0
    imported_kwh: float = 0.0
    exported_kwh: float = 0.0
    voltage_v: float = 240.0
    frequency_hz: float = 50.0

    device_type: ClassVar[int] = 12
    capabilities: ClassVar[tuple[str, ...]] = ("telemetry",)

    def measure(self, import_kw: float, begin: datetime, hours: float, around: Surroundings) -> None:
        """Count what flowed; positive comes from the grid, and lowers the voltage."""
        self.import_kw = import_kw
        self.imported_kwh += max(0.0, import_kw) * hours
        self.exported_kwh += max(0.0, -import_kw) * hours
        self.voltage_v = around.open_circuit_v(begin) - 0.4 * import_kw
        self.frequency_hz = around.frequency_hz(begin)

    def metrics(self) -> Metrics:
        """V and Hz, named as in the page's sample; then kW (positive: from the grid) and kWh."""
        return {
            "voltage": round(self.voltage_v, 1),
            "frequency": round(self.frequency_hz, 2),
            "power": _kw(self.import_kw),
            "energy_imported": _kw(self.imported_kwh),
            "energy_exported": _kw(self.exported_kwh),
        }


def _kw(value: float) -> float:
    return round(value, 3) + 0.0  # no -0.0
