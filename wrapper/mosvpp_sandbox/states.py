"""The states of an event, and the one table of how it gets from one to another.

What MosVPP does here is not documented. The words are those that the SDK reads (status.words); that the
same `event_id` updates and `cancelled` cancels is our reading (dispatch.update_by_same_id); the rest is our
choice.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["TRANSITIONS", "State", "Transition", "may_become"]


class State(StrEnum):
    """Where an event is in its life; the words go out as they are."""

    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    PARTIALLY_COMPLETED = "partially_completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    OPTED_OUT = "opted_out"

    @property
    def is_open(self) -> bool:
        """Whether the event may still run."""
        return self in (State.ACCEPTED, State.IN_PROGRESS)


class Transition(NamedTuple):
    """From where (None: not known before), to where, when, and whether an execution response tells of it."""

    source: State | None
    target: State
    when: str
    is_told: bool = False


_S = State
TRANSITIONS = (
    Transition(None, _S.ACCEPTED, "a slot with a new event_id whose end lies ahead"),
    Transition(None, _S.CANCELLED, "a cancellation that overtook its event; the event will not run"),
    Transition(_S.ACCEPTED, _S.ACCEPTED, "a slot with the same event_id: the event is updated"),
    Transition(_S.ACCEPTED, _S.CANCELLED, "a slot with the same event_id and cancelled true"),
    Transition(_S.ACCEPTED, _S.IN_PROGRESS, "its start has come, and no other event outranks it"),
    Transition(_S.ACCEPTED, _S.OPTED_OUT, "its start has come, and the household declines it", is_told=True),
    Transition(_S.ACCEPTED, _S.SUPERSEDED, "its start has come, and another event outranks it", is_told=True),
    Transition(_S.IN_PROGRESS, _S.IN_PROGRESS, "a slot with the same event_id: it takes effect at once"),
    Transition(_S.IN_PROGRESS, _S.ACCEPTED, "an update moved its start into the future: it waits again"),
    Transition(
        _S.IN_PROGRESS, _S.CANCELLED, "a slot with the same event_id and cancelled true", is_told=True
    ),
    Transition(_S.IN_PROGRESS, _S.SUPERSEDED, "an event that outranks it begins", is_told=True),
    Transition(_S.IN_PROGRESS, _S.COMPLETED, "its end has come: at least 95 % was delivered", is_told=True),
    Transition(_S.IN_PROGRESS, _S.PARTIALLY_COMPLETED, "its end has come: less was delivered", is_told=True),
    Transition(_S.IN_PROGRESS, _S.FAILED, "its end has come: nothing was delivered", is_told=True),
)

_MAY_BECOME = {(one.source, one.target): one for one in TRANSITIONS}


def may_become(source: State | None, target: State) -> Transition:
    """The line of the table for this step. Raises `LookupError` for one that is not in it."""
    found = _MAY_BECOME.get((source, target))
    if found is None:
        msg = f"no event goes from {source} to {target}"
        raise LookupError(msg)
    return found
