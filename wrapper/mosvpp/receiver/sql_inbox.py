"""The inbox on SQLite or PostgreSQL, and the one in memory."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar, Unpack, cast

from sqlalchemy import Connection

from mosvpp.clock import Clock
from mosvpp.drift import OnDrift
from mosvpp.errors import RuleError, StoreError
from mosvpp.store import Database, GroupCommit, Line, Pending

from . import _inspection, _interchange, _quarantine, _queue
from ._inspection import Backlog, Silence, Site
from ._quarantine import LARGEST_RING, Quarantined
from ._queue import Claim, Verdict
from ._storing import Row, row_of, store_rows
from ._tables import ORDERING_INDEX, SCHEMA, marks
from .deliveries import Filter, Kind, NewDelivery, StoredDelivery
from .inbox import Inbox, OnProgress

__all__ = ["DEDUPLICATED_FOR", "MemoryInbox", "SqlInbox"]

_log = logging.getLogger("mosvpp.receiver")

R = TypeVar("R")

DEDUPLICATED_FOR = timedelta(days=7)


class _Finish(NamedTuple):
    delivery: StoredDelivery


_Task: TypeAlias = Row | _Finish | Claim | Callable[[Connection], Any]


class _Lane(GroupCommit[_Task, Any]):
    """A thread that commits, on connections that it keeps."""

    def __init__(
        self, database: Database, commit: Callable[[Line, Sequence[_Task]], Sequence[Any]], **options: Any
    ) -> None:
        self._line = database.line()
        super().__init__(partial(commit, self._line), **options)

    def close(self) -> None:
        super().close()
        self._line.close()


class _Lanes(NamedTuple):
    """Who commits: one thread for SQLite, which has one writer; for PostgreSQL a second one for workers."""

    receiving: _Lane
    working: _Lane

    def close(self) -> None:
        self.receiving.close()
        if self.working is not self.receiving:
            self.working.close()


_inboxes: weakref.WeakSet[SqlInbox] = weakref.WeakSet()
_of_the_parent: list[_Lanes | None] = []  # kept, so that nothing closes what they hold


def _forget_lanes() -> None:
    """A forked process has everything that its parent had, except the threads: it opens the stores anew."""
    for inbox in _inboxes:
        _of_the_parent.append(inbox._lanes)  # noqa: SLF001  it belongs to the same module
        inbox._lanes = None  # noqa: SLF001  it belongs to the same module
        inbox._database.forget()  # noqa: SLF001  it belongs to the same module
        inbox._opening = threading.Lock()  # noqa: SLF001  it belongs to the same module
        inbox._ring = _quarantine.Ring(inbox._ring.size, inbox._noted_strangers)  # noqa: SLF001  it belongs to the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lanes)


class SqlInbox(Inbox):
    """The inbox in a SQLite file (one machine) or a PostgreSQL database (many).

        inbox = SqlInbox("sqlite:///inbox.db")        # or postgresql://user@host/name

    Many deliveries share one commit, and each is acknowledged after it. A SQLite file belongs on a local
    disk. Several processes may use one store; their clocks should agree within a few seconds. The latest
    `quarantine_size` deliveries of unrecognised senders are kept, where a receiver keeps them at all. See
    `Inbox` for the rest.
    """

    _max_batch = 512

    def __init__(
        self,
        url: str,
        *,
        on_drift: OnDrift | None = None,
        statuses: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        tracer: Any = None,
        quarantine_size: int = _quarantine.RING_SIZE,
    ) -> None:
        super().__init__(on_drift=on_drift, statuses=statuses, clock=clock, tracer=tracer)
        if not 1 <= quarantine_size <= LARGEST_RING:
            msg = f"quarantine_size is from 1 to {LARGEST_RING:,}"
            raise RuleError(msg, path="quarantine_size", rule="range")
        self._ring = _quarantine.Ring(quarantine_size, self._noted_strangers)
        self._database = Database(url, SCHEMA)
        self._opening = threading.Lock()
        self._lanes: _Lanes | None = None
        self._has_ordering_index = False
        _inboxes.add(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database!r})"

    @property
    def shown_url(self) -> str:
        """The URL of the store, without its password."""
        return self._database.shown_url

    # Opening

    def open(self) -> None:  # noqa: D102  see Inbox
        self._open_lanes()

    def close(self) -> None:  # noqa: D102  see Inbox
        with self._opening:
            lanes, self._lanes = self._lanes, None
            if lanes is not None:
                lanes.close()
                self._database.close()

    def _open_lanes(self) -> _Lanes:
        if self._lanes is not None:
            return self._lanes
        with self._opening:
            if self._lanes is None:
                self._database.open()
                receiving = self._lane("mosvpp-receiving")
                has_one_writer = self._database.dialect == "sqlite"
                working = receiving if has_one_writer else self._lane("mosvpp-working")
                self._lanes = _Lanes(receiving, working)
            return self._lanes

    def _lane(self, name: str) -> _Lane:
        return _Lane(self._database, self._commit, name=name, max_batch=self._max_batch)

    def _commit(self, line: Line, tasks: Sequence[_Task]) -> Sequence[Any]:
        """Everything that waited, in one transaction. It may be done twice, see `Line.commit`."""
        new = [task for task in tasks if isinstance(task, Row)]
        finished = [task.delivery for task in tasks if isinstance(task, _Finish)]
        if not self._has_ordering_index and any(isinstance(task, Claim) and task.in_order for task in tasks):
            # Not in the transaction: PostgreSQL makes it without stopping those who store.
            self._has_ordering_index = self._database.create_index(ORDERING_INDEX)
        stored = list[bool]()

        def write(connection: Connection) -> list[Any]:
            stored[:] = store_rows(connection, new) if new else []
            held = _queue.finish(connection, finished, self.now()) if finished else set[int]()
            was_new = iter(stored)
            return [self._result(task, connection, was_new, held) for task in tasks]

        results = line.commit(write, in_one_statement=len(new) == len(tasks))
        if new:
            self._count(new, stored)
            self.bell.ring()
        return results

    def _result(self, task: _Task, connection: Connection, was_new: Iterator[bool], held: set[int]) -> object:
        if isinstance(task, Row):
            return next(was_new)
        if isinstance(task, _Finish):
            return task.delivery.seq in held
        if isinstance(task, Claim):
            return _queue.lease(connection, task, self.now())
        return task(connection)

    def _count(self, new: list[Row], stored: list[bool]) -> None:
        every = Counter[str]([one.kind for one in new])
        again = Counter[str]()
        if not all(stored):
            again.update(one.kind for one, is_new in zip(new, stored, strict=True) if not is_new)
        self.counters.count_batch(every - again, again)

    def _do(self, work: Callable[[Connection], R]) -> Pending[R]:
        return self._open_lanes().working.submit(work)

    # Storing

    def put(self, delivery: NewDelivery) -> Pending[bool]:  # noqa: D102  see Inbox
        return self._open_lanes().receiving.submit(row_of(delivery), size=len(delivery.body))

    def check(self) -> Pending[None]:  # noqa: D102  see Inbox
        def write(connection: Connection) -> None:
            connection.execute(marks.delete().where(marks.c.name == "check"))
            connection.execute(marks.insert().values(name="check", value=0))

        return self._open_lanes().receiving.submit(write)

    # Handing out

    def claim(self, claim: Claim) -> Pending[list[StoredDelivery]]:  # noqa: D102  see Inbox
        return self._open_lanes().working.submit(claim)

    def finish(self, delivery: StoredDelivery) -> Pending[bool]:  # noqa: D102  see Inbox
        return self._open_lanes().working.submit(_Finish(delivery))

    def settle(self, delivery: StoredDelivery, verdict: Verdict) -> Pending[bool]:  # noqa: D102  see Inbox
        return self._do(lambda connection: _queue.settle(connection, delivery, verdict, self.now()))

    def bury(self, stored: StoredDelivery, verdict: Verdict) -> Pending[bool]:  # noqa: D102  see Inbox
        return self._do(lambda connection: _queue.bury(connection, stored, verdict, self.now()))

    def renew(self, handed: Sequence[StoredDelivery], lease: timedelta) -> Pending[set[int]]:  # noqa: D102  see Inbox
        several = list(handed)
        return self._do(lambda connection: _queue.renew(connection, several, self.now() + lease))

    # Looking and tidying

    def find(  # noqa: D102  see Inbox
        self,
        *,
        after: int | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        **wanted: Unpack[Filter],
    ) -> Iterator[StoredDelivery]:
        conditions = _inspection.matching(wanted)
        return self._pages(conditions, after=after, newest_first=newest_first, limit=limit)

    def _pages(
        self, conditions: list[Any], *, after: int | None, newest_first: bool, limit: int | None
    ) -> Iterator[StoredDelivery]:
        left = limit
        self._open_lanes()
        while left is None or left > 0:
            size = _inspection.READ_PAGE if left is None else min(left, _inspection.READ_PAGE)
            with self._database.read() as connection:
                page = _inspection.page(
                    connection, conditions, after=after, newest_first=newest_first, limit=size
                )
            yield from page
            if len(page) < size:
                return
            after = page[-1].seq
            left = None if left is None else left - len(page)

    def count(self, **wanted: Unpack[Filter]) -> int:  # noqa: D102  see Inbox
        return self._count_matching(_inspection.matching(wanted))

    def requeue(  # noqa: D102  see Inbox
        self, *, only_count: bool = False, on_progress: OnProgress | None = None, **wanted: Unpack[Filter]
    ) -> int:
        chosen: Filter = wanted or {"state": "dead"}
        conditions, now = _inspection.matching(chosen), self.now()
        if only_count:
            return self._count_matching([*conditions, *_inspection.requeueable()])
        count = self._page_by_page(
            lambda connection, after: _inspection.requeue_page(connection, conditions, after, now),
            on_progress,
        )
        self.bell.ring()
        return count

    def purge(  # noqa: D102  see Inbox
        self,
        *,
        older_than: timedelta,
        only_count: bool = False,
        on_progress: OnProgress | None = None,
        **wanted: Unpack[Filter],
    ) -> int:
        now = self.now()
        keep_keys_from = now - DEDUPLICATED_FOR
        conditions = [
            *_inspection.matching(wanted),
            *_inspection.purgeable(_before(now, older_than), wanted.get("state")),
        ]
        if only_count:
            return self._count_matching([*conditions, _inspection.worth_purging(keep_keys_from)])
        self._roll_up()
        return self._page_by_page(
            lambda connection, after: _inspection.purge_page(connection, conditions, after, keep_keys_from),
            on_progress,
        )

    def _count_matching(self, conditions: list[Any]) -> int:
        self._open_lanes()
        with self._database.read() as connection:
            return _inspection.count(connection, conditions)

    def _page_by_page(
        self, step: Callable[..., tuple[int, int | None]], on_progress: OnProgress | None = None
    ) -> int:
        """Many small transactions, so that receiving goes on between them."""
        total, after = 0, cast("int | None", 0)
        while after is not None:
            count, after = self._do(partial(step, after=after)).result()
            total += count
            if on_progress is not None:
                on_progress(total)
        return total

    def _roll_up(self) -> None:
        now = self.now()
        self._page_by_page(lambda connection, after: _inspection.roll_up_page(connection, after, now))

    def backlog(self) -> dict[str, Backlog]:  # noqa: D102  see Inbox
        self._open_lanes()
        with self._database.read() as connection:
            return _inspection.backlog(connection)

    def sites(self) -> list[Site]:  # noqa: D102  see Inbox
        self._roll_up()
        with self._database.read() as connection:
            return _inspection.all_sites(connection)

    def silent(self, *, older_than: timedelta) -> list[Site]:  # noqa: D102  see Inbox
        since = _before(self.now(), older_than)
        return [site for site in self.sites() if site.last_push_at < since]

    def silence(self, *, older_than: timedelta) -> Silence:  # noqa: D102  see Inbox
        since = _before(self.now(), older_than)
        self._roll_up()
        with self._database.read() as connection:
            return _inspection.silence(connection, since)

    def forget_site(self, molecule_id: str) -> bool:  # noqa: D102  see Inbox
        self._roll_up()
        return self._do(lambda connection: _inspection.forget_site(connection, molecule_id)).result()

    def restore(self, batch: Sequence[StoredDelivery]) -> int:  # noqa: D102  see Inbox
        several = list(batch)
        return self._do(lambda connection: _interchange.restore(connection, several, self.now())).result()

    # The quarantine

    def quarantine(  # noqa: D102  see Inbox
        self, kind: Kind, body: bytes, headers: dict[str, str], *, reason: str, delivery_id: bytes | None
    ) -> None:
        stranger = Quarantined(
            seq=0,
            kind=kind,
            received_at=self.now(),
            reason=reason,
            headers=headers,
            body=body,
            delivery_id=delivery_id,
        )
        with contextlib.suppress(StoreError):  # strangers wait for nothing, and are told nothing
            self._ring.add(stranger, self._open_lanes().working.submit)

    def _noted_strangers(self, count: int, error: BaseException | None) -> None:
        if error is None:
            self.counters.count_quarantined(count)
        else:
            told = f"what unrecognised senders sent could not be kept aside: {error}"
            self.complaints.log_error(_log, "not_quarantined", told, reason="not_quarantined")

    def quarantined(self, seqs: Iterable[int] | None = None) -> Iterator[Quarantined]:  # noqa: D102  see Inbox
        self._open_lanes()
        if seqs is None:
            with self._database.read() as connection:
                seqs = _quarantine.numbers(connection)
        for page in _quarantine.in_pages(seqs):
            with self._database.read() as connection:
                found = _quarantine.kept(connection, page)
            yield from found

    def release(self, seqs: Iterable[int]) -> int:  # noqa: D102  see Inbox
        count = 0
        for page in _quarantine.in_pages(seqs):
            count += self._do(partial(_quarantine.release, seqs=page)).result()
            self.bell.ring()
        return count


def _before(now: datetime, passed: timedelta) -> datetime:
    """So long ago, or the beginning of the calendar."""
    try:
        return now - passed
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


class MemoryInbox(SqlInbox):
    """An inbox for tests: it behaves as `SqlInbox`, and is gone when it is closed."""

    def __init__(
        self,
        *,
        on_drift: OnDrift | None = None,
        statuses: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        tracer: Any = None,
        quarantine_size: int = _quarantine.RING_SIZE,
    ) -> None:
        super().__init__(
            Database.MEMORY,
            on_drift=on_drift,
            statuses=statuses,
            clock=clock,
            tracer=tracer,
            quarantine_size=quarantine_size,
        )
