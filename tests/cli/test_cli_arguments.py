"""From texts on the command line to values."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosvpp import MW, kW, w
from mosvpp.cli.arguments import (
    naming,
    read_device_command,
    read_duration,
    read_file,
    read_power,
    read_secret,
    read_time,
)
from mosvpp.commands import discharge, restore, turn_off
from mosvpp.errors import RuleError


@pytest.mark.parametrize(
    ("text", "power"),
    [
        ("5 kW", 5 * kW),
        ("5kW", 5 * kW),
        (" 250 w ", 250 * w),
        ("1.5MW", 1.5 * MW),
        (".5 kW", 0.5 * kW),
        ("1e3 w", 1000 * w),
    ],
)
def test_powers_are_a_number_and_a_unit(text: str, power: object) -> None:
    assert read_power(text, "--power") == power


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5", "is no power"),
        ("kW", "is no power"),
        ("", "is no power"),
        ("5 kW 3", "is no power"),
        ("5,5 kW", "decimal point"),
        ("5 KW", "use w, kW or MW"),
        ("5 mW", "milliwatts"),
        ("5 kWh", "use w, kW or MW"),
        ("-5 kW", "negative"),
        ("1e999 kW", "finite"),
        ("\u0665 kW", "is no power"),
    ],
)
def test_other_powers_are_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(RuleError, match=why) as caught:
        read_power(text, "--power")
    assert caught.value.path == "--power"
    assert caught.value.evidence


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h", 3600),
        ("90m", 5400),
        ("90min", 5400),
        ("1h30m", 5400),
        ("1 h 30 m", 5400),
        ("45s", 45),
        ("2d", 172_800),
        ("1d1h1m1s", 90_061),
        ("0s", 0),
    ],
)
def test_durations_have_units(text: str, seconds: int) -> None:
    assert read_duration(text, "--duration") == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "900", "1.5h", "-1h", "1h1h", "30m1h", "PT1H", "9" * 20 + "d"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(RuleError) as caught:
        read_duration(text, "--duration")
    assert caught.value.path == "--duration"


@pytest.mark.parametrize("digits", [20, 5000])
@pytest.mark.parametrize("unit", ["d", "s"])
def test_a_duration_beyond_all_clocks_is_too_long_and_told_in_short(digits: int, unit: str) -> None:
    with pytest.raises(RuleError, match="is too long") as caught:
        read_duration("9" * digits + unit, "--duration")
    assert caught.value.rule == "range"
    assert len(caught.value.args[0]) < 60


@pytest.mark.parametrize(
    ("text", "tz", "fold", "instant"),
    [
        ("2026-11-23T18:00:00Z", None, None, datetime(2026, 11, 23, 18, tzinfo=UTC)),
        ("2026-11-23T19:00+01:00", None, None, datetime(2026, 11, 23, 18, tzinfo=UTC)),
        ("2026-11-23 19:00", "Europe/Berlin", None, datetime(2026, 11, 23, 18, tzinfo=UTC)),
        ("2026-10-25 02:30", "Europe/Berlin", 0, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25 02:30", "Europe/Berlin", 1, datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_times_have_an_offset_or_a_zone(
    text: str, tz: str | None, fold: int | None, instant: datetime
) -> None:
    assert read_time(text, "--start", tz=tz, fold=fold) == instant


def test_now_is_the_present() -> None:
    before = datetime.now(UTC)
    assert before <= read_time("now", "--start", tz=None, fold=None) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "tz", "why"),
    [
        ("tomorrow", None, "is no time"),
        ("2026-11-23", None, "is no time"),
        ("2026-11-23T18:00:00", None, "has no offset"),
        ("2026-11-23T18:00:00Z", "Europe/Berlin", "has an offset already"),
        ("2026-11-23 18:00", "Berlin", "is no time zone"),
        ("2026-03-29 02:30", "Europe/Berlin", "does not exist"),
        ("2026-10-25 02:30", "Europe/Berlin", "--fold 0"),
        ("0001-01-01 00:00", "Europe/Berlin", "out of range"),
        ("9999-12-31 23:59", "America/New_York", "out of range"),
    ],
)
def test_other_times_are_refused_with_a_reason(text: str, tz: str | None, why: str) -> None:
    with pytest.raises(RuleError, match=why) as caught:
        read_time(text, "--start", tz=tz, fold=None)
    assert caught.value.path == "--start"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("20000:discharge:5kW", discharge("20000", 5 * kW)),
        ("20000:discharge:5 kW", discharge("20000", 5 * kW)),
        ("21000:off", turn_off("21000")),
        ("21000:restore", restore("21000")),
        ("00:0d:6f:off", turn_off("00:0d:6f")),
        ("on:off", turn_off("on")),
        ("a:charge:off", turn_off("a:charge")),
    ],
)
def test_commands_are_device_action_and_power(text: str, command: object) -> None:
    assert read_device_command(text) == command


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("20000", "is no command"),
        (":off", "is no command"),
        ("20000:stop", "is no command"),
        ("20000:OFF", "is no command"),
        ("20000:discharge", "needs a power"),
        ("20000:discharge:", "is no power"),
        ("20000:discharge:5", "is no power"),
        ("20000:off:5kW", "takes no power"),
    ],
)
def test_other_commands_are_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(RuleError, match=why) as caught:
        read_device_command(text)
    assert caught.value.path == "COMMANDS"


def test_secrets_come_from_files_variables_or_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"from a file\r\n")
    monkeypatch.setenv("HOOK", "from a variable")
    assert read_secret(f"@{file}", "--x").value == "from a file"
    assert read_secret("env:HOOK", "--x").value == "from a variable"
    assert read_secret("given", "--x").value == "given"


def test_only_the_line_break_at_the_end_of_a_secret_file_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b" spaces count \n\n")
    assert read_secret(f"@{file}", "--x").value == " spaces count \n"


def test_a_secret_does_not_show_itself() -> None:
    assert "canary" not in repr(read_secret("canary", "--x"))


@pytest.mark.parametrize("text", ["@missing", "@.", "env:NOT_SET", "env:EMPTY"])
def test_secrets_that_cannot_be_read_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(RuleError) as caught:
        read_secret(text, "--x")
    assert caught.value.path == "--x"


def test_a_secret_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(RuleError, match="is no text"):
        read_secret(f"@{tmp_path / 'key'}", "--x")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="cannot be read"):
        read_file(tmp_path, "FILE")


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("event_id", "--event-id"),
        ("timeout.total", "--timeout"),
        ("$.event_slots[0].priority", "$.event_slots[0].priority"),
        ("$", "$"),
        ("--power", "--power"),
    ],
)
def test_errors_of_the_sdk_name_the_option(path: str, option: str) -> None:
    with pytest.raises(RuleError) as caught, naming():
        raise RuleError("no", path=path, rule="r", evidence=("e",))
    assert (caught.value.path, caught.value.rule, caught.value.evidence) == (option, "r", ("e",))


@given(st.text())
def test_no_text_raises_anything_but_our_errors(text: str) -> None:
    for read in (
        lambda: read_power(text, "--x"),
        lambda: read_duration(text, "--x"),
        lambda: read_time(text, "--x", tz=None, fold=None),
        lambda: read_time(text, "--x", tz="Europe/Berlin", fold=0),
        lambda: read_device_command(text),
    ):
        with suppress(RuleError):
            read()
