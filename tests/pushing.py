"""Molecule under load: pushes over real sockets, and a list of those that were answered with 200.

Every push has a number. One that was not answered with 200 is sent again, as a careful sender does, and so
is one in ten that was: what is stored must be there once, however often it came.
"""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from deliveries import SECRET, push_body
from mosvpp.receiver import SqlInbox

__all__ = ["HEADERS", "Pushing", "body_of", "doubled", "lost", "stored_numbers"]

PATIENCE_S = 30  # only a failing test waits so long
HEADERS = {"X-API-Key": SECRET, "Content-Type": "application/json"}
SITES = 10


class Pushing:
    """Senders that push until this is left, to one receiver or to several in turn.

    `acknowledged` are the numbers that were answered with 200; `answers` counts all that came, and the names
    of errors where nothing did. Each sender waits `pause` seconds after an answer.
    """

    def __init__(self, *ports: int, senders: int = 8, pause: float = 0) -> None:
        self._pause = pause
        self.acknowledged: set[int] = set()
        self.answers: Counter[int | str] = Counter()
        self._ports = ports
        self._numbers = itertools.count()
        self._again: deque[int] = deque()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._push, args=(which,)) for which in range(senders)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def statuses(self) -> set[int]:
        """Every status that somebody was answered."""
        return {answer for answer in self.answers if isinstance(answer, int)}

    def wait_for(self, more: int) -> None:
        """Until so many more than now are acknowledged."""
        goal = len(self.acknowledged) + more
        self._wait(lambda: len(self.acknowledged) >= goal)

    def wait_for_answer(self, *answers: int | str) -> None:
        """Until somebody is answered one of these from now on."""
        before = [self.answers[answer] for answer in answers]
        self._wait(lambda: [self.answers[answer] for answer in answers] != before)

    def _wait(self, true: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not true():
            assert any(thread.is_alive() for thread in self._threads), "the senders ended"
            assert time.monotonic() < until, f"{len(self.acknowledged)} acknowledged; {self.answers}"
            time.sleep(0.002)

    def _push(self, which: int) -> None:
        ports = itertools.cycle(self._ports)
        for _ in range(which):
            next(ports)
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            number = self._again.popleft() if self._again else next(self._numbers)
            connection = connection or http.client.HTTPConnection("127.0.0.1", next(ports), timeout=10)
            try:
                answer: int | str = _send(connection, number)
            except (OSError, http.client.HTTPException) as error:
                answer = type(error).__name__
                connection.close()
                connection = None
            self.answers[answer] += 1
            if answer != 200:
                self._again.append(number)
                self._stop.wait(0.02)
            elif number not in self.acknowledged:
                self.acknowledged.add(number)
                if number % 10 == 0:
                    self._again.append(number)
            if self._pause:
                self._stop.wait(self._pause)
        if connection is not None:
            connection.close()


def _send(connection: http.client.HTTPConnection, number: int) -> int:
    connection.request("POST", "/data-push", body_of(number), HEADERS)
    response = connection.getresponse()
    response.read()
    return response.status


def body_of(number: int) -> bytes:
    """The push with that number."""
    return push_body(number, site=f"{number % SITES:016x}", push=number)


def stored_numbers(url: str) -> Counter[int]:
    """How often each push is stored."""
    with SqlInbox(url) as inbox:
        return Counter(json.loads(one.body)["push"] for one in inbox.find())


def lost(acknowledged: set[int], url: str) -> set[int]:
    """What was acknowledged and is not there."""
    before = set(acknowledged)  # who pushes on adds to it
    return before - set(stored_numbers(url))


def doubled(url: str) -> list[int]:
    """What is there more than once."""
    return [number for number, count in stored_numbers(url).items() if count > 1]
