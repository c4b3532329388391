"""Tell those who wait for work that there is some, without their asking the database again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Bell"]


class Bell:
    """Rings, from any thread, for everyone who listens in this process; others find out when they look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[], object], ...] = ()

    def ring(self) -> None:
        """Call every listener."""
        for listener in self._listeners:
            try:
                listener()
            except RuntimeError:
                continue  # its event loop was closed a moment ago

    @contextmanager
    def listening(self, listener: Callable[[], object]) -> Iterator[None]:
        """Call `listener` at each ring, in the thread that rings, while this lasts."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)
