"""The one stream of what happened in the sandbox, for everybody who watches: console, tests, programs.

Every change has a number; who has seen number 17 asks for what came `after(17)`. The newest are kept.
Telemetry is no change of its own: it shows as the exchange that carries it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Literal, TypeAlias

from mosvpp.times import to_wire

__all__ = ["Change", "ChangeKind", "Changes"]

ChangeKind: TypeAlias = Literal["site", "event", "command", "exchange", "clock", "faults", "choices"]
KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened: to which site (if to one), to what there (an id), and how that looks now.

    `data` is ready to be written as JSON: of an event and of a command the object that `Control` gives, of an
    exchange its row in the log, of the others what was set.
    """

    number: int
    at: datetime
    kind: ChangeKind
    molecule_id: str | None
    about: str
    data: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The same with the time as text."""
        return {**asdict(self), "at": to_wire(self.at)}


class Changes:
    """The newest changes, and those who want to hear of more. May be used from several threads."""

    def __init__(self) -> None:
        self._kept: deque[Change] = deque(maxlen=KEPT)
        self._listeners: list[Callable[[], None]] = []
        self._lock = Lock()
        self._last = 0
        self.is_ended = False

    @property
    def last(self) -> int:
        """The number of the newest change; 0 before the first."""
        return self._last

    def end(self, is_ended: bool = True) -> None:
        """Send those home who watch, since the sandbox stops; False: it starts again."""
        self.is_ended = is_ended
        for changed in self._listeners:
            changed()

    def put(
        self,
        kind: ChangeKind,
        at: datetime,
        *,
        molecule_id: str | None = None,
        about: str = "",
        data: Mapping[str, Any],
    ) -> None:
        """Tell that something happened."""
        with self._lock:
            self._last += 1
            self._kept.append(Change(self._last, at, kind, molecule_id, about, data))
        for changed in self._listeners:
            changed()

    def after(self, number: int, limit: int = 500) -> tuple[list[Change], int]:
        """What came after that number, oldest first, and how many of it are kept no more, or left out.

        When there are more than `limit`, the newest are given.
        """
        with self._lock:
            missing = self._last - number
            count = max(0, min(missing, limit, len(self._kept)))
            newest = [self._kept[index] for index in range(len(self._kept) - count, len(self._kept))]
        return newest, max(0, missing - count)

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called after each change, in whatever thread; returns what ends it."""
        self._listeners = [*self._listeners, changed]

        def stop() -> None:
            self._listeners = [one for one in self._listeners if one is not changed]

        return stop
