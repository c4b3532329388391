from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosvpp.errors import RuleError
from mosvpp.times import read_instant, slot_time, to_instant, to_wire

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("when", "tz", "fold", "expected"),
    [
        ("2026-01-05 03:30", BERLIN, None, "2026-01-05T02:30:00Z"),
        ("2026-07-05T03:30", BERLIN, None, "2026-07-05T01:30:00Z"),
        (" 2026-07-05T03:30:15.9 ", BERLIN, None, "2026-07-05T01:30:15Z"),
        (datetime(2026, 7, 5, 3, 30), BERLIN, None, "2026-07-05T01:30:00Z"),  # noqa: DTZ001  without an offset on purpose
        ("2026-07-05 03:30", ZoneInfo("America/New_York"), None, "2026-07-05T07:30:00Z"),
        ("2026-07-05 03:30", "Asia/Kathmandu", None, "2026-07-04T21:45:00Z"),
        ("2026-07-05", "UTC", None, "2026-07-05T00:00:00Z"),
        # The clocks go forward from 2:00 to 3:00 …
        ("2026-03-29 01:59:59", BERLIN, None, "2026-03-29T00:59:59Z"),
        ("2026-03-29 03:00", BERLIN, None, "2026-03-29T01:00:00Z"),
        # … and back from 3:00 to 2:00, so that the hour from 2:00 happens twice.
        ("2026-10-25 01:59:59", BERLIN, None, "2026-10-24T23:59:59Z"),
        ("2026-10-25 02:30", BERLIN, 0, "2026-10-25T00:30:00Z"),
        ("2026-10-25 02:30", BERLIN, 1, "2026-10-25T01:30:00Z"),
        ("2026-10-25 03:00", BERLIN, None, "2026-10-25T02:00:00Z"),
        # Where there is nothing to choose, fold changes nothing.
        ("2026-07-05 03:30", BERLIN, 1, "2026-07-05T01:30:00Z"),
    ],
)
def test_local_time_becomes_the_instant_that_is_meant(
    when: Any, tz: Any, fold: int | None, expected: str
) -> None:
    instant = slot_time(when, tz=tz, fold=fold)
    assert to_wire(instant) == expected
    assert instant.tzinfo is UTC


@pytest.mark.parametrize(
    ("when", "tz", "fold", "path", "rule"),
    [
        ("2026-03-29 02:30", BERLIN, None, "when", "local_time_exists"),
        ("2026-03-29 02:00", BERLIN, 0, "when", "local_time_exists"),
        ("2026-03-29 02:30", BERLIN, 1, "when", "local_time_exists"),
        ("2026-10-25 02:30", BERLIN, None, "when", "local_time_unambiguous"),
        ("2026-10-25 02:00", BERLIN, None, "when", "local_time_unambiguous"),
        ("2026-07-05T03:30Z", BERLIN, None, "when", "local_time"),
        (datetime(2026, 7, 5, tzinfo=UTC), BERLIN, None, "when", "local_time"),
        ("tomorrow", BERLIN, None, "when", "format"),
        ("", BERLIN, None, "when", "format"),
        (5, BERLIN, None, "when", "format"),
        (None, BERLIN, None, "when", "format"),
        ("2026-07-05 03:30", BERLIN, 2, "fold", "fold"),
        ("2026-07-05 03:30", BERLIN, "first", "fold", "fold"),
        ("2026-07-05 03:30", "Europe/Atlantis", None, "tz", "time_zone"),
        ("2026-07-05 03:30", "", None, "tz", "time_zone"),
        ("2026-07-05 03:30", "../etc/passwd", None, "tz", "time_zone"),
        ("2026-07-05 03:30", None, None, "tz", "time_zone"),
        ("2026-07-05 03:30", UTC, None, "tz", "time_zone"),
    ],
)
def test_a_local_time_that_leaves_a_doubt_is_refused(
    when: Any, tz: Any, fold: Any, path: str, rule: str
) -> None:
    with pytest.raises(RuleError) as caught:
        slot_time(when, tz=tz, fold=fold)
    assert (caught.value.path, caught.value.rule) == (path, rule)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001  without an offset on purpose
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
    st.sampled_from([0, 1]),
)
def test_an_accepted_local_time_reads_the_same_on_the_wall(when: datetime, tz: str, fold: int) -> None:
    try:
        instant = slot_time(when, tz=tz, fold=fold)
    except RuleError:
        wall = when.replace(tzinfo=ZoneInfo(tz), fold=fold)
        assert wall.astimezone(UTC).astimezone(ZoneInfo(tz)).replace(tzinfo=None) != when  # it does not exist
        return
    assert instant.astimezone(ZoneInfo(tz)).replace(tzinfo=None, fold=0) == when.replace(microsecond=0)


@pytest.mark.parametrize("when", ["2026-07-05T03:30Z", 1704413700, None])
def test_an_instant_is_a_datetime(when: Any) -> None:
    with pytest.raises(RuleError) as caught:
        to_instant(when, path="start")
    assert (caught.value.path, caught.value.rule) == ("start", "type")


def test_an_instant_is_aware_and_in_range_and_cut_to_seconds() -> None:
    with pytest.raises(RuleError, match="no time zone"):
        to_instant(datetime(2026, 7, 5), path="start")  # noqa: DTZ001  without an offset on purpose
    ahead = timezone(timedelta(hours=14))
    with pytest.raises(RuleError, match="out of range"):
        to_instant(datetime(1, 1, 1, tzinfo=ahead), path="start")
    instant = to_instant(datetime(2026, 7, 5, 14, 0, 0, 999_999, tzinfo=ahead), path="start")
    assert instant == datetime(2026, 7, 5, tzinfo=UTC)
    assert instant.tzinfo is UTC


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_goes_out_reads_as_the_same_instant(when: datetime) -> None:
    instant = to_instant(when, path="start")
    text = to_wire(instant)
    assert len(text) == 20
    assert text.endswith("Z")
    assert read_instant(text) == (instant, True)


@pytest.mark.parametrize(
    ("text", "microsecond", "had_offset"),
    [
        ("2024-01-05T00:15:00Z", 0, True),
        ("2024-01-05T00:15:00+00:00", 0, True),
        ("2024-01-05T02:15:00+02:00", 0, True),
        ("2024-01-04T20:15:00-04:00", 0, True),
        ("2024-01-05T00:15:00.1234567Z", 123456, True),
        ("2024-01-05T00:15:00", 0, False),
        ("2024-01-05 00:15:00.5", 500000, False),
    ],
)
def test_times_of_others_are_read_as_utc(text: str, microsecond: int, had_offset: bool) -> None:
    instant, offset = read_instant(text)
    assert instant == datetime(2024, 1, 5, 0, 15, 0, microsecond, tzinfo=UTC)
    assert instant.tzinfo is UTC
    assert offset is had_offset


@pytest.mark.parametrize(
    "text", ["", "soon", "2024-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
)
def test_what_is_no_time_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_instant(text)
    assert type(caught.value) is ValueError


@pytest.mark.parametrize(
    ("when", "tz"),
    [
        ("0001-01-01 00:00", "Asia/Tokyo"),
        ("9999-12-31 23:59", "America/Los_Angeles"),
        (datetime(1, 1, 1), "Asia/Tokyo"),  # noqa: DTZ001  without an offset on purpose
    ],
)
def test_a_local_time_beyond_the_years_of_utc_is_refused(when: Any, tz: str) -> None:
    with pytest.raises(RuleError, match="out of range") as caught:
        slot_time(when, tz=tz)
    assert (caught.value.path, caught.value.rule) == ("when", "range")


@pytest.mark.parametrize("argument", ["when", "tz", "fold"])
def test_a_number_that_cannot_be_shown_is_refused_as_any_other(argument: str) -> None:
    arguments: dict[str, Any] = {"when": "2026-07-05 03:30", "tz": BERLIN, argument: 10**5000}
    with pytest.raises(RuleError) as caught:
        slot_time(**arguments)
    assert caught.value.path == argument
    with pytest.raises(RuleError):
        to_instant(10**5000, path="start")


NO_TIMES = [
    "2024-01-05T00:15:00Z\0junk",
    "2024-01-05T00:15:00\0",
    "2024-01-05\u201300:15:00Z",
    "2024-01-05T00:15:\u0660\u0660Z",
]


@pytest.mark.parametrize("text", NO_TIMES, ids=ascii)
def test_a_time_is_ascii_to_its_end(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        read_instant(text)
    with pytest.raises(RuleError) as caught:
        slot_time(text.replace("Z", ""), tz=BERLIN)
    assert caught.value.rule == "format"


def test_where_no_zone_is_known_at_all_the_remedy_is_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a small container: no zones of the system, and no tzdata."""
    import zoneinfo

    monkeypatch.setattr(zoneinfo, "TZPATH", ())
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(RuleError, match="pip install tzdata"):
        slot_time("2026-03-29 03:30", tz="Europe/Nowhere")
