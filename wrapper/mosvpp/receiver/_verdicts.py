"""What becomes of a delivery that was handed out: done, again later, or to the dead letters."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Any

import msgspec

from mosvpp.errors import PayloadError
from mosvpp.events import Delivery, UnknownDelivery

from ._queue import Claim, Verdict
from .deliveries import Kind, StoredDelivery
from .policies import HandOut
from .redaction import traceback_of

if TYPE_CHECKING:
    from .inbox import Inbox

__all__ = ["after_failure", "claim_for", "left_early", "note", "readable", "unreadable", "untried"]

_log = logging.getLogger("mosvpp.receiver")

WORKER = f"{socket.gethostname()}:{os.getpid()}"


def claim_for(kind: Kind, rules: HandOut) -> Claim:
    """What to ask the inbox for."""
    return Claim(
        kind=kind,
        limit=rules.at_once,
        lease=rules.lease,
        worker=WORKER,
        in_order=rules.ordered_by is not None,
    )


def readable(inbox: Inbox, handed: StoredDelivery, rules: HandOut) -> StoredDelivery | Verdict:
    """The delivery with its event, or why it goes to the dead letters."""
    if handed.attempts > rules.attempts:
        # Handed out and never heard of again, each time: what is in it may be what kills the workers.
        return Verdict(state="dead", reason="worker_lost")
    event = _read(handed, on_drift=inbox.on_drift, statuses=inbox.statuses)
    return event if isinstance(event, Verdict) else msgspec.structs.replace(handed, event=event)


def unreadable(stored: StoredDelivery) -> Verdict | None:
    """Why a delivery that nobody was handed goes to the dead letters, if it does."""
    event = _read(stored)
    return event if isinstance(event, Verdict) else None


def _read(stored: StoredDelivery, **how: Any) -> Delivery | Verdict:
    try:
        event = stored.parse(**how)
    except PayloadError as error:
        return Verdict(state="dead", reason=error.reason, traceback=str(error))
    if isinstance(event, UnknownDelivery):
        return Verdict(state="dead", reason=event.reason, traceback=event.detail)
    return event


def after_failure(inbox: Inbox, handed: StoredDelivery, rules: HandOut, error: BaseException) -> Verdict:
    """Again later, or to the dead letters after the last attempt."""
    return _again(inbox, handed, rules, type(error).__name__, traceback_of(error))


def left_early(inbox: Inbox, handed: StoredDelivery, rules: HandOut) -> Verdict:
    """The same for a loop that was left: why is not known here."""
    return _again(inbox, handed, rules, "left_early", None)


def untried(inbox: Inbox) -> Verdict:
    """Back as if it had not been handed out."""
    return Verdict(state="waiting", due_at=inbox.now(), counts=False)


def note(inbox: Inbox, handed: StoredDelivery, verdict: Verdict | None, *, held: bool) -> None:
    """Count what became of a delivery, and log what somebody may have to look at."""
    outcome = "lost" if not held else "done" if verdict is None else _OUTCOMES[verdict.state]
    inbox.counters.count_handled(handed.kind, outcome)
    facts = {"key": handed.key, "kind": handed.kind, "attempts": handed.attempts}
    if outcome == "lost":
        _log.warning(
            "the lease of %s ran out before it was done; it is handed out again", handed.key, extra=facts
        )
    elif verdict is not None and verdict.reason is not None:
        facts["reason"] = verdict.reason
        becomes = "is with the dead letters" if outcome == "dead" else "is handed out again later"
        level = logging.ERROR if outcome == "dead" else logging.WARNING
        _log.log(level, "%s %s: %s", handed.key, becomes, verdict.reason, extra=facts)


_OUTCOMES = {"waiting": "again", "dead": "dead"}


def _again(
    inbox: Inbox, handed: StoredDelivery, rules: HandOut, reason: str, traceback: str | None
) -> Verdict:
    if handed.attempts >= rules.attempts:
        return Verdict(state="dead", reason=reason, traceback=traceback)
    due_at = inbox.now() + rules.pause_after(handed.attempts)
    return Verdict(state="waiting", due_at=due_at, reason=reason, traceback=traceback)
