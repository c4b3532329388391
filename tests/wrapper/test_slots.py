"""Events to dispatch, as values: what can be built, changed and cancelled, and what cannot."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosvpp import MW, EventSlot, charge, discharge, errors, kW, restore, shed, slot_time, w
from mosvpp_api.models.event_type import EventType
from outgoing import EVENT_ID, MIDNIGHT, slot

HOUR = timedelta(hours=1)
BUILDERS = {"charge": charge, "discharge": discharge, "shed": shed, "restore": restore}


@pytest.mark.parametrize("word", BUILDERS)
def test_each_builder_makes_its_event(word: str) -> None:
    power = {} if word == "restore" else {"power": 5 * kW}
    made = BUILDERS[word](**power, start=MIDNIGHT, duration=HOUR, priority=10)
    assert (made.event_type, made.power) == (EventType(word), power.get("power"))
    assert (made.start, made.end) == (MIDNIGHT, MIDNIGHT + HOUR)
    assert (made.priority, made.mandatory, made.cancelled) == (10, False, False)
    assert UUID(made.event_id).version == 4


def test_every_event_type_has_a_builder() -> None:
    assert set(BUILDERS) == set(EventType)


def test_restore_takes_no_power() -> None:
    with pytest.raises(TypeError):
        restore(power=5 * kW, start=MIDNIGHT, duration=HOUR, priority=10)
    with pytest.raises(errors.RuleError) as caught:
        restore(start=MIDNIGHT, duration=HOUR, priority=10).replace(power=5 * kW)
    assert caught.value.path == "power"


@pytest.mark.parametrize("power", [5, 5.0, "5 kW", None, True, (5, "kW"), float("nan")])
@pytest.mark.parametrize("word", ["charge", "discharge", "shed"])
def test_a_power_without_a_unit_is_refused(word: str, power: Any) -> None:
    with pytest.raises(errors.RuleError, match="kW") as caught:
        BUILDERS[word](power, start=MIDNIGHT, duration=HOUR, priority=10)
    assert caught.value.path == "power"
    if power is not None:  # which means: as it is
        with pytest.raises(errors.RuleError):
            slot().replace(power=power)


def test_there_is_no_default_priority() -> None:
    with pytest.raises(TypeError):
        discharge(5 * kW, start=MIDNIGHT, duration=HOUR)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priority", "1"),
        ("priority", 1.0),
        ("priority", True),
        ("priority", None),
        ("mandatory", 1),
        ("mandatory", "no"),
        ("mandatory", None),
        ("cancelled", 0),
        ("start", "2024-01-05T00:00:00Z"),
        ("start", 1704412800),
        ("start", datetime(2024, 1, 5)),  # noqa: DTZ001  without an offset on purpose
        ("end", datetime(2024, 1, 5, 1)),  # noqa: DTZ001  without an offset on purpose
        ("end", MIDNIGHT.date()),
        ("event_type", "explode"),
        ("event_type", None),
        ("event_id", "1"),
        ("event_id", None),
        ("event_id", EVENT_ID.replace("-", "")),
    ],
)
def test_values_of_another_kind_are_refused(name: str, value: Any) -> None:
    fields = {field: getattr(slot(), field) for field in EventSlot.__struct_fields__}
    with pytest.raises(errors.RuleError) as caught:
        EventSlot(**{**fields, name: value})
    assert caught.value.path == name


@pytest.mark.parametrize(
    "when",
    [{}, {"end": MIDNIGHT + HOUR, "duration": HOUR}],
    ids=["neither", "both"],
)
def test_exactly_one_of_end_and_duration(when: Any) -> None:
    with pytest.raises(errors.RuleError) as caught:
        discharge(5 * kW, start=MIDNIGHT, priority=10, **when)
    assert caught.value.rule == "end_or_duration"


@pytest.mark.parametrize("duration", [3600, "1h", timedelta.max])
def test_a_duration_that_is_none_is_refused(duration: Any) -> None:
    with pytest.raises(errors.RuleError) as caught:
        slot(duration=duration)
    assert caught.value.path == "duration"


def test_a_duration_is_added_in_utc() -> None:
    """Two hours on the night when the clocks are put forward end at four, local time."""
    start = slot_time("2026-03-29 01:00", tz="Europe/Berlin")
    made = slot(start=start, duration=timedelta(hours=2))
    assert made.end.astimezone(ZoneInfo("Europe/Berlin")).hour == 4
    assert made.end - made.start == timedelta(hours=2)


def test_times_of_any_zone_are_kept_in_utc_and_whole_seconds() -> None:
    start = datetime(2024, 1, 5, 1, 0, 0, 999_999, tzinfo=timezone(HOUR))
    made = slot(start=start)
    assert made.start == MIDNIGHT
    assert made.start.tzinfo is UTC


def test_the_id_is_the_callers_text() -> None:
    assert slot(event_id=EVENT_ID.lower()).event_id == EVENT_ID.lower()
    assert slot(event_id=UUID(EVENT_ID)).event_id == EVENT_ID.lower()
    assert len({slot(event_id=None).event_id for _ in range(100)}) == 100


# --- changing and cancelling

CHANGES: dict[str, Any] = {
    "power": 3 * MW,
    "start": MIDNIGHT + timedelta(minutes=5),
    "end": MIDNIGHT + timedelta(hours=5),
    "priority": 99,
    "mandatory": True,
    "cancelled": True,
}


@pytest.mark.parametrize(
    "names", [one for n in (1, 2, 6) for one in itertools.combinations(CHANGES, n)], ids=str
)
def test_replacing_changes_what_is_given_and_keeps_the_rest(names: tuple[str, ...]) -> None:
    original = slot()
    changed = original.replace(**{name: CHANGES[name] for name in names})
    for field in EventSlot.__struct_fields__:
        assert getattr(changed, field) == (CHANGES[field] if field in names else getattr(original, field))
    assert original == slot(), "the original is as it was"


def test_replacing_the_duration_counts_from_the_start() -> None:
    assert slot().replace(duration=3 * HOUR).end == MIDNIGHT + 3 * HOUR
    moved = slot().replace(start=MIDNIGHT + HOUR, duration=3 * HOUR)
    assert moved.end == MIDNIGHT + 4 * HOUR
    assert slot().replace(start=MIDNIGHT - HOUR).end == MIDNIGHT + HOUR


@pytest.mark.parametrize(
    "change",
    [
        {"priority": "2"},
        {"end": MIDNIGHT, "duration": HOUR},
        {"start": "now"},
        {"duration": 5},
        {"mandatory": 1},
    ],
    ids=str,
)
def test_a_change_that_makes_no_sense_is_refused(change: Any) -> None:
    with pytest.raises(errors.RuleError):
        slot().replace(**change)


def test_cancelling_changes_nothing_else() -> None:
    assert slot().cancel() == slot().replace(cancelled=True)
    assert slot().cancel().cancel() == slot().cancel()


# --- values


def test_a_slot_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        slot().priority = 2
    with pytest.raises(AttributeError):
        del slot().priority


def test_slots_are_compared_by_value_and_can_be_keys() -> None:
    assert slot(power=5 * kW) == slot(power=5000 * w)
    assert hash(slot(power=5 * kW)) == hash(slot(power=5000 * w))
    assert len({slot(), slot(), slot(priority=2)}) == 2


def test_what_a_person_sees() -> None:
    assert "5 kW" in repr(slot())
    assert EVENT_ID in repr(slot())


@given(
    watts=st.floats(0, 1e12, allow_subnormal=False),
    start=st.datetimes(timezones=st.timezones()),
    seconds=st.integers(1, 10**8),
    priority=st.integers(1, 99),
)
def test_slots_round_trip_through_json(watts: float, start: datetime, seconds: int, priority: int) -> None:
    try:
        made = slot(power=watts * w, start=start, duration=timedelta(seconds=seconds), priority=priority)
    except errors.RuleError as error:
        assert "range" in error.rule or "long" in str(error)  # noqa: PT017  beyond year 9999, or before year 1
        return
    again = EventSlot.from_json(made.to_json())
    assert again == made
    assert repr(again) == repr(made)
