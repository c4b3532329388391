"""What was asked of which site, and what became of it: append-only, and durable before a request leaves."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeAlias, TypedDict, TypeVar, Unpack
from uuid import UUID

import msgspec
from sqlalchemy import Connection, tuple_, update

from mosvpp.clock import Clock, SystemClock
from mosvpp.errors import RuleError
from mosvpp.events import ExecutionReport
from mosvpp.ids import id_key
from mosvpp.store import Database, GroupCommit, Pending
from mosvpp.times import to_microseconds
from mosvpp_api.models.dispatch_mode import DispatchMode

from . import _journal_rows, _reconciling
from ._journal_rows import PAGE, PLAN_PAGE, Begin, Note, Obstacle, Unsent, Wanted, site_key
from ._journal_tables import SCHEMA, dispatches
from ._reconciling import Applied
from .dispatches import ANSWERED_WITHIN, Dispatch
from .entries import Answered, Entry, FinalState, Observed, Resolved, Sent, Withdrawn
from .states import State, step

__all__ = ["Chosen", "Journal", "interrupted"]

R = TypeVar("R")
Mode: TypeAlias = Literal["test", "live"]

_log = logging.getLogger("mosvpp.fleet")


class _Steps(NamedTuple):
    """What one sender writes at once: what has happened, and what is to leave next."""

    notes: tuple[Note, ...]
    begin: Begin | None


_Task: TypeAlias = "_Steps | Callable[[Connection], Any]"


class Chosen(TypedDict, total=False):
    """Which dispatches: all that match everything that is given and is not None."""

    event_id: str | UUID | None
    molecule_ids: Iterable[str] | None
    mode: Mode | None
    plan: str | None
    ends_after: datetime | None
    ends_before: datetime | None
    starts_before: datetime | None
    is_open: bool | None
    is_sent: bool | None


class Journal:
    """The journal of a fleet, in a SQLite file (one machine) or a PostgreSQL database (many).

        with Journal("sqlite:///fleet.db") as journal:          # or postgresql://user@host/name
            for dispatch in journal.overdue(now):
                print(dispatch.molecule_id, dispatch.state, dispatch.advice(now))

    Nothing in it is ever changed or deleted, except for what is wanted of an event that was not sent. It may
    be used from any thread and, in PostgreSQL, by any number of programs; together they send each event to a
    site once. A program opens it once, and closes it at its end. All that touches the store raises
    `StoreError` when the store cannot do it; then nothing has left.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        self._database = Database(url, SCHEMA)
        self._clock = clock or SystemClock()
        self._holder = secrets.randbits(62)
        self._opening = threading.Lock()
        self._line = self._database.line()  # of the lane's thread
        self._lane: GroupCommit[_Task, Any] | None = None

    def __repr__(self) -> str:
        return f"Journal({self._database!r})"

    # --- opening

    def open(self) -> None:
        """Connect, and create or migrate the tables. Nothing happens where that has been done."""
        self._open_lane()

    def close(self) -> None:
        """Write what waits, and close. It opens again when it is used again."""
        with self._opening:
            lane, self._lane = self._lane, None
            if lane is not None:
                lane.close()
                self._line.close()
                self._database.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_lane(self) -> GroupCommit[_Task, Any]:
        if self._lane is not None:
            return self._lane
        with self._opening:
            if self._lane is None:
                self._database.open()
                self._lane = GroupCommit(self._commit, name="mosvpp-journal")
            return self._lane

    def _commit(self, tasks: Sequence[_Task]) -> Sequence[Any]:
        """Everything that waited, in one transaction. It may be done twice, see `Database.commit`."""
        steps = [task for task in tasks if isinstance(task, _Steps)]
        begins = [one.begin for one in steps if one.begin is not None]

        def write(connection: Connection) -> list[Any]:
            found = _journal_rows.begin(connection, begins, self._holder) if begins else []
            verdicts = iter(found)
            # In the order in which they were told: what became of a request comes after the request.
            _journal_rows.append(connection, _entries(steps, iter(found)))
            return [self._result(task, connection, verdicts) for task in tasks]

        return self._line.commit(write)

    def _result(self, task: _Task, connection: Connection, verdicts: Iterator[Obstacle | None]) -> object:
        if isinstance(task, _Steps):
            return None if task.begin is None else next(verdicts)
        return task(connection)

    def _do(self, work: Callable[[Connection], R]) -> Pending[R]:
        return self._open_lane().submit(work)

    # --- planning and sending; the fleet calls these

    def record(
        self, wanted: Iterable[Wanted], *, mode: Mode, plan: str, update_sent: bool = False
    ) -> Iterator[Pending[None]]:
        """Note what a plan wants, a page at a time; wait for each before the next.

        What is there already under the same plan stays as it is, so that a plan may be recorded again.
        Raises `RuleError` where an event was cancelled, went out in the other mode, or was sent before; in
        the end also where somebody called off a part of it while the rest was being noted.
        """
        after = self._do(_journal_rows.newest_number).result()
        for several in _pages(wanted, PLAN_PAGE):
            texts = _slot_texts(several)
            yield self._do(
                partial(
                    _journal_rows.record,
                    wanted=several,
                    mode=DispatchMode(mode),
                    plan=plan,
                    slot_texts=texts,
                    update_sent=update_sent,
                )
            )
        yield self._do(partial(_journal_rows.insist_on_no_stop, plan=plan, after=after))

    def unsent(self, plan: str, after: int = 0) -> list[Unsent]:
        """What a plan wants and may still be sent: the next page of it, after that number."""
        self._open_lane()
        with self._database.read() as connection:
            return _journal_rows.unsent(connection, plan, after)

    def begin(self, number: int, sent: Sent, *, notes: tuple[Note, ...] = ()) -> Pending[Obstacle | None]:
        """Let a request leave: None once that is durable, or else what is in its way."""
        return self._open_lane().submit(_Steps(notes, Begin(number, sent)), size=len(sent.body))

    def note(self, *notes: Note) -> Pending[None]:
        """Note what has happened."""
        return self._open_lane().submit(_Steps(notes, None))

    def forbid(self, **chosen: Unpack[Chosen]) -> None:
        """Let nothing but cancellations leave any more, whoever wants to send. Durable when it returns.

        What is chosen is what `find` finds with the same arguments.
        """
        for conditions in _conditions(chosen):
            stop = update(dispatches).where(*conditions).values(is_cancelled=True, may_send=False)

            def write(connection: Connection, stop: Any = stop) -> None:
                connection.execute(stop)

            self._do(write).result()

    def withdraw(self, several: Sequence[Dispatch]) -> None:
        """Note that what was forbidden before it was ever sent is cancelled."""
        now = self._clock.now()
        self.note(*[Note(dispatch.number, Withdrawn(at=now)) for dispatch in several]).result()

    def close_interrupted(self, older_than: timedelta = ANSWERED_WITHIN, **chosen: Unpack[Chosen]) -> int:
        """Note that requests whose answer never came have an unknown outcome; how many.

        Such requests were out when a program was killed; a plan that is executed again does this for its own.
        `older_than` must be longer than any attempt.
        """
        now = self._clock.now()
        those: Chosen = {**chosen, "is_open": True, "is_sent": True}
        sent = self.find(**those)
        lost = (note for dispatch in sent for note in interrupted(dispatch, now, older_than))
        count = 0
        for several in _pages(lost):
            self.note(*several).result()
            count += len(several)
        return count

    # --- what Molecule tells

    def apply(self, report: ExecutionReport, *, received_at: datetime | None = None) -> Pending[Applied]:
        """Reconcile with an execution response: `await` it, or call `.result()`. Repetitions do no harm."""
        at = received_at or self._clock.now()
        return self._do(lambda connection: _reconciling.apply(connection, report, at))

    def take(self, report: ExecutionReport, delivery: Any) -> Applied:
        """Reconcile with a delivery of an inbox: `inbox.handler(ExecutionReport)(journal.take)`."""
        applied = self.apply(report, received_at=delivery.received_at).result()
        for stranger in applied.strangers:
            _log.warning("a report on %s at %s: %s", stranger.event_id, stranger.molecule_id, stranger.reason)
        for dispatch in applied.dispatches:
            if dispatch.state is State.CONFLICT:
                _log.warning("conflict on %s at %s", dispatch.event_id, dispatch.molecule_id)
        return applied

    def observe(self, molecule_id: str, event_id: str | UUID, *, source: str = "telemetry") -> Dispatch:
        """Note that the site was seen to follow the event. Raises `KeyError`."""
        return self._add(molecule_id, event_id, Observed(at=self._clock.now(), source=source))

    def resolve(self, molecule_id: str, event_id: str | UUID, state: FinalState, *, reason: str) -> Dispatch:
        """Note what a person found out about what became of the event. Raises `KeyError`, `RuleError`."""
        if not reason.strip():
            raise RuleError("say how it is known", path="reason", rule="required")
        if not State(state).is_final:
            raise RuleError(f"{state} is no end of an event", path="state", rule="enum")
        return self._add(molecule_id, event_id, Resolved(at=self._clock.now(), state=state, reason=reason))

    def _add(self, molecule_id: str, event_id: str | UUID, entry: Entry) -> Dispatch:
        known = self.get(molecule_id, event_id)
        if known is None:
            raise KeyError(f"{event_id} at {molecule_id}")
        is_open = not step(known.standing, entry).state.is_final

        def write(connection: Connection) -> None:
            _journal_rows.append(connection, [Note(known.number, entry)])
            chosen = update(dispatches).where(dispatches.c.id == known.number)
            connection.execute(chosen.values(is_open=is_open))

        self._do(write).result()
        return self.get(molecule_id, event_id) or known

    # --- looking

    def find(self, **chosen: Unpack[Chosen]) -> Iterator[Dispatch]:
        """The dispatches that fit all that is given, in the order in which they were planned.

        Read page by page, so that any number of them needs little memory.
        """
        return (found for conditions in _conditions(chosen) for found in self._select(conditions))

    def known(self, pairs: Iterable[tuple[str | UUID, str]]) -> Iterator[Dispatch]:
        """What is known of those events at those sites, given as (event_id, molecule_id)."""
        keys = ((id_key(event_id), site_key(molecule_id)) for event_id, molecule_id in pairs)
        both = tuple_(dispatches.c.event_key, dispatches.c.site_key)
        return (found for group in _pages(keys) for found in self._select([both.in_(group)]))

    def get(self, molecule_id: str, event_id: str | UUID) -> Dispatch | None:
        """One event at one site, or None."""
        return next(self.known([(event_id, molecule_id)]), None)

    def overdue(self, now: datetime, *, grace: timedelta = timedelta(minutes=15)) -> Iterator[Dispatch]:
        """What was sent and ended at least `grace` ago, and of whose end nothing is known.

        When an execution response is sent is not known (unknown.delivery_rules), so `grace` is a choice.
        """
        for dispatch in self.find(ends_before=now - grace, is_open=True):
            if dispatch.state.is_final:
                self._close(dispatch)
            elif dispatch.sent is not None and dispatch.state is not State.PLANNED:
                yield dispatch

    def unfinished(self, now: datetime, *, mode: Mode | None = None) -> Iterator[Dispatch]:
        """What may be running, or may still run: sent, not known to have ended, and not over."""
        for dispatch in self.find(ends_after=now, is_open=True, mode=mode):
            if dispatch.state.may_run and not dispatch.standing.is_stopped:
                yield dispatch

    def conflicts(self) -> Iterator[Dispatch]:
        """What was told in two ways that cannot both be true."""
        return (one for one in self.find(is_open=True) if one.state is State.CONFLICT)

    def summary(self, event_id: str | UUID | None = None, *, plan: str | None = None) -> Counter[State]:
        """How many sites are in which state, for an event or a plan."""
        return Counter(dispatch.state for dispatch in self.find(event_id=event_id, plan=plan))

    def _close(self, dispatch: Dispatch) -> None:
        closed = update(dispatches).where(dispatches.c.id == dispatch.number).values(is_open=False)

        def write(connection: Connection) -> None:
            connection.execute(closed)

        self._do(write).result()

    def _select(self, conditions: list[Any]) -> Iterator[Dispatch]:
        self._open_lane()
        after = 0
        while True:
            with self._database.read() as connection:
                found = _journal_rows.page(connection, conditions, after)
            yield from found
            if len(found) < PAGE:
                return
            after = found[-1].number


def interrupted(dispatch: Dispatch, now: datetime, older_than: timedelta = ANSWERED_WITHIN) -> Iterator[Note]:
    """How it is noted that a program ended before the answer to a request was."""
    standing = dispatch.standing
    left = {entry.revision: entry.at for entry in dispatch.entries if isinstance(entry, Sent)}
    why = "no answer was noted: the program ended, or lost its store, while the request was out"
    for revision in sorted(standing.out):  # each has its own age: a cancellation may be repeated meanwhile
        if now - left[revision] >= older_than:
            yield Note(dispatch.number, Answered(at=now, revision=revision, verdict="unknown", message=why))
    if dispatch.sent is None or now - dispatch.sent.at < older_than:
        return
    if standing.state is State.SENT and not standing.out:
        why = "it was refused for the time being, and the program ended before it was sent again"
        end = Answered(at=now, revision=standing.revision, verdict="rejected", message=why)
        yield Note(dispatch.number, end)


def _entries(steps: Iterable[_Steps], verdicts: Iterator[Obstacle | None]) -> Iterator[Note]:
    """What is to be noted: what has happened, and the requests that may leave."""
    for one in steps:
        yield from one.notes
        if one.begin is not None and next(verdicts) is None:
            yield Note(*one.begin)


def _slot_texts(wanted: Sequence[Wanted]) -> list[str]:
    """The slots as they are stored; most sites share one."""
    texts: dict[int, str] = {}
    for one in wanted:
        if id(one.slot) not in texts:
            texts[id(one.slot)] = msgspec.json.format(one.slot.to_json(), indent=-1)
    return [texts[id(one.slot)] for one in wanted]


def _conditions(chosen: Chosen) -> Iterator[list[Any]]:
    """What is chosen, in SQL; in several parts where there are many sites."""
    d = dispatches.c
    event_id, molecule_ids = chosen.get("event_id"), chosen.get("molecule_ids")
    given: dict[str, Callable[[Any], Any]] = {
        "mode": lambda mode: d.mode == mode,
        "plan": lambda plan: d.plan == plan,
        "ends_after": lambda when: d.end_at > to_microseconds(when),
        "ends_before": lambda when: d.end_at <= to_microseconds(when),
        "starts_before": lambda when: d.start_at < to_microseconds(when),
        "is_open": lambda is_open: d.is_open == is_open,
        "is_sent": lambda is_sent: (d.newest > 0) == is_sent,
    }
    fixed = [given[name](value) for name, value in chosen.items() if name in given and value is not None]
    if event_id is not None:
        fixed.append(d.event_key == id_key(event_id))
    if molecule_ids is None:
        yield fixed
        return
    for group in _pages(site_key(molecule_id) for molecule_id in molecule_ids):
        yield [*fixed, d.site_key.in_(group)]


T = TypeVar("T")


def _pages(items: Iterable[T], size: int = PAGE) -> Iterator[list[T]]:
    several: list[T] = []
    for item in items:
        several.append(item)
        if len(several) == size:
            yield several
            several = []
    if several:
        yield several
