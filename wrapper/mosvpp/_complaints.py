"""Complaints that many deliveries have in common: told once in a while, so that the log stays readable."""

from __future__ import annotations

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
