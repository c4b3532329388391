"""The status words of receipts and execution responses, an open set (evidence status.words).

Words of peers are mapped to a few states. A word that is not known keeps its text, and is never terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from .errors import RuleError

__all__ = ["EventStatus", "check_statuses", "read_status", "status_words"]


class EventStatus(StrEnum):
    """What is known of an event or of a command to a device."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    PARTIALLY_COMPLETED = "partially_completed"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    OPTED_OUT = "opted_out"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing is expected to follow; a late message that is not never overrides one that is."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        EventStatus.COMPLETED,
        EventStatus.PARTIALLY_COMPLETED,
        EventStatus.REJECTED,
        EventStatus.FAILED,
        EventStatus.CANCELLED,
        EventStatus.SUPERSEDED,
        EventStatus.OPTED_OUT,
    }
)

# Words as peers use them, without case, spaces, hyphens and underscores.
_WORDS = {
    word: status
    for status, words in {
        EventStatus.RECEIVED: "received acknowledged",
        EventStatus.ACCEPTED: "accepted pending scheduled ok",
        EventStatus.IN_PROGRESS: "inprogress started active executing",
        EventStatus.COMPLETED: "completed complete executed success succeeded",
        EventStatus.PARTIALLY_COMPLETED: "partiallycompleted partial",
        EventStatus.REJECTED: "rejected invalid",
        EventStatus.FAILED: "failed error timeout undelivered",
        EventStatus.CANCELLED: "cancelled canceled deleted stopped",
        EventStatus.SUPERSEDED: "superseded",
        EventStatus.OPTED_OUT: "optedout optout",
    }.items()
    for word in words.split()
}


def _folded(word: str) -> str:
    return word.strip().replace("_", "").replace("-", "").replace(" ", "").lower()


def status_words() -> dict[str, EventStatus]:
    """The words that are known without any addition of the partner's, in folded spelling."""
    return dict(_WORDS)


def check_statuses(more: object) -> None:
    """Insist on words of the partner's own that `read_status` can use. Raises `RuleError`."""
    if more is None:
        return
    if not isinstance(more, Mapping):
        raise RuleError('statuses are given as in {"DONE": "completed"}', path="statuses", rule="type")
    states = list(EventStatus)
    for word, status in more.items():
        if not isinstance(word, str) or status not in states:
            msg = f"{status!r} is no status to map {word!r} to; use one of {', '.join(EventStatus)}"
            raise RuleError(msg, path="statuses", rule="enum", evidence=("status.words",))


def read_status(word: str | None, more: Mapping[str, str] | None = None) -> EventStatus:
    """Map a status word; `more` are words of the partner's own, for example `{"DONE": "completed"}`.

    Raises `ValueError` when `more` maps to something that is no `EventStatus`.
    """
    if not word:
        return EventStatus.UNKNOWN
    if more:
        for own, status in more.items():
            if _folded(own) == _folded(word):
                return EventStatus(status)
    return _WORDS.get(word) or _WORDS.get(_folded(word), EventStatus.UNKNOWN)
