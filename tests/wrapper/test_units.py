from __future__ import annotations

import copy
import decimal
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosvpp.errors import RuleError
from mosvpp.units import MW, Power, kW, power_of, w

FACTORS = {"w": 1, "kW": 1_000, "MW": 1_000_000}
values = st.floats(0, 1e12)
powers = st.builds(Power, values, st.sampled_from(list(FACTORS)))


def exact(power: Power) -> Fraction:
    """The size in watts, by way of the shortest text of the number, as a person would reckon."""
    return Fraction(repr(power.value)) * FACTORS[power.unit]


@pytest.mark.parametrize(
    ("power", "text"),
    [
        (5 * kW, "5 kW"),
        (kW * 5, "5 kW"),
        (2.5 * MW, "2.5 MW"),
        (250 * w, "250 w"),
        (Decimal("0.1") * kW, "0.1 kW"),
        (0 * kW, "0 kW"),
        (-0.0 * kW, "0 kW"),
        (1234567 * w, "1234567.0 w"),
        (3 * (2 * kW), "6 kW"),
    ],
)
def test_a_power_is_a_number_and_a_unit(power: Power, text: str) -> None:
    assert repr(power) == text


def test_the_unit_stays_as_given_and_converts_without_rounding_errors() -> None:
    power = 0.1 * kW
    assert (power.value, power.unit) == (0.1, "kW")
    assert (power.watts, power.kilowatts, power.megawatts) == (100, 0.1, 0.0001)
    assert (0.1 + 0.2) * kW != 0.3 * kW
    assert 0.1 * kW + 0.2 * kW == 0.3 * kW


def test_powers_compare_and_hash_by_size_whatever_their_units() -> None:
    assert 1 * kW == 1000 * w == 0.001 * MW
    assert len({1 * kW, 1000 * w, 0.001 * MW}) == 1
    assert 999 * w < 1 * kW <= 1000 * w
    assert 1 * MW > 999 * kW >= 999000 * w
    assert max(2 * kW, 1500 * w, 0.001 * MW) == 2 * kW
    assert 1 * kW + 500 * w == 1.5 * kW
    assert (1 * kW + 500 * w).unit == "kW"


@given(powers, powers)
def test_order_and_equality_are_those_of_the_exact_sizes(one: Power, other: Power) -> None:
    assert (one < other) == (exact(one) < exact(other))
    assert (one == other) == (exact(one) == exact(other))
    assert one != other or hash(one) == hash(other)


@given(powers)
def test_a_power_survives_pickle_copy_and_its_own_repr(power: Power) -> None:
    for again in (pickle.loads(pickle.dumps(power)), copy.deepcopy(power)):
        assert (again.value, again.unit) == (power.value, power.unit)
    number, _, unit = repr(power).partition(" ")
    assert Power(float(number), unit) == power


@pytest.mark.parametrize(
    "value", [-1, -0.001, float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity"), 10**400], ids=str
)
def test_a_number_that_is_negative_or_not_finite_is_refused(value: Any) -> None:
    for make in (lambda: value * kW, lambda: kW * value, lambda: Power(value, "kW")):
        with pytest.raises(RuleError) as caught:
            make()
        assert caught.value.path == "value"


@pytest.mark.parametrize("value", [True, "5", None, 5j, [5]], ids=repr)
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(RuleError):
        Power(value, "kW")


@pytest.mark.parametrize("unit", ["W", "KW", "kw", "Mw", "kWh", "", "watt", None, 5, []])
def test_other_spellings_of_units_are_refused(unit: Any) -> None:
    with pytest.raises(RuleError) as caught:
        Power(5, unit)
    assert caught.value.evidence == ("units.spelling",)
    assert "milliwatts" not in str(caught.value)


@pytest.mark.parametrize("unit", ["mW", "mw"])
def test_milliwatts_are_refused_with_the_reason(unit: str) -> None:
    with pytest.raises(RuleError, match="milliwatts"):
        Power(5, unit)


def test_powers_do_not_mix_with_numbers() -> None:
    power: Any = 5 * kW
    for attempt in (
        lambda: power + 1,
        lambda: 1 + power,
        lambda: power < 1,
        lambda: power * power,
        lambda: power * "2",
        lambda: sum([power]),
    ):
        with pytest.raises((TypeError, RuleError)):
            attempt()
    assert power != 5
    assert power != 5000
    assert (power == 5) is False


def test_a_power_cannot_be_changed() -> None:
    power: Any = 5 * kW
    for attempt in (
        lambda: setattr(power, "_value", 1),
        lambda: setattr(power, "other", 1),
        lambda: delattr(power, "_value"),
    ):
        with pytest.raises(AttributeError, match="cannot be changed"):
            attempt()
    assert power == 5 * kW


def test_a_power_can_be_matched() -> None:
    match 5 * kW:
        case Power(value, unit):
            assert (value, unit) == (5, "kW")


def test_where_a_power_is_needed_a_bare_number_is_refused_with_advice() -> None:
    assert power_of(5 * kW, path="power") == 5 * kW
    for value, advice in (
        (5, "5 * kW"),
        (2.5, "2.5 * kW"),
        ("5 kW", "5 * kW"),
        (True, "5 * kW"),
        (None, "5 * kW"),
    ):
        with pytest.raises(RuleError) as caught:
            power_of(value, path="power")
        assert advice in str(caught.value)
        assert caught.value.path == "power"


@given(powers, powers, values)
def test_the_decimal_context_of_the_program_changes_nothing(one: Power, other: Power, factor: float) -> None:
    def everything() -> list[Any]:
        total = one + other
        return [
            *((power.value, power.unit) for power in (total, factor * kW, 12.345 * kW, 1e9 * one)),
            *(one.watts, one.kilowatts, one.megawatts, one == other, one < other, hash(one), repr(total)),
        ]

    expected = everything()
    every_signal = list(decimal.Context().traps)
    for context in (decimal.Context(prec=2), decimal.Context(prec=1, Emin=0, Emax=0, traps=every_signal)):
        with decimal.localcontext(context):
            assert everything() == expected


def test_few_digits_of_precision_do_not_round_what_is_sent() -> None:
    with decimal.localcontext(decimal.Context(prec=2)):
        assert (12.345 * kW).value == 12.345
        assert (12.345 * kW).watts == 12345
        assert (12.345 * kW + 1 * w).value == 12.346


@pytest.mark.parametrize(("value", "unit"), [(1e308, "MW"), (1e306, "kW"), (1.8e302, "MW")])
def test_a_power_of_more_watts_than_a_number_holds_is_refused(value: float, unit: str) -> None:
    with pytest.raises(RuleError, match="more watts") as caught:
        Power(value, unit)
    assert (caught.value.path, caught.value.rule) == ("value", "finite")


def test_the_largest_powers_stay_finite() -> None:
    assert Power(1.7e302, "MW").watts == 1.7e308
    assert Power(1.7e308, "w").value == 1.7e308
    with pytest.raises(RuleError):
        Power(1.7e308, "w") + Power(1.7e308, "w")


@pytest.mark.parametrize(
    "value",
    [Decimal("sNaN"), Decimal("-sNaN12"), Decimal(10) ** 400, 10**5000, -(10**5001)],
    ids=["signalling NaN", "negative NaN", "Decimal", "int", "negative int"],
)
def test_a_number_that_cannot_even_be_shown_is_refused_as_any_other(value: Any) -> None:
    for make in (lambda: value * kW, lambda: kW * value, lambda: Power(value, "kW")):
        with pytest.raises(RuleError) as caught:
            make()
        assert (caught.value.path, caught.value.rule) == ("value", "finite")
        assert len(str(caught.value)) < 200


def test_a_bare_number_that_cannot_be_shown_is_refused_with_advice_too() -> None:
    with pytest.raises(RuleError, match=r"give it a unit"):
        power_of(10**5000, path="power")
