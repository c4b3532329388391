"""A clock that stands still until it is told to move."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2024, 1, 4, 23, 0, tzinfo=UTC)


class ManualClock:
    """Implements `mosvpp.clock.Clock`. Sleeping moves it at once; `pauses` are the seconds that were slept.

    `during_pause` is called at the end of a pause, once, while the one who sleeps is in the middle of a call;
    what it returns is awaited where it can be.
    """

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self.pauses: list[float] = []
        self.during_pause: Callable[[], object] | None = None

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - START).total_seconds()

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.advance(seconds)
        self._call_once()

    async def sleep_async(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.advance(seconds)
        result = self._call_once()
        if inspect.isawaitable(result):
            await result

    def _call_once(self) -> object:
        call, self.during_pause = self.during_pause, None
        return call() if call else None
