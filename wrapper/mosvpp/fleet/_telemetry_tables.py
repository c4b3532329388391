"""The tables of telemetry. A row is one value: which series, when, how much.

Times are microseconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from mosvpp.store import Schema

__all__ = ["SCHEMA", "latest", "series", "values"]

_tables = MetaData()
_Id = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER counts by itself in SQLite

series = Table(
    "mosvpp_series",
    _tables,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("molecule_id", Text, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("metric", Text, nullable=False),
    UniqueConstraint("molecule_id", "device_id", "metric"),
)


def _values(name: str, *, is_history: bool) -> Table:
    """`number` or `text`: a metric is the one or the other (push.metrics)."""
    return Table(
        name,
        _tables,
        Column("series", _Id, primary_key=True, autoincrement=False),
        Column("time", BigInteger, primary_key=is_history, nullable=False),
        Column("number", Double),
        Column("text", Text),
        Column("received_at", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


values = _values("mosvpp_values", is_history=True)
latest = _values("mosvpp_latest", is_history=False)

SCHEMA = Schema("telemetry", _tables)
