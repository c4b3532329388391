"""What the SDK makes of what arrives: told by running it, never from memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from mosvpp import Client, DataPush, EventSlot, ExecutionReport, commands, errors, kW, shed, webhooks
from mosvpp.clock import SystemClock
from mosvpp.signatures import SharedHeaders

from .samples import SITE
from .sources import Call, Example, Webhook

HOUR = timedelta(hours=1)
_START = datetime(2024, 1, 5, tzinfo=UTC)
_EVENT_ID = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"


def of_reply(call: Call, example: Example) -> str:
    """What the client gives back for an answer: the outcome, or the error."""
    answer = httpx.Response(
        example.status or 200,
        content=example.raw.encode(),
        headers={"Content-Type": "application/json", **example.headers},
    )
    try:
        result = _ask(call, example.value, httpx.MockTransport(lambda _: answer))
    except errors.MosVPPError as error:
        return f"`{type(error).__name__}`"
    if call.id == "sync_devices":
        return f"{len(result)} devices" if len(result) != 1 else "1 device"
    return f"`{result.outcome}`, by `{result.certainty}`"


def _ask(call: Call, reply: Any, transport: httpx.BaseTransport) -> Any:
    with Client("a-key-for-reading", transport=transport, allow_live=True, clock=Hurried()) as client:
        if call.id == "sync_devices":
            return client.sync_devices(SITE)
        if call.id == "submit_dispatch":
            slots = reply.get("event_slots") or []
            ids = [slot["event_id"] for slot in slots if slot.get("event_id")] or [_EVENT_ID]
            return client.submit_dispatch(SITE, [_slot(event_id) for event_id in ids], mode="test")
        devices = reply.get("scmd_devices") or []
        names = [device["device_id"] for device in devices if device.get("device_id")] or ["20000"]
        wanted = [commands.turn_off(name) for name in names]
        return client.submit_site_command(
            SITE, wanted, duration=timedelta(minutes=15), scmd_id=reply.get("scmd_id")
        )


def _slot(event_id: str) -> EventSlot:
    return shed(5 * kW, start=_START, duration=HOUR, priority=50, event_id=event_id)


def of_delivery(webhook: Webhook, example: Example) -> str:
    """What `parse` gives for a delivery."""
    verifier = SharedHeaders({"X-API-Key": "secret-for-reading"})
    kind: Any = webhook.id.removeprefix("receive_")
    headers = {"X-API-Key": "secret-for-reading"}
    delivery = webhooks.parse(example.raw.encode(), headers, verifier=verifier, expect=kind)
    if isinstance(delivery, ExecutionReport):
        results = delivery.results
        return f"`ExecutionReport`: {', '.join(sorted({str(result.status) for result in results}))}"
    if isinstance(delivery, DataPush):
        return f"`DataPush` with {len(delivery.devices)} devices"
    return f"`UnknownDelivery`: {delivery.reason}"


def far_ahead() -> datetime:
    """A start that no wait between attempts reaches."""
    return datetime.now(UTC) + 24 * HOUR


class Hurried(SystemClock):
    """Time in which no waiting takes any."""

    def sleep(self, seconds: float) -> None:
        """Do not."""


@dataclass(frozen=True)
class Situation:
    """What may come of a call. `answers` are tried by a test, so that the table stays true."""

    what: str
    gives: str  # the class of an error, or `receipt`
    done: str
    again: str
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    failure: type[httpx.HTTPError] | None = None


_PROBLEM = b'{"title": "A problem"}'
_DEVICES = f'{{"molecule_id": "{SITE}", "devices": []}}'.encode()
_ACCEPTED = b'{"status": "accepted"}'
_REJECTED = b'{"status": "rejected"}'
_WAIT = {"Retry-After": "1"}
_REFUSALS = (400, 401, 403, 404, 409, 422)
THRICE = "three attempts, then this"

_POST = [
    Situation("An acceptance that decodes", "receipt", "accepted", "no need", [(200, {}, _ACCEPTED)]),
    Situation("A receipt that rejects everything", "RejectedError", "refused", "no", [(200, {}, _REJECTED)]),
    Situation(
        "A 2xx that is empty, no JSON or not recognised",
        "receipt",
        "**unknown**: `outcome` says so",
        "no",
        [(200, {}, b""), (202, {}, b"<p>ok</p>"), (200, {}, b"{}")],
    ),
    Situation(
        ", ".join(map(str, _REFUSALS)),
        "RejectedError",
        "refused",
        "no",
        [(status, {}, _PROBLEM) for status in _REFUSALS],
    ),
    Situation(
        "429, or 503 with Retry-After",
        "RejectedError",
        "the server says that it did nothing",
        THRICE,
        [(429, {}, _PROBLEM), (503, _WAIT, _PROBLEM)],
    ),
    Situation(
        "Any other 5xx",
        "OutcomeUnknownError",
        "**unknown**",
        "no",
        [(500, {}, _PROBLEM), (502, {}, b"<html>"), (503, {}, _PROBLEM)],
    ),
    Situation(
        "No answer in time, a dropped connection, an answer cut off or too long",
        "OutcomeUnknownError",
        "**unknown**",
        "no",
        failure=httpx.ReadTimeout,
    ),
    Situation("No connection", "UnreachableError", "nothing was sent", THRICE, failure=httpx.ConnectError),
    Situation("A redirect", "UnexpectedResponseError", "not here", "no", [(302, {"Location": "/"}, b"")]),
]
_GET = [
    Situation("A device list of the site", "devices", "answered", "no need", [(200, {}, _DEVICES)]),
    Situation(
        "A 2xx that cannot be read, or with the list of another site",
        "UnexpectedResponseError",
        "nothing changed",
        "no",
        [(200, {}, b"<p>ok</p>"), (200, {}, b"{}"), (200, {}, b'{"molecule_id": "x", "devices": []}')],
    ),
    Situation(
        "401, 403, 404 and other 4xx",
        "RejectedError",
        "refused",
        "no",
        [(status, {}, _PROBLEM) for status in (400, 401, 403, 404)],
    ),
    Situation(
        "429, or 503 with Retry-After",
        "RejectedError",
        "refused",
        THRICE,
        [(429, {}, _PROBLEM), (503, _WAIT, b"")],
    ),
    Situation("Any other 5xx", "UnexpectedResponseError", "nothing changed", THRICE, [(500, {}, _PROBLEM)]),
    Situation("No connection", "UnreachableError", "nothing changed", THRICE, failure=httpx.ConnectError),
    Situation("No answer in time", "UnreachableError", "nothing changed", THRICE, failure=httpx.ReadTimeout),
    Situation(
        "A redirect", "UnexpectedResponseError", "nothing changed", "no", [(302, {"Location": "/"}, b"")]
    ),
]


def situations(method: str) -> list[Situation]:
    """What may come of a GET, or of a POST."""
    return _GET if method == "GET" else _POST
