"""One site: its plant, its events and its commands, stepped through time.

Nothing here looks at a clock. `advance` goes from one instant that matters to the next: each full minute,
the beginning and end of an event, the end of a command, a data push, a request. However it is called, the
same requests at the same simulated times give the same history.

Where MosVPP is silent, `choices` decides; see there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec

from mosvpp.ids import id_key

from . import messages
from .choices import Choices
from .commands import Command, CommandTable, DeviceCommand, RepeatedCommandError
from .events import Event, EventTable, State, kilowatts_of
from .physics.device import Device, Metrics, Order
from .physics.kinds import read_device, written_device
from .physics.plant import Plan, Plant
from .physics.surroundings import chance
from .records import Record

__all__ = ["Delivery", "Kind", "Site", "Tell"]

Kind: TypeAlias = Literal["data_push", "execution_response"]
Tell: TypeAlias = Callable[[Literal["event", "command"], datetime, str, Mapping[str, Any]], object]
_MINUTE = timedelta(minutes=1)
_QUARTER = timedelta(minutes=15)
_HOUR = timedelta(hours=1)
_POINTS = 2880


@dataclass(frozen=True)
class Delivery:
    """Something to be sent to the partner; `number` counts those of its site."""

    kind: Kind
    molecule_id: str
    at: datetime
    body: dict[str, Any]
    number: int = 0


@dataclass(frozen=True)
class _Run:
    """The event that runs in one table, the plant that follows it, and how. A new revision is a new plan."""

    event: Event
    revision: int
    plant: Plant
    plan: Plan


class Site:
    """A site from `at` on; it tells its metrics each `push_every`, first at `first_push`, else after one."""

    def __init__(
        self,
        molecule_id: str,
        plant: Plant,
        *,
        at: datetime,
        name: str = "",
        push_every: timedelta = _MINUTE,
        first_push: datetime | None = None,
        choices: Callable[[], Choices] = Choices,
        seed: int = 0,
        points: int = _POINTS,
        tell: Tell = lambda *_: None,
    ) -> None:
        if push_every < timedelta(seconds=1):
            msg = f"data pushes are at least a simulated second apart, not {push_every}"
            raise ValueError(msg)
        self.molecule_id = molecule_id
        self.name = name
        self.plant = plant
        self.record = Record(points)
        self.events: dict[str, EventTable] = {
            mode: EventTable(self._key, self._declines) for mode in ("live", "test")
        }
        self.commands = CommandTable(self._key)
        self._choices = choices
        self._seed = seed
        self._tell = tell
        self._runs: dict[str, _Run] = {}
        self._at = at
        self._push_every = push_every
        self._push_at = first_push or at + push_every
        self._wanted = (0.0, 0.0)  # requested and delivered during the last step
        self._hurry_until = at
        self._deliveries: deque[Delivery] = deque()
        self._delivered = 0

    # --- time ---

    def advance(self, to: datetime) -> None:
        """Live through all that happens up to and including `to`."""
        while (instant := self._next_instant()) <= to:
            self._step(instant)
            self._turn(instant)

    def next_at(self) -> datetime:
        """When there will be something to send, or a device will change what it does."""
        at = self._push_at
        for one in (self.commands.next_at(self._at), *(table.next_at() for table in self.events.values())):
            if one is not None and one < at:
                at = one
        return at

    def hurry(self, now: datetime) -> None:
        """Push nothing for the time until now, and live through all but its last hour in longer steps."""
        self._hurry_until = now
        if self._push_at <= now:
            self._push_at += -(-(now - self._push_at) // self._push_every) * self._push_every

    def _next_instant(self) -> datetime:
        minute = self._at.replace(second=0, microsecond=0) + _MINUTE
        if self._at + _HOUR < self._hurry_until:
            minute += _QUARTER - timedelta(minutes=minute.minute % 15)
        return min(minute, self.next_at())

    def _step(self, to: datetime) -> None:
        seconds = (to - self._at).total_seconds()
        if seconds > 0:
            self._wanted = (0.0, 0.0)
            self.plant.step(self._at, seconds)
            for run in self._runs.values():
                if run.plant is not self.plant:
                    run.plant.step(self._at, seconds)
                delivered = run.plant.delivered_kw(run.plan)
                run.event.count(delivered, seconds)
                if run.plant is self.plant:
                    self._wanted = (run.event.power_kw, sum(delivered.values()))
            self._at = to

    def _turn(self, at: datetime) -> None:
        for mode, table in self.events.items():
            for event in table.turn(at):
                self._tell("event", at, event.event_id, event.as_json())
                if not event.state.is_open:
                    self._respond(event, at)
            self._follow(mode, table.running)
        for command in self.commands.expire(at, is_held=self._choices().after_command == "hold"):
            self._tell("command", at, command.scmd_id, command.as_json())
        self._obey(at)
        if self._push_at <= at:
            self._push_at += self._push_every
            self._push(at)

    def _follow(self, mode: str, event: Event | None) -> None:
        """Plan the event that runs now, unless it is planned already."""
        run = self._runs.get(mode)
        if event is None:
            self._runs.pop(mode, None)
        elif run is None or run.event is not event or run.revision != event.revision:
            plant = self.plant if mode == "live" else run.plant if run else self.plant.copy()
            previous = run.plan if run and run.event is event else None
            plan = plant.plan(event.event_type, event.power_kw, previous)
            self._runs[mode] = _Run(event, event.revision, plant, plan)

    def _obey(self, at: datetime) -> None:
        commanded = self.commands.orders()
        live, test = self._runs.get("live"), self._runs.get("test")
        self.plant.obey(self._orders(commanded, live), at)
        if test:
            test.plant.obey(self._orders(commanded, test), at)

    def _orders(self, commanded: Mapping[str, Order], run: _Run | None) -> Mapping[str, Order]:
        if run is None:
            return commanded
        if self._choices().conflict == "event_first":
            return {**commanded, **run.plan.orders}
        return {**run.plan.orders, **commanded}

    def _push(self, at: datetime) -> None:
        metrics = self.plant.metrics()
        requested, delivered = self._wanted
        self.record.note(at, (requested, delivered, self.plant.import_kw), metrics)
        self._deliver("data_push", at, messages.data_push(self.molecule_id, at, metrics))

    def _respond(self, event: Event, at: datetime) -> None:
        body = messages.execution_response(self.molecule_id, event.mode, event, at)
        self._deliver("execution_response", at, body)

    def _deliver(self, kind: Kind, at: datetime, body: dict[str, Any]) -> None:
        self._delivered += 1
        self._deliveries.append(Delivery(kind, self.molecule_id, at, body, self._delivered))

    @property
    def pushes(self) -> int:
        """How many data pushes and execution responses there were."""
        return self._delivered

    # --- keeping ---

    def as_state(self) -> dict[str, Any]:
        """All that changes, ready to be written; `take_state` reads it."""
        return {
            "at": self._at,
            "push_at": self._push_at,
            "delivered": self._delivered,
            "devices": [written_device(device) for device in self.plant.inventory()],
            "events": {mode: list(table) for mode, table in self.events.items()},
            "commands": list(self.commands),
            "runs": {
                mode: {
                    "event_id": run.event.event_id,
                    "plan": run.plan,
                    "devices": [written_device(device) for device in run.plant.inventory()],
                }
                for mode, run in self._runs.items()
            },
        }

    def take_state(self, state: Mapping[str, Any], now: datetime) -> None:
        """Go on from there. No telemetry is pushed for the time between, but what happened in it is told."""
        self._at, self._push_at = (datetime.fromisoformat(state[name]) for name in ("at", "push_at"))
        self._delivered = state["delivered"]
        self.plant = self._plant_of(state["devices"])
        for mode, events in state["events"].items():
            for event in msgspec.convert(events, list[Event]):
                self.events[mode].add(event)
        for command in msgspec.convert(state["commands"], list[Command]):
            self.commands.add(command)
        for mode, run in state["runs"].items():
            running = self.events[mode].running
            if running is not None:
                plant = self.plant if mode == "live" else self._plant_of(run["devices"])
                plan = msgspec.convert(run["plan"], Plan)
                self._runs[mode] = _Run(running, running.revision, plant, plan)
        self._obey(self._at)
        self.hurry(now)

    def _plant_of(self, devices: list[dict[str, Any]]) -> Plant:
        plant = Plant([read_device(device, self._at) for device in devices], self.plant.around)
        plant.settle(self._at)
        return plant

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

    def all_events(self) -> Iterator[Event]:
        """The events of both modes."""
        for table in self.events.values():
            yield from table

    def running(self) -> Event | None:
        """The event that moves devices now, or is rehearsed."""
        return self.events["live"].running or self.events["test"].running

    def executions(self, item_id: str) -> int:
        """How often the event, or the command, of that id began to run, whatever its spelling."""
        key = id_key(item_id)
        events = sum(one.executions for one in self.all_events() if id_key(one.event_id) == key)
        return events + sum(one.executions for one in self.commands if id_key(one.scmd_id) == key)

    def change_device(self, device_id: str, values: Mapping[str, Any], now: datetime) -> None:
        """Put a device into another state, such as `online=False`. Raises `LookupError`, `ValueError`."""
        self.advance(now)
        self._step(now)
        device = self.plant.devices.get(device_id)
        if device is None:
            msg = f"the site has no device {device_id!r}"
            raise LookupError(msg)
        if {"kind", "device_id"} & set(values):
            raise ValueError("a device stays what it is: neither kind nor device_id can be changed")
        wanted = read_device({**written_device(device), **values}, now)
        for name in values:
            setattr(device, name, getattr(wanted, name))
        self._turn(now)

    def dispatch(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Take a dispatch request and answer with its receipt."""
        self.advance(now)
        self._step(now)
        mode, test_mode = request["mode"], self._choices().test_mode
        table = self.events["live" if test_mode == "execute" else mode]
        verdicts = []
        for slot in request["event_slots"]:
            before = table.running
            verdict, event = table.take(
                slot, now, mode=mode, is_silent=mode == "test" and test_mode == "acknowledge"
            )
            verdicts.append(verdict)
            if event is not None:
                self._tell("event", now, event.event_id, event.as_json())
            if before is not None and before.state is State.CANCELLED:
                self._respond(before, now)
        self._turn(now)
        return messages.dispatch_receipt(self.molecule_id, request, verdicts, now)

    def command(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Take a site command and answer with its receipt. Raises `RepeatedCommandError`."""
        self.advance(now)
        self._step(now)
        known, repeated = self.commands.get(request["scmd_id"]), self._choices().repeated_command
        if known is not None and repeated == "refuse":
            raise RepeatedCommandError
        if known is not None and repeated == "ignore":
            return messages.command_receipt(self.molecule_id, request, known.verdicts(), now)
        seconds = min(int(request["scmd_secs"]), 10**9)
        command = Command(
            scmd_id=request["scmd_id"],
            asked_at=now,
            seconds=seconds,
            until=now + timedelta(seconds=seconds),
            executions=known.executions if known else 0,
            devices=[self._told(item) for item in request["scmd_devices"]],
        )
        for device in command.devices:
            if device.state == "restored":
                self.commands.restore(device.device_id)
        command.executions += any(device.state != "rejected" for device in command.devices)
        self.commands.add(command)
        self._turn(now)
        self._tell("command", now, command.scmd_id, command.as_json())
        return messages.command_receipt(self.molecule_id, request, command.verdicts(), now)

    def _told(self, item: Mapping[str, Any]) -> DeviceCommand:
        device_id, action = item["device_id"], item["cmd_type"]
        power_kw = kilowatts_of(item["cmd_quantity"], item["cmd_unit"]) if "cmd_quantity" in item else None
        device = self.plant.devices.get(device_id)
        why_not = self._why_not(device, action)
        if device is None or why_not:
            return DeviceCommand(device_id, action, power_kw, None, "rejected", why_not)
        if action == "restore":
            said = f"{device.label} is back to normal."
            return DeviceCommand(device_id, action, None, None, "restored", said)
        order = self._order(device, action, power_kw)
        return DeviceCommand(device_id, action, power_kw, order, "running", f"Passed on to {device.label}.")

    def _why_not(self, device: Device | None, action: str) -> str:
        if device is None:
            return "The site has no such device."
        if not set(device.abilities) - {"telemetry"}:
            return f"{device.label} obeys no command."
        if action not in {*device.abilities, "restore"}:
            return f"{device.label} cannot {action}."
        if not device.online:
            return f"{device.label} is offline."
        live = self._runs.get("live")
        if live and device.device_id in live.plan.orders and self._choices().conflict == "refuse":
            return f"{device.label} follows event {live.event.event_id}."
        return ""

    def _order(self, device: Device, action: str, power_kw: float | None) -> Order:
        if power_kw is None:
            return Order(action)
        if action == "shed":
            return Order("limit", max(0.0, -device.output_kw - power_kw))
        return Order(action, power_kw)

    def _key(self, item_id: str) -> str:
        return id_key(item_id) if self._choices().ids == "values" else item_id

    def _declines(self, event: Event) -> bool:
        share = self._choices().opt_out
        what = f"{self._seed}/{self.molecule_id}/{event.event_id.lower()}/opt_out"
        return share > 0 and not event.mandatory and (chance(what) + 1) / 2 < share
