"""A ring of the latest deliveries whose sender was not recognised.

Molecule documents no redelivery, so a wrong secret in our own configuration would cost data. What is
refused can therefore be kept aside. It has no part in deduplication: a stranger must not be able to make
the genuine delivery look like a repetition.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from mosvpp.errors import StoreError
from mosvpp.store import Pending

from ._storing import row_of, store_rows
from ._tables import LARGEST_SEQ, quarantine
from .deliveries import Kind, NewDelivery, from_microseconds, to_microseconds

__all__ = ["LARGEST_RING", "RING_SIZE", "Quarantined", "Ring", "in_pages", "kept", "numbers", "release"]

RING_SIZE = 1000
LARGEST_RING = 10_000_000  # nobody looks through more, and it fits every column of numbers
PAGE = 100  # with their bodies, of which each may have 256 KiB
_WAITING_BYTES = 16 * 1024 * 1024
_OVERHEAD = 1024  # of each, beside its body

_Work: TypeAlias = Callable[[Connection], None]


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was answered with 401 and kept; `reason` is why the sender was not recognised."""

    seq: int
    kind: Kind
    received_at: datetime
    reason: str
    headers: dict[str, str]
    body: bytes
    delivery_id: bytes | None = None

    def __repr__(self) -> str:
        size = len(self.body)
        return f"Quarantined(seq={self.seq}, kind={self.kind!r}, reason={self.reason!r}, body=<{size} bytes>)"


class Ring:
    """The latest `size` deliveries. Those on their way to the store share one task, however many they are.

    So strangers keep nobody else out of the queue of the store, and their memory is bounded: where they come
    faster than they can be written, the latest are. Where the store is away or full, they wait for the next.
    `on_written` learns of each attempt: how many, and why it failed, if it did.
    """

    def __init__(self, size: int, on_written: Callable[[int, BaseException | None], None]) -> None:
        self.size: int = size
        self._on_written = on_written
        self._lock = threading.Lock()
        self._waiting: deque[Quarantined] = deque()
        self._waiting_bytes = 0
        self._fetching: Pending[None] | None = None

    def add(self, stranger: Quarantined, submit: Callable[..., Pending[None]]) -> None:
        """Keep one; `submit` gives work to the store, as `GroupCommit` does. Raises what that raises."""
        with self._lock:
            is_fetched = bool(self._waiting) and self._fetching is not None and not self._fetching.is_done
            self._waiting.append(stranger)
            self._waiting_bytes += _weight(stranger)
            self._drop_the_oldest()
            if not is_fetched:
                work, then = self._work()
                self._fetching = submit(work, then=then)

    def _drop_the_oldest(self) -> None:
        while len(self._waiting) > self.size or self._waiting_bytes > _WAITING_BYTES:
            self._waiting_bytes -= _weight(self._waiting.popleft())

    def _work(self) -> tuple[_Work, Callable[[BaseException | None], None]]:
        taken: list[Quarantined] = []  # work may be done twice

        def keep(connection: Connection) -> None:
            with self._lock:
                taken.extend(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
            for stranger in taken:
                _keep(connection, stranger, self.size)

        def written(error: BaseException | None) -> None:
            if isinstance(error, StoreError) and error.reason != "failed":  # else one of them may be to blame
                with self._lock:
                    self._waiting.extendleft(reversed(taken))
                    self._waiting_bytes += sum(map(_weight, taken))
                    self._drop_the_oldest()
            self._on_written(len(taken), error)

        return keep, written


def _weight(stranger: Quarantined) -> int:
    return len(stranger.body) + _OVERHEAD


def _keep(connection: Connection, stranger: Quarantined, size: int) -> None:
    """Put one in, and the oldest out where there are more than `size`."""
    values = {
        "kind": stranger.kind,
        "received_at": to_microseconds(stranger.received_at),
        "reason": stranger.reason,
        "headers": msgspec.json.encode(stranger.headers).decode(),
        "body": stranger.body,
        "delivery_id": stranger.delivery_id,
    }
    connection.execute(insert(quarantine).values(values))
    newest = select(func.max(quarantine.c.seq)).scalar_subquery()
    connection.execute(delete(quarantine).where(quarantine.c.seq <= newest - size))


def numbers(connection: Connection) -> list[int]:
    """Of those in the ring."""
    return list(connection.scalars(select(quarantine.c.seq)))


def in_pages(seqs: Iterable[int]) -> Iterator[list[int]]:
    """Numbers in order, each once, without those that no row can have."""
    ordered = sorted({seq for seq in seqs if 0 < seq <= LARGEST_SEQ})
    for start in range(0, len(ordered), PAGE):
        yield ordered[start : start + PAGE]


def kept(connection: Connection, seqs: Sequence[int]) -> list[Quarantined]:
    """Those of a page that are in the ring, oldest first."""
    found = select(quarantine).where(quarantine.c.seq.in_(seqs)).order_by(quarantine.c.seq)
    return [
        Quarantined(
            seq=row.seq,
            kind=row.kind,
            received_at=from_microseconds(row.received_at),
            reason=row.reason,
            headers=msgspec.json.decode(row.headers, type=dict[str, str]),
            body=bytes(row.body),
            delivery_id=None if row.delivery_id is None else bytes(row.delivery_id),
        )
        for row in connection.execute(found)
    ]


def release(connection: Connection, seqs: Sequence[int]) -> int:
    """Move a page of them into the inbox, with the time at which they arrived; how many it did not have."""
    freed = kept(connection, seqs)
    if not freed:
        return 0
    arrived = [
        NewDelivery(
            kind=one.kind,
            body=one.body,
            headers=one.headers,
            received_at=one.received_at,
            delivery_id=one.delivery_id,
        )
        for one in freed
    ]
    were_new = store_rows(connection, [row_of(one) for one in arrived], keep_order=True)
    connection.execute(delete(quarantine).where(quarantine.c.seq.in_([one.seq for one in freed])))
    return sum(were_new)
