"""Looking at what has been stored, in a thread beside the receiver."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mosvpp.errors import RuleError, StoreError

from .deliveries import StoredDelivery

if TYPE_CHECKING:
    from .inbox import Inbox

__all__ = ["following"]

_log = logging.getLogger("mosvpp.receiver")

_LOOK_EVERY_S = 1.0
_LOOK_BACK = 1_000  # in PostgreSQL a lower number may be committed after a higher one


@contextmanager
def following(
    inbox: Inbox, take: Callable[[Iterator[StoredDelivery]], object], *, name: str
) -> Iterator[None]:
    """Give `take` what this process stores from now on, each delivery once and soon, while this lasts.

    It is called once before anything else; an error of that first call is raised. What other processes store
    may be among it.
    """
    last = next(inbox.find(newest_first=True, limit=1), None)
    follower = _Follower(inbox, take, name, 0 if last is None else last.seq)
    follower.look()
    thread = threading.Thread(target=follower.run, name=f"mosvpp-{name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        follower.stop.set()
        thread.join()
        with suppress(StoreError, RuleError):
            follower.look()


class _Follower:
    def __init__(
        self, inbox: Inbox, take: Callable[[Iterator[StoredDelivery]], object], name: str, seq: int
    ) -> None:
        self.stop = threading.Event()
        self._inbox = inbox
        self._take = take
        self._name = name
        self._first = self._last = seq
        self._seen: set[int] = set()  # of the last thousand

    def run(self) -> None:
        news = threading.Event()
        with self._inbox.bell.listening(news.set):
            while not self.stop.wait(_LOOK_EVERY_S):
                if not news.is_set():
                    continue
                news.clear()
                try:
                    self.look()
                except (StoreError, RuleError) as error:
                    news.set()
                    _log.warning("%s does not work now: %s", self._name, error)

    def look(self) -> None:
        self._take(self._new())
        self._seen = {seq for seq in self._seen if seq > self._last - _LOOK_BACK}

    def _new(self) -> Iterator[StoredDelivery]:
        for delivery in self._inbox.find(after=max(self._first, self._last - _LOOK_BACK)):
            if delivery.seq not in self._seen:
                self._seen.add(delivery.seq)
                self._last = max(self._last, delivery.seq)
                yield delivery
