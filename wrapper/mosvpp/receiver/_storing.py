"""Putting deliveries in: one statement for a whole batch, whatever its size.

The two dialects part ways here and nowhere else. SQLite gets one row of values for each delivery,
PostgreSQL one array for each column, in binary (`%b`), because as text a body would be twice as long. Both
pass over a key that is there already, and both put what is new into the work queue: SQLite by a trigger, so
that one statement is all.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from ._identity import identify
from .deliveries import NewDelivery, to_microseconds

__all__ = ["Row", "row_of", "store_rows"]


class Row(NamedTuple):
    """What is stored of a delivery. Times are microseconds since 1970, `headers` are JSON."""

    key: bytes
    kind: str
    molecule_id: str | None
    received_at: int
    body_at: int | None
    headers: str
    body: bytes | None


_COLUMNS = ", ".join(Row._fields)
_ROW = f"({', '.join('?' * len(Row._fields))})"
_encode = msgspec.json.Encoder().encode

_POSTGRESQL = f"""
    WITH stored AS (
        INSERT INTO mosvpp_deliveries ({_COLUMNS})
        SELECT * FROM unnest(
            %b::bytea[], %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::text[], %b::bytea[]
        )
        ON CONFLICT (key) DO NOTHING
        RETURNING seq, key, kind, molecule_id, received_at
    ), queued AS (
        INSERT INTO mosvpp_work (seq, kind, molecule_id, state, due_at)
        SELECT seq, kind, molecule_id, 'waiting', received_at FROM stored
    )
    SELECT key FROM stored
"""  # noqa: S608  made of constants


def row_of(new: NewDelivery) -> Row:
    """What is stored of a delivery that has just arrived."""
    key, site, at = identify(new)
    headers = _encode(new.headers).decode()
    return Row(key, new.kind, site, to_microseconds(new.received_at), at, headers, new.body)


def store_rows(connection: Connection, rows: list[Row], *, keep_order: bool = False) -> list[bool]:
    """Store what is new; for each row, whether it was. May be done twice.

    `keep_order` is for deliveries that did not arrive at the same time.
    """
    if connection.dialect.name == "sqlite":
        new = _into_sqlite(connection, rows)
    else:
        # In the order of their keys, so that two nodes never wait for each other in a circle.
        new = _into_postgresql(connection, rows if keep_order else sorted(rows, key=_first))
    if new is None:
        return [True] * len(rows)
    return [_taken(new, row[0]) for row in rows]


def _first(row: Row) -> Any:
    return row[0]


def _taken(keys: set[bytes], key: bytes) -> bool:
    """Whether the key is there; a second delivery with it in the same batch is a repetition."""
    if key in keys:
        keys.remove(key)
        return True
    return False


@cache
def _insert(count: int) -> str:
    rows = ", ".join([_ROW] * count)
    into = f"INSERT INTO mosvpp_deliveries ({_COLUMNS})"
    return f"{into} VALUES {rows} ON CONFLICT (key) DO NOTHING"


_STORED_IN_SQLITE = "SELECT key FROM mosvpp_deliveries WHERE seq > ? AND seq <= ?"


def _into_sqlite(connection: Connection, rows: list[Row]) -> set[bytes] | None:
    """The keys that were new, or None for all of them."""
    values = tuple(chain.from_iterable(rows))
    done = connection.exec_driver_sql(_insert(len(rows)), values)
    if done.rowcount == len(rows):
        return None
    if done.rowcount == 0:
        return set()
    # There is one writer at a time, so that the new rows have numbers without gaps.
    last = done.lastrowid
    found = connection.exec_driver_sql(_STORED_IN_SQLITE, (last - done.rowcount, last))
    return {key for (key,) in found}


def _into_postgresql(connection: Connection, rows: list[Row]) -> set[bytes] | None:
    columns = tuple(list(column) for column in zip(*rows, strict=True))
    keys = {bytes(key) for (key,) in connection.exec_driver_sql(_POSTGRESQL, columns)}
    return None if len(keys) == len(rows) else keys
