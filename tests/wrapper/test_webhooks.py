from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

import corpus
from mosvpp import webhooks
from mosvpp.drift import Drift
from mosvpp.errors import AuthenticationError, MosVPPError, PayloadError, RuleError
from mosvpp.events import DataPush, ExecutionReport, UnknownDelivery
from mosvpp.signatures import Headers, HmacSignature, SharedHeaders, sign
from mosvpp.statuses import EventStatus
from mosvpp.units import kW

VERIFIER = SharedHeaders({"X-API-Key": "secret"})
HEADERS = {"X-API-Key": "secret"}
NOW = datetime(2024, 1, 5, 1, tzinfo=UTC)

PUSH: dict[str, Any] = {
    "timestamp": "2024-01-05T00:15:00Z",
    "molecule_id": "fecd0001c031e7e8",
    "devices": [{"device_id": "20000", "metrics": {"power_output": 4.8, "mode": "auto"}}],
}
SLOT: dict[str, Any] = {
    "event_id": "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D",
    "status": "completed",
    "start_time": "2024-01-05T00:00:00Z",
    "end_time": "2024-01-05T01:00:00Z",
    "executed_quantity": 4.8,
    "event_unit": "kW",
}
RESPONSE: dict[str, Any] = {
    "molecule_id": "fecd0001c031e7e8",
    "mode": "test",
    "timestamp": "2024-01-05T01:00:05Z",
    "status": "completed",
    "event_slots": [SLOT],
}
FLAT: dict[str, Any] = {"molecule_id": "fecd0001c031e7e8", **SLOT}


class Read:
    """One parsed body, and the surprises in it."""

    def __init__(self, body: Any, **options: Any) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.drifts: list[Drift] = []
        options = {"on_drift": self.drifts.append, **options}
        self.delivery: Any = webhooks.parse(raw, HEADERS, verifier=VERIFIER, **options)
        assert self.delivery.raw == raw

    @property
    def surprises(self) -> list[tuple[str, str]]:
        return [(drift.kind, drift.path) for drift in self.drifts]


# --- a body as it should be ---------------------------------------------------------------------------------


def test_a_data_push_is_read() -> None:
    read = Read(PUSH)
    push = read.delivery
    assert isinstance(push, DataPush)
    assert push.kind == "data_push"
    assert push.molecule_id == "fecd0001c031e7e8"
    assert push.timestamp == datetime(2024, 1, 5, 0, 15, tzinfo=UTC)
    assert push.metric("20000", "power_output") == 4.8
    assert push.metric("20000", "mode") == "auto"
    assert push.times_had_offset
    assert push.unknown_fields == {}
    assert read.drifts == []


@pytest.mark.parametrize("body", [RESPONSE, FLAT], ids=["envelope", "flat"])
def test_both_forms_of_an_execution_response_are_read_alike(body: dict[str, Any]) -> None:
    read = Read(body)
    report = read.delivery
    assert isinstance(report, ExecutionReport)
    assert report.kind == "execution_response"
    assert report.molecule_id == "fecd0001c031e7e8"
    assert report.status is EventStatus.COMPLETED
    (result,) = report.results
    assert result.event_id == "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
    assert result.status is EventStatus.COMPLETED
    assert result.status_text == "completed"
    assert result.started_at == datetime(2024, 1, 5, tzinfo=UTC)
    assert result.ended_at == datetime(2024, 1, 5, 1, tzinfo=UTC)
    assert result.executed_power == 4.8 * kW
    assert read.drifts == []


def test_a_result_is_found_by_the_value_of_its_id() -> None:
    report = Read(RESPONSE).delivery
    for event_id in (SLOT["event_id"], SLOT["event_id"].lower(), UUID(SLOT["event_id"])):
        assert report.result(event_id) is report.results[0]
    with pytest.raises(KeyError):
        report.result("3c1e6f0a-9b52-4d7e-8a10-5f2c7d9e4b61")


def test_a_slot_without_a_status_takes_that_of_the_envelope() -> None:
    slots = [
        {**SLOT, "status": None},
        {"event_id": "b"},
        {"event_id": "c", "status": "failed"},
        {"event_id": "d", "status": ""},
    ]
    read = Read({**RESPONSE, "status": "Executed", "event_slots": slots})
    assert [result.status for result in read.delivery.results] == [
        "completed",
        "completed",
        "failed",
        "completed",
    ]
    assert [result.status_text for result in read.delivery.results] == [
        "Executed",
        "Executed",
        "failed",
        "Executed",
    ]
    assert read.drifts == []


def test_a_response_that_says_nothing_of_a_status_is_unknown_and_reported() -> None:
    read = Read({"event_slots": [{"event_id": "a"}]})
    assert read.delivery.results[0].status is EventStatus.UNKNOWN
    assert read.delivery.results[0].status_text is None
    assert read.surprises == [("unexpected_shape", "$.event_slots[0]")]


def test_devices_of_a_result_speak_for_themselves() -> None:
    devices = [
        {"device_id": "1", "status": "failed", "message": "offline"},
        {"device_id": "2", "executed_quantity": 4800, "event_unit": "w"},
    ]
    read = Read({**FLAT, "devices": devices})
    first, second = read.delivery.results[0].devices
    assert (first.status, first.status_text, first.message) == (EventStatus.FAILED, "failed", "offline")
    assert (second.status, second.executed_power) == (EventStatus.UNKNOWN, 4.8 * kW)
    assert read.drifts == []


@pytest.mark.parametrize(
    ("quantity", "unit", "power", "surprises"),
    [
        (4.8, "kW", 4.8 * kW, []),
        (0, "kW", 0 * kW, []),
        (4800, "w", 4.8 * kW, []),
        (4.8, "kWh", None, [("unknown_word", "$.event_unit")]),
        (4.8, "KW", None, [("unknown_word", "$.event_unit")]),
        (4.8, "mW", None, [("unknown_word", "$.event_unit")]),
        (-4.8, "kW", None, [("unexpected_shape", "$.executed_quantity")]),
        (4.8, None, None, []),
        (None, "kW", None, []),
    ],
)
def test_a_quantity_is_a_power_only_with_a_unit_of_power(
    quantity: float | None, unit: str | None, power: Any, surprises: list[Any]
) -> None:
    read = Read({**FLAT, "executed_quantity": quantity, "event_unit": unit})
    (result,) = read.delivery.results
    assert result.executed_power == power
    assert (result.executed_quantity, result.executed_unit) == (quantity, unit)
    assert read.surprises == surprises


# --- surprises are kept and reported, never raised ----------------------------------------------------------


def test_unknown_fields_are_kept_by_their_paths_and_reported() -> None:
    body = {
        **PUSH,
        "sequence": 17,
        "devices": [{**PUSH["devices"][0], "health": {"online": True}, "odd key": None}],
    }
    read = Read(body)
    assert isinstance(read.delivery, DataPush)
    assert read.delivery.unknown_fields == {
        "$.sequence": 17,
        "$.devices[0].health": {"online": True},
        "$.devices[0]['odd key']": None,
    }
    assert {drift.detail for drift in read.drifts} == {"sequence", "health", "odd key"}
    assert {drift.kind for drift in read.drifts} == {"unknown_field"}
    assert {drift.operation for drift in read.drifts} == {"receive_data_push"}


def test_unknown_fields_are_kept_without_on_drift_too() -> None:
    assert Read({**PUSH, "sequence": 17}, on_drift=None).delivery.unknown_fields == {"$.sequence": 17}
    body = {
        **RESPONSE,
        "program": 1,
        "event_slots": [{**SLOT, "baseline": 2, "devices": [{"device_id": "a", "soc": 3}]}],
    }
    assert Read(body, on_drift=None).delivery.unknown_fields == {
        "$.program": 1,
        "$.event_slots[0].baseline": 2,
        "$.event_slots[0].devices[0].soc": 3,
    }


@pytest.mark.parametrize(
    ("value", "detail"),
    [(None, "null"), (True, "true or false"), ([1], "a list"), ({"value": 1}, "an object")],
)
def test_a_metric_that_is_neither_number_nor_text_is_set_aside(value: Any, detail: str) -> None:
    metrics = {"power_output": 4.8, "online": value}
    read = Read({**PUSH, "devices": [{"device_id": "20000", "metrics": metrics}]})
    assert read.delivery.devices[0].metrics == {"power_output": 4.8}
    assert read.delivery.unknown_fields == {"$.devices[0].metrics.online": value}
    assert read.surprises == [("unexpected_shape", "$.devices[0].metrics.online")]
    assert detail in read.drifts[0].detail


def _renamed(body: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(body, list):
        return [_renamed(item, rename) for item in body]
    if isinstance(body, dict):
        return {
            rename(key): value if key == "metrics" else _renamed(value, rename) for key, value in body.items()
        }
    return body


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _camel(name: str) -> str:
    return _pascal(name)[0].lower() + _pascal(name)[1:]


@pytest.mark.parametrize("rename", [_camel, _pascal, str.upper, lambda name: name.replace("_", "-")])
@pytest.mark.parametrize("body", [PUSH, RESPONSE, FLAT], ids=["push", "envelope", "flat"])
def test_keys_in_another_case_are_understood_and_reported(
    body: dict[str, Any], rename: Callable[[str], str]
) -> None:
    renamed = _renamed(body, rename)
    read, plain = Read(renamed), Read(body)
    assert type(read.delivery) is type(plain.delivery)
    assert msgspec.structs.replace(read.delivery, raw=b"") == msgspec.structs.replace(plain.delivery, raw=b"")
    assert {drift.kind for drift in read.drifts} == {"unexpected_shape"}
    changed = [key for key in body if rename(key) != key]
    assert {f"read as {key}" for key in changed} <= {drift.detail for drift in read.drifts}


@pytest.mark.parametrize("first", [False, True])
def test_one_field_twice_with_one_value_is_read_and_reported(first: bool) -> None:
    again = {"Status": "completed", "moleculeId": FLAT["molecule_id"]}
    read = Read({**again, **FLAT} if first else {**FLAT, **again})
    assert read.delivery.results[0].status is EventStatus.COMPLETED
    assert read.delivery.unknown_fields == {f"$.{name}": value for name, value in again.items()}
    assert {kind for kind, _ in read.surprises} == {"unknown_field"}


@pytest.mark.parametrize(
    ("body", "again", "path"),
    [
        (FLAT, {"Status": "failed"}, "$.Status"),
        (FLAT, {"EventId": "other"}, "$.EventId"),
        (FLAT, {"executedQuantity": 4.9}, "$.executedQuantity"),
        (RESPONSE, {"eventSlots": []}, "$.eventSlots"),
        (RESPONSE, {"eventSlots": [{**SLOT, "status": "failed"}]}, "$.eventSlots"),
        (PUSH, {"Devices": []}, "$.Devices"),
        (PUSH, {"TIMESTAMP": "2024-01-05T00:15:01Z"}, "$.TIMESTAMP"),
        (PUSH, {"moleculeId": None}, "$.moleculeId"),
        ({"event_id": "a", "Status": "failed"}, {"STATUS": "completed"}, "$.STATUS"),
        (
            {**RESPONSE, "event_slots": []},
            {"event_slots": [{**SLOT, "Status": "failed"}]},
            "$.event_slots[0].Status",
        ),
    ],
    ids=[f"field {number}" for number in range(10)],
)
@pytest.mark.parametrize("first", [False, True])
def test_one_field_twice_with_different_values_says_nothing(
    body: dict[str, Any], again: dict[str, Any], path: str, first: bool
) -> None:
    """Whichever were read, another reader might read the other."""
    read = Read({**again, **body, **again} if first else {**body, **again})
    assert read.delivery.reason == "does_not_fit"
    assert "differ, and are one field" in read.delivery.detail
    assert first or f"`{path}`" in read.delivery.detail


def test_true_is_not_the_number_one() -> None:
    assert Read({**FLAT, "status": 1, "Status": True}).delivery.reason == "does_not_fit"
    assert "differ" in Read({**FLAT, "executed_quantity": 1, "ExecutedQuantity": True}).delivery.detail
    assert Read({**FLAT, "executed_quantity": 1, "ExecutedQuantity": 1.0}).delivery.results


def test_names_of_metrics_are_left_alone() -> None:
    metrics = {"Timestamp": "x", "device_id": "y", "deviceId": 1}
    read = Read({**PUSH, "devices": [{"device_id": "1", "metrics": metrics}], "more": 1})
    assert read.delivery.devices[0].metrics == metrics


UTC_TIMES = {
    "2024-01-05T00:15:00Z": (0, True),
    "2024-01-05T00:15:00+00:00": (0, True),
    "2024-01-05T01:15:00+01:00": (0, True),
    "2024-01-04T19:15:00-0500": (0, True),
    "2024-01-05t00:15:00z": (0, True),
    "2024-01-05 00:15:00Z": (0, True),
    "2024-01-05T00:15Z": (0, True),
    "2024-01-05T00:15:00.1234560Z": (123456, True),
    "2024-01-05T00:15:00.1234567Z": (123456, True),
    "2024-01-05T00:15:00.123456789012Z": (123456, True),
    "2024-01-05T00:15:00.99999999Z": (999999, True),
    "2024-01-05T00:15:00.0000009Z": (0, True),
    "2024-01-05T00:15:00,5Z": (500000, True),
    "2024-01-05T00:15:00": (0, False),
    "2024-01-05T00:15:00.1234567": (123456, False),
    "2024-01-05 00:15": (0, False),
}


@pytest.mark.parametrize("extra", [{}, {"more": 1}], ids=["quick", "close"])
@pytest.mark.parametrize(("text", "expected"), UTC_TIMES.items())
def test_times_are_read_in_every_spelling(
    text: str, expected: tuple[int, bool], extra: dict[str, Any]
) -> None:
    microsecond, had_offset = expected
    read = Read({**PUSH, "timestamp": text, **extra})
    assert read.delivery.timestamp == datetime(2024, 1, 5, 0, 15, 0, microsecond, tzinfo=UTC)
    assert read.delivery.timestamp.tzinfo is UTC
    assert read.delivery.times_had_offset is had_offset
    assert (("time_without_offset", "$.timestamp") in read.surprises) is not had_offset


@pytest.mark.parametrize("extra", [{}, {"more": 1}], ids=["quick", "close"])
@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "2024-01-05", "20240105", "00:15:00", "2024-13-05T00:15:00Z", "2024-01-05T25:00:00Z"),
        *("2024-01-05T23:59:60Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1704413700"),
        *("2024-01-05T00:15:00+25:00", "2024-01-05T00:15:00Z\0junk", "2024-01-05\u201300:15:00Z"),
    ],
)
def test_a_text_that_is_no_time_makes_the_delivery_an_unknown_one(text: str, extra: dict[str, Any]) -> None:
    read = Read({**PUSH, "timestamp": text, **extra})
    assert read.delivery.reason == "does_not_fit"
    assert "`$.timestamp`" in read.delivery.detail


def test_digits_beyond_microseconds_are_cut_however_they_are_escaped() -> None:
    body = json.dumps({**PUSH, "timestamp": "2024-01-05T00:15:00.99999X9Z"}).encode()
    for digits in (rb"9", rb"\u0039"):
        timestamp = Read(body.replace(b"X", digits)).delivery.timestamp
        assert timestamp == datetime(2024, 1, 5, 0, 15, 0, 999999, tzinfo=UTC)


def test_times_of_a_result_without_an_offset_are_reported_one_by_one() -> None:
    slot = {**SLOT, "start_time": "2024-01-05T00:00:00", "end_time": "2024-01-05T01:00:00"}
    read = Read({**RESPONSE, "event_slots": [slot]})
    assert not read.delivery.times_had_offset
    assert read.delivery.results[0].started_at == datetime(2024, 1, 5, tzinfo=UTC)
    assert read.surprises == [
        ("time_without_offset", "$.event_slots[0].start_time"),
        ("time_without_offset", "$.event_slots[0].end_time"),
    ]


def test_unknown_words_keep_their_text_and_are_reported() -> None:
    slot = {**SLOT, "status": "perhaps", "devices": [{"device_id": "1", "status": "maybe"}]}
    read = Read({**RESPONSE, "mode": "drill", "status": "so so", "event_slots": [slot]})
    report = read.delivery
    assert (report.mode, report.status, report.status_text) == ("drill", EventStatus.UNKNOWN, "so so")
    assert (report.results[0].status, report.results[0].status_text) == (EventStatus.UNKNOWN, "perhaps")
    assert sorted(read.surprises) == [
        ("unknown_word", "$.event_slots[0].devices[0].status"),
        ("unknown_word", "$.event_slots[0].status"),
        ("unknown_word", "$.mode"),
        ("unknown_word", "$.status"),
    ]


def test_the_partner_can_add_status_words() -> None:
    read = Read(
        {**FLAT, "status": "All-Done"}, statuses={"ALL_DONE": "completed", "other": EventStatus.FAILED}
    )
    assert read.delivery.results[0].status is EventStatus.COMPLETED
    assert read.delivery.results[0].status_text == "All-Done"
    assert read.drifts == []


def test_a_fault_in_on_drift_loses_no_delivery(caplog: pytest.LogCaptureFixture) -> None:
    def faulty(drift: Drift) -> None:
        raise ZeroDivisionError

    assert Read({**PUSH, "more": 1}, on_drift=faulty).delivery.unknown_fields == {"$.more": 1}
    assert "ZeroDivisionError" in caplog.text


# --- shapes that are not known ------------------------------------------------------------------------------

UNKNOWN: dict[str, tuple[Any, str | None, str, str]] = {
    "null": (None, None, "not_an_object", "null"),
    "a number": (5, None, "not_an_object", "a number"),
    "true": (True, "data_push", "not_an_object", "true or false"),
    "a text": ("ping", None, "not_an_object", "a text"),
    "a list of pushes": ([PUSH], "data_push", "not_an_object", "a list"),
    "an empty object": ({}, None, "unrecognised", "neither"),
    "other words": ({"site": "x", "state": "done"}, None, "unrecognised", "neither"),
    "in an envelope": ({"data": PUSH}, None, "unrecognised", "neither"),
    "in an envelope, where a push is expected": ({"data": PUSH}, "data_push", "does_not_fit", "timestamp"),
    "neither, where a response is expected": ({"a": 1}, "execution_response", "does_not_fit", "event_id"),
    "a push for the other URL": (PUSH, "execution_response", "other_kind", "a data push"),
    "a response for the other URL": (RESPONSE, "data_push", "other_kind", "an execution response"),
    "a flat response for the other URL": (FLAT, "data_push", "other_kind", "an execution response"),
    "both at once": ({**PUSH, **RESPONSE}, None, "ambiguous", "metrics"),
    "a push without devices": ({**PUSH, "devices": None}, None, "does_not_fit", "`$.devices`"),
    "a push without a site": (
        {k: v for k, v in PUSH.items() if k != "molecule_id"},
        None,
        "does_not_fit",
        "molecule_id",
    ),
    "a device with a number as id": (
        {**PUSH, "devices": [{"device_id": 20000, "metrics": {}}]},
        None,
        "does_not_fit",
        "`$.devices[0].device_id`",
    ),
    "metrics as a list": (
        {**PUSH, "devices": [{"device_id": "1", "metrics": []}]},
        None,
        "does_not_fit",
        "metrics",
    ),
    "a device that is a text": ({**PUSH, "devices": ["20000"]}, None, "does_not_fit", "`$.devices[0]`"),
    "slots that are null": ({**RESPONSE, "event_slots": None}, None, "does_not_fit", "`$.event_slots`"),
    "a status that is a number": ({**FLAT, "status": 3}, None, "does_not_fit", "`$.status`"),
    "a quantity that is a text": (
        {**FLAT, "executed_quantity": "4.8"},
        None,
        "does_not_fit",
        "executed_quantity",
    ),
    "a time that is a number": ({**PUSH, "timestamp": 1704413700}, None, "does_not_fit", "`$.timestamp`"),
}


@pytest.mark.parametrize(("body", "expect", "reason", "detail"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_json_of_another_shape_is_an_unknown_delivery(
    body: Any, expect: str | None, reason: str, detail: str
) -> None:
    read = Read(body, expect=expect)
    unknown = read.delivery
    assert isinstance(unknown, UnknownDelivery)
    assert unknown.kind == "unknown"
    assert unknown.reason == reason
    assert detail in unknown.detail
    assert unknown.expected == expect
    assert unknown.json == body
    assert read.surprises == [("unexpected_shape", "$")]
    seen_as = expect or (
        reason == "does_not_fit" and ("execution_response" if "status" in body else "data_push")
    )
    assert read.drifts[0].operation == (f"receive_{seen_as}" if seen_as else "receive")


@pytest.mark.parametrize(
    ("expect", "kind"), [("data_push", DataPush), ("execution_response", ExecutionReport)]
)
def test_what_could_be_either_is_what_the_url_expects(expect: str, kind: type) -> None:
    read = Read({**PUSH, **RESPONSE}, expect=expect)
    assert isinstance(read.delivery, kind)
    assert read.delivery.unknown_fields


def test_a_push_of_new_contents_with_an_event_id_is_still_a_push_where_one_is_expected() -> None:
    body = {**PUSH, "event_id": "8A7D"}
    assert Read(body, expect="data_push").delivery.unknown_fields == {"$.event_id": "8A7D"}


# --- bytes that are no acceptable JSON ----------------------------------------------------------------------

DEEP = b'{"a":' * 65 + b"1" + b"}" * 65
PUSH_BYTES = json.dumps(PUSH, separators=(",", ":")).encode()


def with_metric(text: bytes) -> bytes:
    return PUSH_BYTES.replace(b"4.8", text)


UNREADABLE: dict[str, tuple[str, bytes]] = {
    "nothing": ("empty", b""),
    "white space": ("empty", b" \r\n\t"),
    "a mark and nothing": ("not_json", b"\xef\xbb\xbf"),
    "a word": ("not_json", b"ping"),
    "cut off": ("not_json", PUSH_BYTES[:-1]),
    "followed by another": ("not_json", PUSH_BYTES * 2),
    "followed by a zero byte": ("not_json", PUSH_BYTES + b"\0"),
    "single quotes": ("not_json", str(PUSH).encode()),
    "a comma too many": ("not_json", b"[1,]"),
    "a comment": ("not_json", b"[1/**/]"),
    "a leading zero": ("not_json", with_metric(b"04")),
    "a plus": ("not_json", with_metric(b"+4")),
    "a line break in a text": ("not_json", with_metric(b'"a\nb"')),
    "an unknown escape": ("not_json", with_metric(b'"\\q"')),
    "NaN": ("not_finite", with_metric(b"NaN")),
    "Infinity": ("not_finite", with_metric(b"Infinity")),
    "-Infinity": ("not_finite", with_metric(b"-Infinity")),
    "1e400": ("not_finite", with_metric(b"1e400")),
    "-1e400": ("not_finite", with_metric(b"-1e400")),
    "a whole number of 400 digits": ("not_finite", with_metric(b"9" * 400)),
    "a whole number of 5000 digits": ("not_finite", with_metric(b"9" * 5000)),
    "1e400 in an unknown field": ("not_finite", b'{"x":1e400,' + PUSH_BYTES[1:]),
    "a field twice": ("duplicate_keys", b'{"molecule_id":"x",' + PUSH_BYTES[1:]),
    "a field twice, escaped": ("duplicate_keys", b'{"\\u006dolecule_id":"x",' + PUSH_BYTES[1:]),
    "a field twice, its colon apart": ("duplicate_keys", b'{"molecule_id" :"x",' + PUSH_BYTES[1:]),
    "a field twice, its colon on the next line": (
        "duplicate_keys",
        b'{"molecule_id"\r\n:"x",' + PUSH_BYTES[1:],
    ),
    "a field twice, its colon after a tab": ("duplicate_keys", b'{"molecule_id"\t:"x",' + PUSH_BYTES[1:]),
    "a metric twice": ("duplicate_keys", PUSH_BYTES.replace(b'"mode"', b'"power_output"')),
    "a key twice in an unknown field": ("duplicate_keys", b'{"x":[{"a":1,"a":1}],' + PUSH_BYTES[1:]),
    "an unknown key twice": ("duplicate_keys", b'{"x":1,"x":1,' + PUSH_BYTES[1:]),
    "invalid UTF-8": ("invalid_utf8", with_metric(b'"\xff"')),
    "a surrogate in UTF-8": ("invalid_utf8", with_metric(b'"\xed\xa0\x80"')),
    "an overlong slash": ("invalid_utf8", with_metric(b'"\xc0\xaf"')),
    "UTF-16 with a mark": ("invalid_utf8", PUSH_BYTES.decode().encode("utf-16")),
    "UTF-16 without a mark": ("invalid_utf8", PUSH_BYTES.decode().encode("utf-16-be")),
    "UTF-32": ("invalid_utf8", PUSH_BYTES.decode().encode("utf-32")),
    "compressed": ("invalid_utf8", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
    "half of a character": ("lone_surrogate", with_metric(b'"\\ud83d"')),
    "the second half first": ("lone_surrogate", with_metric(b'"\\ude00\\ud83d"')),
    "half of a character as a key": ("lone_surrogate", PUSH_BYTES.replace(b"mode", b"\\uDfff")),
    "half of a character in an unknown field": ("lone_surrogate", b'{"x":"\\ud800",' + PUSH_BYTES[1:]),
    "65 levels": ("too_deep", DEEP),
    "65 levels in an unknown field": ("too_deep", b'{"x":' + b"[" * 64 + b"]" * 64 + b"," + PUSH_BYTES[1:]),
    "5,000 levels in an unknown field": (
        "too_deep",
        b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"," + PUSH_BYTES[1:],
    ),
    "a million brackets": ("too_deep", b"[" * 1_000_000),
    "deeper than brackets in texts suggest": ("too_deep", b'["]",' * 65 + b"1" + b',"["]' * 65),
    "deeper than brackets behind escapes suggest": (
        "too_deep",
        b'["\\"]",' * 65 + b"1" + b',"\\"["]' * 65,
    ),
    "a key twice behind many objects": ("duplicate_keys", b'{"x":[' + b"{}," * 99 + b'{"a":1,"a":1}]}'),
    "1 MiB and a byte": ("too_large", b" " * (webhooks.MAX_BYTES + 1)),
}


@pytest.mark.parametrize("expect", [None, "data_push", "execution_response"])
@pytest.mark.parametrize(("reason", "body"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_bytes_that_are_no_acceptable_json_are_refused(reason: str, body: bytes, expect: str | None) -> None:
    with pytest.raises(PayloadError) as caught:
        Read(body, expect=expect)
    assert caught.value.reason == reason
    assert caught.value.status_hint == 400
    assert len(str(caught.value)) < 200


READABLE: dict[str, bytes] = {
    "indented": json.dumps(PUSH, indent=2).encode(),
    "with white space everywhere": json.dumps(PUSH, separators=(" ,\t", "\r\n: ")).encode(),
    "with a byte order mark": b"\xef\xbb\xbf" + PUSH_BYTES,
    "with a quote and a colon in a text": PUSH_BYTES.replace(b"auto", b'\\":\\":'),
    "with the beginning of a key in a text": PUSH_BYTES.replace(b"auto", b'a\\" :'),
    "with brackets in a text": PUSH_BYTES.replace(b"auto", b"[" * 100),
    "with brackets behind quotes in a text": PUSH_BYTES.replace(b"auto", b'\\"[' * 100),
    "with escaped field names": PUSH_BYTES.replace(b"molecule", b"\\u006dolecule"),
    "with a pair of surrogates": PUSH_BYTES.replace(b"auto", b"\\ud83d\\ude00"),
    "with a text that looks like an escape": PUSH_BYTES.replace(b"auto", b"\\\\ud83d"),
    "at 1 MiB": PUSH_BYTES + b" " * (webhooks.MAX_BYTES - len(PUSH_BYTES)),
    "64 levels deep": b'{"x":' + b"[" * 63 + b"]" * 63 + b"," + PUSH_BYTES[1:],
    "with fields of one name on several levels": b'{"x":{"timestamp":1,"devices":[{"x":1}]},'
    + PUSH_BYTES[1:],
}


@pytest.mark.parametrize("body", READABLE.values(), ids=READABLE.keys())
def test_unusual_json_is_read(body: bytes) -> None:
    push = Read(body).delivery
    assert isinstance(push, DataPush)
    assert push.metric("20000", "power_output") == 4.8
    assert (
        push.metric("20000", "mode") == json.loads(body.decode("utf-8-sig"))["devices"][0]["metrics"]["mode"]
    )


def test_a_nest_that_only_the_text_of_a_metric_holds_is_no_nest() -> None:
    devices = [{"device_id": str(n), "metrics": {"note": "[{" * n}} for n in range(100)]
    assert len(Read({**PUSH, "devices": devices, "more": []}).delivery.devices) == 100


# --- who sent it, and what the caller may get wrong ---------------------------------------------------------


@pytest.mark.parametrize("body", [PUSH_BYTES, b"", b"\xff", DEEP], ids=["good", "empty", "no text", "deep"])
def test_the_sender_is_verified_before_the_body_is_looked_at(body: bytes) -> None:
    for headers in ({}, {"X-API-Key": "wrong"}, [(b"x-api-key", b"\xff")]):
        with pytest.raises(AuthenticationError):
            webhooks.parse(body, headers, verifier=VERIFIER)


def test_the_signature_is_checked_on_the_raw_bytes() -> None:
    secret = "whsec_" + "a2tr" * 8
    verifier = HmacSignature(secret)
    spaced = json.dumps(PUSH).encode()
    headers = sign(spaced, secret=secret, message_id="msg_1", timestamp=NOW)
    assert isinstance(webhooks.parse(spaced, headers, verifier=verifier, now=NOW), DataPush)
    with pytest.raises(AuthenticationError):
        webhooks.parse(PUSH_BYTES, headers, verifier=verifier, now=NOW)
    with pytest.raises(AuthenticationError, match="clock"):
        webhooks.parse(spaced, headers, verifier=verifier)  # the present is long after NOW


@pytest.mark.parametrize(
    "body", [bytearray(PUSH_BYTES), memoryview(PUSH_BYTES)], ids=lambda body: type(body).__name__
)
def test_other_kinds_of_bytes_are_taken(body: Any) -> None:
    push = webhooks.parse(body, HEADERS, verifier=VERIFIER)
    assert push.raw == PUSH_BYTES
    assert type(push.raw) is bytes


@pytest.mark.parametrize(
    "headers",
    [
        Headers(HEADERS),
        httpx.Headers(HEADERS),
        [(b"x-api-key", b"secret")],
        {"x-api-key": ["secret"]},
        {b"X-Api-Key": b"secret"},
    ],
)
def test_headers_are_taken_as_frameworks_give_them(headers: Any) -> None:
    assert isinstance(webhooks.parse(PUSH_BYTES, headers, verifier=VERIFIER), DataPush)


MISUSES: dict[str, dict[str, Any]] = {
    "decoded text": {"body": PUSH_BYTES.decode()},
    "parsed JSON": {"body": PUSH},
    "no body": {"body": None},
    "no verifier": {"verifier": None},
    "a secret as verifier": {"verifier": "secret"},
    "no headers": {"headers": None},
    "a text as headers": {"headers": "X-API-Key: secret"},
    "a kind that does not exist": {"expect": "push"},
    "a kind that is no text": {"expect": ["data_push"]},
    "a naive present": {"now": NOW.replace(tzinfo=None)},
    "a number as the present": {"now": 1704413700},
    "statuses as a list": {"statuses": ["DONE"]},
    "a status that does not exist": {"statuses": {"DONE": "finished"}},
    "a status that is no text": {"statuses": {"DONE": ["completed"]}},
    "a word that is no text": {"statuses": {5: "completed"}},
}


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES.keys())
def test_wrong_arguments_are_a_fault_of_the_caller_even_before_the_sender_is_verified(
    misuse: dict[str, Any],
) -> None:
    arguments: dict[str, Any] = {"body": PUSH_BYTES, "headers": {}, "verifier": VERIFIER, **misuse}
    with pytest.raises(RuleError) as caught:
        webhooks.parse(arguments.pop("body"), arguments.pop("headers"), **arguments)
    assert caught.value.path == next(iter(misuse))


def test_the_error_for_text_says_what_to_pass() -> None:
    with pytest.raises(RuleError, match=r"raw bytes as they arrived.*not a str"):
        webhooks.parse("{}", HEADERS, verifier=VERIFIER)


def test_a_delivery_is_read_from_deep_in_the_stack() -> None:
    def at_depth(left: int) -> Any:
        return at_depth(left - 1) if left else webhooks.parse(PUSH_BYTES, HEADERS, verifier=VERIFIER)

    assert isinstance(at_depth(sys.getrecursionlimit() // 2), DataPush)


# --- the corpus ---------------------------------------------------------------------------------------------

EVENTS = [example for example in corpus.EXAMPLES.values() if example.message == "event"]
UNREADABLE_EXAMPLES = corpus.invalid("unreadable")
UNKNOWN_EXAMPLES = corpus.invalid("unknown_shape")
# Not as specified, and read all the same, with a report: no snapshot is lost for one metric or its spelling.
TOLERATED = {
    "receive_data_push.event.metric_boolean",
    "receive_data_push.event.metric_list",
    "receive_data_push.event.metric_null",
    "receive_data_push.event.metric_object",
    "receive_data_push.event.other_case_of_keys",
    "receive_execution_response.event.other_case_of_keys",
}


def _kind(example: corpus.Body) -> str:
    return example.operation.removeprefix("receive_")


def test_the_corpus_is_there() -> None:
    assert min(len(EVENTS), len(UNREADABLE_EXAMPLES), len(UNKNOWN_EXAMPLES)) > 10
    assert {example.name for example in UNKNOWN_EXAMPLES} >= TOLERATED


@pytest.mark.parametrize("expected", [True, False], ids=["expected", "by shape"])
@pytest.mark.parametrize("example", EVENTS, ids=lambda example: example.name)
def test_every_valid_example_is_read(example: corpus.Example, expected: bool) -> None:
    read = Read(example.raw, expect=_kind(example) if expected else None)
    assert read.delivery.kind == _kind(example)
    naive = {path for path, keyword in example.tolerated.items() if keyword == "format"}
    assert {drift.path for drift in read.drifts if drift.kind == "time_without_offset"} == naive
    assert read.delivery.times_had_offset is not bool(naive)
    if isinstance(read.delivery, DataPush):
        sent = [(device["device_id"], device["metrics"]) for device in example.value["devices"]]
        assert [(device.device_id, device.metrics) for device in read.delivery.devices] == sent
    else:
        slots = example.value.get("event_slots", [example.value])
        assert [result.event_id for result in read.delivery.results] == [slot["event_id"] for slot in slots]


@pytest.mark.parametrize("example", UNREADABLE_EXAMPLES, ids=lambda example: example.name)
def test_every_unreadable_example_is_refused_for_its_reason(example: corpus.InvalidExample) -> None:
    with pytest.raises(PayloadError) as caught:
        Read(example.raw, expect=_kind(example))
    assert caught.value.reason == example.rule


@pytest.mark.parametrize("example", UNKNOWN_EXAMPLES, ids=lambda example: example.name)
def test_every_example_of_another_shape_is_kept_and_reported(example: corpus.InvalidExample) -> None:
    read = Read(example.raw, expect=_kind(example))
    assert "unexpected_shape" in {drift.kind for drift in read.drifts}
    if example.name in TOLERATED:
        assert read.delivery.kind == _kind(example)
    else:
        assert read.delivery.kind == "unknown"
        assert read.delivery.json == example.value


@pytest.mark.parametrize(
    "error", [AuthenticationError("a", reason="stale"), PayloadError("b", reason="empty")]
)
def test_errors_can_be_pickled_with_their_reasons(error: MosVPPError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)


def test_receiving_loads_no_http_client() -> None:
    program = "import sys, mosvpp.webhooks, mosvpp.signatures; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "mosvpp.webhooks" in loaded
    assert loaded.isdisjoint(
        {"httpx", "httpcore", "attrs", "attr", "mosvpp_api", "mosvpp.client", "zoneinfo"}
    )
