"""Checks of deliveries that come twice, late, or in another order than things happened."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from .check import check
from .play import Letter, Play

__all__ = ["duplicates", "duplicates_at_once", "late", "out_of_order"]

GROUP = "Again, late, out of order"

LONG_AGO = timedelta(days=30)
AT_ONCE = 8


@check(
    "duplicates",
    group=GROUP,
    title="The same delivery again is taken",
    expected="a 2xx each time the same bytes come",
    why="Nothing is said about duplicates. A sender that gets no 200 for what it has sent before will "
    "send it again, for ever or until it gives up on you.",
    basis="unknown",
    evidence=("unknown.delivery_rules", "push.answer_200"),
)
async def duplicates(play: Play) -> None:
    """Three times, and once more after another one."""
    for kind, webhook, _ in play.ordinary():
        for time in ("first", "second", "third"):
            await play.must_take(Letter(kind, webhook, f"for the {time} time"))
    await play.must_take(*play.ordinary("another one"))


@check(
    "duplicates_at_once",
    group=GROUP,
    title="Copies of a delivery at once are taken",
    expected=f"a 2xx for each of {AT_ONCE} copies that arrive in the same moment",
    why="Nothing is said about duplicates. Two copies at once meet where a receiver looks first and "
    "stores then.",
    basis="unknown",
    evidence=("unknown.delivery_rules", "push.answer_200"),
)
async def duplicates_at_once(play: Play) -> None:
    """All copies on connections of their own."""
    for kind, webhook, _ in play.ordinary():
        copies = [Letter(kind, webhook, f"copy {number + 1}") for number in range(AT_ONCE)]
        await play.must_take_together(copies)


@check(
    "late",
    group=GROUP,
    title="A late delivery is taken",
    expected="a 2xx for a body whose time is 30 days ago",
    why="The time in a body is when a snapshot was made, not when it was sent; after an outage much of it "
    "is old.",
    basis="inferred",
    evidence=("push.timestamp", "unknown.delivery_rules"),
)
async def late(play: Play) -> None:
    """Signed now, where it is signed: only the body is old."""
    then = play.next_time() - LONG_AGO
    if play.has("data_push"):
        await play.must_take(Letter("data_push", play.webhooks.data_push(at=then), "30 days old"))
    if play.has("execution_response"):
        webhook = play.webhooks.execution_response(at=then)
        await play.must_take(Letter("execution_response", webhook, "30 days old"))


@check(
    "out_of_order",
    group=GROUP,
    title="An older state after a newer one is taken",
    expected="a 2xx for in_progress after completed, and for a push that is older than the one before it",
    why="Nothing is said about order. What to make of it is for later; it has to be taken first.",
    basis="unknown",
    evidence=("unknown.delivery_rules",),
)
async def out_of_order(play: Play) -> None:
    """The newer one first."""
    earlier, later = play.next_time(), play.next_time()
    if play.has("data_push"):
        await play.must_take(
            Letter("data_push", play.webhooks.data_push(at=later), "the newer one"),
            Letter("data_push", play.webhooks.data_push(at=earlier), "the older one after it"),
        )
    if play.has("execution_response"):
        event = uuid4()
        for status, at in (("completed", later), ("in_progress", earlier), ("accepted", earlier)):
            webhook = play.webhooks.execution_response(event, status=status, at=at)
            await play.must_take(Letter("execution_response", webhook, f"{status}, of one event"))
