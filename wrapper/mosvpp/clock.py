"""The clock that everything else asks, so that tests can hold it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What the clients need of time: the present is asked of one of these, never of the system."""

    def now(self) -> datetime:
        """The present as an aware UTC datetime."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; used by `Client`."""
        ...

    async def sleep_async(self, seconds: float) -> None:
        """Wait; used by `AsyncClient`."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """The present as an aware UTC datetime."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Wait that many seconds without holding up the event loop (asyncio or trio)."""
        import anyio

        await anyio.sleep(seconds)
