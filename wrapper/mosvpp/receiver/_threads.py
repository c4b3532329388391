"""Storing from a thread that may wait, for WSGI and Lambda."""

from __future__ import annotations

import logging

from mosvpp.errors import StoreError

from ._handle import Answer, Intake, Stranger, answer, stored
from .deliveries import NewDelivery
from .inbox import Inbox

__all__ = ["keep_stranger", "not_stored", "store"]

_log = logging.getLogger("mosvpp.receiver")


def store(inbox: Inbox, intake: Intake, found: Answer | NewDelivery | Stranger) -> Answer:
    """Store what was received, and say so when it is durable."""
    if isinstance(found, Answer):
        return found
    if isinstance(found, Stranger):
        return keep_stranger(inbox, found)
    try:
        inbox.put(found).result(intake.store_deadline_s)
    except StoreError as error:
        return not_stored(error.reason, error)
    except Exception as error:  # noqa: BLE001  not stored, and the sender must learn that
        return not_stored("failed", error)
    return stored()


def keep_stranger(inbox: Inbox, stranger: Stranger) -> Answer:
    """Keep it aside, and answer as if it was not."""
    inbox.quarantine(
        stranger.kind,
        stranger.body,
        stranger.headers,
        reason=stranger.reason,
        delivery_id=stranger.delivery_id,
    )
    return answer("unauthenticated", count_as=stranger.reason)


def not_stored(reason: str, error: BaseException | None) -> Answer:
    """The answer where the store failed."""
    said = "" if error is None else f": {error}"
    # Where the store is away there is a line for each delivery, not a page: the log may be on the full disk.
    is_known = isinstance(error, StoreError) and error.reason != "failed"
    _log.error(
        "a delivery could not be stored (%s)%s",
        reason,
        said,
        extra={"reason": reason},
        exc_info=None if is_known else error,
    )
    return answer("store", count_as=f"store_{reason}")
