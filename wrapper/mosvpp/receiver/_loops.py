"""Loops of the partner's over deliveries, with `for` and with `async for`.

What happens is written once, in `_steps`: it gives what is to be waited for, or the next delivery. The two
ways to iterate only differ in how they wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from mosvpp.errors import StoreError
from mosvpp.store import Pending

from ._queue import Verdict
from ._verdicts import claim_for, left_early, note, readable, untried
from .deliveries import Kind, StoredDelivery
from .policies import HandOut

if TYPE_CHECKING:
    from .inbox import Inbox

__all__ = ["Deliveries"]

_Step: TypeAlias = "Pending[Any] | StoredDelivery | Literal['nothing is due']"
_Steps: TypeAlias = Generator[_Step, Any, None]


class Deliveries:
    """Deliveries one by one, see `Inbox.deliveries`."""

    def __init__(self, inbox: Inbox, kinds: Sequence[Kind], rules: HandOut, *, wait: bool) -> None:
        self._inbox = inbox
        self._claims = [claim_for(kind, rules) for kind in kinds]
        self._rules = rules
        self._wait = wait

    def __iter__(self) -> Iterator[StoredDelivery]:
        news, leaving = threading.Event(), list[Pending[bool]]()
        steps = self._steps(leaving)
        answer: Any = None
        with self._inbox.bell.listening(news.set):
            try:
                while (step := _next(steps, answer)) is not None:
                    answer = None
                    if isinstance(step, Pending):
                        answer = step.result()
                    elif isinstance(step, StoredDelivery):
                        yield step
                    else:
                        news.wait(self._rules.poll.total_seconds())
                        news.clear()
            finally:
                steps.close()
                for pending in leaving:
                    with suppress(StoreError):
                        pending.result()

    async def __aiter__(self) -> AsyncIterator[StoredDelivery]:
        loop, news, leaving = asyncio.get_running_loop(), asyncio.Event(), list[Pending[bool]]()
        steps = self._steps(leaving)
        answer: Any = None
        with self._inbox.bell.listening(lambda: loop.call_soon_threadsafe(news.set)):
            try:
                while (step := _next(steps, answer)) is not None:
                    answer = None
                    if isinstance(step, Pending):
                        answer = await step
                    elif isinstance(step, StoredDelivery):
                        yield step
                    else:
                        with suppress(TimeoutError):
                            await asyncio.wait_for(news.wait(), self._rules.poll.total_seconds())
                        news.clear()
            finally:
                steps.close()
                for pending in leaving:
                    with suppress(StoreError):
                        await pending

    def _steps(self, leaving: list[Pending[bool]]) -> _Steps:
        """Fetch, hand over, settle. When it is closed early, `leaving` is what remains to be waited for."""
        while True:
            batch: list[StoredDelivery] = []
            for claim in self._claims:
                batch += yield self._inbox.claim(claim)
            if batch:
                yield from self._each(batch, leaving)
            elif self._wait:
                yield "nothing is due"
            else:
                return

    def _each(self, batch: list[StoredDelivery], leaving: list[Pending[bool]]) -> _Steps:
        inbox, rules = self._inbox, self._rules
        settling: list[tuple[StoredDelivery, Verdict | None, Pending[bool]]] = []
        current: StoredDelivery | None = None
        try:
            while batch:
                if self._lease_is_short(batch[0]):
                    batch = self._renewed(batch, (yield inbox.renew(batch, rules.lease)))
                    continue
                handed = batch.pop(0)
                delivery = readable(inbox, handed, rules)
                if isinstance(delivery, Verdict):
                    settling.append((handed, delivery, inbox.settle(handed, delivery)))
                    continue
                current = delivery
                yield delivery
                current = None
                # Nobody waits for each single commit; the results are looked at when the batch is through.
                settling.append((delivery, None, inbox.finish(delivery)))
            for settled, verdict, pending in settling:
                note(inbox, settled, verdict, held=(yield pending))
        except GeneratorExit:
            with suppress(StoreError):  # the leases run out then
                if current is not None:
                    leaving.append(inbox.settle(current, left_early(inbox, current, rules)))
                leaving.extend(inbox.settle(one, untried(inbox)) for one in batch)
            leaving.extend(pending for _, _, pending in settling)
            raise

    def _lease_is_short(self, handed: StoredDelivery) -> bool:
        return handed.due_at is None or handed.due_at - self._inbox.now() < self._rules.lease / 2

    def _renewed(self, batch: list[StoredDelivery], held: set[int]) -> list[StoredDelivery]:
        until = self._inbox.now() + self._rules.lease
        for lost in batch:
            if lost.seq not in held:
                note(self._inbox, lost, None, held=False)
        return [msgspec.structs.replace(one, due_at=until) for one in batch if one.seq in held]


def _next(steps: _Steps, answer: Any) -> _Step | None:
    try:
        return steps.send(answer)
    except StopIteration:
        return None
