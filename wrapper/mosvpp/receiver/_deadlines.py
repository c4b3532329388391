"""Deadlines for many short tasks at the price of one timer.

`asyncio.timeout` sets and clears a timer for each use, which costs as much as reading a delivery. Here one
timer looks now and then whether somebody is late, so that a deadline is met by a moment late.
"""

from __future__ import annotations

import asyncio
from math import ceil
from typing import Any, TypeAlias

__all__ = ["Deadlines"]

Task: TypeAlias = asyncio.Task[Any]


class Deadlines:
    """Cancels tasks that are late.

        task = deadlines.start(10)
        try: ...
            deadlines.allow(task, 4)            # from now on
        except asyncio.CancelledError:
            if not deadlines.has_cut(task): raise
        finally: deadlines.end(task)

    One object serves one event loop at a time. It looks every `tick` seconds.
    """

    __slots__ = ("_due", "_late", "_loop", "_tick", "_ticks")

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._ticks = 0  # the only clock there is
        self._due: dict[Task, int] = {}
        self._late: set[Task] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, seconds: float) -> Task:
        """Give the current task so much time."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        if self._loop is not loop:
            self._watch(loop)
        self.allow(task, seconds)
        return task

    def allow(self, task: Task, seconds: float) -> None:
        """Give it so much time from now on."""
        self._due[task] = self._ticks + ceil(seconds / self._tick) + 1  # the present tick has begun already

    def end(self, task: Task) -> None:
        """The task is through, in time or late."""
        del self._due[task]
        self._late.discard(task)

    def has_cut(self, task: Task) -> bool:
        """Whether a cancellation that the task has met was that of its deadline, and of nobody else."""
        return task in self._late and task.uncancel() == 0

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.call_later(self._tick, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not loop:
            return
        if not self._due:
            self._loop = None
            return
        self._ticks += 1
        for task, due in self._due.items():
            if due <= self._ticks and task not in self._late:
                self._late.add(task)
                task.cancel()
        loop.call_later(self._tick, self._look, loop)
