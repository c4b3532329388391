"""The tables of the journal.

`mosvpp_entries` is written once and never changed: everything that is known follows from it. What stands in
`mosvpp_dispatches`, one row for each event and site, says what is wanted, and guards what may leave:
`newest` is the revision of the newest request, `may_send` whether the version that is wanted may still be
sent for the first time, `is_cancelled` forbids everything but cancellations, `holder` is the journal that
began the newest request. `is_open` only spares a look at what is closed. Times are microseconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text, UniqueConstraint

from mosvpp.store import Schema

__all__ = ["SCHEMA", "dispatches", "entries"]

_tables = MetaData()
_Id = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER counts by itself in SQLite

dispatches = Table(
    "mosvpp_dispatches",
    _tables,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("event_key", Text, nullable=False),
    Column("site_key", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("molecule_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("slot", Text, nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger, nullable=False),
    Column("newest", BigInteger, nullable=False),
    Column("holder", BigInteger, nullable=False),
    Column("may_send", Boolean, nullable=False),
    Column("is_cancelled", Boolean, nullable=False),
    Column("is_open", Boolean, nullable=False),
    UniqueConstraint("event_key", "site_key"),
)
Index("mosvpp_dispatches_site", dispatches.c.site_key, dispatches.c.end_at)
Index(
    "mosvpp_dispatches_open",
    dispatches.c.end_at,
    sqlite_where=dispatches.c.is_open,
    postgresql_where=dispatches.c.is_open,
)
Index(
    "mosvpp_dispatches_plan",
    dispatches.c.plan,
    dispatches.c.id,
    sqlite_where=dispatches.c.may_send,
    postgresql_where=dispatches.c.may_send,
)

entries = Table(
    "mosvpp_entries",
    _tables,
    Column("seq", _Id, primary_key=True, autoincrement=True),
    Column("dispatch", _Id, nullable=False),
    Column("entry", Text, nullable=False),
)
Index("mosvpp_entries_dispatch", entries.c.dispatch, entries.c.seq)

SCHEMA = Schema("journal", _tables)
