"""Which delivery it is, and from which site: a glance at the bytes, before anybody has parsed them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from .deliveries import NewDelivery, to_microseconds

__all__ = ["identify"]

_LONGEST_ID = 128
_LONGEST_SITE = 128
_LONGEST_TIME = 64


class _Glance(msgspec.Struct):
    # Any: a field of another type than expected must not hide the other one.
    molecule_id: Any = None
    timestamp: Any = None


_glance = msgspec.json.Decoder(_Glance).decode


def identify(delivery: NewDelivery) -> tuple[bytes, str | None, int | None]:
    """The key of a delivery, its site, and its own time in microseconds. Never raises, whatever the bytes.

    The same key means the same delivery. It is made of the sender's id, where there is one. Otherwise it is
    eight bytes of the body's own time and sixteen of a SHA-256 over kind and body: a key that begins with the
    time lands beside the last one in the index, which keeps a large store as fast as a small one.
    """
    try:
        glance = _glance(delivery.body)
        site, at = _site(glance.molecule_id), _microseconds(glance.timestamp)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        site = at = None
    return _key(delivery, at or 0), site, at


def _key(delivery: NewDelivery, at: int) -> bytes:
    kind, sent_as = delivery.kind.encode(), delivery.delivery_id
    if sent_as is not None:
        name = sent_as if len(sent_as) <= _LONGEST_ID else sha256(sent_as).hexdigest().encode()
        return b"\xff%c:%b" % (kind[:1], name)  # no time begins with 0xff
    return max(at, 0).to_bytes(8, "big") + sha256(b"%b\n%b" % (kind, delivery.body)).digest()[:16]


def _site(value: object) -> str | None:
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= _LONGEST_SITE:
        return value
    return None


def _microseconds(value: object) -> int | None:
    return _read_time(value) if isinstance(value, str) and len(value) <= _LONGEST_TIME else None


@lru_cache(maxsize=256)  # sites push at the same times
def _read_time(value: str) -> int | None:
    try:
        instant = datetime.fromisoformat(value)
        # In UTC, so that a time that no datetime can hold there is none.
        return to_microseconds(instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
