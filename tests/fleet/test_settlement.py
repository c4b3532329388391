"""What was asked, reported and delivered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mosvpp import charge, discharge, kW, restore, shed
from mosvpp.errors import RuleError
from mosvpp.events import ExecutionResult
from mosvpp.fleet.energy import Sample
from mosvpp.fleet.metrics import INFERRED, Metric, Metrics
from mosvpp.fleet.settlement import Settlement, settle
from mosvpp.slots import EventSlot
from mosvpp.statuses import EventStatus

SITE = "fecd0001c031e7e8"
START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
OUT = Metric(unit="kW", positive="out")
IN = Metric(unit="w", positive="in")


def values(power: float, *, missing: range = range(0)) -> list[tuple[datetime, float]]:
    return [(START + minute * MINUTE, power) for minute in range(61) if minute not in missing]


def slot(make: Any, **more: Any) -> EventSlot:
    return make(5 * kW, start=START, duration=HOUR, priority=10, **more)


def settled(event: EventSlot, **more: Any) -> Settlement:
    given: dict[str, Any] = {"series": {"20000": values(4.0)}, "metric": OUT, "gaps": "zero"}
    return settle(SITE, event, **{**given, "max_gap": 2 * MINUTE, **more})


def test_a_discharge_is_what_flows_out() -> None:
    found = settled(slot(discharge), series={"1": values(3.0), "2": values(1.5)})
    assert (found.asked_kwh, found.delivered_kwh, found.coverage) == (5.0, 4.5, 1.0)
    assert found.performance == 0.9
    assert found.assumptions == (
        "the quantity is a setpoint, not a change against a baseline (unknown.quantity_meaning)",
    )


def test_a_charge_is_what_flows_in_whatever_the_sign_and_unit_of_the_metric() -> None:
    assert settled(slot(charge), series={"1": values(-4.0)}).delivered_kwh == 4.0
    assert settled(slot(charge), series={"1": values(4000.0)}, metric=IN).delivered_kwh == 4.0
    assert settled(slot(charge)).delivered_kwh == -4.0, "it discharged"


def test_a_shed_needs_a_baseline() -> None:
    found = settled(slot(shed), metric=IN, series={"1": values(2000.0)})
    assert (found.delivered_kwh, found.performance) == (None, None)
    assert found.not_computable == "shed needs a baseline: what the site would have used without the event"
    found = settled(slot(shed), metric=IN, series={"1": values(2000.0)}, baseline=6.5 * kW)
    assert (found.delivered_kwh, found.assumptions) == (4.5, ())
    falling = [Sample(START, 8.0), Sample(START + HOUR, 6.0)]
    found = settled(slot(shed), metric=IN, series={"1": values(2000.0)}, baseline=falling, max_gap=HOUR)
    assert found.delivered_kwh == pytest.approx(5.0)


def test_a_change_against_a_baseline_is_what_is_on_top_of_it() -> None:
    assert settled(slot(discharge), baseline=1 * kW).delivered_kwh == 3.0


GAP = range(15, 46)  # the 14th minute is joined to nothing: half an hour and two minutes are not known


@pytest.mark.parametrize(
    ("gaps", "delivered", "counted"), [("zero", 28, 60), ("drop", 28, 28), ("hold", 60, 60)]
)
def test_the_policy_for_gaps_is_explicit(gaps: str, delivered: int, counted: int) -> None:
    found = settled(slot(discharge), series={"1": values(4.0, missing=GAP)}, gaps=gaps)
    assert found.gaps == gaps
    assert found.delivered_kwh == pytest.approx(4.0 * delivered / 60)
    assert found.counted_kwh == pytest.approx(5.0 * counted / 60)
    assert found.coverage == pytest.approx(28 / 60)


def test_a_gap_in_a_load_does_not_pass_for_savings() -> None:
    found = settled(slot(shed), metric=IN, series={"1": values(6000.0, missing=GAP)}, baseline=6 * kW)
    assert found.delivered_kwh == pytest.approx(0.0)


def test_dropping_leaves_out_what_any_device_does_not_know() -> None:
    both = {"1": values(4.0, missing=GAP), "2": values(1.0)}
    assert settled(slot(discharge), series=both, gaps="drop").performance == pytest.approx(1.0)
    assert settled(slot(discharge), series=both, gaps="zero").delivered_kwh == pytest.approx(4 * 28 / 60 + 1)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"metric": None}, "no unit of power"),
        ({"metric": Metric(unit="percent", positive="out")}, "no unit of power"),
        ({"metric": Metric(unit="kW")}, "which way a positive value flows"),
        ({"series": {}}, "no telemetry"),
        ({"series": {"1": []}}, "no telemetry"),
    ],
)
def test_what_cannot_be_computed_says_why(more: dict[str, Any], why: str) -> None:
    found = settled(slot(discharge), **more)
    assert found.delivered_kwh is None
    assert why in str(found.not_computable)


def test_restore_asks_for_nothing() -> None:
    found = settled(restore(start=START, duration=HOUR, priority=10))
    assert (found.asked_kwh, found.not_computable) == (None, "restore asks for no quantity")


def test_an_inferred_unit_says_so() -> None:
    found = settled(slot(discharge), metric=INFERRED["power_output"])
    assert found.delivered_kwh == 4.0
    assert "inferred from samples" in found.assumptions[0]


def result(**more: Any) -> ExecutionResult:
    return ExecutionResult(
        event_id="8a7da4d3-5ad6-42f6-bcad-6194bbd2f68d", status=EventStatus.COMPLETED, **more
    )


def test_what_was_reported_is_energy_only_where_it_is_a_power() -> None:
    event = slot(discharge, event_id="8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D")
    times = {"started_at": START, "ended_at": START + 30 * MINUTE}
    found = settled(event, result=result(executed_quantity=4.8, executed_unit="kW", **times))
    assert (found.reported, found.reported_kwh) == ("4.8 kW", 2.4)
    found = settled(event, result=result(executed_quantity=4.8, executed_unit="kW"))
    assert found.reported_kwh == 4.8
    assert any("no actual times were sent" in assumed for assumed in found.assumptions)
    found = settled(event, result=result(executed_quantity=4.8, executed_unit="kWh"))
    assert (found.reported, found.reported_kwh) == ("4.8 kWh", None)
    assert settled(event, result=result()).reported is None
    with pytest.raises(RuleError, match="the result is of event"):
        settled(slot(discharge), result=result())


def test_it_goes_to_json_and_back() -> None:
    found = settled(slot(discharge))
    assert Settlement.from_json(found.to_json()) == found


def test_a_declaration_goes_before_an_inference_and_is_never_taken_for_one() -> None:
    metrics = Metrics({"power_output": Metric(unit="w", positive="in", basis="inferred")})
    assert metrics["power_output"] == Metric(unit="w", positive="in", basis="declared")
    assert metrics["voltage"].basis == "inferred"
    assert "fan_speed" not in metrics
    assert not Metrics(infer=False)
    with pytest.raises(RuleError, match="is no Metric"):
        Metrics({"power_output": "kW"})
