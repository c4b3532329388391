"""Many callers, one transaction: whatever waits while one commit reaches the disk goes into the next.

A commit costs a wait for the disk, whether it holds one row or a hundred. So one thread writes, everyone else
hands it work and gets a `Pending`, and the more wait, the cheaper each becomes. A single caller meets an
idle thread and is not kept waiting.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Sequence
from time import monotonic
from typing import Any, Generic, TypeVar, cast

from mosvpp.errors import MosVPPError, StoreError

__all__ = ["GroupCommit", "Pending"]

T = TypeVar("T")
R = TypeVar("R")

_NOTHING_YET = object()
_PATIENCE = 2.0  # of what the last commit took
_LONGEST_PATIENCE_S = 0.005


class Pending(Generic[R]):
    """A result that is there once its transaction is durable: `await` it in asyncio, or call `result()`."""

    __slots__ = ("_error", "_event", "_future", "_then", "_value", "item", "size")

    def __init__(
        self, item: Any = None, size: int = 0, then: Callable[[BaseException | None], None] | None = None
    ) -> None:
        self.item: Any = item
        self.size: int = size
        self._then = then
        self._value: object = _NOTHING_YET
        self._error: BaseException | None = None
        self._event: threading.Event | None = None
        self._future: asyncio.Future[None] | None = None

    @property
    def is_done(self) -> bool:
        """Whether the result, or the error, is there."""
        return self._value is not _NOTHING_YET

    def result(self, timeout: float | None = None) -> R:
        """Wait for the result, at most `timeout` seconds. Raises `StoreError`, also when the time is up."""
        # The writer sets the value first and looks for a waiter then; a waiter does it the other way round.
        # So whoever comes second sees the other, without a lock for each delivery.
        if self._value is _NOTHING_YET:
            self._event = threading.Event()
            if self._value is _NOTHING_YET and not self._event.wait(timeout):
                raise StoreError(f"the store has not answered within {timeout:g} s", reason="timeout")
        return self._outcome()

    def __await__(self) -> Generator[object, None, R]:
        if self._value is _NOTHING_YET:
            self._future = asyncio.get_running_loop().create_future()
            if self._value is _NOTHING_YET:
                yield from self._future
        return self._outcome()

    def _outcome(self) -> R:
        if self._error is not None:
            # One failure may belong to many waiters: none shall see the calls of another.
            raise self._error.with_traceback(None)
        return cast("R", self._value)

    def _settle(self, value: object, error: BaseException | None = None) -> asyncio.Future[None] | None:
        """Set the result, wake a waiting thread, and return what waits in an event loop."""
        self._error = error
        self._value = value
        if self._event is not None:
            self._event.set()
        if self._then is not None:
            self._then(error)
        return self._future


class GroupCommit(Generic[T, R]):
    """One thread that commits what others submit.

    `commit` gets one or more items, writes them in one transaction, and returns a result for each when they
    are durable. When it fails for more than one item, it is called again for each alone, so that one bad
    item harms no other; unless it was the store itself that failed. `max_waiting` and `max_waiting_bytes`
    bound what waits: more is refused at once, not held in memory.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T]], Sequence[R]],
        *,
        name: str = "mosvpp-store",
        max_batch: int = 512,
        max_waiting: int = 4096,
        max_waiting_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._commit = commit
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: list[Pending[R]] = []
        self._waiting_bytes = 0
        self._idle = False
        self._closed = False
        self._patience_s = 0.0
        self._worthwhile = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(
        self, item: T, *, size: int = 0, then: Callable[[BaseException | None], None] | None = None
    ) -> Pending[R]:
        """Hand over an item of about `size` bytes. Raises `StoreError` when too much waits already.

        `then` is for what nobody waits for: the thread that commits calls it with the error, if there is one.
        """
        pending: Pending[R] = Pending(item, size, then)
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed", reason="closed")
            if (
                len(self._waiting) >= self._max_waiting
                or self._waiting_bytes + size > self._max_waiting_bytes
            ):
                raise StoreError("too much waits to be stored already", reason="queue_full")
            self._waiting.append(pending)
            self._waiting_bytes += size
            if self._idle or len(self._waiting) == self._worthwhile:
                self._idle = False
                self._changed.notify()
        return pending

    def close(self) -> None:
        """Commit what waits, then end the thread. What is submitted from now on is refused."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            began = monotonic()
            self._settle(batch)
            self._patience_s = min((monotonic() - began) * _PATIENCE, _LONGEST_PATIENCE_S)
            self._worthwhile = len(batch)

    def _next_batch(self) -> list[Pending[R]]:
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return []
                self._idle = True
                self._changed.wait()
                self._idle = False
            # As many as the last time are on their way: a moment's wait saves several small commits.
            if len(self._waiting) < self._worthwhile and not self._closed:
                self._changed.wait(self._patience_s)
            batch = self._waiting[: self._max_batch]
            self._waiting = self._waiting[self._max_batch :]
            self._waiting_bytes -= sum(one.size for one in batch)
            return batch

    def _settle(self, batch: list[Pending[R]]) -> None:
        futures: list[asyncio.Future[None] | None]
        try:
            results = self._commit([one.item for one in batch])
            futures = [
                one._settle(result)  # noqa: SLF001  one thing in two classes
                for one, result in zip(batch, results, strict=True)
            ]
        except BaseException as error:  # noqa: BLE001  whatever it is, those who wait must learn of it
            if len(batch) > 1 and _may_be_one_of_them(error):
                for one in batch:
                    self._settle([one])
                return
            error = error if isinstance(error, MosVPPError) else _unexpected(error)
            futures = [one._settle(None, error) for one in batch]  # noqa: SLF001  one thing in two classes
        _wake(futures)


def _may_be_one_of_them(error: BaseException) -> bool:
    """Whether a single item may be to blame, and not a store that is away, full or held by another."""
    return not isinstance(error, StoreError) or error.reason == "failed"


def _unexpected(error: BaseException) -> StoreError:
    failure = StoreError(f"the store failed: {type(error).__name__}")
    failure.__cause__ = error
    return failure


def _wake(futures: list[asyncio.Future[None] | None]) -> None:
    """Tell each event loop once, however many of its tasks wait."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for future in futures:
        if future is not None:
            by_loop.setdefault(future.get_loop(), []).append(future)
    for loop, several in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, several)
        except RuntimeError:
            continue  # the loop is closed, so nobody waits there any more


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
