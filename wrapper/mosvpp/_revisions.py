"""The order of requests for one event: no late repeat undoes a cancellation (behaviour.revision_order)."""

from __future__ import annotations

from datetime import datetime
from threading import Lock

from ._requests import Request
from .ids import id_key

__all__ = ["Revisions", "shared_revisions"]

_KEPT = 100_000


class Revisions:
    """The newest request that was begun to be sent, for each of the last 100,000 events; thread-safe."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str, str], int] = {}
        self._last = 0
        self._lock = Lock()

    def next(self, now: datetime) -> int:
        """A number above all that this client has seen, made from the time: it compares across processes."""
        with self._lock:
            self._last = max(self._last + 1, int(now.timestamp() * 1_000_000))
            return self._last

    def note(self, request: Request) -> None:
        """Remember that the request is about to be sent."""
        with self._lock:
            self._last = max(self._last, request.revision)  # it may come from a machine whose clock is ahead
            for key in _events(request):
                # Taken out first: a dict keeps the order in which keys came in, and the oldest is dropped.
                self._newest[key] = max(request.revision, self._newest.pop(key, 0))
            while len(self._newest) > _KEPT:
                del self._newest[next(iter(self._newest))]

    def is_outdated(self, request: Request) -> bool:
        """Whether a newer request for one of the same events was begun."""
        with self._lock:
            for key in _events(request):  # noqa: SIM110  a generator costs as much again, for each request
                if self._newest.get(key, 0) > request.revision:
                    return True
            return False


_SHARED: dict[str, Revisions] = {}


def shared_revisions(gateway: str) -> Revisions:
    """The one record for a gateway in this process: two clients of it must not undo each other's cancels.

    Other processes cannot be seen from here.
    """
    return _SHARED.setdefault(gateway, Revisions())


def _events(request: Request) -> list[tuple[str, str, str]]:
    site, mode = request.molecule_id.lower(), request.mode.value if request.mode else ""
    return [(site, mode, id_key(slot.event_id)) for slot in request.slots]
