"""Checks of what is still there: everything that was acknowledged, also when the receiver was killed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from .check import NotApplicableError, Round, check
from .play import Play
from .process import ReceiverProcess, listed

__all__ = ["kept_after_kill", "listed_as_sent", "nothing_forged_listed"]

GROUP = "What is kept"

ROUNDS = 3
ACKNOWLEDGED = 40  # in a round, before the receiver is killed
SENDERS = 8
MOST_IN_A_ROUND = 400
ROUND_S = 20.0
LOOKS = 5  # before something counts as missing: it may be written by another process
PAUSE_S = 0.5


@check(
    "listed_as_sent",
    group=GROUP,
    title="What was acknowledged is listed unchanged",
    expected="the list command prints each delivery that was taken, as the bytes that came",
    why="No page promises that anything is sent again. Raw bytes can be read anew when you learn what "
    "they mean.",
    basis="inferred",
    evidence=("behaviour.receiver_answer", "unknown.delivery_rules"),
)
async def listed_as_sent(play: Play) -> None:
    """All that the checks before have sent and that was taken."""
    _list_command(play)
    missing = await _missing(play, play.taken)
    if missing:
        names = Counter(play.taken[body] for body in missing)
        of = ", ".join(f"{name} ({number})" for name, number in names.items())
        play.fault(f"{len(missing)} of {len(play.taken)} are not listed; they are from: {of}")
    play.note(f"{len(play.taken)} different bodies were acknowledged")


@check(
    "nothing_forged_listed",
    group=GROUP,
    title="Nothing forged is listed",
    expected="no delivery with a wrong or missing secret is among those that the list command prints",
    why="The partner must validate the headers. What is kept of a stranger's delivery belongs somewhere "
    "else.",
    basis="documented",
    evidence=("push.validate_headers",),
)
async def nothing_forged_listed(play: Play) -> None:
    """By the bytes: each forged body was sent once, and only so."""
    found = await _listed(play)
    forged = [what for body, what in play.refused.items() if body in found]
    if forged:
        play.fault(f"{len(forged)} are listed: {', '.join(sorted(set(forged)))}")
    play.note(f"{len(play.refused)} forged bodies were sent")


@check(
    "kept_after_kill",
    group=GROUP,
    title="Nothing acknowledged is lost when killed",
    expected=f"{ROUNDS} times: deliveries are sent, the receiver is killed with -9, started again, and lists "
    "all that it had answered with a 2xx",
    why="Molecule documents no redelivery, so what is acknowledged and lost is gone: store first, then "
    "answer.",
    basis="inferred",
    evidence=("behaviour.receiver_answer", "unknown.delivery_rules"),
)
async def kept_after_kill(play: Play) -> None:
    """Killed with deliveries on their way. A process dies so, not a machine: no cable is pulled here."""
    if play.process is None:
        raise NotApplicableError("no command that starts the receiver was given (--command)")
    _list_command(play)
    for number in range(1, ROUNDS + 1):
        sent, acknowledged = await _load_and_kill(play, play.process)
        await play.process.restart()
        missing = await _missing(play, acknowledged)
        play.result.rounds.append(Round(sent, len(acknowledged), len(missing)))
        if not acknowledged:
            play.fault(
                f"round {number}: nothing was acknowledged in {ROUND_S:g} s, so nothing can be compared"
            )
        elif missing:
            play.fault(f"round {number}: {len(missing)} of {len(acknowledged)} acknowledged are not listed")


async def _load_and_kill(play: Play, process: ReceiverProcess) -> tuple[int, list[bytes]]:
    """How many were sent, and what was acknowledged of it; the receiver is dead afterwards."""
    acknowledged: list[bytes] = []
    sent = 0
    enough = asyncio.Event()

    async def sender() -> None:
        nonlocal sent
        while not enough.is_set() and sent < MOST_IN_A_ROUND:
            for letter in play.ordinary():
                sent += 1
                answer = await play.send_under_load(letter)
                if answer.is_taken:
                    acknowledged.append(letter.webhook.body)
                if len(acknowledged) >= ACKNOWLEDGED:
                    enough.set()

    async with asyncio.TaskGroup() as senders:
        for _ in range(SENDERS):
            senders.create_task(sender())
        try:
            await asyncio.wait_for(enough.wait(), ROUND_S)
        except TimeoutError:
            enough.set()
        process.kill()
    return sent, acknowledged


async def _missing(play: Play, acknowledged: Iterable[bytes]) -> set[bytes]:
    missing = set(acknowledged)
    for look in range(LOOKS):
        if look:
            await asyncio.sleep(PAUSE_S)
        missing -= set(await _listed(play))
        if not missing:
            break
    return missing


async def _listed(play: Play) -> Counter[bytes]:
    return await listed(_list_command(play))


def _list_command(play: Play) -> list[str]:
    if not play.target.list_command:
        raise NotApplicableError("no command that lists what is stored was given (--list-command)")
    return list(play.target.list_command)
