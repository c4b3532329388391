"""The mapping to MosVPP's words: all that the specification has can be said, as the examples say it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corpus
import verdicts
from mosvpp import MW, EventSlot, _wire, charge, commands, discharge, kW, restore, shed, w
from mosvpp_api.models.dispatch_mode import DispatchMode
from outgoing import EVENT_ID, MIDNIGHT, SCMD_ID, SITE, slot

UNITS = {"w": w, "kW": kW, "MW": MW}
COMMANDS: Any = {
    "charge": commands.charge,
    "discharge": commands.discharge,
    "shed": commands.shed,
    "off": commands.turn_off,
    "on": commands.turn_on,
    "restore": commands.restore,
}


def dispatch(slots: list[EventSlot], mode: str = "test") -> Any:
    return _wire.dispatch_call(SITE, slots, DispatchMode(mode))["json"]


def site_command(wanted: list[commands.DeviceCommand], seconds: int = 900, scmd_id: str = SCMD_ID) -> Any:
    return _wire.site_command_call(SITE, wanted, scmd_id=scmd_id, seconds=seconds)["json"]


def slot_of(event: dict[str, Any]) -> EventSlot:
    """Build with the public functions what an example describes."""
    from datetime import datetime

    start, end = (datetime.fromisoformat(event[name]) for name in ("start_time", "end_time"))
    power = event["event_quantity"] * UNITS[event["event_unit"]]
    given: Any = {name: event[name] for name in ("event_id", "priority", "mandatory")} | {
        "start": start,
        "end": end,
    }
    builders: Any = {"charge": charge, "discharge": discharge, "shed": shed}
    word = event["event_type"]
    made = restore(**given) if word == "restore" else builders[word](power, **given)
    return made.cancel() if event["cancelled"] else made


def command_of(item: dict[str, Any]) -> commands.DeviceCommand:
    power = [item["cmd_quantity"] * UNITS[item["cmd_unit"]]] if "cmd_quantity" in item else []
    made: commands.DeviceCommand = COMMANDS[item["cmd_type"]](item["device_id"], *power)
    return made


@pytest.mark.parametrize("good", corpus.select("submit_dispatch", "request"), ids=lambda one: one.name)
def test_dispatch_bodies_equal_the_examples(good: corpus.Example) -> None:
    """But for the spelling of UTC, which is ours: Z."""
    expected = json.loads(good.raw.replace(b"+00:00", b"Z"))
    assert dispatch([slot_of(event) for event in good.value["event_slots"]], good.value["mode"]) == expected


@pytest.mark.parametrize("good", corpus.select("submit_site_command", "request"), ids=lambda one: one.name)
def test_site_command_bodies_equal_the_examples(good: corpus.Example) -> None:
    made = [command_of(item) for item in good.value["scmd_devices"]]
    assert site_command(made, good.value["scmd_secs"], good.value["scmd_id"]) == good.value


# --- nothing of the specification is out of reach


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every property that a request may have, with its schema."""
    if "$ref" in schema:
        schema = verdicts.resolve(schema["$ref"])
    for branch in schema.get("oneOf", []):
        yield from properties(branch, path)
    if "items" in schema:
        yield from properties(schema["items"], path + "[]")
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", verdicts.resolve(inner["$ref"]) if "$ref" in inner else inner
        yield from properties(inner, f"{path}.{name}")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from leaves(item, path + "[]")
        yield path, None
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}")
        yield path, None
    else:
        yield path, value


EVERYTHING = {
    "submit_dispatch": [
        dispatch(
            [
                charge(
                    1 * w, start=MIDNIGHT, end=MIDNIGHT + timedelta(1), priority=1, mandatory=True
                ).cancel(),
                discharge(1 * kW, start=MIDNIGHT, end=MIDNIGHT + timedelta(1), priority=99),
                shed(1 * MW, start=MIDNIGHT, duration=timedelta(1), priority=1),
                restore(start=MIDNIGHT, duration=timedelta(1), priority=1),
            ],
            mode,
        )
        for mode in ("test", "live")
    ],
    "submit_site_command": [
        site_command(
            [
                COMMANDS[word]("1", 1 * unit)
                for word in ("charge", "discharge", "shed")
                for unit in (w, kW, MW)
            ]
        ),
        site_command([COMMANDS[word]("1") for word in ("off", "on", "restore")]),
    ],
}


@pytest.mark.parametrize("operation", EVERYTHING)
def test_every_property_and_every_word_can_be_sent_with_the_public_builders(operation: str) -> None:
    """A field or a word that is new in the specification fails here until it can be said."""
    sent: dict[str, set[str]] = {}
    for body in EVERYTHING[operation]:
        for path, value in leaves(body):
            sent.setdefault(path, set()).add(json.dumps(value))
    described = list(properties({"$ref": verdicts.REQUESTS[operation].removeprefix("openapi.yaml")}))
    assert len(described) > 8
    for path, schema in described:
        assert path in sent, f"{path} cannot be reached"
        words = schema.get("enum", [schema["const"]] if "const" in schema else [])
        assert {json.dumps(word) for word in words} <= sent[path], path
        if schema.get("type") == "boolean":
            assert sent[path] == {"true", "false"}
    assert set(sent) - {""} <= {path for path, _ in described} | {path + "[]" for path, _ in described}


def test_every_operation_is_used_and_named_alike() -> None:
    named = {
        operation["operationId"]
        for path in verdicts.DOCUMENTS["openapi.yaml"]["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict) and "operationId" in operation
    }
    assert named == {_wire.DEVICE_SYNC, _wire.DISPATCH, _wire.SITE_COMMAND}


# --- spelling


@given(
    start=st.datetimes(timezones=st.timezones()),
    seconds=st.integers(1, 10**7),
)
def test_times_leave_in_whole_seconds_with_z(start: Any, seconds: int) -> None:
    from mosvpp import errors

    try:
        made = slot(start=start, duration=timedelta(seconds=seconds))
    except errors.RuleError:
        return  # out of range in UTC
    [event] = dispatch([made])["event_slots"]
    for name, instant in (("start_time", made.start), ("end_time", made.end)):
        assert len(event[name]) == len("2024-01-05T00:00:00Z")
        assert event[name] == f"{instant:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0")
    assert verdicts.schema_faults(verdicts.REQUESTS["submit_dispatch"], dispatch([made])) == set()


@given(st.uuids(), st.booleans(), st.booleans())
def test_ids_leave_as_they_are_written(value: Any, upper: bool, first: bool) -> None:
    text = str(value).upper() if upper else str(value)
    mixed = text[:18].swapcase() + text[18:] if first else text
    assert dispatch([slot(event_id=mixed)])["event_slots"][0]["event_id"] == mixed
    assert site_command([commands.turn_on("1")], scmd_id=mixed)["scmd_id"] == mixed


@given(st.floats(0, 1e300, exclude_min=True), st.sampled_from(sorted(UNITS)))
def test_powers_leave_in_the_unit_and_with_the_number_given(number: float, unit: str) -> None:
    power = number * UNITS[unit]
    [event] = dispatch([slot(power=power)])["event_slots"]
    [item] = site_command([commands.shed("1", power)])["scmd_devices"]
    assert (event["event_quantity"], event["event_unit"]) == (number, unit)
    assert (item["cmd_quantity"], item["cmd_unit"]) == (number, unit)


def test_restore_leaves_with_nothing() -> None:
    [event] = dispatch([restore(start=MIDNIGHT, duration=timedelta(1), priority=1, event_id=EVENT_ID)])[
        "event_slots"
    ]
    assert (event["event_quantity"], event["event_unit"]) == (0, "kW")


# --- what comes back, whatever it is


def test_receipts_and_lists_are_read_where_the_examples_are_valid() -> None:
    read: Any = {
        "submit_dispatch": _wire.read_dispatch_reply,
        "submit_site_command": _wire.read_command_reply,
        "sync_devices": _wire.read_devices,
    }
    replies = corpus.select(message="reply")
    assert len(replies) > 20
    for reply in replies:
        read[reply.operation](reply.value)


def test_unknown_fields_are_told_by_their_paths() -> None:
    found = _wire.read_dispatch_reply(
        corpus.EXAMPLES["submit_dispatch.reply.extra_fields"].value
    ).unknown_fields
    schema = verdicts.resolve("#/components/schemas/DispatchReply")["properties"]
    assert found
    assert all(path.startswith("$.") and path.removeprefix("$.") not in schema for path in found)
    assert any(path.startswith("$.event_slots[0].") for path in found)
