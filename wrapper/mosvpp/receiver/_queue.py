"""Handing deliveries out, and taking back what became of them.

A lease is a time and a token. What is due has a `due_at` in the past; leasing pushes it into the future and
sets a new token; and only who has that token may say how it ended. So a worker that was thought dead and
comes back changes nothing, and what a dead one held is due again when its lease ends, without anybody
cleaning up.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, exists, update

from ._rows import joined, read_row
from ._tables import work
from .deliveries import Kind, State, StoredDelivery, to_microseconds

__all__ = ["Claim", "Verdict", "bury", "finish", "lease", "renew", "settle"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a worker asks for: at most `limit` deliveries of a kind, for the time of `lease`.

    With `in_order`, a delivery waits until every earlier one of the same site and kind is done or dead.
    `worker` is shown to people.
    """

    kind: Kind
    limit: int
    lease: timedelta
    worker: str
    in_order: bool = False


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery that is not simply done: `waiting` again at `due_at`, or `dead`."""

    state: State
    due_at: datetime | None = None
    reason: str | None = None
    traceback: str | None = None
    counts: bool = True  # False: it was not even tried


def lease(connection: Connection, claim: Claim, now: datetime) -> list[StoredDelivery]:
    """Hand out what is due, the longest due first."""
    found = joined().where(work.c.kind == claim.kind, work.c.due_at <= to_microseconds(now))
    if claim.in_order:
        earlier = work.alias()
        found = found.where(
            ~exists().where(
                earlier.c.molecule_id == work.c.molecule_id,
                earlier.c.kind == work.c.kind,
                earlier.c.seq < work.c.seq,
                earlier.c.due_at.is_not(None),
            )
        )
    # Other nodes pass over what is locked here, instead of waiting for it. SQLite has one writer anyway.
    found = found.order_by(work.c.due_at, work.c.seq).limit(claim.limit)
    handed = [read_row(row) for row in connection.execute(found.with_for_update(of=work, skip_locked=True))]
    if not handed:
        return []
    token, until = secrets.randbits(62) + 1, now + claim.lease
    changes = {"state": "leased", "due_at": to_microseconds(until), "token": token, "worker": claim.worker}
    connection.execute(
        update(work)
        .where(work.c.seq.in_([delivery.seq for delivery in handed]))
        .values(**changes, attempts=work.c.attempts + 1)
    )
    return [
        msgspec.structs.replace(
            delivery,
            state="leased",
            due_at=until,
            attempts=delivery.attempts + 1,
            worker=claim.worker,
            lease=token,
        )
        for delivery in handed
    ]


def finish(connection: Connection, handed: Sequence[StoredDelivery], now: datetime) -> set[int]:
    """Mark as done; the `seq` of those whose lease was still held."""
    return _change(
        connection,
        handed,
        {
            "state": "done",
            "due_at": None,
            "token": None,
            "reason": None,
            "traceback": None,
            "finished_at": to_microseconds(now),
        },
    )


def settle(connection: Connection, handed: StoredDelivery, verdict: Verdict, now: datetime) -> bool:
    """Put back or bury; False where the lease was not held any more."""
    is_over = verdict.due_at is None
    changes = {
        "state": verdict.state,
        "due_at": None if verdict.due_at is None else to_microseconds(verdict.due_at),
        "token": None,
        "worker": None,
        "reason": _storable(verdict.reason),
        "traceback": _storable(verdict.traceback),
        "attempts": handed.attempts if verdict.counts else handed.attempts - 1,
        "finished_at": to_microseconds(now) if is_over else None,
    }
    return bool(_change(connection, [handed], changes))


def bury(connection: Connection, stored: StoredDelivery, verdict: Verdict, now: datetime) -> bool:
    """Put one that nobody was handed with the dead letters; False where somebody was, meanwhile."""
    still = (
        update(work)
        .where(work.c.seq == stored.seq, work.c.state == "waiting")
        .values(
            state=verdict.state,
            due_at=None,
            reason=_storable(verdict.reason),
            traceback=_storable(verdict.traceback),
            finished_at=to_microseconds(now),
        )
    )
    return bool(connection.execute(still).rowcount)


def renew(connection: Connection, handed: Sequence[StoredDelivery], until: datetime) -> set[int]:
    """Lengthen leases; the `seq` of those that were still held."""
    return _change(connection, handed, {"due_at": to_microseconds(until)})


def _change(
    connection: Connection, handed: Sequence[StoredDelivery], values: Mapping[str, object]
) -> set[int]:
    # A token belongs to one lease, so that two lists are as good as a list of pairs.
    held = (
        update(work)
        .where(
            work.c.seq.in_([delivery.seq for delivery in handed]),
            work.c.token.in_({delivery.lease for delivery in handed}),
            work.c.state == "leased",
        )
        .values(**values)
        .returning(work.c.seq)
    )
    return set(connection.scalars(held))


def _storable(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "\\0").encode("utf-8", "replace").decode()
