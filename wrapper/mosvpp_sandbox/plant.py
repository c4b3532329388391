"""The devices of one site on one wiring, and what an event means for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from .devices import Battery, Device, Meter, Metrics, Order, PvInverter, Relay, Thermostat
from .surroundings import Surroundings

__all__ = ["Plan", "Plant", "sample_plant"]


@dataclass(frozen=True)
class Plan:
    """How a site follows an event: an order for each device concerned, and what shed is counted against."""

    event_type: str
    orders: Mapping[str, Order]
    baseline_kw: Mapping[str, float]


class Plant:
    """Devices, household and meter. What is not balanced among them flows through the meter."""

    def __init__(self, devices: Sequence[Device], meter: Meter, around: Surroundings) -> None:
        self.devices = {device.device_id: device for device in devices}
        self.meter = meter
        self.household_kw = 0.0
        self._around = around

    def copy(self) -> Self:
        """The same plant, going its own way from here on."""
        return deepcopy(self)

    def inventory(self) -> list[Device | Meter]:
        """All devices by their ids, the meter among them."""
        return sorted([*self.devices.values(), self.meter], key=lambda device: device.device_id)

    def obey(self, orders: Mapping[str, Order], at: datetime) -> None:
        """Hand each device its order; those that are not named work normally."""
        for device in self.devices.values():
            device.obey(orders.get(device.device_id), at)

    def step(self, begin: datetime, seconds: float) -> None:
        """Let time pass, no further than to the end of the minute."""
        hours = seconds / 3600
        for device in self.devices.values():
            device.step(begin, hours, self._around)
        self.household_kw = self._around.household_kw(begin)
        given = sum(device.output_kw for device in self.devices.values())
        self.meter.measure(self.household_kw - given, begin, hours, self._around)

    def metrics(self) -> dict[str, Metrics]:
        """What every device tells of itself."""
        return {device.device_id: device.metrics() for device in self.inventory()}

    def plan(self, event_type: str, power_kw: float, previous: Plan | None = None) -> Plan:
        """Share an event among the devices: charge and discharge are for batteries, shed for loads.

        `previous` is the plan of the same event before it was updated; what loads drew before that is still
        the baseline.
        """
        if event_type in ("charge", "discharge"):
            return Plan(event_type, self._battery_orders(event_type, power_kw), {})
        if event_type == "shed":
            return self._shed_plan(power_kw, previous.baseline_kw if previous else {})
        return Plan(event_type, {}, {})

    def _battery_orders(self, event_type: str, power_kw: float) -> dict[str, Order]:
        batteries = [device for device in self.devices.values() if isinstance(device, Battery)]
        total = sum(battery.limit_kw for battery in batteries)
        return {
            battery.device_id: Order(event_type, min(power_kw, total) * battery.limit_kw / total)
            for battery in batteries
        }

    def _shed_plan(self, power_kw: float, known_kw: Mapping[str, float]) -> Plan:
        """Heating first, which can be reduced by any amount; then relays, for at least half of their load."""
        baseline = {load.device_id: known_kw.get(load.device_id, load.flexible_kw) for load in self._loads()}
        orders: dict[str, Order] = {}
        left = power_kw
        for load in self._loads():
            drawn = baseline[load.device_id]
            part = min(left, drawn) if isinstance(load, Thermostat) else drawn if left >= drawn / 2 else 0.0
            if part > 0:
                orders[load.device_id] = (
                    Order("limit", drawn - part) if isinstance(load, Thermostat) else Order("off")
                )
                left = max(0.0, left - part)
        return Plan("shed", orders, baseline)

    def _loads(self) -> list[Thermostat | Relay]:
        loads = [device for device in self.devices.values() if isinstance(device, Thermostat | Relay)]
        return sorted(loads, key=lambda load: isinstance(load, Relay))

    def delivered_kw(self, plan: Plan) -> dict[str, float]:
        """What each device did for an event during the last step; never negative, and nothing for restore."""
        sign = {"charge": -1, "discharge": 1, "shed": 1}.get(plan.event_type, 0)
        return {
            device_id: max(
                0.0, sign * self.devices[device_id].output_kw + plan.baseline_kw.get(device_id, 0.0)
            )
            for device_id in plan.orders
        }


def sample_plant(at: datetime, seed: int = 0) -> Plant:
    """The devices of the pages' samples (20000, 21000, 22000 with voltage and frequency), and two of ours."""
    around = Surroundings(seed)
    plant = Plant(
        [
            Battery("20000", "Battery Inverter 1"),
            Relay("21000", "Main Relay", last_switch_at=at),
            PvInverter("23000", "Roof Inverter"),
            Thermostat("24000", "Living Room"),
        ],
        Meter("22000", "Grid Meter"),
        around,
    )
    plant.step(at, 1e-6)  # so that everything has a power from the beginning
    return plant
