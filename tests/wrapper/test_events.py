from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from mosvpp.errors import RuleError
from mosvpp.events import (
    DataPush,
    DeviceReading,
    DeviceResult,
    ExecutionReport,
    ExecutionResult,
    UnknownDelivery,
)
from mosvpp.statuses import EventStatus
from mosvpp.units import MW, kW, w

EVENT_ID = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
AT = datetime(2024, 1, 5, 0, 15, tzinfo=UTC)
RAW = b'{"secret telemetry": true}'

PUSH = DataPush(
    molecule_id="fecd0001c031e7e8",
    timestamp=AT,
    devices=(
        DeviceReading(device_id="20000", metrics={"power_output": 4.8, "relay_state": "closed"}),
        DeviceReading(device_id="21000", metrics={}),
        DeviceReading(device_id="20000", metrics={"power_output": 4.7}),
    ),
    unknown_fields={"$.sequence": 17, "$.more": [None, {"a": 2**70}]},
    raw=RAW,
)
REPORT = ExecutionReport(
    molecule_id="fecd0001c031e7e8",
    mode="test",
    timestamp=AT,
    status=EventStatus.COMPLETED,
    status_text="Executed",
    results=(
        ExecutionResult(
            event_id=EVENT_ID,
            status=EventStatus.COMPLETED,
            status_text="Executed",
            started_at=AT,
            executed_quantity=4.8,
            executed_unit="kW",
            devices=(DeviceResult(device_id="20000", status=EventStatus.UNKNOWN, executed_quantity=1.0),),
        ),
    ),
    times_had_offset=False,
    raw=RAW,
)
UNKNOWN = UnknownDelivery(
    reason="unrecognised", detail="?", expected="data_push", json=[1, {"a": None}], raw=RAW
)
every_delivery = pytest.mark.parametrize(
    "delivery", [PUSH, REPORT, UNKNOWN], ids=lambda delivery: delivery.kind
)


@every_delivery
def test_a_delivery_goes_to_json_and_to_pickle_and_back(delivery: Any) -> None:
    assert type(delivery).from_json(delivery.to_json()) == delivery
    assert pickle.loads(pickle.dumps(delivery)) == delivery


@every_delivery
def test_a_delivery_cannot_be_changed_and_does_not_print_its_body(delivery: Any) -> None:
    with pytest.raises(AttributeError):
        delivery.raw = b""
    assert "telemetry" not in repr(delivery)
    assert repr(delivery).startswith(f"{type(delivery).__name__}(")
    assert len(repr(delivery)) < 200


def test_a_report_of_many_events_prints_briefly() -> None:
    results = [ExecutionResult(event_id=str(n), status=EventStatus.COMPLETED) for n in range(1000)]
    text = repr(ExecutionReport(results=tuple(results)))
    assert "'2': completed, …" in text
    assert len(text) < 200


@every_delivery
def test_json_tells_the_kinds_apart(delivery: Any) -> None:
    others = {DataPush, ExecutionReport, UnknownDelivery} - {type(delivery)}
    for other in others:
        with pytest.raises(RuleError):
            other.from_json(delivery.to_json())


def test_two_deliveries_do_not_share_their_unknown_fields() -> None:
    one, other = (DataPush(molecule_id="a", timestamp=AT, devices=()) for _ in range(2))
    one.unknown_fields["$.x"] = 1
    assert other.unknown_fields == {}


def test_a_metric_is_looked_up_by_device_and_name() -> None:
    assert PUSH.metric("20000", "relay_state") == "closed"
    assert PUSH.metric("20000", "power_output") == 4.7, "the last one counts"
    assert PUSH.metric("21000", "power_output") is None
    assert PUSH.metric("22000", "power_output") is None


@pytest.mark.parametrize("event_id", [EVENT_ID, EVENT_ID.lower(), UUID(EVENT_ID), EVENT_ID.replace("-", "")])
def test_a_result_is_looked_up_by_the_value_of_its_id(event_id: str | UUID) -> None:
    assert REPORT.result(event_id) is REPORT.results[0]


@pytest.mark.parametrize("event_id", ["", "no uuid", UUID(int=0)])
def test_a_result_that_is_not_there_is_a_key_error(event_id: str | UUID) -> None:
    with pytest.raises(KeyError) as caught:
        REPORT.result(event_id)
    assert caught.value.args == (str(event_id),)


@pytest.mark.parametrize(
    ("statuses", "index"),
    [
        (["completed"], 0),
        (["in_progress", "completed"], 1),
        (["completed", "in_progress"], 0),
        (["failed", "unknown", "completed", "accepted"], 2),
        (["accepted", "in_progress"], 1),
    ],
)
def test_of_several_results_for_an_event_the_last_terminal_one_counts(
    statuses: list[str], index: int
) -> None:
    results = [ExecutionResult(event_id="a", status=EventStatus(status)) for status in statuses]
    others = [ExecutionResult(event_id="b", status=EventStatus.REJECTED)]
    report = ExecutionReport(results=(*results, *others))
    assert report.result("a") is results[index]


@pytest.mark.parametrize(
    ("quantity", "unit", "power"),
    [
        (4.8, "kW", 4.8 * kW),
        (0.0, "w", 0 * w),
        (2.5, "MW", 2.5 * MW),
        (4.8, "KW", None),
        (4.8, "mW", None),
        (4.8, "kWh", None),
        (4.8, "", None),
        (4.8, None, None),
        (None, "kW", None),
        (-0.1, "kW", None),
    ],
)
def test_executed_power_needs_a_unit_of_power_and_no_sign(
    quantity: float | None, unit: str | None, power: Any
) -> None:
    for result in (
        ExecutionResult(
            event_id="a", status=EventStatus.COMPLETED, executed_quantity=quantity, executed_unit=unit
        ),
        DeviceResult(
            device_id="a", status=EventStatus.COMPLETED, executed_quantity=quantity, executed_unit=unit
        ),
    ):
        assert result.executed_power == power
        assert power is None or result.executed_power.unit == unit


def test_an_id_of_the_sender_breaks_no_line_of_a_log() -> None:
    result = ExecutionResult(event_id="a\n\x1b[31mforged" + "x" * 5000, status=EventStatus.COMPLETED)
    text = repr(ExecutionReport(results=(result,)))
    assert text.isprintable()
    assert len(text) < 250
