"""Putting what cannot be read with the dead letters soon after it came, where no worker is there to do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ._following import following
from ._verdicts import note, unreadable
from .deliveries import StoredDelivery

if TYPE_CHECKING:
    from .inbox import Inbox

__all__ = ["sorting"]


@contextmanager
def sorting(inbox: Inbox) -> Iterator[None]:
    """Sort what is stored from now on, in a thread beside the receiver, while this lasts.

    It gives up no delivery: what it misses, because the process was killed, is found by the worker that is
    handed it.
    """

    def sort(found: Iterator[StoredDelivery]) -> None:
        for delivery in found:
            verdict = unreadable(delivery) if delivery.state == "waiting" else None
            if verdict is not None and inbox.bury(delivery, verdict).result():
                note(inbox, delivery, verdict, held=True)

    with following(inbox, sort, name="sorting"):
        yield
