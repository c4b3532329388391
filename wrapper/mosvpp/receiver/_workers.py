"""Handlers: the partner's functions, run in an event loop, several deliveries at a time."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import inspect
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from mosvpp.errors import StoreError

from ._queue import Verdict
from ._verdicts import after_failure, claim_for, note, readable, untried
from .deliveries import Kind, StoredDelivery
from .policies import HandOut
from .tracing import handling

if TYPE_CHECKING:
    from .inbox import Inbox

__all__ = ["Handler", "run_handlers", "run_until_signal"]

_log = logging.getLogger("mosvpp.receiver")

GRACE_S = 30.0  # what an orderly stop gives to handlers that run
_PAUSE_S = 1.0  # before a store that failed is asked again


@dataclasses.dataclass(frozen=True)
class Handler:
    """A function of the partner's, for one kind of delivery."""

    kind: Kind
    function: Callable[[Any, StoredDelivery], Awaitable[object] | object]
    rules: HandOut


@asynccontextmanager
async def run_handlers(inbox: Inbox, handlers: Sequence[Handler]) -> AsyncIterator[None]:
    """Run them in this event loop while this lasts, then finish what is in hand."""
    stop = asyncio.Event()
    workers = [asyncio.ensure_future(_Worker(inbox, handler).run(stop)) for handler in handlers]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*workers)


def run_until_signal(inbox: Inbox, handlers: Sequence[Handler]) -> None:
    """Run them in an event loop of their own until Ctrl-C or SIGTERM."""

    async def run() -> None:
        told = asyncio.Event()
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            with suppress(NotImplementedError):  # Windows: Ctrl-C cancels this function instead
                loop.add_signal_handler(signal.SIGTERM, told.set)
                loop.add_signal_handler(signal.SIGINT, told.set)
        await asyncio.to_thread(inbox.open)
        async with run_handlers(inbox, handlers):
            await told.wait()

    with suppress(KeyboardInterrupt):
        asyncio.run(run())


class _Worker:
    def __init__(self, inbox: Inbox, handler: Handler) -> None:
        self._inbox = inbox
        self._function = handler.function
        self._rules = handler.rules
        self._claim = claim_for(handler.kind, handler.rules)
        self._in_hand: dict[asyncio.Future[None], StoredDelivery] = {}
        self._news = asyncio.Event()
        self._threads: ThreadPoolExecutor | None = None

    async def run(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        beside = [asyncio.ensure_future(self._keep_leases()), asyncio.ensure_future(self._tell(stop))]
        try:
            with self._inbox.bell.listening(lambda: loop.call_soon_threadsafe(self._news.set)):
                while not stop.is_set():
                    await self._turn()
            if self._in_hand:
                await asyncio.wait(self._in_hand, timeout=GRACE_S)
        finally:
            left = [*beside, *self._in_hand]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            if self._threads is not None:
                self._threads.shutdown(wait=False)

    async def _tell(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._news.set()

    async def _turn(self) -> None:
        """Fetch what there is room for; where nothing is due, wait for news."""
        self._news.clear()
        free = self._rules.at_once - len(self._in_hand)
        pause = self._rules.poll.total_seconds()
        if free:
            try:
                handed = await self._inbox.claim(dataclasses.replace(self._claim, limit=free))
            except StoreError as error:
                _log.warning("deliveries cannot be fetched: %s", error, extra={"reason": error.reason})
                await asyncio.sleep(_PAUSE_S)
                return
            for delivery in handed:
                task = asyncio.ensure_future(self._handle(delivery))
                self._in_hand[task] = delivery
                task.add_done_callback(self._put_down)
            if handed:
                return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), pause)

    def _put_down(self, task: asyncio.Future[None]) -> None:
        del self._in_hand[task]
        self._news.set()

    async def _handle(self, handed: StoredDelivery) -> None:
        delivery = readable(self._inbox, handed, self._rules)
        if isinstance(delivery, Verdict):
            await self._settle(handed, delivery)
            return
        try:
            with handling(self._inbox.tracer, delivery):
                await self._call(delivery)
        except asyncio.CancelledError:
            await self._settle(handed, untried(self._inbox))
            raise
        except Exception as error:  # noqa: BLE001  the partner's function may raise anything
            await self._settle(handed, after_failure(self._inbox, handed, self._rules, error))
        else:
            await self._settle(handed, None)

    async def _call(self, delivery: StoredDelivery) -> None:
        result: object
        if inspect.iscoroutinefunction(self._function):
            result = self._function(delivery.event, delivery)
        else:
            result = await self._in_thread(delivery)
        if inspect.isawaitable(result):
            async with asyncio.timeout(self._rules.timeout.total_seconds()):
                await result

    async def _in_thread(self, delivery: StoredDelivery) -> object:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._rules.at_once, thread_name_prefix="mosvpp-handler")
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: context.run(self._function, delivery.event, delivery)
        )

    async def _settle(self, handed: StoredDelivery, verdict: Verdict | None) -> None:
        try:
            pending = self._inbox.finish(handed) if verdict is None else self._inbox.settle(handed, verdict)
            held = await pending
        except StoreError as error:
            _log.warning("what became of %s cannot be stored: %s", handed.key, error)
            held = False
        note(self._inbox, handed, verdict, held=held)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._rules.lease.total_seconds() / 3)
            if self._in_hand:
                with suppress(StoreError):  # the next time, or the lease runs out
                    await self._inbox.renew(list(self._in_hand.values()), self._rules.lease)
