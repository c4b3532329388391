"""From rows to values."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row, Select, select

from ._tables import deliveries, work
from .deliveries import StoredDelivery, from_microseconds

__all__ = ["joined", "read_row"]

_decode_headers = msgspec.json.Decoder(dict[str, str]).decode


def joined() -> Select[Any]:
    """Everything about deliveries, for `read_row`."""
    found = work.c
    return select(
        deliveries,
        found.state,
        found.due_at,
        found.attempts,
        found.token,
        found.worker,
        found.reason,
        found.traceback,
        found.finished_at,
    ).join(work, work.c.seq == deliveries.c.seq)


def read_row(row: Row[Any]) -> StoredDelivery:
    """One row of `joined`."""
    return StoredDelivery(
        seq=row.seq,
        key=bytes(row.key).hex(),
        kind=row.kind,
        molecule_id=row.molecule_id,
        received_at=from_microseconds(row.received_at),
        body_at=None if row.body_at is None else from_microseconds(row.body_at),
        headers=_decode_headers(row.headers),
        body=b"" if row.body is None else bytes(row.body),
        state=row.state,
        due_at=None if row.due_at is None else from_microseconds(row.due_at),
        attempts=row.attempts,
        worker=row.worker,
        reason=row.reason,
        traceback=row.traceback,
        finished_at=None if row.finished_at is None else from_microseconds(row.finished_at),
        lease=row.token or 0,
        is_purged=row.body is None,
    )
