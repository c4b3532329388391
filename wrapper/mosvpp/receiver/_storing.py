"""Putting deliveries in: one statement or two for a whole batch, whatever its size.

The two dialects part ways here and nowhere else. SQLite gets one row of values for each delivery,
PostgreSQL one array for each column. Both pass over a key that is there already.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection

from .deliveries import NewDelivery, to_microseconds

__all__ = ["store_batch"]

_COLUMNS = "key, kind, molecule_id, received_at, body_at, headers, body"
_ROW = f"({', '.join('?' * 7)})"
_QUEUED = "seq, kind, molecule_id, 'waiting', received_at"
_encode = msgspec.json.Encoder().encode

_POSTGRESQL = f"""
    WITH stored AS (
        INSERT INTO mosvpp_deliveries ({_COLUMNS})
        SELECT * FROM unnest(
            %s::bytea[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::bytea[]
        )
        ON CONFLICT (key) DO NOTHING
        RETURNING seq, key, kind, molecule_id, received_at
    ), queued AS (
        INSERT INTO mosvpp_work (seq, kind, molecule_id, state, due_at) SELECT {_QUEUED} FROM stored
    )
    SELECT key FROM stored
"""  # noqa: S608  made of constants


def store_batch(
    connection: Connection, batch: Sequence[NewDelivery], *, keep_order: bool = False
) -> list[bool]:
    """Store what is new; for each of `batch`, whether it was. May be done twice.

    `keep_order` is for deliveries that did not arrive at the same time.
    """
    rows = [_row(delivery) for delivery in batch]
    if connection.dialect.name == "sqlite":
        new = _into_sqlite(connection, rows)
    else:
        if not keep_order:
            rows.sort(key=_first)  # so that two nodes never wait for each other in a circle
        new = _into_postgresql(connection, rows)
    if new is None:
        return [True] * len(batch)
    return [_taken(new, delivery.key) for delivery in batch]


def _row(delivery: NewDelivery) -> tuple[Any, ...]:
    return (
        delivery.key,
        delivery.kind,
        delivery.molecule_id,
        to_microseconds(delivery.received_at),
        None if delivery.body_at is None else to_microseconds(delivery.body_at),
        _encode(delivery.headers).decode(),
        delivery.body,
    )


def _first(row: tuple[Any, ...]) -> Any:
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


_QUEUE = f"""
    INSERT INTO mosvpp_work (seq, kind, molecule_id, state, due_at)
    SELECT {_QUEUED} FROM mosvpp_deliveries WHERE seq > ?
"""  # noqa: S608


def _into_sqlite(connection: Connection, rows: list[tuple[Any, ...]]) -> set[bytes] | None:
    """The keys that were new, or None for all of them."""
    values = tuple(value for row in rows for value in row)
    done = connection.exec_driver_sql(_insert(len(rows)), values)
    if done.rowcount == 0:
        return set()
    # Nobody else writes during the transaction, so that the new rows are the last ones, without gaps.
    before = done.lastrowid - done.rowcount
    connection.exec_driver_sql(_QUEUE, (before,))
    if done.rowcount == len(rows):
        return None
    found = connection.exec_driver_sql("SELECT key FROM mosvpp_deliveries WHERE seq > ?", (before,))
    return {key for (key,) in found}


def _into_postgresql(connection: Connection, rows: list[tuple[Any, ...]]) -> set[bytes] | None:
    columns = tuple(list(column) for column in zip(*rows, strict=True))
    keys = {bytes(key) for (key,) in connection.exec_driver_sql(_POSTGRESQL, columns)}
    return None if len(keys) == len(rows) else keys
