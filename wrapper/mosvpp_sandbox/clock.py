"""Simulated time. Nothing else in the sandbox looks at the clock of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol

__all__ = ["ManualClock", "RunningClock", "SandboxClock"]

FASTEST = 100_000


class SandboxClock(Protocol):
    """What the sandbox needs to know of time."""

    def now(self) -> datetime:
        """The simulated present, in UTC; it never goes back."""
        ...

    def seconds_until(self, instant: datetime) -> float | None:
        """Real seconds until that instant, at least 0; None where only a hand can bring it about."""
        ...

    def on_move(self, moved: Callable[[], None]) -> None:
        """Have `moved` called whenever a hand has moved the time."""
        ...


class RunningClock:
    """Time that runs by itself, `speed` times as fast as real time, from `start` (or the present)."""

    def __init__(self, speed: float = 1.0, start: datetime | None = None) -> None:
        if not 0 < speed <= FASTEST:
            msg = f"speed is a number above 0 and at most {FASTEST}, not {speed!r}"
            raise ValueError(msg)
        self._speed = speed
        self._start = datetime.now(UTC) if start is None else _in_utc(start)
        self._began = time.monotonic()

    def now(self) -> datetime:
        """The simulated present."""
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self._speed)

    def seconds_until(self, instant: datetime) -> float:
        """Real seconds until that instant."""
        return max(0.0, (instant - self.now()).total_seconds() / self._speed)

    def on_move(self, moved: Callable[[], None]) -> None:
        """Nothing to do: no hand moves this clock."""


class ManualClock:
    """Time that stands still until `advance` is called. May be used from several threads."""

    def __init__(self, start: datetime) -> None:
        self._now = _in_utc(start)
        self._moved: list[Callable[[], None]] = []
        self._lock = Lock()

    def now(self) -> datetime:
        """The simulated present."""
        with self._lock:
            return self._now

    def advance(self, by: timedelta) -> None:
        """Move time forward; what became due follows at once, and its deliveries soon after."""
        if by < timedelta(0):
            msg = f"time only goes forward, not by {by}"
            raise ValueError(msg)
        with self._lock:
            self._now += by
        for moved in self._moved:
            moved()

    def seconds_until(self, instant: datetime) -> float | None:
        """0 when that instant has come, else None."""
        return 0.0 if instant <= self.now() else None

    def on_move(self, moved: Callable[[], None]) -> None:
        """Have `moved` called after each `advance`."""
        self._moved.append(moved)


def _in_utc(start: datetime) -> datetime:
    if start.utcoffset() is None:
        msg = f"{start} has no time zone"
        raise ValueError(msg)
    return start.astimezone(UTC)
