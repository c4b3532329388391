"""What is next, and when: the errands of a plan, page by page, at the pace that was asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta

from mosvpp.clock import Clock

from ._courier import Errand
from .results import SiteOutcome

__all__ = ["Pace", "Queue"]


class Pace:
    """Lets so many through in a second, evenly; None lets everybody through."""

    def __init__(self, rate: float | None, clock: Clock) -> None:
        self._gap = 0.0 if rate is None else 1 / rate
        self._clock = clock
        self._next = clock.monotonic()

    @property
    def is_open(self) -> bool:
        """Whether nobody would have to wait."""
        return not self._gap or self._next <= self._clock.monotonic()

    async def wait(self) -> None:
        """Wait for one's turn."""
        if not self._gap:
            return
        now = self._clock.monotonic()
        turn = max(self._next, now)
        self._next = turn + self._gap
        if turn > now:
            await self._clock.sleep_async(turn - now)


class Queue:
    """Errands out of pages, which are read in another thread one page ahead. Nothing else is in memory.

    With a `lead`, what starts sooner is left out, and told as too late.
    """

    def __init__(
        self,
        read: Callable[[int], Sequence[Errand]],
        *,
        clock: Clock,
        pace: Pace,
        lead: timedelta | None,
        told: Callable[[SiteOutcome], object],
    ) -> None:
        self._read = read
        self._clock = clock
        self._pace = pace
        self._lead = lead
        self._told = told
        self._waiting: deque[Errand] = deque()
        self._coming: asyncio.Task[Sequence[Errand]] | None = None
        self._after = 0
        self._turn = asyncio.Lock()
        self._is_drained = False

    @property
    def has_one_at_once(self) -> bool:
        """Whether `next` would not have to wait."""
        return bool(self._waiting) and self._pace.is_open

    async def next(self) -> Errand | None:
        """The next errand, or None when there are no more."""
        while True:
            while not self._waiting:
                if not await self._load():
                    return None
            errand = self._waiting.popleft()
            await self._pace.wait()
            if self._lead is None or errand.slot.start > self._clock.now() + self._lead:
                return errand
            self._told(
                SiteOutcome(
                    molecule_id=errand.molecule_id,
                    event_id=errand.slot.event_id,
                    verdict="not_sent",
                    obstacle="too_late",
                )
            )

    async def _load(self) -> bool:
        """Take in the next page, and begin to read the one after it. False where there is none."""
        async with self._turn:
            if self._waiting:
                return True
            if self._is_drained:
                return False
            found = await (self._coming or self._page())
            self._waiting.extend(found)
            self._is_drained = not found
            if found:
                self._after = found[-1].number
                self._coming = asyncio.create_task(self._page())
            return bool(found)

    async def _page(self) -> Sequence[Errand]:
        return await asyncio.to_thread(self._read, self._after)

    async def close(self) -> None:
        """Leave what is still being read."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
