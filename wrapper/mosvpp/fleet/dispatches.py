"""One event at one site, as a journal knows it, and what can be done about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from mosvpp.slots import EventSlot
from mosvpp.times import read_instant
from mosvpp.units import Power
from mosvpp_api.models.dispatch_mode import DispatchMode
from mosvpp_api.models.event_type import EventType

from .entries import Answered, Entry, Reported, Resolved, Sent
from .states import Standing, State, step

__all__ = ["ANSWERED_WITHIN", "Dispatch", "read_sent_slot"]

ANSWERED_WITHIN = timedelta(minutes=2)
"""A request whose answer has not been noted after that time was cut off: its outcome is unknown."""


class Dispatch(msgspec.Struct, frozen=True, kw_only=True):
    """One event at one site.

    `slot` is what is wanted there (the last version that was planned), `sent` the request that left last, and
    `standing` what follows from all `entries`. `number` is its place in its journal.
    """

    number: int
    molecule_id: str
    event_id: str
    mode: DispatchMode
    plan: str
    slot: EventSlot
    is_cancelled: bool
    entries: tuple[Entry, ...] = ()
    sent: Sent | None = None
    standing: Standing = Standing()

    @classmethod
    def build(cls, entries: Iterable[Entry], **known: Any) -> Dispatch:
        """Put together what a journal holds."""
        kept, sent, standing = tuple(entries), None, Standing()
        for entry in kept:
            standing = step(standing, entry)
            if isinstance(entry, Sent) and (sent is None or entry.revision >= sent.revision):
                sent = entry
        return cls(entries=kept, sent=sent, standing=standing, **known)

    @property
    def state(self) -> State:
        """What is known of the event at the site."""
        return self.standing.state

    @property
    def sent_slot(self) -> EventSlot | None:
        """The event as it was sent last, or None where it never was."""
        return None if self.sent is None else read_sent_slot(self.sent.body)

    @property
    def said(self) -> str | None:
        """What Molecule, a failing attempt or a person said last, in words; what to do is in `advice`."""
        for entry in reversed(self.entries):
            if isinstance(entry, Resolved):
                return f"resolved: {entry.reason}"
            if isinstance(entry, Answered | Reported) and entry.message:
                return _OF_ERRORS.sub("", entry.message)
            if isinstance(entry, Answered) and entry.verdict == "unknown":
                return _unclear(entry)
        return None

    @property
    def is_withheld(self) -> bool:
        """Whether it was forbidden before it was ever sent, so that it never will be."""
        return self.is_cancelled and self.state is State.PLANNED and not self.standing.out

    def is_over(self, now: datetime) -> bool:
        """Whether the event has ended by the calendar."""
        return (self.sent_slot or self.slot).end <= now

    def advice(self, now: datetime) -> str:
        """What can be done, in a sentence; empty where there is nothing to do."""
        return _ADVICE.get((self.state, self._situation(now)), "")

    def _situation(self, now: datetime) -> str:
        if self.state is State.PLANNED:
            return "withdrawn" if self.is_cancelled else "over" if self.is_over(now) else ""
        if self._is_out(now):
            return "out"
        if self.is_over(now):
            return "over"
        return "cancels" if self.standing.cancels else ""

    def _is_out(self, now: datetime) -> bool:
        """Whether an answer may still come; else the program that waited for it has ended."""
        return any(
            isinstance(entry, Sent)
            and entry.revision in self.standing.out
            and now - entry.at < ANSWERED_WITHIN
            for entry in self.entries
        )


def _unclear(entry: Answered) -> str:
    """What is to be said of an answer without a message that says neither yes nor no."""
    if entry.said is not None:
        return f"“{entry.said}”, which is neither yes nor no"
    return f"HTTP {entry.status}, but the answer could not be read"


# An error's message names its call and advises a programmer; beside the site both are out of place.
_OF_ERRORS = re.compile(
    r"^\w+ for \S+(?: \(\d+ attempts\))?: "
    r"|; it may have been received\..*"
    r"| Look at the site's telemetry; client\.resend\(error\.request\)[^.]*\.",
    re.DOTALL,
)

_S = State
_MAY_HAVE_RUN = "It may have run: look at the telemetry, wait for a report, or settle it with resolve()."
_AGAIN = "It may have been received: look at the telemetry; cancel it, or plan it again with update=True."
_NOT_STOPPED = "The cancellation may not have arrived: cancel it again, a repeated one does no harm."
_NO_END = "No report on its end has come: look at the telemetry, or ask Molecule."
_BOTH = "Two things were said of it that cannot both be true: ask Molecule, then use resolve()."
_ADVICE = {
    (_S.PLANNED, ""): "It was never sent: execute its plan again to send it.",
    (_S.PLANNED, "over"): "It was never sent, and is over.",
    (_S.PLANNED, "withdrawn"): "It was never sent, and is not sent any more.",
    (_S.SENT, "out"): "A request is out: wait for its answer.",
    (_S.SENT, "over"): _MAY_HAVE_RUN,
    (_S.SENT, ""): _AGAIN,
    (_S.SENT, "cancels"): _NOT_STOPPED,
    (_S.UNKNOWN, "out"): "A request is out: wait for its answer.",
    (_S.UNKNOWN, "over"): _MAY_HAVE_RUN,
    (_S.UNKNOWN, ""): _AGAIN,
    (_S.UNKNOWN, "cancels"): _NOT_STOPPED,
    (_S.CONFIRMED, "over"): _NO_END,
    (_S.IN_PROGRESS, "over"): _NO_END,
    **{(_S.CONFLICT, situation): _BOTH for situation in ("", "out", "over", "cancels")},
}


@lru_cache(maxsize=500)
def read_sent_slot(body: str) -> EventSlot:
    """The event in a request of ours, from its body. Sites share few of them."""
    event = msgspec.json.decode(body)["event_slots"][0]
    event_type = EventType(event["event_type"])
    power = Power(event["event_quantity"], event["event_unit"])
    return EventSlot(
        event_id=event["event_id"],
        event_type=event_type,
        power=None if event_type is EventType.RESTORE else power,
        start=read_instant(event["start_time"])[0],
        end=read_instant(event["end_time"])[0],
        priority=event["priority"],
        mandatory=event["mandatory"],
        cancelled=event["cancelled"],
    )
