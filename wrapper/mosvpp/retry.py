"""How often a request is sent again, and after what time.

Whether it may be sent again at all is said in `_failures`, and whether that would still come in time in
`_calls`.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from .errors import RuleError

__all__ = ["RetryBudget", "RetryPolicy", "read_http_date", "read_retry_after"]


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and after what time a request is sent again, where it may be at all.

    `attempts` counts the first one. The wait before attempt n is drawn from 0 to `first_delay` × 2ⁿ⁻²
    seconds, at most `longest_delay` (full jitter); it comes on top of what the server asks for by
    Retry-After. One that asks for more than `longest_retry_after` seconds is not waited for. `budget` is how
    many repeats a client can be behind with: each failure costs one, each success gives a tenth back, and
    below half of it nothing is repeated, so that an outage is not answered by a storm.
    """

    attempts: int = 3
    first_delay: float = 0.5
    longest_delay: float = 20.0
    longest_retry_after: float = 60.0
    budget: int = 20

    def __post_init__(self) -> None:
        for name, (kind, lowest, highest) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind) or not lowest <= value <= highest:
                what = "a whole number" if kind is int else "seconds"
                msg = f"{value!r} does not fit: give {what}, from {lowest} to {highest}"
                raise RuleError(msg, path=f"retry.{name}", rule="range")
        if self.first_delay > self.longest_delay:
            msg = f"{self.first_delay} s is more than longest_delay, {self.longest_delay} s"
            raise RuleError(msg, path="retry.first_delay", rule="range")

    def delay(self, failures: int) -> float:
        """Seconds to wait after that many failures, drawn anew each time."""
        ceiling = min(self.longest_delay, self.first_delay * 2.0 ** min(failures - 1, 60))
        return random.uniform(0, ceiling)  # noqa: S311  spreads the load; nothing secret


_DAY = 24 * 60 * 60
_LIMITS: dict[str, tuple[Any, int, int]] = {
    "attempts": (int, 1, 1000),
    "first_delay": (int | float, 0, _DAY),
    "longest_delay": (int | float, 0, _DAY),
    "longest_retry_after": (int | float, 0, _DAY),
    "budget": (int, 0, 1_000_000),
}


class RetryBudget:
    """The token bucket behind `RetryPolicy.budget`, one for each client.

    Losing an update between threads would shift it by one repeat, which does not matter; so it takes no lock.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = float(capacity)
        self._tokens = float(capacity)

    def failed(self) -> None:
        """Note a failure that a healthy server would not have caused."""
        self._tokens = max(0.0, self._tokens - 1)

    def succeeded(self) -> None:
        """Note an answer that needs no repeat."""
        self._tokens = min(self._capacity, self._tokens + 0.1)

    @property
    def allows_repeat(self) -> bool:
        """Whether a repeat is still affordable."""
        return self._capacity > 0 and self._tokens >= self._capacity / 2


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Retry-After in seconds from `now`, from a number or an HTTP date; None where it makes no sense."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 10 else None
    when = read_http_date(text)
    return None if when is None else max(0.0, (when - now).total_seconds())


def read_http_date(text: str) -> datetime | None:
    """The date of an HTTP header, or None where it is none."""
    try:
        when = parsedate_to_datetime(text)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
