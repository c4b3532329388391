"""What a forwarder reads from the store and writes there: deliveries that are settled, and how far it is.

In SQLite there is one writer, so that numbers appear in their order. In PostgreSQL they do not: a number is
given out before its transaction commits, and a reader who goes on from the highest number that it saw would
pass over what commits later. `Horizon` says how far nothing more can appear.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, case, func, null, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from mosvpp.store import Database

from ._tables import deliveries, forwarding, work
from .deliveries import from_microseconds, to_microseconds

__all__ = [
    "Forwarding",
    "Horizon",
    "Mark",
    "Row",
    "finish",
    "forget",
    "let_go",
    "overview",
    "rows_after",
    "save",
    "take",
]

# A transaction that inserts holds this lock from before it gets its first number until its end can be seen.
_WRITERS = text(
    "SELECT virtualtransaction FROM pg_locks WHERE granted AND locktype = 'relation' "
    "AND mode = 'RowExclusiveLock' AND relation = 'mosvpp_deliveries'::regclass "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_NEWEST = select(func.coalesce(func.max(deliveries.c.seq), 0))


@dataclass(frozen=True)
class Forwarding:
    """How far a stream is: how many deliveries are `behind`, and when the last one was forwarded.

    `behind` counts numbers; PostgreSQL leaves some out, so that it may be less. `holder` is the process that
    forwards at present.
    """

    stream: str
    behind: int
    forwarded_at: datetime | None
    holder: str | None


class Mark(NamedTuple):
    """A place in the store, and one in the stream after which everything beyond it is."""

    seq: int
    log_seq: int


class Row(NamedTuple):
    """A delivery as it is published; without a body it was purged."""

    seq: int
    key: str
    kind: str
    molecule_id: str | None
    received_at: datetime
    body: bytes | None


class Horizon:
    """Up to which number everything is there that will ever be there.

    PostgreSQL tells who is writing: whoever got a number up to the newest one has either ended or is among
    them. So when all of those have ended, that number is settled. Nobody is made to wait.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next: tuple[int, set[str]] | None = None
        self.settled: int = 0

    @property
    def is_waiting(self) -> bool:
        """Whether it will be further as soon as some transactions have ended."""
        return self._next is not None

    def advance(self) -> int:
        """Look again. Each question is a transaction of its own, so that each sees the present."""
        if self._next is None:
            newest = self._newest()
            if newest <= self.settled:
                return self.settled
            writers = self._writers()
        else:
            newest, writers = self._next
            writers &= self._writers()
        self._next = (newest, writers) if writers else None
        if not writers:
            self.settled = newest
        return self.settled

    def _newest(self) -> int:
        with self._database.read() as connection:
            return connection.scalar(_NEWEST) or 0

    def _writers(self) -> set[str]:
        if self._database.dialect == "sqlite":
            return set()
        with self._database.read() as connection:
            return set(connection.scalars(_WRITERS))


def rows_after(connection: Connection, seq: int, *, until: int, limit: int) -> list[Row]:
    """The next deliveries, none beyond `until`."""
    found = (
        select(
            deliveries.c.seq,
            deliveries.c.key,
            deliveries.c.kind,
            deliveries.c.molecule_id,
            deliveries.c.received_at,
            deliveries.c.body,
        )
        .where(deliveries.c.seq > seq, deliveries.c.seq <= until)
        .order_by(deliveries.c.seq)
        .limit(limit)
    )
    return [
        Row(
            row.seq,
            bytes(row.key).hex(),
            row.kind,
            row.molecule_id,
            from_microseconds(row.received_at),
            None if row.body is None else bytes(row.body),
        )
        for row in connection.execute(found)
    ]


def take(
    connection: Connection, stream: str, holder: str, *, beginning: Mark, now: datetime, lease: timedelta
) -> Mark | None:
    """Become the one who forwards to this stream, from `beginning` the first time; None while another is."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    first = dialect.insert(forwarding).values(stream=stream, **beginning._asdict())
    connection.execute(first.on_conflict_do_nothing())
    is_free = or_(
        forwarding.c.holder.is_(None),
        forwarding.c.holder == holder,
        forwarding.c.held_until < to_microseconds(now),
    )
    row = connection.execute(
        update(forwarding)
        .where(forwarding.c.stream == stream, is_free)
        .values(holder=holder, held_until=to_microseconds(now + lease))
        .returning(forwarding.c.seq, forwarding.c.log_seq)
    ).first()
    return None if row is None else Mark(row.seq, row.log_seq)


def save(
    connection: Connection, stream: str, holder: str, mark: Mark, *, now: datetime, lease: timedelta
) -> bool:
    """Remember how far it is, and stay the one; False when it has become another's turn."""
    went_on = forwarding.c.seq < mark.seq
    done = connection.execute(
        update(forwarding)
        .where(forwarding.c.stream == stream, forwarding.c.holder == holder)
        .values(
            **mark._asdict(),
            held_until=to_microseconds(now + lease),
            forwarded_at=case((went_on, to_microseconds(now)), else_=forwarding.c.forwarded_at),
        )
    )
    return bool(done.rowcount)


def let_go(connection: Connection, stream: str, holder: str) -> None:
    """Let another take over at once."""
    mine = (forwarding.c.stream == stream, forwarding.c.holder == holder)
    connection.execute(update(forwarding).where(*mine).values(holder=null(), held_until=0))


def forget(connection: Connection, stream: str) -> bool:
    """Owe this stream nothing any more; whether anything was owed."""
    return bool(connection.execute(forwarding.delete().where(forwarding.c.stream == stream)).rowcount)


def finish(connection: Connection, seqs: list[int], now: datetime) -> None:
    """Mark what no worker has begun with as done."""
    connection.execute(
        update(work)
        .where(work.c.seq.in_(seqs), work.c.state == "waiting")
        .values(state="done", due_at=null(), finished_at=to_microseconds(now))
    )


def overview(connection: Connection, now: datetime) -> list[Forwarding]:
    """How far each stream is."""
    newest = connection.scalar(_NEWEST) or 0
    return [
        Forwarding(
            stream=row.stream,
            behind=max(newest - row.seq, 0),
            forwarded_at=None if row.forwarded_at is None else from_microseconds(row.forwarded_at),
            holder=row.holder if row.held_until >= to_microseconds(now) else None,
        )
        for row in connection.execute(select(forwarding).order_by(forwarding.c.stream))
    ]
