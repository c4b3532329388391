"""The events of one site, and the rules by which they change; `states` has the table.

What MosVPP does here is not documented; all of this is our reading (dispatch.update_by_same_id) or our
choice:

- An `event_id` that was posted before is updated; `key` says when two ids are one (unknown.id_comparison).
  While the event runs, the update takes effect at once.
- `cancelled` ends an event for good: an older request that arrives late cannot bring it back.
- An event that has ended, in whatever way, is not changed any more. One whose end has passed is rejected;
  one whose start has passed runs for the rest of its time.
- One event runs at a time. When another one is due, the lower priority number wins, the newer request on a
  tie; the loser is superseded and does not come back.
- A household may decline an event that is not mandatory, when it is to begin.
- What was delivered is the average power over the time that the event really ran. 95 % of what was asked
  for is enough to be completed, less is partially completed, nothing is failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mosvpp.ids import id_key
from mosvpp.times import to_wire
from mosvpp.units import Power

from .states import State, may_become

__all__ = ["Event", "EventTable", "State", "Verdict"]

ENOUGH = 0.95


@dataclass(frozen=True)
class Verdict:
    """What a receipt says of one item."""

    status: str
    message: str


@dataclass
class Event:
    """One event; `event_id` as the newest request spells it, `revision` counts requests over all events.

    `executions` counts how often devices began to follow it. `history` has every step: when, the state, why.
    """

    event_id: str
    mode: str
    event_type: str
    power_kw: float
    unit: str
    start: datetime
    end: datetime
    priority: int
    mandatory: bool
    revision: int
    asked_at: datetime
    state: State = State.ACCEPTED
    message: str = ""
    began_at: datetime | None = None
    ended_at: datetime | None = None
    run_s: float = 0.0
    executions: int = 0
    is_silent: bool = False
    delivered_kwh: dict[str, float] = field(default_factory=dict)
    history: list[tuple[datetime, State, str]] = field(default_factory=list)

    def count(self, delivered_kw: Mapping[str, float], seconds: float) -> None:
        """Add what the devices did during a step."""
        self.run_s += seconds
        for device_id, power_kw in delivered_kw.items():
            self.delivered_kwh[device_id] = self.delivered_kwh.get(device_id, 0.0) + power_kw * seconds / 3600

    def average_kw(self) -> dict[str, float]:
        """The average power of each device over the time that the event ran."""
        hours = self.run_s / 3600
        return (
            {device_id: energy / hours for device_id, energy in self.delivered_kwh.items()} if hours else {}
        )

    def go(self, state: State, now: datetime, message: str) -> None:
        """Take a step of the table, and remember it."""
        may_become(self.state if self.history else None, state)
        self.history.append((now, state, message))
        self.state, self.message = state, message
        if not state.is_open:
            self.ended_at = now

    def begin(self, now: datetime) -> None:
        """Run, for the first time or again."""
        self.executions += 1
        self.began_at = self.began_at or now
        self.go(State.IN_PROGRESS, now, "The event has begun.")

    def complete(self, now: datetime) -> None:
        """End it because its time is over, and judge what was delivered."""
        average = sum(self.average_kw().values())
        if self.event_type == "restore":
            self.go(State.COMPLETED, now, "The site was back to normal.")
            return
        done = f"{average:.3g} kW of {self.power_kw:.3g} kW on average."
        if average >= ENOUGH * self.power_kw:
            self.go(State.COMPLETED, now, done)
        elif average > 0:
            self.go(State.PARTIALLY_COMPLETED, now, done)
        else:
            self.go(State.FAILED, now, "The site delivered nothing.")

    def as_json(self) -> dict[str, Any]:
        """How the control interface shows it; powers in kW, energies in kWh."""
        average = self.average_kw()
        return {
            "event_id": self.event_id,
            "mode": self.mode,
            "event_type": self.event_type,
            "power_kw": self.power_kw,
            "start": to_wire(self.start),
            "end": to_wire(self.end),
            "priority": self.priority,
            "mandatory": self.mandatory,
            "state": self.state.value,
            "message": self.message,
            "asked_at": to_wire(self.asked_at),
            "began_at": self.began_at and to_wire(self.began_at),
            "ended_at": self.ended_at and to_wire(self.ended_at),
            "executions": self.executions,
            "delivered_kw": round(sum(average.values()), 6) if self.run_s else None,
            "delivered_kwh": round(sum(self.delivered_kwh.values()), 6),
            "devices": {name: {"delivered_kw": round(power, 6)} for name, power in average.items()},
            "history": [
                {"at": to_wire(at), "state": state.value, "message": message}
                for at, state, message in self.history
            ],
        }


class EventTable:
    """All events of a site that know of each other.

    `key` says when two ids are one, `declines` whether the household declines an event.
    """

    def __init__(
        self,
        key: Callable[[str], str] = id_key,
        declines: Callable[[Event], bool] = lambda _: False,
    ) -> None:
        self._events: dict[str, Event] = {}
        self._open: list[Event] = []
        self._winner: Event | None = None
        self._revision = 0
        self._key = key
        self._declines = declines

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events.values())

    def get(self, event_id: str) -> Event | None:
        """An event by its id."""
        return self._events.get(self._key(event_id))

    @property
    def running(self) -> Event | None:
        """The event that runs now."""
        winner = self._winner  # it may have been cancelled since, or moved ahead
        return winner if winner is not None and winner.state is State.IN_PROGRESS else None

    def add(self, event: Event) -> None:
        """Put in an event as it was in another table, such as one that was kept in a file."""
        self._events[self._key(event.event_id)] = event
        self._revision = max(self._revision, event.revision)
        if event.state.is_open and not event.is_silent:
            self._open.append(event)
        if event.state is State.IN_PROGRESS:
            self._winner = event

    def take(
        self, slot: Mapping[str, Any], now: datetime, *, mode: str = "live", is_silent: bool = False
    ) -> tuple[Verdict, Event | None]:
        """Take in one slot of a valid dispatch request; the event is None where there is none to speak of.

        A `is_silent` event is known, and never comes to anything.
        """
        self._revision += 1
        asked, known = _event(slot, self._revision, mode, now), self.get(slot["event_id"])
        if slot["cancelled"]:
            return self._cancel(asked, known, now)
        if known is not None and not known.state.is_open:
            return Verdict("rejected", f"The event has already ended: it is {known.state}."), known
        if known is not None and known.state is State.IN_PROGRESS:
            _update(known, asked)
            waits = known.start > now
            known.go(State.ACCEPTED if waits else State.IN_PROGRESS, now, "The running event was updated.")
            return Verdict("accepted", "The running event was updated."), known
        if asked.end <= now:
            return Verdict("rejected", f"The event has already ended: it is {to_wire(now)} now."), known
        if known is not None:
            _update(known, asked)
            known.go(State.ACCEPTED, now, "The event was updated.")
            return Verdict("accepted", "The event was updated."), known
        self._events[self._key(asked.event_id)] = asked
        asked.is_silent = is_silent
        asked.go(State.ACCEPTED, now, "The event is scheduled.")
        if not is_silent:
            self._open.append(asked)
        return Verdict("accepted", "The event is scheduled."), asked

    def _cancel(self, asked: Event, known: Event | None, now: datetime) -> tuple[Verdict, Event]:
        if known is None:
            asked.go(State.CANCELLED, now, "It was cancelled before it was known.")
            self._events[self._key(asked.event_id)] = asked
            said = "No such event was known; should it arrive late, it will not run."
            return Verdict("cancelled", said), asked
        if known.state.is_open:
            known.go(State.CANCELLED, now, "It was cancelled.")
            return Verdict("cancelled", "The event was cancelled."), known
        if known.state is State.CANCELLED:
            return Verdict("cancelled", "The event had been cancelled before."), known
        return Verdict("rejected", f"The event has already ended: it is {known.state}."), known

    def turn(self, now: datetime) -> list[Event]:
        """Let every event end and begin whose time has come; returns those that took a step."""
        if not self._open:
            return []
        moved = [event for event in self._open if event.state.is_open and event.end <= now]
        for event in moved:
            event.complete(now)
        due = sorted(
            (event for event in self._open if event.state.is_open and event.start <= now),
            key=lambda event: (event.priority, -event.revision),
        )
        for event in [event for event in due if event.state is State.ACCEPTED and self._declines(event)]:
            event.go(State.OPTED_OUT, now, "The household declined it.")
            due.remove(event)
            moved.append(event)
        for loser in due[1:]:
            loser.go(State.SUPERSEDED, now, f"Event {due[0].event_id} outranks it.")
            moved.append(loser)
        for winner in due[:1]:
            if winner.state is State.ACCEPTED:
                winner.begin(now)
                moved.append(winner)
            self._winner = winner
        self._open = [event for event in self._open if event.state.is_open]
        return moved

    def next_at(self) -> datetime | None:
        """When the next event begins or ends."""
        times = [event.start if event.state is State.ACCEPTED else event.end for event in self._open]
        return min(times, default=None)


def kilowatts_of(quantity: float, unit: str) -> float:
    """What was asked for in kW. The schema sets no limit: what no float holds is simply more than enough."""
    return Power(min(quantity, _MOST), unit).kilowatts


_MOST = 1e300


def _event(slot: Mapping[str, Any], revision: int, mode: str, now: datetime) -> Event:
    return Event(
        event_id=slot["event_id"],
        mode=mode,
        event_type=slot["event_type"],
        power_kw=kilowatts_of(slot["event_quantity"], slot["event_unit"]),
        unit=slot["event_unit"],
        start=datetime.fromisoformat(slot["start_time"]),
        end=datetime.fromisoformat(slot["end_time"]),
        priority=int(slot["priority"]),
        mandatory=slot["mandatory"],
        revision=revision,
        asked_at=now,
    )


_UPDATED = ["event_id", "event_type", "power_kw", "unit", "start", "end", "priority", "mandatory", "revision"]


def _update(known: Event, asked: Event) -> None:
    """Put the new wishes into the known event."""
    for name in _UPDATED:
        setattr(known, name, getattr(asked, name))
