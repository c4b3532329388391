"""An HTTP answer as it came, without secrets: the raw material of receipts and errors."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ._json import decode_strictly
from ._values import Value
from .auth import MASK, Key
from .errors import PayloadError

__all__ = ["Answer"]

_SECRET_HEADERS = frozenset(
    {"authorization", "cookie", "proxy-authenticate", "set-cookie", "www-authenticate", "x-api-key"}
)
_PROBLEM_FIELDS = frozenset({"type", "title", "status", "detail", "instance", "traceId", "errors"})


class Answer(Value, frozen=True, kw_only=True):
    """What the server answered: `status`, `headers` (names in lower case), the raw `body`, and when it came.

    Headers that may carry secrets are blanked out, and so is the partner's key wherever a server echoes it,
    unless it is shorter than 8 characters.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    received_at: datetime

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, body=<{len(self.body)} bytes>)"

    def __hash__(self) -> int:
        return hash((self.status, self.body, self.received_at))

    @classmethod
    def build(
        cls, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, *, now: datetime, key: Key
    ) -> Answer:
        """Take an answer off the wire, without the key that was sent for it."""
        kept: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name = key.hide(raw_name.decode("latin-1")).lower()
            text = MASK if name in _SECRET_HEADERS else key.hide(raw_value.decode("latin-1"))
            kept[name] = f"{kept[name]}, {text}" if name in kept else text
        return cls(status=status, headers=kept, body=key.hide_bytes(body), received_at=now)

    def json(self) -> Any:
        """The body as JSON, or None where it is no acceptable JSON (empty, HTML, NaN, a key twice, …)."""
        try:
            return decode_strictly(self.body)
        except PayloadError:
            return None

    @property
    def problem(self) -> dict[str, Any] | None:
        """Problem details (errors.problem_json) where the body is an object with one of their fields."""
        data = self.json()
        return data if isinstance(data, dict) and data.keys() & _PROBLEM_FIELDS else None
