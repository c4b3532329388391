"""Stores that hold millions of deliveries, filled past the receiver, and how fast a store takes more."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mosvpp.receiver import SqlInbox
from mosvpp.receiver.deliveries import NewDelivery

from .load import Bodies

__all__ = ["fill_postgresql", "fill_sqlite", "insert_rate"]

_HEADERS = '{"content-type":"application/json"}'
_OLDER = timedelta(days=30)  # what is seeded came earlier than what is measured
_WAITING = 64


def fill_sqlite(file: Path, count: int) -> None:
    """Put in so many deliveries that wait to be handled; the tables are there, the file is not in use."""
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-65536"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO mosvpp_deliveries (key, kind, molecule_id, received_at, body_at, headers, body) "
        "VALUES (?, 'data_push', ?, ?, ?, ?, ?)",
        _rows(count),
    )
    connection.execute("COMMIT")
    connection.close()
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def _rows(count: int) -> Iterator[tuple[Any, ...]]:
    start = datetime.now(UTC).replace(microsecond=0) - _OLDER
    first, bodies = int(start.timestamp() * 1e6), Bodies(3, start=start)
    for number in range(count):
        at = first + number
        site = f"fecd{number:012x}"
        yield at.to_bytes(8, "big") + os.urandom(16), site, at, at, _HEADERS, next(bodies)


def fill_postgresql(server: Any, url: str, count: int) -> None:
    """The same, made by the server itself."""
    schema = url.rpartition("%3D")[2]
    first = int((datetime.now(UTC) - _OLDER).timestamp() * 1e6)
    body = next(Bodies(3)).decode()
    server.execute(
        f"WITH stored AS (INSERT INTO {schema}.mosvpp_deliveries "  # noqa: S608  made here
        "(key, kind, molecule_id, received_at, body_at, headers, body) "
        f"SELECT int8send({first} + n) || decode(md5(n::text), 'hex'), 'data_push', "
        f"'fecd' || lpad(to_hex(n), 12, '0'), {first} + n, {first} + n, '{_HEADERS}', "
        f"convert_to('{body}' || lpad(n::text, 8, ' '), 'UTF8') FROM generate_series(1, {count}) AS n "
        "RETURNING seq, kind, molecule_id, received_at) "
        f"INSERT INTO {schema}.mosvpp_work (seq, kind, molecule_id, state, due_at) "
        "SELECT seq, kind, molecule_id, 'waiting', received_at FROM stored"
    )
    server.execute(f"ANALYZE {schema}.mosvpp_deliveries")
    server.execute("CHECKPOINT")


def insert_rate(inbox: SqlInbox, bodies: Bodies, seconds: float) -> float:
    """Deliveries stored durably per second, with as many waiting as there are connections elsewhere."""
    count, began = 0, time.perf_counter()
    until = began + seconds
    while time.perf_counter() < until:
        now = inbox.now()
        waiting = [
            inbox.put(
                NewDelivery(
                    kind="data_push",
                    body=next(bodies),
                    headers={"content-type": "application/json"},
                    received_at=now,
                )
            )
            for _ in range(_WAITING)
        ]
        for one in waiting:
            assert one.result(60)
        count += len(waiting)
    return count / (time.perf_counter() - began)
