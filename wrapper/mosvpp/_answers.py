"""An HTTP answer as it came, without secrets: the raw material of receipts and errors."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from ._values import Value

__all__ = ["Answer"]

_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authenticate", "set-cookie", "www-authenticate", "x-api-key"})
REMOVED = "[removed]"


class Answer(Value, frozen=True, kw_only=True):
    """What the server answered: `status`, `headers` (names in lower case), the raw `body`, and when it arrived.

    Headers that may carry secrets are blanked out, and so is the partner's key wherever a server echoes it.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    received_at: datetime

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, body=<{len(self.body)} bytes>)"

    @classmethod
    def build(
        cls, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, *, now: datetime, secret: str
    ) -> Answer:
        """Take an answer off the wire; `secret` is the key, which must not be kept."""
        kept: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            text = REMOVED if name in _SECRET_HEADERS else value.replace(secret, REMOVED)
            kept[name] = f"{kept[name]}, {text}" if name in kept else text
        key = secret.encode()
        return cls(status=status, headers=kept, body=body.replace(key, REMOVED.encode()) if key in body else body, received_at=now)

    def json(self) -> Any:
        """The body as JSON, or None where it is none (an empty body, HTML, NaN, …)."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None

    @property
    def problem(self) -> dict[str, Any] | None:
        """Problem details (errors.problem_json) where the body is a JSON object with one of its fields."""
        data = self.json()
        if isinstance(data, dict) and data.keys() & {"type", "title", "status", "detail", "errors", "traceId"}:
            return data
        return None
