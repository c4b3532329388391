"""What is known of an event at a site, from what happened to it: one table, and a pure function over it.

A row of the table is a state, a column something that happens. `.` means that nothing changes, `before` that
what stood before the newest request still stands. Read a row as a sentence: what was `cancelled` and is then
reported as `completed` is a `conflict`.

Some columns need a word. `kept`: Molecule refused a change or a cancellation, so that the older version
stands. `unclear`: a request may have been received; `stop_unclear`: one that cancels may have been.
`in_progress` is a report, which may be late; `running` is known to be later than the end that was known.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from mosvpp.statuses import EventStatus

from .entries import Answered, Entry, Observed, Reported, Resolved, Sent, Withdrawn

__all__ = ["TABLE", "Standing", "State", "step"]


class State(StrEnum):
    """What is known of an event at one site."""

    PLANNED = "planned"
    """It was never sent, or nothing of it was written."""
    SENT = "sent"
    """A request is out, and its answer is not there yet."""
    CONFIRMED = "confirmed"
    """A receipt accepts it."""
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    """It may have been received; whether it took effect is not known."""
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    PARTIALLY_COMPLETED = "partially_completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    OPTED_OUT = "opted_out"
    CONFLICT = "conflict"
    """Two things were said that cannot both be true: a person has to look."""

    @property
    def is_final(self) -> bool:
        """Whether the matter is closed, so that nothing is expected to follow."""
        return self in _FINAL

    @property
    def may_run(self) -> bool:
        """Whether the site may be following the event, now or later, as far as is known."""
        return self in _MAY_RUN


_S = State
_FINAL = frozenset(
    {
        *(_S.REJECTED, _S.COMPLETED, _S.PARTIALLY_COMPLETED, _S.FAILED, _S.CANCELLED),
        *(_S.SUPERSEDED, _S.OPTED_OUT),
    }
)
_MAY_RUN = frozenset({_S.SENT, _S.CONFIRMED, _S.UNKNOWN, _S.IN_PROGRESS, _S.CONFLICT})

# What requests come to:
_REQUESTS = """
                     sent   not_sent  accepted   rejected  kept    unclear  stopped    stop_unclear  withdrawn
planned              sent   .         .          .         .       .        .          .             cancelled
sent                 .      before    confirmed  rejected  before  unknown  cancelled  unknown       .
confirmed            sent   .         .          rejected  .       .        cancelled  unknown       .
rejected             sent   .         .          .         .       .        conflict   .             .
unknown              sent   before    confirmed  rejected  .       .        cancelled  .             .
in_progress          sent   .         .          conflict  .       .        cancelled  .             .
completed            .      .         .          conflict  .       .        conflict   .             .
partially_completed  .      .         .          conflict  .       .        .          .             .
failed               .      .         .          conflict  .       .        conflict   .             .
cancelled            .      .         .          .         .       .        .          .             .
superseded           .      .         .          conflict  .       .        conflict   .             .
opted_out            .      .         .          conflict  .       .        conflict   .             .
conflict             .      .         .          .         .       .        .          .             .
"""

# What Molecule reports, and what is seen. Two words that both end the matter contradict each other, with one
# exception: what was stopped may have run in part.
_REPORTS = """
                     reported_accepted  in_progress  running   rejected_later  cancelled
planned              conflict           conflict     conflict  conflict        conflict
sent                 confirmed          in_progress  .         rejected        cancelled
confirmed            .                  in_progress  .         rejected        cancelled
rejected             .                  conflict     conflict  .               conflict
unknown              confirmed          in_progress  .         rejected        cancelled
in_progress          .                  .            .         conflict        cancelled
completed            .                  .            .         conflict        conflict
partially_completed  .                  .            .         conflict        .
failed               .                  .            .         conflict        conflict
cancelled            .                  .            conflict  conflict        .
superseded           .                  .            conflict  conflict        conflict
opted_out            .                  .            conflict  conflict        conflict
conflict             .                  .            .         .               .
"""
_ENDS = """
                     completed  partially_completed  failed    superseded  opted_out
planned              conflict   conflict             conflict  conflict    conflict
sent                 completed  partially_completed  failed    superseded  opted_out
confirmed            completed  partially_completed  failed    superseded  opted_out
rejected             conflict   conflict             conflict  conflict    conflict
unknown              completed  partially_completed  failed    superseded  opted_out
in_progress          completed  partially_completed  failed    superseded  opted_out
completed            .          conflict             conflict  conflict    conflict
partially_completed  conflict   .                    conflict  conflict    conflict
failed               conflict   conflict             .         conflict    conflict
cancelled            conflict   partially_completed  conflict  conflict    conflict
superseded           conflict   conflict             conflict  .           conflict
opted_out            conflict   conflict             conflict  conflict    .
conflict             .          .                    .         .           .
"""


def _read(*texts: str) -> dict[str, dict[State, str]]:
    """The tables as they are looked up: by what happens, then by the state that it happens to."""
    table: dict[str, dict[State, str]] = {}
    for text in texts:
        head, *rows = (line.split() for line in text.strip().splitlines())
        for state, *cells in rows:
            for happening, cell in zip(head, cells, strict=True):
                table.setdefault(happening, {})[State(state)] = cell
    return table


TABLE = _read(_REQUESTS, _REPORTS, _ENDS)

_REPORTED = {
    EventStatus.ACCEPTED: "reported_accepted",
    EventStatus.IN_PROGRESS: "in_progress",
    EventStatus.REJECTED: "rejected_later",
    EventStatus.COMPLETED: "completed",
    EventStatus.PARTIALLY_COMPLETED: "partially_completed",
    EventStatus.FAILED: "failed",
    EventStatus.CANCELLED: "cancelled",
    EventStatus.SUPERSEDED: "superseded",
    EventStatus.OPTED_OUT: "opted_out",
}
_SKEW = timedelta(seconds=5)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event stands at a site, after all entries up to now.

    `before` is what stood when the newest request left; `revision` is that of the newest request, and
    `cancels` whether it cancels. `out` are the revisions of requests that may still be on their way, and
    `crossed` those that were when the newest left, so that nobody knows which came first; `cancelling` are
    those that cancel. `is_change`: the newest request changes what an older one asked for. `fell_back`: the
    newest request came to nothing, so that the one before counts. `stopped_at` is since when it is known to
    be cancelled; `reported` the last word of an execution response.
    """

    state: State = State.PLANNED
    before: State = State.PLANNED
    revision: int = 0
    cancels: bool = False
    out: frozenset[int] = frozenset()
    crossed: frozenset[int] = frozenset()
    cancelling: frozenset[int] = frozenset()
    is_change: bool = False
    fell_back: bool = False
    stopped_at: datetime | None = None
    reported: EventStatus | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether it is known that the site will not follow the event any further."""
        may_still_arrive = self.crossed & self.out
        return not may_still_arrive and (self.state.is_final or self.stopped_at is not None)


_changed = msgspec.structs.replace


def step(now: Standing, entry: Entry) -> Standing:
    """Where the event stands after one more entry."""
    match entry:
        case Sent():
            return _after_sending(now, entry)
        case Answered():
            return _after_answer(now, entry)
        case Reported():
            return _after_report(now, entry)
        case Observed():
            return _happens(now, "running", entry.at)
        case Withdrawn():
            return _happens(now, "withdrawn", entry.at)
        case Resolved():
            return _changed(now, state=State(entry.state), out=frozenset[int]())


def _after_sending(now: Standing, entry: Sent) -> Standing:
    if entry.revision == now.revision:  # it did nothing before, and is sent again
        return _changed(now, out=now.out | {entry.revision})
    if entry.revision < now.revision:  # the journal lets none of these pass
        return _changed(now, out=now.out | {entry.revision}, crossed=now.crossed | {entry.revision})
    return _changed(
        now,
        state=_cell(now.state, "sent", now.state),
        before=now.state,
        revision=entry.revision,
        cancels=entry.cancels,
        out=now.out | {entry.revision},
        crossed=now.out,
        cancelling=now.cancelling | {entry.revision} if entry.cancels else now.cancelling,
        fell_back=False,
        is_change=now.state not in (State.PLANNED, State.REJECTED),
        stopped_at=now.stopped_at if entry.cancels else None,
    )


def _after_answer(now: Standing, entry: Answered) -> Standing:
    now = _changed(now, out=now.out - {entry.revision})
    if entry.verdict == "refused_for_now" or entry.revision > now.revision:  # the latter never left
        return now
    if entry.revision < now.revision:
        return _after_older_answer(now, entry)
    happening = _happening(now, entry)
    if happening in ("kept", "not_sent"):
        now = _changed(now, fell_back=True)
    return _happens(now, happening, entry.at)


def _happening(now: Standing, entry: Answered) -> str:
    """What an answer to the newest request means."""
    if entry.verdict == "not_sent":
        return "not_sent"
    if now.cancels and entry.verdict == "accepted":
        return "stop_unclear" if now.crossed else "stopped"
    if entry.verdict == "rejected":
        return "kept" if now.cancels or now.is_change else "rejected"
    if now.cancels:
        return "stop_unclear"
    return "unclear" if entry.verdict == "unknown" else entry.verdict


def _after_older_answer(now: Standing, entry: Answered) -> Standing:
    """It tells what stood when the newest request left, and that counts where the newest came to nothing."""
    if entry.verdict == "not_sent":
        now = _changed(now, crossed=now.crossed - {entry.revision})
    if entry.revision in now.cancelling:
        happening = "kept" if entry.verdict in ("rejected", "not_sent") else "stop_unclear"
    else:
        happening = "unclear" if entry.verdict == "unknown" else entry.verdict
    # What an older one found in turn was that nothing had been sent, as far as it matters now.
    before = _cell(now.before, happening, State.PLANNED if happening == "not_sent" else now.before)
    state = _cell(now.state, happening, before) if now.fell_back else now.state
    return _changed(now, before=before, state=state)


def _after_report(now: Standing, entry: Reported) -> Standing:
    now = _changed(now, reported=entry.status)
    happening = _REPORTED.get(entry.status)
    if happening == "reported_accepted" and (now.cancels or now.is_change):
        happening = None  # of which version it speaks cannot be known
    if happening is None:
        return now
    if happening == "in_progress" and now.stopped_at and entry.reported_at:
        happening = "running" if entry.reported_at > now.stopped_at + _SKEW else happening
    return _happens(now, happening, entry.at)


_STOPS = frozenset({"stopped", "cancelled", "withdrawn"})


def _happens(now: Standing, happening: str, at: datetime) -> Standing:
    stopped_at = now.stopped_at
    if happening in _STOPS:
        stopped_at = stopped_at or at
    elif happening == "running":
        stopped_at = None
    return _changed(now, state=_cell(now.state, happening, now.before), stopped_at=stopped_at)


def _cell(state: State, happening: str, before: State) -> State:
    cell = TABLE[happening][state]
    if cell == ".":
        return state
    return before if cell == "before" else State(cell)
