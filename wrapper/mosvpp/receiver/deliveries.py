"""What the inbox keeps: a delivery as it came, and what has become of it since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias, TypedDict

import msgspec

from mosvpp import webhooks
from mosvpp.drift import OnDrift
from mosvpp.events import Delivery
from mosvpp.signatures import Headers
from mosvpp.times import from_microseconds, to_microseconds

__all__ = [
    "KINDS",
    "CheckedBefore",
    "Filter",
    "Kind",
    "NewDelivery",
    "State",
    "StoredDelivery",
    "from_microseconds",
    "to_microseconds",
]

Kind: TypeAlias = Literal["data_push", "execution_response"]

State: TypeAlias = Literal["waiting", "leased", "done", "dead"]
"""`waiting` to be handed out, `leased` to a worker, `done`, or `dead`: with the dead letters."""

KINDS: tuple[Kind, ...] = ("data_push", "execution_response")


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A delivery as it arrived from a sender that proved who it is. Nothing has looked into the body yet.

    `headers` are those of the allow-list; `delivery_id` is the sender's own id of it, where there is one.
    """

    kind: Kind
    body: bytes
    headers: dict[str, str]
    received_at: datetime
    delivery_id: bytes | None = None


class StoredDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as it is in the inbox.

    `key` (hex) stays the same however often the delivery arrives or is handed out: what you write with it
    is written once. `attempts` counts how often it was handed out; `due_at` is when it is next, or when its
    lease ends. `reason` and `traceback` say why it was put back or buried. `event` is the body as
    `mosvpp.webhooks.parse` reads it, present on what is handed out. Where `is_purged`, `body` and `headers`
    are empty, because only the key was kept. `seq` is its place in the order of storing.
    """

    seq: int
    key: str
    kind: Kind
    molecule_id: str | None
    received_at: datetime
    body_at: datetime | None
    headers: dict[str, str]
    body: bytes
    state: State
    attempts: int = 0
    due_at: datetime | None = None
    worker: str | None = None
    reason: str | None = None
    traceback: str | None = None
    finished_at: datetime | None = None
    event: Delivery | None = None
    lease: int = 0
    is_purged: bool = False

    def __repr__(self) -> str:
        return (
            f"StoredDelivery(key={self.key!r}, kind={self.kind!r}, molecule_id={self.molecule_id!r}, "
            f"state={self.state!r}, attempts={self.attempts}, body=<{len(self.body)} bytes>)"
        )

    def parse(
        self, *, on_drift: OnDrift | None = None, statuses: Mapping[str, str] | None = None
    ) -> Delivery:
        """Read the body. Its sender was checked before it was stored. Raises `PayloadError`."""
        return webhooks.parse(
            self.body, (), verifier=CheckedBefore(), expect=self.kind, on_drift=on_drift, statuses=statuses
        )


class Filter(TypedDict, total=False):
    """Which deliveries: all that match everything that is given. Times are aware, `until` is not included.

    `keys` and `seqs` name single ones; `seqs` are those of one store and mean nothing in another.
    """

    kind: Kind
    molecule_id: str
    state: State
    since: datetime
    until: datetime
    keys: list[str]
    seqs: list[int]


class CheckedBefore:
    """The verifier for what is stored: its sender was checked when it came."""

    needs_body = False

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        """Nothing is left to check."""
