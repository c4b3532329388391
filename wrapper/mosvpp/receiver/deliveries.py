"""What the inbox keeps: a delivery as it came, and what has become of it since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, TypeAlias, TypedDict

import msgspec

from mosvpp import webhooks
from mosvpp.drift import OnDrift
from mosvpp.events import Delivery
from mosvpp.signatures import Headers

__all__ = [
    "KINDS",
    "Filter",
    "Kind",
    "NewDelivery",
    "State",
    "StoredDelivery",
    "dedupe_key",
    "describe",
    "from_microseconds",
    "to_microseconds",
]

Kind: TypeAlias = Literal["data_push", "execution_response"]

State: TypeAlias = Literal["waiting", "leased", "done", "dead"]
"""`waiting` to be handed out, `leased` to a worker, `done`, or `dead`: with the dead letters."""

KINDS: tuple[Kind, ...] = ("data_push", "execution_response")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_ID = 128
_LONGEST_SITE = 128


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that is about to be stored.

    `key` is the same for the same delivery, see `dedupe_key`. `molecule_id` and `body_at` (the body's own
    time) are there where a glance at the body found them; nothing has checked the body yet.
    """

    key: bytes
    kind: Kind
    received_at: datetime
    body: bytes
    headers: dict[str, str] = {}
    molecule_id: str | None = None
    body_at: datetime | None = None


class StoredDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as it is in the inbox.

    `key` (hex) stays the same however often the delivery arrives or is handed out: what you write with it
    is written once. `attempts` counts how often it was handed out; `due_at` is when it is next, or when its
    lease ends. `reason` and `traceback` say why it was put back or buried. `event` is the body as
    `mosvpp.webhooks.parse` reads it, present on what is handed out; `body` is empty where it was purged.
    `seq` is its place in the order of storing.
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
            self.body, (), verifier=_CheckedBefore(), expect=self.kind, on_drift=on_drift, statuses=statuses
        )


class Filter(TypedDict, total=False):
    """Which deliveries: all that match everything that is given. Times are aware, `until` is not included."""

    kind: Kind
    molecule_id: str
    state: State
    since: datetime
    until: datetime
    keys: list[str]


class _CheckedBefore:
    needs_body = False

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        """Nothing is left to check."""


class _Glance(msgspec.Struct):
    # Any: a field of another type than expected must not hide the other one.
    molecule_id: Any = None
    timestamp: Any = None


_glance = msgspec.json.Decoder(_Glance).decode


def describe(
    kind: Kind, body: bytes, headers: dict[str, str], *, now: datetime, delivery_id: bytes | None = None
) -> NewDelivery:
    """Put together what is stored. Never raises, whatever the bytes."""
    try:
        glance = _glance(body)
        site, body_at = _site(glance.molecule_id), _instant(glance.timestamp)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        site = body_at = None
    return NewDelivery(
        key=dedupe_key(kind, body, body_at=body_at, delivery_id=delivery_id),
        kind=kind,
        received_at=now,
        body=body,
        headers=headers,
        molecule_id=site,
        body_at=body_at,
    )


def dedupe_key(kind: Kind, body: bytes, *, body_at: datetime | None, delivery_id: bytes | None) -> bytes:
    """What makes two deliveries the same one.

    The sender's id, where there is one. Otherwise eight bytes of the body's own time and sixteen of a
    SHA-256 over kind and body: a key that begins with the time lands beside the last one in the index,
    which keeps a large store as fast as a small one.
    """
    if delivery_id is not None:
        name = delivery_id if len(delivery_id) <= _LONGEST_ID else sha256(delivery_id).hexdigest().encode()
        return b"\xff%c:%b" % (kind[0].encode(), name)  # no time begins with 0xff
    digest = sha256(kind.encode() + b"\n" + body).digest()
    micros = to_microseconds(body_at) if body_at else 0
    return max(micros, 0).to_bytes(8, "big") + digest[:16]


def to_microseconds(instant: datetime) -> int:
    """Microseconds since 1970, as times are stored."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The instant in UTC."""
    return _EPOCH + timedelta(microseconds=count)


def _site(value: object) -> str | None:
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= _LONGEST_SITE:
        return value
    return None


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        instant = datetime.fromisoformat(value)
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
