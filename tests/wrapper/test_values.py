"""The JSON form of our values: back without a loss, and a rule for anything else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import outgoing
import strategies
from mosvpp import (
    MW,
    Answer,
    Certainty,
    CommandReceipt,
    Device,
    DeviceCommand,
    DeviceList,
    DeviceType,
    DispatchReceipt,
    EventSlot,
    EventStatus,
    Outcome,
    ReceiptItem,
    Request,
    commands,
    errors,
    kW,
    restore,
    w,
)
from mosvpp._values import Value
from mosvpp_api.models.dispatch_mode import DispatchMode
from outgoing import MIDNIGHT, SITE

texts = strategies.texts
optional_texts = st.none() | texts
powers = st.builds(lambda number, unit: number * unit, st.floats(0, 1e15), st.sampled_from([w, kW, MW]))
_from, _to = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001  hypothesis adds the zone
moments = st.datetimes(_from, _to, timezones=st.just(UTC))
instants = moments.map(lambda when: when.replace(microsecond=0))
slots = st.builds(
    lambda given, cancelled: outgoing.slot(**given).replace(cancelled=cancelled),
    st.fixed_dictionaries(
        {
            "power": powers,
            "start": instants,
            "duration": st.timedeltas(timedelta(0), timedelta(days=9)).map(
                lambda d: timedelta(seconds=d // timedelta(seconds=1))
            ),
            "priority": st.integers(-(2**60), 2**60),
            "mandatory": st.booleans(),
            "event_id": strategies.uuids,
        }
    ),
    st.booleans(),
) | st.just(restore(start=MIDNIGHT, duration=timedelta(1), priority=1))
device_commands = st.builds(commands.charge, texts.filter(bool), powers) | st.builds(
    commands.turn_on, texts.filter(bool)
)
answers = st.builds(
    Answer,
    status=st.integers(100, 599),
    headers=st.dictionaries(texts, texts, max_size=3),
    body=st.binary(max_size=50),
    received_at=moments,
)
items = st.builds(
    ReceiptItem,
    item_id=texts,
    outcome=st.sampled_from(Outcome),
    status=st.sampled_from(EventStatus),
    status_text=optional_texts,
    message=optional_texts,
)
receipt_fields: Any = {
    "molecule_id": texts,
    "outcome": st.sampled_from(Outcome),
    "certainty": st.sampled_from(Certainty),
    "items": st.lists(items, max_size=3).map(tuple),
    "message": optional_texts,
    "raw": answers,
}
device_types = st.sampled_from(DeviceType) | st.integers(-(2**40), 2**40).map(DeviceType)
devices = st.builds(
    Device,
    device_id=texts,
    device_type=device_types,
    name=optional_texts,
    capabilities=st.none() | st.lists(texts, max_size=3).map(tuple),
)
VALUES: dict[type[Value], st.SearchStrategy[Value]] = {
    EventSlot: slots,
    DeviceCommand: device_commands,
    ReceiptItem: items,
    Answer: answers,
    Device: devices,
    DeviceList: st.builds(
        DeviceList, molecule_id=texts, devices=st.lists(devices, max_size=3).map(tuple), raw=answers
    ),
    DispatchReceipt: st.builds(
        DispatchReceipt,
        **receipt_fields,
        mode=st.sampled_from(DispatchMode),
        slots=st.lists(slots, max_size=2).map(tuple),
    ),
    CommandReceipt: st.builds(
        CommandReceipt,
        **receipt_fields,
        scmd_id=texts,
        duration_s=st.integers(0, 2**50),
        commands=st.lists(device_commands, max_size=2).map(tuple),
    ),
    Request: st.builds(
        Request,
        operation=st.sampled_from(["sync_devices", "submit_dispatch", "submit_site_command"]),
        method=st.sampled_from(["GET", "POST"]),
        path=texts,
        molecule_id=texts,
        body=st.binary(max_size=50),
        ids=st.lists(texts, max_size=2).map(tuple),
        mode=st.none() | st.sampled_from(DispatchMode),
        slots=st.lists(slots, max_size=2).map(tuple),
        commands=st.lists(device_commands, max_size=2).map(tuple),
        duration_s=st.none() | st.integers(0, 2**50),
        revision=st.integers(0, 2**60),
    ),
}
each_kind = pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)


def test_every_value_of_the_outgoing_side_is_tried_here() -> None:
    import mosvpp

    public = {getattr(mosvpp, name) for name in mosvpp.__all__}
    incoming = {mosvpp.DataPush, mosvpp.ExecutionReport, mosvpp.ExecutionResult, mosvpp.UnknownDelivery}
    ours = {one for one in public if isinstance(one, type) and issubclass(one, Value)}
    assert ours - incoming == set(VALUES)


@each_kind
@given(data=st.data())
def test_json_and_back(kind: type[Value], data: st.DataObject) -> None:
    value = data.draw(VALUES[kind])
    text = value.to_json()
    again = kind.from_json(text)
    assert again == value
    assert type(again) is kind
    assert again.to_json() == text
    assert hash(again) == hash(value)
    assert kind.from_json(text.encode()) == value
    json.loads(text)


@each_kind
@given(data=st.data())
def test_a_changed_json_is_another_value_or_a_rule(kind: type[Value], data: st.DataObject) -> None:
    """One field less, of another type, or with another value; nothing else is ever raised."""
    body = json.loads(data.draw(VALUES[kind]).to_json())
    name = data.draw(st.sampled_from(sorted(body)))
    if data.draw(st.booleans()):
        del body[name]
    else:
        body[name] = data.draw(strategies.json_values)
    try:
        value = kind.from_json(json.dumps(body))
    except errors.RuleError as error:
        assert error.rule  # noqa: PT017  whichever error came
        return
    assert kind.from_json(value.to_json()) == value


@each_kind
@given(junk=st.binary(max_size=60) | st.text(max_size=60) | strategies.json_values.map(json.dumps))
def test_junk_is_a_rule(kind: type[Value], junk: str | bytes) -> None:
    with pytest.raises(errors.RuleError):
        kind.from_json(junk)


@each_kind
@pytest.mark.parametrize(
    "junk", [None, 7, ["{}"], {"a": 1}, "[" * 100_000, "", b"\xff", "\ud800"], ids=range(8)
)
def test_what_is_no_text_is_a_rule(kind: type[Value], junk: Any) -> None:
    with pytest.raises(errors.RuleError):
        kind.from_json(junk)


@pytest.mark.parametrize(
    "power", ["5", "5 ", "5 kw", "five kW", "-5 kW", "nan kW", "1e999 kW", " 5 kW", 5, None, []], ids=repr
)
def test_a_power_in_json_is_a_number_and_a_unit(power: Any) -> None:
    body = json.loads(outgoing.slot().to_json())
    assert body["power"] == "5.0 kW"
    with pytest.raises(errors.RuleError):
        EventSlot.from_json(json.dumps(body | {"power": power}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("start", "2024-01-05T00:00:00"), ("end", "0001-01-01T00:00:00+23:59"), ("start", 0), ("event_id", "x")],
)
def test_rules_hold_for_json_as_well(field: str, value: Any) -> None:
    body = json.loads(outgoing.slot().to_json())
    with pytest.raises(errors.RuleError):
        EventSlot.from_json(json.dumps(body | {field: value}))


def test_values_read_well() -> None:
    text = outgoing.slot().to_json()
    assert '"kind": "event_slot"' in text
    assert "\n" in text
    assert SITE not in text
