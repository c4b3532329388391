"""Checks of what a receiver makes of contents that it has not seen before, and of what is no JSON at all."""

from __future__ import annotations

import json
from typing import Any

from mosvpp.times import to_wire

from .check import check
from .play import Letter, Play
from .target import Kind

__all__ = [
    "malformed",
    "nan",
    "new_metrics",
    "other_shapes",
    "two_forms",
    "unknown_fields",
    "unknown_words",
    "written_times",
]

GROUP = "Surprises"
BROKEN = "What is no JSON"


@check(
    "two_forms",
    group=GROUP,
    title="Both forms of a response are taken",
    expected="a 2xx for a list of events in an envelope, and for the flat form of one event",
    why="No body of an execution response could be read; we infer these two, and either is as likely.",
    basis="inferred",
    evidence=("execution.shape", "execution.two_forms"),
)
async def two_forms(play: Play) -> None:
    """Nested, flat, and nested with two events."""
    play.require("execution_response")
    webhooks = play.webhooks
    kind: Kind = "execution_response"
    flat = webhooks.execution_response(shape="flat", executed_quantity=4.8, event_unit="kW")
    both = json.loads(webhooks.execution_response().body)
    both["event_slots"] += json.loads(webhooks.execution_response(status="failed").body)["event_slots"]
    await play.must_take(
        play.report("the envelope"),
        Letter(kind, flat, "the flat form"),
        Letter(kind, webhooks.json(both), "two events in one envelope"),
    )


@check(
    "unknown_fields",
    group=GROUP,
    title="Unknown fields are taken",
    expected="a 2xx for bodies with fields that no page names, at the top and further in",
    why="Device health, market participation and multi-device performance data are announced for data "
    "pushes. That execution responses grow too is inferred.",
    basis="documented",
    evidence=("push.future_contents",),
)
async def unknown_fields(play: Play) -> None:
    """New fields of every type."""
    new: dict[str, Any] = {"market_participation": {"program": "FCR-D", "share": 0.25}, "sequence": 7}
    if play.has("data_push"):
        devices = [
            {"device_id": "20000", "metrics": {"power_output": 4.8}, "device_health": {"status": "ok"}}
        ]
        webhook = play.webhooks.data_push(**new)
        within = play.webhooks.data_push(devices=devices)
        await play.must_take(
            Letter("data_push", webhook, "new fields at the top"),
            Letter("data_push", within, "a new field in a device"),
        )
    if play.has("execution_response"):
        nested = play.webhooks.execution_response(baseline={"method": "10-of-10", "kw": 1.25})
        flat = play.webhooks.execution_response(shape="flat", reason_code=None, **new)
        await play.must_take(
            Letter("execution_response", nested, "a new field in an event"),
            Letter("execution_response", flat, "new fields at the top"),
        )


@check(
    "unknown_words",
    group=GROUP,
    title="Unknown status words are taken",
    expected="a 2xx for execution responses whose status is a word that you have not seen yet",
    why="That a response has a status is documented, its words are not. One that is refused may never "
    "come again.",
    basis="inferred",
    evidence=("status.words",),
)
async def unknown_words(play: Play) -> None:
    """In both forms."""
    play.require("execution_response")
    for status in ("DONE", "CURTAILED_BY_GRID_OPERATOR", "completed_with_warnings"):
        nested = play.webhooks.execution_response(status=status)
        flat = play.webhooks.execution_response(status=status, shape="flat")
        await play.must_take(
            Letter("execution_response", nested, f"{status}, in an envelope"),
            Letter("execution_response", flat, f"{status}, flat"),
        )


@check(
    "new_metrics",
    group=GROUP,
    title="New metrics are taken",
    expected="a 2xx for data pushes with metrics and devices that you do not know, or with none",
    why="The names of metrics are not enumerated, so new ones come without notice.",
    basis="documented",
    evidence=("push.metric_names_open", "push.metrics"),
)
async def new_metrics(play: Play) -> None:
    """New names, texts for numbers, no metrics, no devices."""
    play.require("data_push")
    for what, metrics in (
        ("new names", {"20000": {"cell_voltage_max": 3.412, "firmware": "7.1.0-rc2"}}),
        ("an unknown device", {"a device of tomorrow": {"power_output": -1.5}}),
        ("a text where a number was", {"20000": {"state_of_charge": "n/a"}}),
        ("a device without metrics", {"20000": {}}),
        ("no devices", {}),
    ):
        await play.must_take(Letter("data_push", play.webhooks.data_push(metrics), what))


@check(
    "written_times",
    group=GROUP,
    title="Times in other spellings are taken",
    expected="a 2xx for times with an offset, without one, and with seven digits after the full stop",
    why="The samples end in Z. Servers of the kind that we suspect write seven digits, and may leave out "
    "the offset.",
    basis="inferred",
    evidence=("times.reading",),
)
async def written_times(play: Play) -> None:
    """In the field that all bodies share."""
    for kind, webhook, _ in play.ordinary():
        body = json.loads(webhook.body)
        plain = body["timestamp"].removesuffix("Z")
        for what, text in (
            ("an offset", f"{plain}+00:00"),
            ("seven digits", f"{plain}.1234567Z"),
            ("no offset", f"{plain}.5"),
        ):
            await play.must_take(Letter(kind, play.webhooks.json({**body, "timestamp": text}), what))


@check(
    "other_shapes",
    group=GROUP,
    title="JSON of an unknown shape is taken",
    expected="a 2xx for JSON that has nothing of the known fields",
    why="New contents are announced, and the end of each page could not be read. What cannot be "
    "understood today is worth keeping: no page promises that it is sent again.",
    basis="inferred",
    evidence=("push.future_contents", "behaviour.receiver_answer"),
)
async def other_shapes(play: Play) -> None:
    """An object, an empty one, a list."""
    for kind in play.target.kinds:
        for what, value in (
            ("another object", {"notice": "maintenance", "at": to_wire(play.next_time())}),
            ("fields in another case", {"moleculeId": "x", "timeStamp": to_wire(play.next_time())}),
            ("a list", [to_wire(play.next_time())]),
        ):
            await play.must_take(Letter(kind, play.webhooks.json(value), what))


@check(
    "nan",
    group=BROKEN,
    title="NaN and Infinity do no harm",
    expected="any answer below 500, and ordinary deliveries are taken afterwards",
    why="Neither is JSON, but many writers let them out and some readers let them in, where they break "
    "sums and databases later.",
    basis="inferred",
    evidence=("behaviour.json_only",),
)
async def nan(play: Play) -> None:
    """As a metric, and as a delivered quantity."""
    for word in ("NaN", "Infinity", "-Infinity"):
        if play.has("data_push"):
            body = play.push().webhook.body.replace(b"82.5", word.encode())
            await play.must_survive(Letter("data_push", play.webhooks.raw(body), f"{word} as a metric"))
        if play.has("execution_response"):
            report = play.webhooks.execution_response(executed_quantity=82.5, event_unit="kW").body
            body = report.replace(b"82.5", word.encode())
            await play.must_survive(
                Letter("execution_response", play.webhooks.raw(body), f"{word} as a quantity")
            )
    await play.must_take(*play.ordinary("an ordinary one afterwards"))


@check(
    "malformed",
    group=BROKEN,
    title="What is no JSON does no harm",
    expected="any answer below 500, and ordinary deliveries are taken afterwards",
    why="Proxies cut bodies off and put their own pages in their place. A receiver that fails on one of "
    "them must not lose the next delivery.",
    basis="inferred",
    evidence=("behaviour.json_only",),
)
async def malformed(play: Play) -> None:
    """Nothing, halves, other encodings, what readers disagree about, what exhausts them."""
    for kind, webhook, _ in play.ordinary():
        body = webhook.body
        for what, broken in (
            ("no bytes at all", b""),
            ("cut off in the middle", body[: len(body) // 2]),
            ("a page of HTML", b"<html><body>502 Bad Gateway</body></html>"),
            ("bytes that are not UTF-8", body.replace(b'"timestamp":"', b'"timestamp":"\xff\xfe', 1)),
            ("UTF-16", body.decode().encode("utf-16")),
            ("one field twice", b'{"molecule_id":"another",' + body[1:]),
            ("half of a surrogate pair", body.replace(b'"timestamp":"', b'"timestamp":"\\ud83d', 1)),
            ("a number of 400 digits", _endless(body, kind)),
            ("10,000 brackets", b"[" * 10_000),
            ("null", b"null"),
        ):
            await play.must_survive(Letter(kind, play.webhooks.raw(broken), what))
    await play.must_take(*play.ordinary("an ordinary one afterwards"))


def _endless(body: bytes, kind: Kind) -> bytes:
    """A number that no float holds, in a field where a number belongs."""
    if kind == "data_push":
        return body.replace(b"82.5", b"9" * 400)
    return body[:-1] + b',"executed_quantity":' + b"9" * 400 + b"}"
