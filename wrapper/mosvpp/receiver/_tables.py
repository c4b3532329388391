"""The tables of the inbox.

A delivery is written once and not changed: `mosvpp_deliveries`. What becomes of it changes often and is
small: `mosvpp_work`. So what is heavy to write stays append-only, and the index that workers look into
holds only what is left to do. Times are microseconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    event,
    text,
)

from mosvpp.store import Schema

__all__ = [
    "LARGEST_SEQ",
    "ORDERING_INDEX",
    "SCHEMA",
    "deliveries",
    "forwarding",
    "marks",
    "quarantine",
    "sites",
    "work",
]

LARGEST_SEQ = 2**63 - 1

_tables = MetaData()
_Seq = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER counts by itself in SQLite

deliveries = Table(
    "mosvpp_deliveries",
    _tables,
    Column("seq", _Seq, primary_key=True, autoincrement=True),
    Column("key", LargeBinary, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("molecule_id", Text),
    Column("received_at", BigInteger, nullable=False),
    Column("body_at", BigInteger),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary),  # NULL: purged, the key stays to recognise repetitions
)

# `due_at` is when a delivery may be handed out (next). A lease pushes it to the lease's end, so that what a
# crashed worker held comes back by itself; NULL means that nothing is left to do. `token` changes with each
# lease.
work = Table(
    "mosvpp_work",
    _tables,
    Column("seq", _Seq, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("molecule_id", Text),
    Column("state", Text, nullable=False),
    Column("due_at", BigInteger),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("token", BigInteger),
    Column("worker", Text),
    Column("reason", Text),
    Column("traceback", Text),
    Column("finished_at", BigInteger),
)
_unfinished = work.c.due_at.is_not(None)
Index(
    "mosvpp_work_due",
    work.c.kind,
    work.c.due_at,
    work.c.seq,
    sqlite_where=_unfinished,
    postgresql_where=_unfinished,
)
_dead = work.c.state == "dead"
Index("mosvpp_work_dead", work.c.seq, sqlite_where=_dead, postgresql_where=_dead)

# Costs as much as all else of an insertion, so that it is made when a worker first asks for order within a
# site.
ORDERING_INDEX = "mosvpp_work_site ON mosvpp_work (molecule_id, seq) WHERE due_at IS NOT NULL"

sites = Table(
    "mosvpp_sites",
    _tables,
    Column("molecule_id", Text, primary_key=True),
    Column("last_push_at", BigInteger, nullable=False),
)

marks = Table(
    "mosvpp_inbox_marks",
    _tables,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

quarantine = Table(
    "mosvpp_quarantine",
    _tables,
    Column("seq", _Seq, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("delivery_id", LargeBinary),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # A person releases by number, and all may be gone: without this the next stranger gets a number again.
    sqlite_autoincrement=True,
)

# How far a stream has been filled from here. Everything up to `seq` is in the stream; what comes after it
# got, or will get, a number in the stream that is higher than `log_seq`.
forwarding = Table(
    "mosvpp_forwarding",
    _tables,
    Column("stream", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("log_seq", BigInteger, nullable=False),
    Column("holder", Text),
    Column("held_until", BigInteger, nullable=False, server_default="0"),
    Column("forwarded_at", BigInteger),
)

# So that storing and queueing are one statement; PostgreSQL can do that without a trigger.
event.listen(
    work,
    "after_create",
    DDL(  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it without types
        "CREATE TRIGGER mosvpp_queue AFTER INSERT ON mosvpp_deliveries BEGIN "
        "INSERT INTO mosvpp_work (seq, kind, molecule_id, state, due_at) "
        "VALUES (NEW.seq, NEW.kind, NEW.molecule_id, 'waiting', NEW.received_at); END"
    ).execute_if(dialect="sqlite"),
)


def _add_forwarding(connection: Connection) -> None:
    forwarding.create(connection)


def _number_strangers_once(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text("ALTER TABLE mosvpp_quarantine RENAME TO mosvpp_quarantine_before"))
        quarantine.create(connection)
        connection.execute(text("INSERT INTO mosvpp_quarantine SELECT * FROM mosvpp_quarantine_before"))
        connection.execute(text("DROP TABLE mosvpp_quarantine_before"))


SCHEMA = Schema("inbox", _tables, migrations=(_add_forwarding, _number_strangers_once))
