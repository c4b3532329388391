"""The events of one site in one mode, and the rules by which they change.

What MosVPP does here is not documented; all of this is our reading (dispatch.update_by_same_id) or our
choice:

- An `event_id` that was posted before is updated; ids are compared as values. While the event runs, the
  update takes effect at once.
- `cancelled` ends an event for good: an older request that arrives late cannot bring it back.
- An event that has ended, in whatever way, is not changed any more. One whose end has passed is rejected;
  one whose start has passed runs for the rest of its time.
- One event runs at a time. When another one is due, the lower priority number wins, the newer request on a
  tie; the loser is superseded and does not come back.
- What was delivered is the average power over the time that the event really ran. 95 % of what was asked
  for is enough to be completed, less is partially completed, nothing is failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from mosvpp.ids import id_key
from mosvpp.times import to_wire
from mosvpp.units import Power

__all__ = ["Event", "EventTable", "State", "Verdict"]

ENOUGH = 0.95


class State(StrEnum):
    """Where an event is in its life; the words go out as they are."""

    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    PARTIALLY_COMPLETED = "partially_completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"

    @property
    def is_open(self) -> bool:
        """Whether the event may still run."""
        return self in (State.ACCEPTED, State.IN_PROGRESS)


@dataclass(frozen=True)
class Verdict:
    """What a receipt says of one item."""

    status: str
    message: str


@dataclass
class Event:
    """One event; `event_id` as the newest request spells it, `revision` counts requests over all events."""

    event_id: str
    event_type: str
    power_kw: float
    unit: str
    start: datetime
    end: datetime
    priority: int
    mandatory: bool
    revision: int
    state: State = State.ACCEPTED
    message: str = ""
    began_at: datetime | None = None
    ended_at: datetime | None = None
    run_s: float = 0.0
    delivered_kwh: dict[str, float] = field(default_factory=dict)

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

    def close(self, state: State, now: datetime, message: str) -> None:
        """End it for good."""
        self.state, self.ended_at, self.message = state, now, message

    def complete(self, now: datetime) -> None:
        """End it because its time is over, and judge what was delivered."""
        average = sum(self.average_kw().values())
        if self.event_type == "restore":
            self.close(State.COMPLETED, now, "The site was back to normal.")
            return
        done = f"{average:.3g} kW of {self.power_kw:.3g} kW on average."
        if average >= ENOUGH * self.power_kw:
            self.close(State.COMPLETED, now, done)
        elif average > 0:
            self.close(State.PARTIALLY_COMPLETED, now, done)
        else:
            self.close(State.FAILED, now, "The site delivered nothing.")


class EventTable:
    """All events of a site in one mode."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}
        self._open: list[Event] = []
        self._winner: Event | None = None
        self._revision = 0

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events.values())

    def get(self, event_id: str) -> Event | None:
        """An event by its id, compared as a value."""
        return self._events.get(id_key(event_id))

    @property
    def running(self) -> Event | None:
        """The event that runs now."""
        winner = self._winner  # it may have been cancelled since, or moved ahead
        return winner if winner is not None and winner.state is State.IN_PROGRESS else None

    def take(self, slot: Mapping[str, Any], now: datetime) -> Verdict:
        """Take in one slot of a valid dispatch request."""
        self._revision += 1
        asked, known = _event(slot, self._revision), self.get(slot["event_id"])
        if slot["cancelled"]:
            return self._cancel(asked, known, now)
        if known is not None and not known.state.is_open:
            return Verdict("rejected", f"The event has already ended: it is {known.state}.")
        if known is not None and known.state is State.IN_PROGRESS:
            _update(known, asked, now)
            return Verdict("accepted", "The running event was updated.")
        if asked.end <= now:
            return Verdict("rejected", f"The event has already ended: it is {to_wire(now)} now.")
        if known is not None:
            _update(known, asked, now)
            return Verdict("accepted", "The event was updated.")
        self._events[id_key(asked.event_id)] = asked
        self._open.append(asked)
        return Verdict("accepted", "The event is scheduled.")

    def _cancel(self, asked: Event, known: Event | None, now: datetime) -> Verdict:
        if known is None:
            asked.close(State.CANCELLED, now, "It was cancelled before it was known.")
            self._events[id_key(asked.event_id)] = asked
            return Verdict("cancelled", "No such event was known; should it arrive late, it will not run.")
        if known.state.is_open:
            known.close(State.CANCELLED, now, "It was cancelled.")
            return Verdict("cancelled", "The event was cancelled.")
        if known.state is State.CANCELLED:
            return Verdict("cancelled", "The event had been cancelled before.")
        return Verdict("rejected", f"The event has already ended: it is {known.state}.")

    def turn(self, now: datetime) -> list[Event]:
        """Let every event end and begin whose time has come; returns those that ended."""
        ended = [event for event in self._open if event.state.is_open and event.end <= now]
        for event in ended:
            event.complete(now)
        due = sorted(
            (event for event in self._open if event.state.is_open and event.start <= now),
            key=lambda event: (event.priority, -event.revision),
        )
        for loser in due[1:]:
            loser.close(State.SUPERSEDED, now, f"Event {due[0].event_id} outranks it.")
            ended.append(loser)
        for winner in due[:1]:
            winner.state = State.IN_PROGRESS
            winner.began_at = winner.began_at or now
            self._winner = winner
        self._open = [event for event in self._open if event.state.is_open]
        return ended

    def next_at(self) -> datetime | None:
        """When the next event begins or ends."""
        times = [event.start if event.state is State.ACCEPTED else event.end for event in self._open]
        return min(times, default=None)


def _event(slot: Mapping[str, Any], revision: int) -> Event:
    return Event(
        event_id=slot["event_id"],
        event_type=slot["event_type"],
        power_kw=Power(slot["event_quantity"], slot["event_unit"]).kilowatts,
        unit=slot["event_unit"],
        start=datetime.fromisoformat(slot["start_time"]),
        end=datetime.fromisoformat(slot["end_time"]),
        priority=int(slot["priority"]),
        mandatory=slot["mandatory"],
        revision=revision,
    )


def _update(known: Event, asked: Event, now: datetime) -> None:
    """Put the new wishes into the known event, which waits again when its start is moved ahead."""
    for name in (
        "event_id",
        "event_type",
        "power_kw",
        "unit",
        "start",
        "end",
        "priority",
        "mandatory",
        "revision",
    ):
        setattr(known, name, getattr(asked, name))
    if known.start > now:
        known.state = State.ACCEPTED
