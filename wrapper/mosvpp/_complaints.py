"""Complaints that many deliveries have in common: told once in a while, so that the log stays readable."""

from __future__ import annotations

import logging
import threading
from collections import Counter

from .clock import Clock

__all__ = ["Complaints"]

_EVERY_S = 10.0


class Complaints:
    """Lets the first complaint of a kind through at once, and of those that follow one in ten seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._quiet_until: dict[str, float] = {}
        self._passed_over = Counter[str]()

    def due(self, kind: str) -> int | None:
        """None to keep quiet; otherwise how many were kept quiet since the last one that was told."""
        now = self._clock.monotonic()
        with self._lock:
            if now < self._quiet_until.get(kind, now):
                self._passed_over[kind] += 1
                return None
            self._quiet_until[kind] = now + _EVERY_S
            return self._passed_over.pop(kind, 0)

    def log_error(
        self, log: logging.Logger, kind: str, message: str, *, reason: str, cause: BaseException | None = None
    ) -> None:
        """Log an error, unless one of its kind was told lately; `cause` is shown with its traceback."""
        passed_over = self.due(kind)
        if passed_over is not None:
            more = f"; {passed_over:,} more since the last line like this" if passed_over else ""
            log.error(
                "%s%s", message, more, extra={"reason": reason, "count": passed_over + 1}, exc_info=cause
            )
