"""Checks of how a receiver answers: what it takes, with which status, and how fast."""

from __future__ import annotations

from statistics import median

from mosvpp_sandbox.webhook_builder import SAMPLE_METRICS

from .check import Exchange, check
from .play import Letter, Play
from .target import Kind

__all__ = ["big_push", "burst", "exactly_200", "in_time", "ordinary"]

GROUP = "Answers"

BIG_DEVICES = 1000
BURST = 60
AT_ONCE = 12


@check(
    "ordinary",
    group=GROUP,
    title="An ordinary delivery is taken",
    expected="a 2xx for a data push like the sample, and for an execution response",
    why="The pages show this data push. The body of an execution response is not documented; ours is "
    "inferred.",
    basis="documented",
    evidence=("push.body", "push.metrics", "execution.shape"),
)
async def ordinary(play: Play) -> None:
    """Three of each."""
    for number in ("the first", "the second", "the third"):
        await play.must_take(*play.ordinary(number))


@check(
    "big_push",
    group=GROUP,
    title="A data push of many devices is taken",
    expected=f"a 2xx for {BIG_DEVICES:,} devices in one push, about 130 kB",
    why="Multi-device performance data are announced; how large a delivery may become is not said anywhere.",
    basis="unknown",
    evidence=("push.future_contents", "unknown.limits"),
)
async def big_push(play: Play) -> None:
    """One push."""
    play.require("data_push")
    metrics = {str(20000 + number): SAMPLE_METRICS["20000"] for number in range(BIG_DEVICES)}
    webhook = play.webhooks.data_push(metrics)
    await play.must_take(
        Letter("data_push", webhook, f"{BIG_DEVICES:,} devices, {len(webhook.body):,} bytes")
    )


@check(
    "burst",
    group=GROUP,
    title="Many deliveries at once are taken",
    expected=f"a 2xx for each of {BURST} different deliveries, {AT_ONCE} of them on their way at a time",
    why="Nothing is said about rates. After an event the responses of many sites come in the same second.",
    basis="unknown",
    evidence=("unknown.delivery_rules", "unknown.limits"),
)
async def burst(play: Play) -> None:
    """Several at a time, from both kinds."""
    letters = [letter for number in range(BURST) for letter in play.ordinary(f"number {number + 1}")][:BURST]
    for begin in range(0, len(letters), AT_ONCE):
        await play.must_take_together(letters[begin : begin + AT_ONCE])


@check(
    "exactly_200",
    group=GROUP,
    title="What is taken is answered with exactly 200",
    expected="200 for each delivery of this certification that was taken, not 201, 202 or 204",
    why="The page on data pushes asks for 200 OK, and a sender may take anything else for a failure. That "
    "execution responses want the same is inferred.",
    basis="documented",
    evidence=("push.answer_200", "behaviour.receiver_answer"),
)
async def exactly_200(play: Play) -> None:
    """Looks back at all that was sent before."""
    taken = [one for one in play.history if one.is_authentic and one.answer.is_taken]
    if not taken:
        play.fault("nothing was taken that could have been answered with 200")
    for kind in play.target.kinds:
        statuses = {one.answer.status for one in taken if one.kind == kind} - {200}
        if statuses:
            play.fault(
                f"{_plural(kind)} were answered with {', '.join(map(str, sorted(filter(None, statuses))))}"
            )
    play.note(f"{len(taken)} answers")


@check(
    "in_time",
    group=GROUP,
    title="Answers come in time",
    expected="an answer within the limit (--within) to each delivery of this certification",
    why="How long MosVPP waits is not known. The strictest of comparable senders gives up after 5 s; then "
    "a delivery that was stored counts as lost, and comes again or never.",
    basis="inferred",
    evidence=("behaviour.receiver_answer", "unknown.delivery_rules"),
)
async def in_time(play: Play) -> None:
    """Looks back at all that was sent before."""
    limit = play.target.within
    answered = [one for one in play.history if one.is_authentic and one.answer.status is not None]
    slow = [one for one in answered if one.answer.seconds > limit]
    silent = [
        one for one in play.history if one.is_authentic and one.answer.seconds > limit and one not in answered
    ]
    late = slow + silent
    if late:
        worst = max(one.answer.seconds for one in late)
        play.fault(
            f"{len(late)} of {len(answered) + len(silent)} took longer than {limit:g} s, the worst "
            f"{worst:.2f} s"
        )
    if answered:
        play.note(_times(answered))


def _times(answered: list[Exchange]) -> str:
    times = sorted(one.answer.seconds * 1000 for one in answered)
    p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
    return f"median {median(times):.0f} ms, 95 % within {p95:.0f} ms, worst {times[-1]:.0f} ms"


def _plural(kind: Kind) -> str:
    return "data pushes" if kind == "data_push" else "execution responses"
