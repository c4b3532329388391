"""Which bodies the sandbox takes, compared with the corpus and with a second opinion."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import corpus
import strategies
import verdicts
from mosvpp_sandbox import ManualClock, Sandbox
from mosvpp_sandbox.strict_json import DEEPEST, NotJsonError, read

from .conftest import BEFORE_THE_SAMPLE, call

PATHS = {"submit_dispatch": "dr", "submit_site_command": "sitecmd"}
REPLIES = {"submit_dispatch": "DispatchReply", "submit_site_command": "SiteCommandReply"}
ITEMS = {"submit_dispatch": "event_slots", "submit_site_command": "scmd_devices"}
IDS = {"submit_dispatch": "event_id", "submit_site_command": "device_id"}
REQUESTS = [example for operation in PATHS for example in corpus.select(operation, "request")]

# What the receipt says of each item, in order; the site has 20000, 21000, 22000 (meter), 23000 (PV), 24000.
STATUSES = {
    "submit_dispatch.request.cancelled": ["cancelled"],
    "submit_dispatch.request.every_event_type": ["accepted"] * 4,
    "submit_dispatch.request.lower_case_id": ["accepted"],
    "submit_dispatch.request.offset_zero": ["accepted"],
    "submit_dispatch.request.page_sample": ["accepted"],
    "submit_dispatch.request.smallest_and_largest": ["accepted"] * 2,
    "submit_site_command.request.battery_and_relay": ["accepted"] * 2,
    "submit_site_command.request.every_command": [
        *("accepted", "rejected", "rejected", "accepted", "rejected", "accepted")
    ],
    "submit_site_command.request.every_power_in_every_unit": ["accepted", *["rejected"] * 8],
    "submit_site_command.request.one_second": ["accepted"],
}


def post(operation: str, body: bytes) -> Any:
    vpp = Sandbox(clock=ManualClock(BEFORE_THE_SAMPLE))
    return call(vpp, "POST", f"/v1/api/gateway/{vpp.molecule_id}/{PATHS[operation]}", content=body)


@pytest.mark.parametrize("request_example", REQUESTS, ids=lambda one: one.name)
def test_every_valid_request_gets_a_receipt_with_a_verdict_for_each_item(
    request_example: corpus.Example,
) -> None:
    operation, sent = request_example.operation, request_example.value
    answer = post(operation, request_example.raw)
    assert answer.status_code == 200, answer.text
    receipt = answer.json()
    assert not verdicts.errors(f"openapi.yaml#/components/schemas/{REPLIES[operation]}", receipt)
    items, name = receipt[ITEMS[operation]], IDS[operation]
    assert [item[name] for item in items] == [item[name] for item in sent[ITEMS[operation]]]
    assert [item["status"] for item in items] == STATUSES[request_example.name]
    assert all(item["message"] for item in items)
    assert receipt["molecule_id"] == "fecd0001c031e7e8"
    assert receipt["timestamp"] == "2024-01-04T23:55:00Z"
    repeated = {"submit_dispatch": "mode", "submit_site_command": "scmd_id"}[operation]
    assert receipt[repeated] == sent[repeated]
    rejected = [item["status"] for item in items].count("rejected")
    assert receipt["status"] == ("accepted" if not rejected else "partial")


@pytest.mark.parametrize("bad", corpus.invalid("refused"), ids=lambda one: one.name)
def test_every_invalid_request_is_refused_by_the_rule_that_it_breaks(bad: corpus.InvalidExample) -> None:
    answer = post(bad.operation, bad.raw)
    assert answer.status_code == 400
    problem = answer.json()
    assert not verdicts.errors("openapi.yaml#/components/schemas/Problem", problem)
    told = {(fault["rule"], fault["path"]): fault["evidence"] for fault in problem["faults"]}
    assert (bad.rule, bad.path) in told
    assert {rule for rule, _ in told} <= {bad.rule, *bad.also}
    assert set(problem["errors"]) == {path for _, path in told}
    assert set(bad.evidence) <= set(told[bad.rule, bad.path])


@pytest.mark.parametrize("bad", corpus.invalid("unreadable"), ids=lambda one: one.name)
@pytest.mark.parametrize("operation", PATHS)
def test_bytes_that_are_no_acceptable_json_are_refused_whatever_they_were_meant_for(operation, bad) -> None:
    answer = post(operation, bad.raw)
    assert answer.status_code == 400
    assert "faults" not in answer.json()


@pytest.mark.parametrize(
    "body", [*corpus.EXAMPLES.values(), *corpus.invalid("refused")], ids=lambda one: one.name
)
def test_all_acceptable_json_is_read_as_python_reads_it(body: corpus.Body) -> None:
    assert read(body.raw) == body.value


# One change to a valid body, somewhere: another value, a field less, a field more, an item twice.

SCALARS = strategies.scalars | st.sampled_from(
    [
        *["test", "live", "deviceControl", "charge", "off", "kW", "mW", "20000"],
        *[1, 99, 100, 0, -1, 0.5, 1.0],
        *["2024-01-05T00:00:00Z", "2024-01-05T02:00:00+00:00", "2024-01-05T00:00:00", "2024-02-30T00:00:00Z"],
        *["8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D", "8a7da4d35ad642f6bcad6194bbd2f68d"],
    ]
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in inner for place in _places(child, (*path, key)))]


@st.composite
def changed_requests(draw: st.DrawFn) -> tuple[str, Any]:
    body = draw(st.sampled_from(REQUESTS))
    holder = {"body": copy.deepcopy(body.value)}
    *way, last = ("body", *draw(st.sampled_from(_places(body.value))))
    parent: Any = holder
    for step in way:
        parent = parent[step]
    change = draw(st.sampled_from(["replace", "remove", "add", "repeat"]))
    if change == "replace":
        parent[last] = draw(SCALARS | strategies.json_values)
    elif change == "remove" and way:
        del parent[last]
    elif change == "add" and isinstance(parent[last], dict):
        parent[last][draw(strategies.texts)] = draw(SCALARS)
    elif change == "repeat" and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[last]))
    return body.operation, holder["body"]


@settings(max_examples=13 * settings().max_examples)
@given(changed_requests())
@example(("submit_dispatch", {"mode": "test", "event_slots": []}))
def test_client_and_sandbox_could_not_agree_on_the_same_mistake(change: tuple[str, Any]) -> None:
    """The verdict is that of Python's jsonschema and of the rules in plain Python."""
    operation, body = change
    expected = verdicts.request_faults(operation, body)
    answer = post(operation, json.dumps(body).encode())
    assert answer.status_code == (400 if expected else 200), (expected, answer.text)
    if expected:
        told = {(fault["path"], fault["rule"]) for fault in answer.json()["faults"]}
        faults = {(fault.path, fault.rule) for fault in expected}
        # Of a command without a known cmd_type that alone is told, since all else depends on it.
        assert told == faults if _has_known_types(body) else told and told <= faults


def _has_known_types(body: Any) -> bool:
    items = body.get("scmd_devices") if isinstance(body, dict) else None
    known = {"charge", "discharge", "shed", "off", "on", "restore"}
    return not isinstance(items, list) or all(
        isinstance(item, dict) and isinstance(item.get("cmd_type"), str) and item["cmd_type"] in known
        for item in items
    )


@st.composite
def nearly_json(draw: st.DrawFn) -> bytes:
    raw = bytearray(json.dumps(draw(strategies.json_values), ensure_ascii=draw(st.booleans())).encode())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from(
                [b'"', b"{", b"}", b",", b":", b"\\", b"\\ud800", b"NaN", b"1e999", b"\xff", b"\x00"]
            )
            | st.binary(max_size=2)
        )
    return bytes(raw)


@settings(max_examples=2 * settings().max_examples)
@given(nearly_json())
@example(b'{"a": 1, "\\u0061": 2}')
@example(b'"\\ud83d\\ude00"')
@example(b"\xef\xbb\xbf{}")
@example(b"[" * DEEPEST + b"]" * DEEPEST)
def test_the_reader_of_json_agrees_with_a_second_one(raw: bytes) -> None:
    try:
        value = read(raw)
    except NotJsonError:
        assert verdicts.unreadable(raw)
    else:
        assert verdicts.unreadable(raw) is None
        assert value == json.loads(raw)


def test_brackets_in_texts_do_not_count_as_depth() -> None:
    text = '"' + "[{" * 1000 + '\\"'
    assert read(f'[{text}"]'.encode()) == [json.loads(text + '"')]


@pytest.mark.parametrize("repeated", [b'\\"', b'"', b"\\", b'"\\', b"[]"], ids=repr)
@pytest.mark.parametrize("before", [b"", b'"'], ids=repr)
def test_refusing_takes_time_in_proportion_to_the_body(repeated: bytes, before: bytes) -> None:
    """Eight times as much takes eight times as long; were it the square, it would take 64 times."""

    def seconds(count: int) -> float:
        body = b"[" * DEEPEST + b"0," + before + repeated * count + b"[" * DEEPEST

        def once() -> float:
            begin = time.process_time()
            with pytest.raises(NotJsonError):
                read(body)
            return time.process_time() - begin

        return min(once() for _ in range(3))

    assert seconds(16_000) < 25 * seconds(2_000)
