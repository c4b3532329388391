"""Sending to many sites at once, and calling it off again."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from mosvpp._calls import Calls
from mosvpp.client import DEFAULT_BASE_URL, Shell, tls_and_proxy
from mosvpp.clock import Clock
from mosvpp.drift import OnDrift
from mosvpp.errors import RuleError, StoreError
from mosvpp.retry import RetryPolicy
from mosvpp.timeouts import Timeout

from ._carriers import Bounded, Hurried, ThroughProxy
from ._connections import Connections
from ._courier import Courier, Errand
from ._queue import Pace, Queue
from ._stopping import Stop
from .dispatches import ANSWERED_WITHIN
from .journal import Chosen, Journal
from .plans import Plan
from .results import Execution, SiteOutcome, Stopping

__all__ = ["AsyncFleet", "Fleet", "OnOutcome"]

T = TypeVar("T")
OnOutcome = Callable[[SiteOutcome], object]

_RETRY = RetryPolicy(attempts=4, budget=200)
_STOP_AT_ONCE_S = 5.0
_MOST_AT_ONCE = 10_000


class AsyncFleet(Shell):
    """Dispatches to many sites at once, and keeps the journal of it, on asyncio.

    `journal` is opened by the caller. `concurrency` is how many requests are out at once. The other arguments
    are those of `mosvpp.AsyncClient`; through a `proxy` it is slower. It belongs to the event loop in which
    it is first used. Raises `RuleError` for arguments that make no sense.
    """

    def __init__(
        self,
        journal: Journal,
        api_key: str | Callable[[], str] | None = None,
        *,
        base_url: str = DEFAULT_BASE_URL,
        api_version: str = "v1",
        allow_live: bool = False,
        concurrency: int = 100,
        timeout: float | Timeout = 30,
        retry: RetryPolicy | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl_context: ssl.SSLContext | None = None,
        clock: Clock | None = None,
        on_drift: OnDrift | None = None,
        statuses: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            api_key,
            base_url=base_url,
            api_version=api_version,
            allow_live=allow_live,
            timeout=timeout,
            retry=retry or _RETRY,
            clock=clock,
            on_drift=on_drift,
            statuses=statuses,
        )
        if type(concurrency) is not int or not 1 <= concurrency <= _MOST_AT_ONCE:
            msg = f"{concurrency!r} is no number of requests, from 1 to {_MOST_AT_ONCE:,}"
            raise RuleError(msg, path="concurrency", rule="range")
        if timedelta(seconds=self._timeout.total) >= ANSWERED_WITHIN:
            msg = f"a request that takes longer than {ANSWERED_WITHIN} counts as cut off"
            raise RuleError(msg, path="timeout", rule="range")
        self._journal = journal
        self._concurrency = concurrency
        context, through = tls_and_proxy(self._origin, ssl_context, proxy, trust_env=trust_env)
        self._carrier: Connections | ThroughProxy
        if through is None:
            https = self._origin.scheme == "https"
            self._carrier = Connections(
                self._origin.host,
                self._origin.port or (443 if https else 80),
                netloc=self._origin.netloc,
                tls=context if https else None,
                timeout=self._timeout,
                clock=self._clock,
            )
        else:
            self._carrier = ThroughProxy(self._url, context, through, self._timeout, self._clock)
        self._bounded = Bounded(self._carrier, concurrency)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def execute(
        self, plan: Plan, *, plan_hash: str | None = None, on_outcome: OnOutcome | None = None
    ) -> Execution:
        """Send what the plan wants, and what has not been sent yet: again after a crash, it goes on.

        What may have been received is never sent again: look at `journal.summary(plan=plan.hash)`, and at
        `advice` of what is unknown. `plan_hash` is the hash of the plan that you approved. `on_outcome` is
        called with each outcome once it is in the journal. To cancel the task ends it with all that is known
        noted.

        Raises `RuleError` when the plan has errors, is another one, or may not be sent (live without arming;
        cancelled or sent before; called off while it was being noted), and `StoreError` when the journal
        fails; then nothing more leaves.
        """
        self._insist_on_loop()
        if plan_hash is not None and plan.hash != plan_hash:
            msg = f"this is plan {plan.hash[:16]}, and not {plan_hash[:16]}, which was approved"
            raise RuleError(msg, path="plan_hash", rule="hash")
        if plan.errors:
            raise RuleError(
                f"the plan has errors; the first is: {plan.errors[0]}", path="plan", rule="errors"
            )
        first = next(iter(plan))
        self._calls.prepare_dispatch(first.molecule_id, first.slot, plan.mode.value)
        for recorded in self._journal.record(
            plan, mode=plan.mode.value, plan=plan.hash, update_sent=plan.update
        ):
            await recorded
        await asyncio.to_thread(self._journal.close_interrupted, plan=plan.hash)

        def read(after: int) -> list[Errand]:
            return [Errand(*one) for one in self._journal.unsent(plan.hash, after)]

        return await self._send(plan.hash, read, on_outcome, rate=plan.rate, lead=plan.lead)

    async def cancel(
        self,
        event_id: str | UUID,
        *,
        molecule_ids: Iterable[str] | None = None,
        on_outcome: OnOutcome | None = None,
    ) -> Execution:
        """Cancel an event wherever it went, or at some of the sites, in the mode in which it went.

        What was not sent yet will not be, by no program. Each cancellation is sent once, and again only where
        the client would do so; `stop` goes on until it is known. Raises `RuleError` for an event that the
        journal does not know, and `StoreError`.
        """
        self._insist_on_loop()
        chosen: Chosen = {"event_id": event_id, "molecule_ids": _kept(molecule_ids)}
        await asyncio.to_thread(self._journal.forbid, **chosen)
        found = self._journal.find(**chosen)
        seen = 0

        def read(_: int) -> list[Errand]:
            nonlocal seen
            while page := list(islice(found, 500)):
                seen += len(page)
                never = [one for one in page if one.is_withheld]
                self._journal.withdraw(never)
                errands = [
                    Errand(one.number, one.molecule_id, one.sent_slot.cancel(), one.mode.value)
                    for one in page
                    if one.state.may_run and one.sent_slot is not None
                ]
                if errands:
                    return errands
            return []

        result = await self._send(f"cancel {event_id}", read, on_outcome, rate=None, lead=None)
        if not seen:
            msg = f"the journal knows nothing of {event_id}{' at these sites' if molecule_ids else ''}"
            raise RuleError(msg, path="event_id", rule="known")
        return result

    async def stop(
        self,
        *,
        molecule_ids: Iterable[str] | None = None,
        until: datetime | None = None,
        on_outcome: OnOutcome | None = None,
    ) -> Stopping:
        """Cancel every live event that may run, at all sites or at some, until each is known to be stopped.

        First nothing more of them leaves, from no program that shares the journal. Then cancellations are
        sent, and sent again after whatever they came to, until each event ends, or `until`. What is not
        confirmed by then is listed. Raises `StoreError`.
        """
        self._insist_on_loop()
        chosen: Chosen = {"mode": "live", "molecule_ids": _kept(molecule_ids)}
        stop = Stop(
            self._calls.with_retry(RetryPolicy(attempts=1)),
            self._journal,
            lambda seconds: Hurried(self._bounded, min(seconds, self._timeout.total)),
            self._clock,
            on_outcome or (lambda _: None),
            seconds=_STOP_AT_ONCE_S,
            until=until,
        )
        return await self._unwrapped(stop.run(chosen, self._concurrency))

    async def _send(
        self,
        what: str,
        read: Callable[[int], list[Errand]],
        on_outcome: OnOutcome | None,
        *,
        rate: float | None,
        lead: timedelta | None,
    ) -> Execution:
        began, counts = self._clock.now(), Counter[str]()

        def told(outcome: SiteOutcome) -> None:
            counts[outcome.obstacle or outcome.verdict] += 1
            if on_outcome is not None:
                on_outcome(outcome)

        queue = Queue(read, clock=self._clock, pace=Pace(rate, self._clock), lead=lead, told=told)
        try:
            await self._unwrapped(self._all_at_once(queue, self._calls, told))
        finally:
            await queue.close()
            with suppress(StoreError):  # where the journal fails, that has been raised
                self._journal.note().result(ANSWERED_WITHIN.total_seconds())
        return Execution(plan=what, counts=counts, started_at=began, took=self._clock.now() - began)

    async def _all_at_once(self, queue: Queue, calls: Calls, told: OnOutcome) -> None:
        async with asyncio.TaskGroup() as group:
            # While some wait for the network, as many others wait for the journal.
            for _ in range(2 * self._concurrency):
                courier = Courier(calls, self._journal, self._bounded, self._clock, told)
                group.create_task(_carry(queue, courier))

    async def _unwrapped(self, work: Coroutine[Any, Any, T]) -> T:
        """Of errors that happen side by side, raise the first."""
        try:
            return await work
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    def _insist_on_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            msg = "this AsyncFleet belongs to another event loop; make one in each"
            raise RuleError(msg, path="fleet", rule="event_loop")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._carrier.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def _carry(queue: Queue, courier: Courier) -> None:
    """Carry errands until there are no more. An outcome waits for the next one only where that is there."""
    try:
        while True:
            if not queue.has_one_at_once:
                await courier.finish()
            errand = await queue.next()
            if errand is None:
                break
            await courier.run(errand)
        await courier.finish()
    finally:
        with suppress(StoreError):  # as above
            courier.hand_over()


def _kept(molecule_ids: Iterable[str] | None) -> list[str] | None:
    """They are gone through more than once."""
    return None if molecule_ids is None else list(molecule_ids)


class Fleet:
    """Dispatches to many sites at once, and blocks until that is done; see `AsyncFleet` for the arguments.

    Ctrl-C ends a call with all that is known noted. Use it in a `with` block, in one thread.
    """

    def __init__(
        self, journal: Journal, api_key: str | Callable[[], str] | None = None, **options: Any
    ) -> None:
        self._fleet = AsyncFleet(journal, api_key, **options)
        self._runner = asyncio.Runner()

    def __repr__(self) -> str:
        return repr(self._fleet).removeprefix("Async")

    def execute(
        self, plan: Plan, *, plan_hash: str | None = None, on_outcome: OnOutcome | None = None
    ) -> Execution:
        """Send what the plan wants, and what has not been sent yet; see `AsyncFleet.execute`."""
        return self._runner.run(self._fleet.execute(plan, plan_hash=plan_hash, on_outcome=on_outcome))

    def cancel(
        self,
        event_id: str | UUID,
        *,
        molecule_ids: Iterable[str] | None = None,
        on_outcome: OnOutcome | None = None,
    ) -> Execution:
        """Cancel an event wherever it went; see `AsyncFleet.cancel`."""
        return self._runner.run(
            self._fleet.cancel(event_id, molecule_ids=molecule_ids, on_outcome=on_outcome)
        )

    def stop(
        self,
        *,
        molecule_ids: Iterable[str] | None = None,
        until: datetime | None = None,
        on_outcome: OnOutcome | None = None,
    ) -> Stopping:
        """Cancel every live event until each is known to be stopped; see `AsyncFleet.stop`."""
        return self._runner.run(
            self._fleet.stop(molecule_ids=molecule_ids, until=until, on_outcome=on_outcome)
        )

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._fleet.aclose())
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
