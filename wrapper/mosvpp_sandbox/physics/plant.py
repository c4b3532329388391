"""The devices of one site on one wiring, and what an event means for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime

from .battery import Battery
from .device import Device, Metrics, Order
from .loads import Relay, Thermostat
from .meter import Meter
from .surroundings import Surroundings

__all__ = ["Plan", "Plant"]

_SIGNS = {"charge": -1, "discharge": 1, "shed": 1}


@dataclass(frozen=True)
class Plan:
    """How a site follows an event: an order for each device concerned, and what shed is counted against."""

    event_type: str
    orders: Mapping[str, Order]
    baseline_kw: Mapping[str, float]


class Plant:
    """Devices and household. What is not balanced among them flows through the meters."""

    def __init__(self, devices: Iterable[Device], around: Surroundings) -> None:
        self.devices = {device.device_id: device for device in devices}
        self.household_kw = 0.0
        self.import_kw = 0.0
        self.around = around
        self._listed = [self.devices[name] for name in sorted(self.devices)]
        self._meters = [device for device in self._listed if isinstance(device, Meter)]
        self._obeying: Mapping[str, Order] = {}

    def copy(self) -> Plant:
        """The same plant, going its own way from here on."""
        twin = Plant((copy(device) for device in self.devices.values()), self.around)
        twin.household_kw, twin.import_kw = self.household_kw, self.import_kw
        twin._obeying = self._obeying
        return twin

    def inventory(self) -> list[Device]:
        """All devices by their ids."""
        return self._listed

    def obey(self, orders: Mapping[str, Order], at: datetime) -> None:
        """Hand each device its order; those that are not named, or not online, work normally."""
        if not orders and not self._obeying:
            return
        self._obeying = orders
        for device in self._listed:
            device.obey(orders.get(device.device_id) if device.online else None, at)

    def step(self, begin: datetime, seconds: float) -> None:
        """Let time pass, no further than to the end of the minute."""
        hours, given = seconds / 3600, 0.0
        for device in self._listed:
            device.step(begin, hours, self.around)
            given += device.output_kw
        self.household_kw = self.around.household_kw(begin)
        self.import_kw = self.household_kw - given
        for meter in self._meters:
            meter.measure(self.import_kw, begin, hours, self.around)

    def settle(self, at: datetime) -> None:
        """Work out the balance from what the devices give, without letting time pass."""
        self.household_kw = self.around.household_kw(at)
        self.import_kw = self.household_kw - sum(device.output_kw for device in self._listed)

    def metrics(self) -> dict[str, Metrics]:
        """What every device tells of itself, if it can tell at all."""
        return {
            device.device_id: told for device in self._listed if device.online and (told := device.metrics())
        }

    def state_of_charge(self) -> float | None:
        """How full the batteries are together, in percent; None without any."""
        batteries = [device for device in self._listed if isinstance(device, Battery)]
        capacity = sum(battery.capacity_kwh for battery in batteries)
        return round(100 * sum(one.stored_kwh for one in batteries) / capacity, 1) if batteries else None

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
        batteries = [device for device in self._listed if isinstance(device, Battery) and device.online]
        total = sum(battery.limit_kw for battery in batteries)
        return {
            battery.device_id: Order(event_type, min(power_kw, total) * battery.limit_kw / total)
            for battery in batteries
        }

    def _shed_plan(self, power_kw: float, known_kw: Mapping[str, float]) -> Plan:
        """Heating first, which can be reduced by any amount; then relays, for at least half of their load."""
        loads = [
            device for device in self._listed if isinstance(device, Thermostat | Relay) and device.online
        ]
        loads.sort(key=lambda load: isinstance(load, Relay))
        baseline = {load.device_id: known_kw.get(load.device_id, load.flexible_kw) for load in loads}
        orders: dict[str, Order] = {}
        left = power_kw
        for load in loads:
            drawn = baseline[load.device_id]
            part = min(left, drawn) if isinstance(load, Thermostat) else drawn if left >= drawn / 2 else 0.0
            if part > 0:
                orders[load.device_id] = (
                    Order("limit", drawn - part) if isinstance(load, Thermostat) else Order("off")
                )
                left = max(0.0, left - part)
        return Plan("shed", orders, baseline)

    def delivered_kw(self, plan: Plan) -> dict[str, float]:
        """What each device did for an event during the last step; never negative, and nothing for restore."""
        sign = _SIGNS.get(plan.event_type, 0)
        return {
            device_id: max(
                0.0, sign * self.devices[device_id].output_kw + plan.baseline_kw.get(device_id, 0.0)
            )
            for device_id in plan.orders
        }
