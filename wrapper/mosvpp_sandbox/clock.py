"""Simulated time. Nothing else in the simulation looks at the clock of the machine.

Two clocks: one that runs by itself (as fast as real time, faster, or held), one that only a hand moves.
Both can be put forward; neither ever goes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol

__all__ = ["FASTEST", "ManualClock", "RunningClock", "SandboxClock", "real_seconds"]

FASTEST = 100_000
# A clock that goes on while the machine sleeps: Linux has one of its own, macOS calls it CLOCK_MONOTONIC, and
# on Windows time.monotonic is one.
_SLEEPLESS = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def real_seconds() -> float:
    """Real time from some beginning, with that in which the machine slept."""
    return time.monotonic() if _SLEEPLESS is None else time.clock_gettime(_SLEEPLESS)


class SandboxClock(Protocol):
    """What the sandbox needs to know of time."""

    @property
    def speed(self) -> float:
        """Simulated seconds in a real one; 0 while time stands still."""
        ...

    def now(self) -> datetime:
        """The simulated present, in UTC; it never goes back."""
        ...

    def advance(self, by: timedelta | None = None, **parts: float) -> None:
        """Move time forward, by a `timedelta` or by its parts: `advance(hours=1)`."""
        ...

    def seconds_until(self, instant: datetime) -> float | None:
        """Real seconds until that instant, at least 0; None where only a hand can bring it about."""
        ...

    def on_move(self, moved: Callable[[], None]) -> None:
        """Have `moved` called whenever a hand has moved the time, or changed how fast it runs."""
        ...


class _Movable:
    def __init__(self) -> None:
        self._lock = Lock()
        self._moved: list[Callable[[], None]] = []

    def on_move(self, moved: Callable[[], None]) -> None:
        """Have `moved` called after each change by hand."""
        self._moved.append(moved)

    def _tell(self) -> None:
        for moved in self._moved:
            moved()


class RunningClock(_Movable):
    """Time that runs by itself, `speed` times as fast as real time, from `start` (or the present).

    While the machine sleeps, real time goes on; faster or slower time stands still, where the system allows.
    """

    def __init__(self, speed: float = 1.0, start: datetime | None = None) -> None:
        super().__init__()
        self._speed = _checked_speed(speed)
        self._held = False
        self._start = datetime.now(UTC) if start is None else _in_utc(start)
        self._began = self._passed()

    @property
    def speed(self) -> float:
        """Simulated seconds in a real one; 0 while it is held."""
        return 0.0 if self._held else self._speed

    def now(self) -> datetime:
        """The simulated present."""
        with self._lock:
            return self._now()

    def set_speed(self, speed: float) -> None:
        """Run faster or slower from now on, also after `hold`."""
        self._change(_checked_speed(speed), held=False)

    def hold(self) -> None:
        """Stand still until `resume` or `set_speed`."""
        self._change(self._speed, held=True)

    def resume(self) -> None:
        """Run on as fast as before `hold`."""
        self._change(self._speed, held=False)

    def advance(self, by: timedelta | None = None, **parts: float) -> None:
        """Leap forward; what became due follows at once."""
        leap = _forward(by, parts)
        with self._lock:
            self._start += leap
        self._tell()

    def seconds_until(self, instant: datetime) -> float | None:
        """Real seconds until that instant."""
        missing = (instant - self.now()).total_seconds()
        return 0.0 if missing <= 0 else None if self._held else missing / self._speed

    def _now(self) -> datetime:
        if self._held:
            return self._start
        return self._start + timedelta(seconds=(self._passed() - self._began) * self._speed)

    def _passed(self) -> float:
        return real_seconds() if self._speed == 1 else time.monotonic()

    def _change(self, speed: float, *, held: bool) -> None:
        with self._lock:
            self._start = self._now()
            self._speed, self._held = speed, held
            self._began = self._passed()
        self._tell()


class ManualClock(_Movable):
    """Time that stands still until `advance` is called. May be used from several threads."""

    speed = 0.0

    def __init__(self, start: datetime) -> None:
        super().__init__()
        self._now = _in_utc(start)

    def now(self) -> datetime:
        """The simulated present."""
        with self._lock:
            return self._now

    def advance(self, by: timedelta | None = None, **parts: float) -> None:
        """Move time forward; what became due follows at once, and its deliveries soon after."""
        leap = _forward(by, parts)
        with self._lock:
            self._now += leap
        self._tell()

    def seconds_until(self, instant: datetime) -> float | None:
        """0 when that instant has come, else None."""
        return 0.0 if instant <= self.now() else None


def _forward(by: timedelta | None, parts: dict[str, float]) -> timedelta:
    leap = (by or timedelta(0)) + timedelta(**parts)
    if leap < timedelta(0):
        msg = f"time only goes forward, not by {leap}"
        raise ValueError(msg)
    return leap


def _checked_speed(speed: float) -> float:
    if not 0 < speed <= FASTEST:
        msg = f"speed is a number above 0 and at most {FASTEST}, not {speed!r}"
        raise ValueError(msg)
    return speed


def _in_utc(start: datetime) -> datetime:
    if start.utcoffset() is None:
        msg = f"{start} has no time zone"
        raise ValueError(msg)
    return start.astimezone(UTC)
