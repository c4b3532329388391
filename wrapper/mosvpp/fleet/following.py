"""What an inbox receives, taken into the journal and the telemetry of a fleet.

    followed = follow(inbox, journal, telemetry)     # then inbox.work(), or FastAPI(lifespan=inbox.lifespan)

Execution responses reconcile the journal, data pushes become telemetry. A delivery is done once that is
durable, and one that comes twice changes nothing, so that a program may be killed at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from mosvpp.events import DataPush, ExecutionReport
from mosvpp.receiver import HandOut, Inbox, StoredDelivery

from .journal import Journal
from .states import State
from .telemetry import Telemetry

__all__ = ["Followed", "catch_up", "follow"]

_LOOK_EVERY_S = 0.1


@dataclass
class Followed:
    """How much was taken in so far.

    `strangers` counts results that belong to nothing in the journal, `conflicts` dispatches that a result
    left as a conflict; the log of `mosvpp.fleet` names them.
    """

    reports: int = 0
    pushes: int = 0
    strangers: int = 0
    conflicts: int = 0

    @property
    def total(self) -> int:
        """Deliveries of both kinds."""
        return self.reports + self.pushes


def follow(inbox: Inbox, journal: Journal, telemetry: Telemetry, *, at_once: int = 64) -> Followed:
    """Register handlers for both kinds of delivery. They work while the inbox's handlers run.

    `at_once` deliveries of each kind share a commit. Raises `RuleError` where the inbox has a handler.
    """
    followed, rules = Followed(), HandOut(at_once=at_once)

    @inbox.handler(ExecutionReport, rules)
    def reconcile(report: ExecutionReport, delivery: StoredDelivery) -> None:
        applied = journal.take(report, delivery)
        followed.reports += 1
        followed.strangers += len(applied.strangers)
        followed.conflicts += sum(one.state is State.CONFLICT for one in applied.dispatches)

    @inbox.handler(DataPush, rules)
    async def keep(push: DataPush, delivery: StoredDelivery) -> None:
        await telemetry.put(push, delivery.received_at)
        followed.pushes += 1

    return followed


async def catch_up(inbox: Inbox, on_progress: Callable[[], object] = lambda: None) -> None:
    """Wait, while the handlers run, until nothing is due and nothing is in hand.

    What failed and waits for its next attempt is not waited for.
    """
    while await asyncio.to_thread(_is_busy, inbox):
        on_progress()
        await asyncio.sleep(_LOOK_EVERY_S)
    on_progress()


def _is_busy(inbox: Inbox) -> bool:
    now = inbox.now()
    is_due = any(
        left.oldest_due_at is not None and left.oldest_due_at <= now for left in inbox.backlog().values()
    )
    return is_due or inbox.count(state="leased") > 0
