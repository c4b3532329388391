"""When a request is sent again by itself, and when never.

A GET may be repeated on any transient failure (behaviour.repeat_get). A POST only when no byte of it was written, on 429,
and on 503 with Retry-After, by which the server says that it did nothing (behaviour.repeat_post). A repeat must also come
in time (behaviour.no_late_repeat); that is decided in `_calls`, which knows the slots.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from .errors import RuleError

__all__ = ["RetryBudget", "RetryPolicy", "read_retry_after"]


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and after what time a request is sent again, where it may be at all.

    `attempts` counts the first one. The wait before attempt n is drawn from 0 to `first_delay` × 2ⁿ⁻² seconds, at most
    `longest_delay` (full jitter). A server that asks by Retry-After for more than `longest_retry_after` seconds is not
    waited for. `budget` is how many repeats a client can be behind with: each failure costs one, each success gives a
    tenth back, and below half of it nothing is repeated, so that an outage is not answered by a storm.
    """

    attempts: int = 3
    first_delay: float = 0.5
    longest_delay: float = 20.0
    longest_retry_after: float = 60.0
    budget: int = 20

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or self.attempts < 1:
            raise RuleError("attempts is a whole number, at least 1 (1 means: never again)", path="retry.attempts")
        if not 0 <= self.first_delay <= self.longest_delay or self.longest_retry_after < 0 or self.budget < 0:
            raise RuleError("delays and budget are not negative, and first_delay is not above longest_delay", path="retry")

    def delay(self, failures: int) -> float:
        """Seconds to wait after that many failures, drawn anew each time."""
        ceiling = min(self.longest_delay, self.first_delay * 2.0 ** min(failures - 1, 60))
        return random.uniform(0, ceiling)


class RetryBudget:
    """The token bucket behind `RetryPolicy.budget`, one for each client.

    Losing an update between threads would shift it by one repeat, which does not matter; so it takes no lock.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = float(capacity)
        self._tokens = float(capacity)

    def failed(self) -> bool:
        """Note a failure; whether a repeat is still affordable."""
        self._tokens = max(0.0, self._tokens - 1)
        return self._tokens >= self._capacity / 2 and self._capacity > 0

    def succeeded(self) -> None:
        """Note an answer that needs no repeat."""
        self._tokens = min(self._capacity, self._tokens + 0.1)


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Retry-After in seconds from `now`, from a number or an HTTP date; None where there is none that makes sense."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 10 else None
    try:
        when = parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - now).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
