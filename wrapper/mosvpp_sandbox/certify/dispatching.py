"""Checks of the partner's dispatcher: a program that asks a sandbox for one event, and tells how it went.

It gets MOSVPP_BASE_URL, MOSVPP_API_KEY and MOSVPP_MOLECULE_ID, and ends with 0 only where it was told that
its event is accepted. That, and what arrives at the sandbox, is all that can be seen of it from outside.
"""

from __future__ import annotations

import json
from typing import Any

from mosvpp.times import to_wire
from mosvpp_sandbox.faults import Fault

from .check import NotApplicableError, Run, check
from .dispatcher import Dispatched, Twist, listening, run_dispatcher
from .play import Play

__all__ = ["asked_once", "asks_rightly", "keeps_its_key", "only_acceptance", "waits_when_told"]

GROUP = "Dispatching"

PAUSE_S = 1.0
EARLY = 0.9  # of the pause: what a clock and a rounded header may differ by


@check(
    "asks_rightly",
    group=GROUP,
    side="dispatcher",
    title="An event is asked for as documented",
    expected="a dispatch request that the specification allows, with the key in X-API-Key, and exit code 0 "
    "once it is accepted",
    why="The pages name every field of the request and the header. The exit code is how a program tells "
    "that it understood the receipt, whose shape is inferred.",
    basis="documented",
    evidence=("dispatch.call", "transport.api_key", "receipt.dispatch_shape"),
)
async def asks_rightly(play: Play) -> None:
    """Nothing disturbs it."""
    ran = await _run(play, "undisturbed")
    if not ran.dispatches:
        play.fault("no dispatch request came")
    for call in ran.calls:
        if call.status is not None and call.status >= 400:
            play.fault(f"{call.method} {call.path} was refused with {call.status}")
    if ran.code != 0:
        play.fault(f"{_ended(ran)}, although its event was to be accepted")
    play.dispatched = ran


@check(
    "asked_once",
    group=GROUP,
    side="dispatcher",
    title="A lost answer dispatches nothing twice",
    expected="when the connection breaks after the request was received: no second event, and no exit code 0 "
    "without an acceptance",
    why="Whoever asks again with a new event_id has two events. The same id again is an update (inferred).",
    basis="inferred",
    evidence=("dispatch.update_by_same_id", "behaviour.repeat_post"),
)
async def asked_once(play: Play) -> None:
    """The first request is processed, and its answer never comes."""
    usual = _usual(play)
    ran = await _run(play, "answer lost", faults=[Fault("drop", times=1, operation="submit_dispatch")])
    asked, wanted = len(ran.event_ids), len(usual.event_ids)
    if asked > wanted:
        play.fault(f"{asked} different events were asked for, not {wanted}")
    _told_so(play, ran, "its answer was lost")


@check(
    "waits_when_told",
    group=GROUP,
    side="dispatcher",
    title="Retry-After is obeyed",
    expected=f"after 429 with Retry-After: {PAUSE_S:g}, no further request before that time has passed",
    why="Limits are not documented. Servers that send Retry-After often lock out callers who do not wait.",
    basis="inferred",
    evidence=("errors.too_many_requests", "errors.retry_after", "unknown.limits"),
)
async def waits_when_told(play: Play) -> None:
    """Not to ask again at all is waiting, too."""
    _usual(play)
    fault = Fault("too_many_requests", times=1, operation="submit_dispatch", value=PAUSE_S)
    ran = await _run(play, "429, Retry-After", faults=[fault])
    calls = ran.dispatches
    if len(calls) > 1 and (pause := calls[1].seconds - calls[0].seconds) < PAUSE_S * EARLY:
        play.fault(f"it asked again after {pause:.2f} s, not {PAUSE_S:g} s")
    _told_so(play, ran, "it was put off")


@check(
    "keeps_its_key",
    group=GROUP,
    side="dispatcher",
    title="The key does not follow a redirect",
    expected="no X-API-Key at another address when a dispatch is answered with a redirect to it",
    why="The header is documented, redirects are not. A client that follows one gives its key to whoever "
    "is there.",
    basis="inferred",
    evidence=("transport.api_key", "transport.base_url"),
)
async def keeps_its_key(play: Play) -> None:
    """The other address is a listener of ours on another port."""
    _usual(play)
    async with listening() as (elsewhere, arrived):
        ran = await _run(play, "redirected", twist=_redirect(elsewhere))
    if any(arrived):
        play.fault("the key arrived at the address that the redirect named")
    _told_so(play, ran, "it was sent elsewhere")


@check(
    "only_acceptance",
    group=GROUP,
    side="dispatcher",
    title="Only an acceptance counts as one",
    expected="an exit code other than 0 for a page of HTML with status 200, for a receipt that rejects, and "
    "for 500",
    why="A proxy can answer 200 in Molecule's place. An event that nobody has taken must not count as "
    "dispatched.",
    basis="inferred",
    evidence=("behaviour.decoded_acceptance", "receipt.dispatch_shape", "status.words"),
)
async def only_acceptance(play: Play) -> None:
    """Three runs."""
    _usual(play)
    for what, twist in (("HTML with 200", _html), ("a rejecting receipt", _rejected(play)), ("500", _failed)):
        ran = await _run(play, what, twist=twist)
        _told_so(play, ran, f"the answer was {what}")


async def _run(play: Play, what: str, **how: Any) -> Dispatched:
    ran = await run_dispatcher(play.target.dispatcher_command, play.target.molecule_id, **how)
    play.result.runs.append(Run(what, ran.code, ran.calls))
    if ran.code is None:
        play.fault(f"{what}: it was still running after {ran.seconds:.0f} s, and was ended")
    return ran


def _usual(play: Play) -> Dispatched:
    if play.dispatched is None or not play.dispatched.dispatches:
        raise NotApplicableError("the dispatcher sent nothing when nothing disturbed it")
    return play.dispatched


def _told_so(play: Play, ran: Dispatched, why: str) -> None:
    """It may end with 0 only where a request of it was answered with 200, and not by us in its place."""
    if ran.code == 0 and not any(call.is_accepted for call in ran.dispatches):
        play.fault(f"{_ended(ran)} although {why}")


def _ended(ran: Dispatched) -> str:
    return "it did not end" if ran.code is None else f"it ended with exit code {ran.code}"


def _redirect(url: str) -> Twist:
    return lambda _: (307, {"location": f"{url}/v1/api/gateway/elsewhere/dr"}, b"")


def _html(_: bytes) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": "text/html"}, b"<html><body>Please sign in</body></html>"


def _failed(_: bytes) -> tuple[int, dict[str, str], bytes]:
    return (
        500,
        {"content-type": "application/problem+json"},
        b'{"title":"Internal Server Error","status":500}',
    )


def _rejected(play: Play) -> Twist:
    def answer(body: bytes) -> tuple[int, dict[str, str], bytes]:
        request = json.loads(body)
        verdict = {"status": "rejected", "message": "The site takes part in no program."}
        receipt = {
            "molecule_id": play.target.molecule_id,
            "mode": request["mode"],
            "timestamp": to_wire(play.next_time()),
            **verdict,
            "event_slots": [{"event_id": slot["event_id"], **verdict} for slot in request["event_slots"]],
        }
        return 200, {"content-type": "application/json"}, json.dumps(receipt).encode()

    return answer
