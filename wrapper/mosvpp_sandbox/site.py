"""One site: its plant, its events and its commands, stepped through time.

Nothing here looks at a clock. `advance` goes from one instant that matters to the next: each full minute,
the beginning and end of an event, the end of a command, a data push, a request. However it is called, the
same requests at the same simulated times give the same history.

Where MosVPP is silent, these are our choices (unknown.test_mode_effect, unknown.after_scmd_secs): an event
in mode `test` runs on a copy of the plant, so that it yields an execution response and moves no device; a
site command outranks events at its device until `scmd_secs` have passed, then the device does what the
event wants, or what is normal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from mosvpp.units import Power

from . import messages
from .devices import Device, Metrics, Order
from .events import Event, EventTable, State, Verdict
from .plant import Plan, Plant

__all__ = ["Delivery", "Kind", "Site"]

Kind: TypeAlias = Literal["data_push", "execution_response"]
_MINUTE = timedelta(minutes=1)
_KEPT = 10_000


@dataclass(frozen=True)
class Delivery:
    """Something to be sent to the partner."""

    kind: Kind
    molecule_id: str
    at: datetime
    body: dict[str, Any]


@dataclass(frozen=True)
class _Command:
    order: Order
    until: datetime


@dataclass(frozen=True)
class _Run:
    """The event that runs in one mode: the plant that follows it, and how. A new revision is planned anew."""

    event: Event
    revision: int
    plant: Plant
    plan: Plan


class Site:
    """A site from `at` on; it tells its metrics each `push_every`, not yet at `at` itself."""

    def __init__(
        self, molecule_id: str, plant: Plant, *, at: datetime, push_every: timedelta = _MINUTE
    ) -> None:
        if push_every < timedelta(seconds=1):
            msg = f"data pushes are at least a simulated second apart, not {push_every}"
            raise ValueError(msg)
        self.molecule_id = molecule_id
        self.plant = plant
        self.events: dict[str, EventTable] = {"live": EventTable(), "test": EventTable()}
        self._commands: dict[str, _Command] = {}
        self._runs: dict[str, _Run] = {}
        self._at = at
        self._push_every = push_every
        self._push_at = at + push_every
        self._deliveries: deque[Delivery] = deque(maxlen=_KEPT)  # nobody may be there to take them

    # --- time ---

    def advance(self, to: datetime) -> None:
        """Live through all that happens up to and including `to`."""
        while (instant := self._next_instant()) <= to:
            self._step(instant)
            self._turn(instant)

    def next_at(self) -> datetime:
        """When there will be something to send, or a device will change what it does."""
        times = [self._push_at, *(command.until for command in self._commands.values())]
        times += [at for table in self.events.values() if (at := table.next_at()) is not None]
        return min(times)

    def _next_instant(self) -> datetime:
        minute = self._at.replace(second=0, microsecond=0) + _MINUTE
        return min(minute, self.next_at())

    def _step(self, to: datetime) -> None:
        seconds = (to - self._at).total_seconds()
        if seconds > 0:
            for plant in [
                self.plant,
                *(run.plant for run in self._runs.values() if run.plant is not self.plant),
            ]:
                plant.step(self._at, seconds)
            for run in self._runs.values():
                run.event.count(run.plant.delivered_kw(run.plan), seconds)
            self._at = to

    def _turn(self, at: datetime) -> None:
        for mode, table in self.events.items():
            for event in table.turn(at):
                self._respond(mode, event, at)
            self._follow(mode, table.running, at)
        self._commands = {name: command for name, command in self._commands.items() if command.until > at}
        self._obey(at)
        if self._push_at <= at:
            self._push_at += self._push_every
            self._deliver("data_push", at, messages.data_push(self.molecule_id, at, self.plant.metrics()))

    def _follow(self, mode: str, event: Event | None, at: datetime) -> None:
        """Plan the event that runs now, unless it is planned already."""
        run = self._runs.get(mode)
        if event is None:
            self._runs.pop(mode, None)
        elif run is None or run.event is not event or run.revision != event.revision:
            plant = self.plant if mode == "live" else self._rehearsal(run)
            plan = plant.plan(
                event.event_type, event.power_kw, run.plan if run and run.event is event else None
            )
            self._runs[mode] = _Run(event, event.revision, plant, plan)

    def _rehearsal(self, run: _Run | None) -> Plant:
        return run.plant if run else self.plant.copy()

    def _obey(self, at: datetime) -> None:
        commanded = {name: command.order for name, command in self._commands.items()}
        live = self._runs.get("live")
        self.plant.obey({**(live.plan.orders if live else {}), **commanded}, at)
        if test := self._runs.get("test"):
            test.plant.obey({**test.plan.orders, **commanded}, at)

    def _respond(self, mode: str, event: Event, at: datetime) -> None:
        self._deliver(
            "execution_response", at, messages.execution_response(self.molecule_id, mode, event, at)
        )

    def _deliver(self, kind: Kind, at: datetime, body: dict[str, Any]) -> None:
        self._deliveries.append(Delivery(kind, self.molecule_id, at, body))

    # --- what the outside may ask; requests have been checked against the specification before ---

    def take_deliveries(self) -> list[Delivery]:
        """What became due since the last time."""
        taken = list(self._deliveries)
        self._deliveries.clear()
        return taken

    def metrics(self, now: datetime) -> dict[str, Metrics]:
        """What the devices tell at this moment; asking changes nothing."""
        plant, at = self.plant.copy(), self._at
        if now > at:
            plant.step(at, (now - at).total_seconds())
        return plant.metrics()

    def device_list(self) -> dict[str, Any]:
        """The answer to device synchronization."""
        return messages.device_list(self.molecule_id, self.plant.inventory())

    def dispatch(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Take a dispatch request and answer with its receipt."""
        self.advance(now)
        self._step(now)
        mode = request["mode"]
        table = self.events[mode]
        verdicts = []
        for slot in request["event_slots"]:
            before = table.running
            verdicts.append(table.take(slot, now))
            if before is not None and before.state is State.CANCELLED:
                self._respond(mode, before, now)
        self._turn(now)
        return messages.dispatch_receipt(self.molecule_id, request, verdicts, now)

    def command(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Take a site command and answer with its receipt."""
        self.advance(now)
        self._step(now)
        until = now + timedelta(seconds=min(int(request["scmd_secs"]), 10**9))
        verdicts = [self._command(item, until) for item in request["scmd_devices"]]
        self._turn(now)
        return messages.command_receipt(self.molecule_id, request, verdicts, now)

    def _command(self, item: Mapping[str, Any], until: datetime) -> Verdict:
        device_id, action = item["device_id"], item["cmd_type"]
        if device_id == self.plant.meter.device_id:
            return Verdict("rejected", f"{self.plant.meter.name} obeys no command.")
        device = self.plant.devices.get(device_id)
        if device is None:
            return Verdict("rejected", "The site has no such device.")
        if action not in {*device.capabilities, "restore"}:
            return Verdict("rejected", f"{device.name} cannot {action}.")
        if action == "restore":
            self._commands.pop(device_id, None)
            return Verdict("accepted", f"{device.name} is back to normal.")
        self._commands[device_id] = _Command(self._order(device, action, item), until)
        return Verdict("accepted", f"Passed on to {device.name}.")

    def _order(self, device: Device, action: str, item: Mapping[str, Any]) -> Order:
        if "cmd_quantity" not in item:
            return Order(action)
        power_kw = Power(item["cmd_quantity"], item["cmd_unit"]).kilowatts
        if action == "shed":
            return Order("limit", max(0.0, -device.output_kw - power_kw))
        return Order(action, power_kw)
