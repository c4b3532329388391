"""Calling off what may run, until it is known to be stopped, or its time is over.

A cancellation that is repeated stays a cancellation. That is why this, and nothing else here, sends again
what may have been received.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count, islice

from mosvpp._calls import Calls
from mosvpp.clock import Clock
from mosvpp.errors import RejectedError
from mosvpp.slots import EventSlot

from ._courier import Carrier, Courier, Errand
from ._journal_rows import PAGE
from .dispatches import Dispatch
from .journal import Chosen, Journal, interrupted
from .results import SiteOutcome, Stopping

__all__ = ["Stop"]

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0


class _Target:
    """An event at a site that is to be stopped."""

    __slots__ = ("attempts", "end", "errand", "is_crossed")

    def __init__(self, dispatch: Dispatch) -> None:
        slot = dispatch.sent_slot or dispatch.slot
        self.errand = Errand(dispatch.number, dispatch.molecule_id, _cancelled(slot), dispatch.mode.value)
        self.end = max(slot.end, dispatch.slot.end)
        self.attempts = 0
        self.is_crossed = bool(dispatch.standing.out)


@lru_cache(maxsize=PAGE)
def _cancelled(slot: EventSlot) -> EventSlot:
    """Sites share few slots, and each that fails is kept until its event ends."""
    return slot.cancel()


class Stop:
    """One stop. `seconds` is how long the first attempt at each site may take; later ones get longer."""

    def __init__(
        self,
        calls: Calls,
        journal: Journal,
        carrier: Callable[[float], Carrier],
        clock: Clock,
        told: Callable[[SiteOutcome], object],
        *,
        seconds: float,
        until: datetime | None,
    ) -> None:
        self._calls = calls
        self._journal = journal
        self._carrier = carrier
        self._clock = clock
        self._told = told
        self._seconds = seconds
        self._until = until
        self._fresh: Iterator[Dispatch] = iter(())
        self._is_drained = False
        self._waiting: list[_Target] = []
        self._again: list[tuple[datetime, int, _Target]] = []
        self._order = count()
        self._turn = asyncio.Lock()
        self._busy = 0
        self._withdrawn = self._stopped = self._requests = 0
        self._not_confirmed: list[tuple[str, str]] = []

    async def run(self, chosen: Chosen, workers: int) -> Stopping:
        """Stop everything that is chosen, and is not over."""
        began = self._clock.now()
        chosen = {**chosen, "ends_after": began, "is_open": True}
        await asyncio.to_thread(self._journal.forbid, **chosen)
        self._fresh = self._journal.find(**chosen)
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())
        return Stopping(
            stopped=self._stopped,
            withdrawn=self._withdrawn,
            requests=self._requests,
            not_confirmed=tuple(self._not_confirmed),
            took=self._clock.now() - began,
        )

    async def _work(self) -> None:
        while True:
            target = await self._next()
            if target is None:
                return
            self._busy += 1
            try:
                await self._try(target)
            finally:
                self._busy -= 1

    async def _next(self) -> _Target | None:
        """A site that was not tried yet, or else one whose pause is over; None when there is nothing left."""
        while True:
            while not self._waiting and not self._is_drained:  # there are pages with nothing to stop
                await self._load()
            if self._waiting:
                return self._waiting.pop()
            if self._again and self._again[0][0] <= self._clock.now():
                return heapq.heappop(self._again)[2]
            if not self._again and not self._busy:
                return None
            pause = _FIRST_PAUSE_S / 5
            if self._again:
                pause = min(pause, max(0.0, (self._again[0][0] - self._clock.now()).total_seconds()))
            await self._clock.sleep_async(pause)

    async def _load(self) -> None:
        async with self._turn:
            if self._waiting or self._is_drained:
                return
            found = await asyncio.to_thread(lambda: list(islice(self._fresh, PAGE)))
            self._is_drained = not found
            never = [one for one in found if one.is_withheld]
            if never:
                await asyncio.to_thread(self._journal.withdraw, never)
                self._withdrawn += len(never)
            self._waiting += [
                _Target(one) for one in found if one.state.may_run and not one.standing.is_stopped
            ]

    async def _try(self, target: _Target) -> None:
        if target.attempts and await self._has_ended(target):
            self._stopped += 1
            return
        if target.attempts and self._clock.now() >= self._given_up_at(target):
            self._give_up(target)
            return
        target.attempts += 1
        self._requests += 1
        outcomes: list[SiteOutcome] = []
        seconds = self._seconds * 2.0 ** min(target.attempts - 1, 3)
        courier = Courier(self._calls, self._journal, self._carrier(seconds), self._clock, outcomes.append)
        try:
            await courier.run(target.errand)
            await courier.finish()
        finally:
            courier.hand_over()
        (outcome,) = outcomes
        self._told(outcome)
        if outcome.verdict == "accepted" and (not target.is_crossed or await self._has_ended(target)):
            self._stopped += 1
        else:
            self._try_later(target, outcome)

    async def _has_ended(self, target: _Target) -> bool:
        """Whether the journal knows that it is stopped: by a report, or by a later cancellation."""
        errand = target.errand
        known = await asyncio.to_thread(self._journal.get, errand.molecule_id, errand.slot.event_id)
        if known is None:
            return False
        lost = list(interrupted(known, self._clock.now()))
        if lost:
            await self._journal.note(*lost)
        return known.standing.is_stopped

    def _try_later(self, target: _Target, outcome: SiteOutcome) -> None:
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(target.attempts - 1, 10))
        if isinstance(outcome.error, RejectedError) and outcome.error.retry_after:
            pause = max(pause, min(outcome.error.retry_after, _LONGEST_PAUSE_S))
        pause *= random.uniform(0.5, 1)  # noqa: S311  spreads the load; nothing secret
        due = self._clock.now() + timedelta(seconds=pause)
        if due >= self._given_up_at(target):
            self._give_up(target)
        else:
            heapq.heappush(self._again, (due, next(self._order), target))

    def _given_up_at(self, target: _Target) -> datetime:
        return target.end if self._until is None else min(target.end, self._until)

    def _give_up(self, target: _Target) -> None:
        self._not_confirmed.append((target.errand.molecule_id, target.errand.slot.event_id))
