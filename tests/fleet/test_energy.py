"""Energy out of samples, against figures that were computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosvpp.errors import RuleError
from mosvpp.fleet.energy import GapPolicy, Sample, common, integrate, measured

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def every_minute(count: int, power: float = 5.0) -> list[Sample]:
    return [Sample(at(minute), power) for minute in range(count)]


@pytest.mark.parametrize("gaps", ["zero", "drop", "hold"])
def test_a_constant_is_power_times_time(gaps: GapPolicy) -> None:
    found = integrate(every_minute(61), START, START + HOUR, gaps=gaps, max_gap=MINUTE)
    assert found.kilowatt_hours == 5.0
    assert found.coverage == 1.0


def test_a_ramp_is_a_triangle() -> None:
    """From 0 to 10 kW within an hour: 5 kWh. The first half of it: 1.25."""
    ramp = [Sample(START, 0.0), Sample(START + HOUR, 10.0)]
    assert integrate(ramp, START, START + HOUR, gaps="zero", max_gap=HOUR).kilowatt_hours == 5.0
    assert integrate(ramp, START, at(30), gaps="zero", max_gap=HOUR).kilowatt_hours == 1.25
    assert integrate(ramp, at(30), at(60), gaps="zero", max_gap=HOUR).kilowatt_hours == 3.75


@pytest.mark.parametrize(
    ("gaps", "energy", "counted"), [("zero", 2.5, 60), ("drop", 2.5, 30), ("hold", 5.0, 60)]
)
def test_a_gap_counts_as_the_policy_says(gaps: GapPolicy, energy: float, counted: int) -> None:
    """5 kW, but nothing is known from the 15th to the 45th minute."""
    samples = [one for one in every_minute(61) if not at(15) < one.at < at(45)]
    found = integrate(samples, START, START + HOUR, gaps=gaps, max_gap=2 * MINUTE)
    assert found.kilowatt_hours == pytest.approx(energy, abs=1e-12)
    assert (found.measured, found.counted) == (30 * MINUTE, counted * MINUTE)
    assert found.coverage == 0.5


@pytest.mark.parametrize(("gaps", "energy"), [("zero", 2.5), ("drop", 2.5), ("hold", 3.75)])
def test_what_is_missing_at_the_ends_is_a_gap(gaps: GapPolicy, energy: float) -> None:
    """Known from the 15th to the 45th minute; before the first sample there is nothing to hold."""
    samples = [one for one in every_minute(61) if at(15) <= one.at <= at(45)]
    found = integrate(samples, START, START + HOUR, gaps=gaps, max_gap=2 * MINUTE)
    assert found.kilowatt_hours == pytest.approx(energy, abs=1e-12)
    assert found.coverage == 0.5


def test_samples_outside_give_the_power_at_the_ends() -> None:
    """A line from 0 kW half an hour before to 20 kW half an hour after: 10 kW on average."""
    samples = [Sample(at(-30), 0.0), Sample(at(90), 20.0)]
    found = integrate(samples, START, START + HOUR, gaps="zero", max_gap=2 * HOUR)
    assert (found.kilowatt_hours, found.coverage) == (10.0, 1.0)


@pytest.mark.parametrize(
    "samples", [[], [Sample(at(-10), 5.0)], [Sample(at(90), 5.0)], [Sample(at(30), 5.0)]]
)
def test_one_sample_measures_nothing(samples: list[Sample]) -> None:
    found = integrate(samples, START, START + HOUR, gaps="zero", max_gap=MINUTE)
    assert (found.kilowatt_hours, found.coverage) == (0.0, 0.0)


def test_the_direction_is_kept() -> None:
    """An hour in one direction and an hour in the other is nothing."""
    samples = [Sample(START, 5.0), Sample(at(60), 5.0), Sample(at(60.001), -5.0), Sample(at(120), -5.0)]
    found = integrate(samples, START, at(120), gaps="zero", max_gap=HOUR)
    assert found.kilowatt_hours == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("samples", "end", "rule"),
    [
        ([], START, "end_after_start"),
        ([Sample(at(2), 1.0), Sample(at(1), 1.0)], at(60), "order"),
        ([Sample(at(1), 1.0), Sample(at(1), 2.0)], at(60), "order"),
        ([Sample(at(1), float("nan"))], at(60), "finite"),
    ],
)
def test_what_makes_no_sense_is_refused(samples: list[Sample], end: datetime, rule: str) -> None:
    with pytest.raises(RuleError) as caught:
        integrate(samples, START, end, gaps="zero", max_gap=MINUTE)
    assert caught.value.rule == rule
    with pytest.raises(RuleError, match="none of zero, drop, hold"):
        integrate([], START, at(1), gaps="guess", max_gap=MINUTE)


MINUTES = st.lists(st.integers(-30, 150), unique=True).map(sorted)
POWERS = st.floats(-100, 100)


@st.composite
def series(draw: st.DrawFn) -> list[Sample]:
    return [Sample(at(minute), draw(POWERS)) for minute in draw(MINUTES)]


@given(series(), st.integers(1, 119), st.sampled_from(["zero", "drop", "hold"]), st.integers(1, 60))
def test_two_parts_make_the_whole(samples: list[Sample], cut: int, gaps: GapPolicy, gap: int) -> None:
    def part(start: datetime, end: datetime) -> tuple[float, timedelta]:
        found = integrate(samples, start, end, gaps=gaps, max_gap=gap * MINUTE)
        return found.kilowatt_hours, found.measured

    whole, first, second = part(START, at(120)), part(START, at(cut)), part(at(cut), at(120))
    assert first[0] + second[0] == pytest.approx(whole[0], abs=1e-9)
    assert first[1] + second[1] == whole[1]


@given(series(), series(), st.integers(1, 60))
def test_common_time_is_in_both(one: list[Sample], other: list[Sample], gap: int) -> None:
    left, right = (measured(samples, START, at(120), max_gap=gap * MINUTE) for samples in (one, other))
    both = common(left, right)

    def minutes(spans: list[tuple[datetime, datetime]]) -> set[int]:
        return {m for m in range(120) if any(start <= at(m) and at(m + 1) <= end for start, end in spans)}

    assert minutes(both) == minutes(left) & minutes(right)
    assert both == sorted(both)
