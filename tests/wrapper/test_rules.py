"""What may leave: the examples, and a second opinion that shares no code with the SDK."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

import corpus
import strategies
import verdicts
from mosvpp import errors, rules
from mosvpp._contract import document, json_path, schema_faults, server_path
from outgoing import EVENT_ID, OTHER_ID, SCMD_ID

SCHEMAS = {"submit_dispatch": "DispatchRequest", "submit_site_command": "SiteCommandRequest"}


def told(operation: str, body: Any) -> set[tuple[str, str]]:
    return {(fault.rule, fault.path) for fault in rules.faults(SCHEMAS[operation], body)}


def expected(operation: str, body: Any) -> set[tuple[str, str]]:
    return {(fault.rule, fault.path) for fault in verdicts.request_faults(operation, body)}


# --- the examples


@pytest.mark.parametrize("good", corpus.select(message="request"), ids=lambda one: one.name)
def test_every_valid_example_passes(good: corpus.Example) -> None:
    rules.check(SCHEMAS[good.operation], good.value)


@pytest.mark.parametrize("bad", corpus.invalid("refused"), ids=lambda one: one.name)
def test_every_invalid_example_is_refused_for_its_reason(bad: corpus.InvalidExample) -> None:
    with pytest.raises(errors.RuleError) as caught:
        rules.check(SCHEMAS[bad.operation], bad.value)
    error = caught.value
    assert error.rule in {bad.rule, *bad.also}
    assert error.path == bad.path
    assert set(bad.evidence) <= set(error.evidence)
    assert bad.property is None or bad.property in str(error)
    assert told(bad.operation, bad.value) <= {(rule, bad.path) for rule in (bad.rule, *bad.also)}


# --- what a fault says


def body_with(**changes: Any) -> dict[str, Any]:
    page_sample = copy.deepcopy(corpus.EXAMPLES["submit_dispatch.request.page_sample"].value)
    page_sample["event_slots"][0] |= changes
    return page_sample


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"priority": 120}, ["$.event_slots[0].priority", "120", "99", "lower number", "dispatch.priority"]),
        ({"event_unit": "mW"}, ["event_unit", "mW", "kW"]),
        ({"cancelledd": True}, ["cancelledd"]),
        ({"end_time": "2024-01-05T00:00:00Z"}, ["ends at 2024-01-05T00:00:00Z", "dispatch.end_after_start"]),
        ({"event_quantity": 0}, ["of zero", "restore", "dispatch.zero_quantity"]),
    ],
)
def test_a_fault_says_what_is_wrong_and_why(changes: Any, words: list[str]) -> None:
    [fault] = rules.faults("DispatchRequest", body_with(**changes))
    assert all(word in str(fault) for word in words), str(fault)


def command(**item: Any) -> dict[str, Any]:
    return {"scmd_type": "deviceControl", "scmd_id": SCMD_ID, "scmd_secs": 1, "scmd_devices": [item]}


@pytest.mark.parametrize(
    ("item", "faults"),
    [
        (
            {"cmd_type": "off", "device_id": "1", "cmd_quantity": 1},
            {("additionalProperties", "$.scmd_devices[0]")},
        ),
        ({"cmd_type": "charge", "device_id": "1", "cmd_unit": "kW"}, {("required", "$.scmd_devices[0]")}),
        ({"device_id": "1", "cmd_quantity": 1}, {("required", "$.scmd_devices[0]")}),
        ({"cmd_type": "charge"}, {("required", "$.scmd_devices[0]")}),
        (
            {"cmd_type": "explode", "x": 1},
            {
                ("enum", "$.scmd_devices[0].cmd_type"),
                ("required", "$.scmd_devices[0]"),
                ("additionalProperties", "$.scmd_devices[0]"),
            },
        ),
        ({"cmd_type": "explode", "device_id": "1"}, {("enum", "$.scmd_devices[0].cmd_type")}),
        ({"cmd_type": None, "device_id": "1"}, {("enum", "$.scmd_devices[0].cmd_type")}),
        ({"cmd_type": ["off"], "device_id": "1"}, {("enum", "$.scmd_devices[0].cmd_type")}),
    ],
)
def test_a_command_is_judged_by_its_own_type(item: Any, faults: set[tuple[str, str]]) -> None:
    """Not by the six that it could have been (oneOf)."""
    assert told("submit_site_command", command(**item)) == faults


@pytest.mark.parametrize("item", [None, "off", 7, [], True])
def test_a_command_that_is_no_object(item: Any) -> None:
    body = command() | {"scmd_devices": [item]}
    assert {path for _, path in told("submit_site_command", body)} == {"$.scmd_devices[0]"}


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "\ud800", b"x", object(), {1: 2}, {1}, datetime.now(UTC), 10**400, [[]] * 3],
    ids=lambda value: ascii(value)[:20],
)
def test_what_is_no_json_is_a_fault_and_no_crash(value: Any) -> None:
    assert told("submit_dispatch", body_with(event_unit=value))
    assert told("submit_dispatch", value)


def test_a_bottomless_body_is_a_fault() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    [fault] = rules.faults("DispatchRequest", deep)
    assert fault.evidence == ("behaviour.json_only",)


def test_all_faults_are_found() -> None:
    body = body_with(priority=0, event_unit="W")
    body["event_slots"].append({})
    del body["mode"]
    assert len(told("submit_dispatch", body)) == 4
    assert len(rules.faults("DispatchRequest", body)) == 12, "nine fields are missing in the empty event"


# --- the rules beyond the schema


def test_every_stated_rule_has_code_and_the_other_way_round() -> None:
    """`x-rules` of the document, against what the code can say; each is broken by an invalid example."""
    stated = {
        rule["id"]
        for schema in document()["components"]["schemas"].values()
        for rule in schema.get("x-rules", [])
    }
    shown = {bad.rule for bad in corpus.invalid("refused")} & stated
    independent = {rule for by_operation in verdicts.RULES.values() for rule in by_operation}
    assert stated == shown == independent
    # Code for a rule that nobody states would fail: it takes the statement from the document.
    with pytest.raises(KeyError):
        rules._fault("DispatchRequest", "unstated", [], "")


def test_a_path_of_json() -> None:
    assert json_path([]) == "$"
    assert json_path(["event_slots", 0, "priority"]) == "$.event_slots[0].priority"


def test_the_path_before_every_operation() -> None:
    assert server_path("v7") == "/v7/api/gateway"


# --- a second opinion on bodies of any kind

instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  without an offset on purpose


def spelled(when: datetime) -> st.SearchStrategy[str]:
    text = when.isoformat(timespec="auto")
    return st.sampled_from([text, text.replace("+00:00", "Z")])


@st.composite
def slots(draw: st.DrawFn) -> dict[str, Any]:
    start = draw(instants)
    event_type = draw(st.sampled_from(["charge", "discharge", "shed", "restore"]))
    positive = st.floats(min_value=1e-9, max_value=1e12) | st.integers(1, 10**12)
    return {
        "event_id": draw(strategies.uuids | st.sampled_from([EVENT_ID, EVENT_ID.lower(), OTHER_ID])),
        "start_time": draw(spelled(start)),
        "end_time": draw(
            spelled(start + draw(st.timedeltas(timedelta(microseconds=1), timedelta(days=400))))
        ),
        "event_type": event_type,
        "event_quantity": draw(positive if event_type != "restore" else positive | st.just(0)),
        "event_unit": draw(st.sampled_from(["w", "kW", "MW"])),
        "priority": draw(st.integers(1, 99)),
        "mandatory": draw(st.booleans()),
        "cancelled": draw(st.booleans()),
    }


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    cmd_type = draw(st.sampled_from(["charge", "discharge", "shed", "off", "on", "restore"]))
    item: dict[str, Any] = {"device_id": draw(strategies.texts.filter(bool)), "cmd_type": cmd_type}
    if cmd_type in ("charge", "discharge", "shed"):
        item["cmd_quantity"] = draw(st.floats(min_value=1e-9, max_value=1e12) | st.integers(1, 10**12))
        item["cmd_unit"] = draw(st.sampled_from(["w", "kW", "MW"]))
    return item


dispatches = st.fixed_dictionaries(
    {"mode": st.sampled_from(["test", "live"]), "event_slots": st.lists(slots(), min_size=1, max_size=3)}
)
site_commands = st.fixed_dictionaries(
    {
        "scmd_type": st.just("deviceControl"),
        "scmd_id": strategies.uuids,
        "scmd_secs": st.integers(1, 10**9),
        "scmd_devices": st.lists(items(), min_size=1, max_size=3),
    }
)
requests = st.tuples(st.just("submit_dispatch"), dispatches) | st.tuples(
    st.just("submit_site_command"), site_commands
)
nearly = st.sampled_from(
    [
        *["test", "live", "Test", "charge", "restore", "off", "explode", "kW", "KW", "mW", "kWh", "", "true"],
        *[0, -1, 1, 99, 100, 0.5, 5.0, -0.0, 1e300, 2**70, True, False, None, [], {}],
        *["2024-01-05T00:00:00Z", "2024-01-05T00:00:00+01:00", "2024-01-05T00:00:00", "2024-02-30T00:00:00Z"],
        *[
            "2024-01-05 00:00:00Z",
            "20240105T000000Z",
            "2024-01-05T24:00:00Z",
            "2024-01-05T00:00:00.123456789Z",
        ],
        *[EVENT_ID, EVENT_ID.lower(), f"{{{EVENT_ID}}}", EVENT_ID.replace("-", ""), f"urn:uuid:{EVENT_ID}"],
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in inner for place in places(child, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Any]:
    """A valid body with up to three changes: another value, a field less, a field more, an item twice."""
    operation, body = draw(requests)
    holder: dict[str, Any] = {"body": body}
    for _ in range(draw(st.integers(0, 3))):
        *way, last = ("body", *draw(st.sampled_from(places(holder["body"]))))
        parent: Any = holder
        for step in way:
            parent = parent[step]
        change = draw(st.sampled_from(["replace", "remove", "add", "repeat"]))
        if change == "replace":
            parent[last] = draw(nearly | strategies.json_values)
        elif change == "remove" and way:
            del parent[last]
        elif change == "add" and isinstance(parent[last], dict):
            parent[last][draw(strategies.names)] = draw(nearly)
        elif change == "repeat" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
    return operation, holder["body"]


@given(requests)
def test_valid_bodies_pass(request: tuple[str, Any]) -> None:
    """But for ids that are there twice by chance."""
    operation, body = request
    assert told(operation, body) == expected(operation, body)
    assert {rule for rule, _ in told(operation, body)} <= {"unique_event_ids", "unique_device_ids"}


@settings(max_examples=2 * settings().max_examples)
@given(mutated())
@example(("submit_dispatch", body_with(start_time="0000-01-01T00:00:00Z")))
@example(("submit_dispatch", body_with(start_time="2016-12-31T23:59:60Z")))
def test_the_second_opinion_is_the_same(request: tuple[str, Any]) -> None:
    """Python's jsonschema on raw JSON, and the rules in plain Python: the same faults, the same places."""
    operation, body = request
    body = json.loads(json.dumps(body))
    found, wanted = told(operation, body), expected(operation, body)
    event(f"{operation}: {'refused' if wanted else 'passes'}")
    if any(isinstance(body, dict) and text in json.dumps(body) for text in (":60Z", "0000-")):
        assert bool(found) == bool(wanted)  # valid in RFC 3339, and in no calendar here: told in another way
    else:
        assert found == wanted


@given(st.sampled_from(sorted(SCHEMAS)), strategies.json_values)
def test_any_json_at_all(operation: str, body: Any) -> None:
    assert told(operation, body) == expected(operation, body)


def test_any_schema_can_be_asked() -> None:
    assert schema_faults("PowerUnit", "kW") == []
    [fault] = schema_faults("PowerUnit", "mW")
    assert (fault.path, fault.rule, fault.evidence) == ("$", "enum", ("units.power_unit", "units.spelling"))
