"""The log of every request that was received and every message that was sent, with its answer.

Secrets are hidden when an entry is made, so that no view of it can show them.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any, Literal, TypeAlias

from mosvpp.times import to_wire

__all__ = ["Direction", "Exchange", "Exchanges", "Headers", "hidden"]

Direction: TypeAlias = Literal["received", "sent"]
Headers: TypeAlias = tuple[tuple[str, str], ...]
KEPT = 2_000  # of each operation: many pushes do not drive out the few dispatches
LONGEST_SHOWN = 64 * 1024
_SECRET_NAMES = {"x-api-key", "authorization", "proxy-authorization", "cookie", "webhook-signature"}


@dataclass(eq=False)
class Exchange:
    """A request and its answer. `operation` is the operationId of the specification, or "" for another path.

    `state` is waiting (not answered yet, or to be tried again), done, or given_up; `verdict` says in a few
    words what was made of it; `seconds` is real time, `at` simulated.
    """

    number: int
    direction: Direction
    at: datetime
    operation: str
    molecule_id: str
    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    state: Literal["waiting", "done", "given_up"] = "waiting"
    status: int | None = None
    answer_headers: Headers = ()
    answer: bytes = b""
    verdict: str = ""
    attempts: int = 0
    seconds: float | None = None
    faults: list[str] = field(default_factory=list)
    repeats: int | None = None

    def row(self) -> dict[str, Any]:
        """What a list of exchanges shows."""
        return {
            "number": self.number,
            "direction": self.direction,
            "at": to_wire(self.at),
            "operation": self.operation,
            "molecule_id": self.molecule_id,
            "method": self.method,
            "url": self.url,
            "state": self.state,
            "status": self.status,
            "verdict": self.verdict,
            "attempts": self.attempts,
            "milliseconds": None if self.seconds is None else round(self.seconds * 1000, 1),
            "faults": list(self.faults),
            "repeats": self.repeats,
            "size": len(self.body),
        }

    def as_json(self) -> dict[str, Any]:
        """All that is known of it; bodies as text, cut off where they are very long."""
        return {
            **self.row(),
            "headers": [list(pair) for pair in self.headers],
            "body": _text(self.body),
            "answer_headers": [list(pair) for pair in self.answer_headers],
            "answer": _text(self.answer),
        }


class Exchanges:
    """The newest exchanges by their numbers. May be used from several threads."""

    def __init__(self, changed: Callable[[Exchange], None] = lambda _: None) -> None:
        self._kept: OrderedDict[int, Exchange] = OrderedDict()
        self._numbers: defaultdict[str, deque[int]] = defaultdict(deque)  # of each operation, oldest first
        self._changed = changed
        self._lock = Lock()
        self._last = 0

    @property
    def last(self) -> int:
        """The number of the newest; 0 before the first."""
        return self._last

    def open(self, direction: Direction, at: datetime, **about: Any) -> Exchange:
        """Note a request that has come, or a message that is due; `changed` tells of it."""
        with self._lock:
            self._last += 1
            exchange = self._kept[self._last] = Exchange(self._last, direction, at, **about)
            alike = self._numbers[exchange.operation]
            alike.append(self._last)
            if len(alike) > KEPT:
                del self._kept[alike.popleft()]
        return exchange

    def changed(self, exchange: Exchange) -> None:
        """Tell that an exchange is new, was answered, tried again or given up."""
        self._changed(exchange)

    def get(self, number: int) -> Exchange | None:
        """One of them, or None when it is kept no more."""
        return self._kept.get(number)

    def newest(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        molecule_id: str | None = None,
        operation: str | None = None,
        direction: Direction | None = None,
    ) -> list[Exchange]:
        """Newest first, those with a number below `before`, that fit what is asked for."""
        found = (
            one
            for one in self._newest_first()
            if (before is None or one.number < before)
            and (molecule_id is None or one.molecule_id == molecule_id)
            and (operation is None or one.operation == operation)
            and (direction is None or one.direction == direction)
        )
        return [one for one, _ in zip(found, range(limit), strict=False)]

    def _newest_first(self) -> Iterator[Exchange]:
        with self._lock:
            kept = list(self._kept.values())
        return reversed(kept)


def hidden(headers: Iterable[tuple[str, str]], secret_names: Iterable[str] = ()) -> Headers:
    """The headers without the values of those that hold secrets: the usual ones, and `secret_names`."""
    names = _SECRET_NAMES | {name.lower() for name in secret_names}
    return tuple((name, "••••" if name.lower() in names else value) for name, value in headers)


def _text(body: bytes) -> str:
    return body[:LONGEST_SHOWN].decode("utf-8", "replace")
