"""Deadlines for many short tasks at the price of one timer.

`asyncio.timeout` sets and clears a timer for each use, which costs a receiver as much as reading the
delivery. Here one timer looks now and then whether somebody is late, so that a deadline is met by a
fraction of it late.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from types import TracebackType

__all__ = ["Deadline"]


class Deadline:
    """`with deadline:` around what a task must not take longer for; a late one gets `TimeoutError` there.

    A task may be inside once at a time. One object serves one event loop at a time.
    """

    __slots__ = ("_late", "_loop", "_seconds", "_since")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        if not self._since:
            self._start(task.get_loop())
        self._since[task] = monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        del self._since[task]
        if self._late and task in self._late:
            self._late.remove(task)
            # As asyncio.timeout does it: somebody else may have cancelled the task as well.
            if task.uncancel() == 0 and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not loop:  # another loop: what the last one left is gone
            self._loop = loop
            self._late.clear()
            loop.call_later(self._seconds / 4, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._since or self._loop is not loop:
            self._loop = None if self._loop is loop else self._loop
            return
        oldest = monotonic() - self._seconds
        for task, since in self._since.items():
            if since > oldest:
                break  # they stand in the order in which they came
            if task not in self._late:
                self._late.add(task)
                task.cancel()
        loop.call_later(self._seconds / 4, self._look, loop)
