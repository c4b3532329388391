"""Storing from a thread that may wait, for WSGI and Lambda."""

from __future__ import annotations

import logging

from mosvpp.errors import StoreError

from ._handle import Answer, Intake, Stranger, VerifierFault, answer, stored
from .deliveries import NewDelivery
from .inbox import Inbox

__all__ = ["keep_stranger", "not_checked", "not_stored", "store"]

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
        return not_stored(inbox, error.reason, error)
    except Exception as error:  # noqa: BLE001  not stored, and the sender must learn that
        return not_stored(inbox, "failed", error)
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


def not_stored(inbox: Inbox, reason: str, error: BaseException | None) -> Answer:
    """The answer where the store failed."""
    is_known = isinstance(error, StoreError) and error.reason != "failed"
    cause = error if is_known or error is None else error.__cause__ or error
    # Where the store is away every delivery fails alike, and the log may be on the full disk.
    told = f"a delivery could not be stored ({reason})" + ("" if error is None else f": {error}")
    kind = f"{reason} {type(cause).__name__}"
    inbox.complaints.log_error(_log, kind, told, reason=reason, cause=None if is_known else error)
    return answer("store", count_as=f"store_{reason}")


def not_checked(inbox: Inbox, fault: VerifierFault) -> Answer:
    """The answer where the verifier failed: as if the store had, because the fault is on this side."""
    cause = fault.__cause__
    name = type(cause).__name__
    told = f"the sender of a delivery could not be checked ({name})"
    inbox.complaints.log_error(_log, f"verifier {name}", told, reason="verifier", cause=cause)
    return answer("verifier", unread=True)
