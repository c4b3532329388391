"""From texts on the command line to values. Every error is a `RuleError` whose path is the option."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mosvpp.errors import RuleError

if TYPE_CHECKING:
    from mosvpp.commands import DeviceCommand
    from mosvpp.units import Power

__all__ = [
    "COMMAND_LINE",
    "Secret",
    "naming",
    "on_disk",
    "read_device_command",
    "read_duration",
    "read_file",
    "read_power",
    "read_secret",
    "read_time",
]

COMMAND_LINE = "command line"

_POWER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\W\d]*)\s*", re.ASCII)
_DURATION = re.compile(r"(?:(\d+)\s*d)?\s*(?:(\d+)\s*h)?\s*(?:(\d+)\s*m(?:in)?)?\s*(?:(\d+)\s*s)?", re.ASCII)
_COMMAND = re.compile(r"(.+):(charge|discharge|shed|on|off|restore)(?::(.*))?", re.DOTALL)


def on_disk(url: str) -> str:
    """The URL of a store, if it is not one in memory. Raises `RuleError`.

    Of what was acknowledged or sent nothing would be left at the end of the command.
    """
    from mosvpp.store import is_in_memory

    with naming("--store"):
        in_memory = is_in_memory(url)
    if in_memory:
        msg = f"{url} is a store in memory, gone when the program ends: name a file, as in sqlite:///name.db"
        raise RuleError(msg, path="--store", rule="durable")
    return url


@contextmanager
def naming(option: str = "", **options: str) -> Iterator[None]:
    """Let a `RuleError` of the SDK name the option instead of the argument; by default the one of that name.

    `options` are the names of single arguments. JSON paths (`$.priority`) and options stay as they are.
    """
    try:
        yield
    except RuleError as error:
        path = error.path
        if not path.startswith(("$", "--")):
            path = "--" + path.partition(".")[0].replace("_", "-")
        named = options.get(error.path, option or path)
        raise RuleError(error.args[0], path=named, rule=error.rule, evidence=error.evidence) from None


def read_power(text: str, option: str) -> Power:
    """`5 kW`, `5kW`, `250 w`, `1.5MW`."""
    from mosvpp.units import Power

    found = _POWER.fullmatch(text)
    if found is None or not found[2]:
        hint = "; write a decimal point, not a comma" if "," in text else ""
        msg = f"{text!r} is no power: give a number and a unit (w, kW or MW), as in '5 kW'{hint}"
        raise RuleError(msg, path=option, rule="power", evidence=("units.power_unit",))
    with naming(option):
        return Power(float(found[1]), found[2])


def read_duration(text: str, option: str) -> timedelta:
    """`1h`, `90m`, `1h30m`, `45s`, `2d`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        msg = f"{text!r} is no duration: write it like 1h, 90m, 1h30m or 45s"
        raise RuleError(msg, path=option, rule="duration")
    try:
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except (OverflowError, ValueError):  # the latter for more digits than Python reads
        shown = text if len(text) <= 30 else f"{text[:30]}…"
        raise RuleError(f"{shown} is too long", path=option, rule="range") from None


def read_time(text: str, option: str, *, tz: str | None, fold: int | None) -> datetime:
    """`now`, ISO 8601 with an offset, or local time in the zone `tz`."""
    from mosvpp.times import slot_time

    if text.strip().lower() == "now":
        return datetime.now(UTC)
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        when = None
    if when is None or ":" not in text:
        examples = "now, 2026-11-23T18:00:00Z, 2026-11-23T19:00+01:00, or local time with --tz"
        msg = f"{text!r} is no time: write {examples}"
        raise RuleError(msg, path=option, rule="time", evidence=("times.utc",))
    if when.tzinfo is None and tz is None:
        msg = f"{text} has no offset: add Z or +01:00, or say where with --tz Europe/Berlin"
        raise RuleError(msg, path=option, rule="aware_time", evidence=("times.utc",))
    if tz is None:
        return when
    if when.tzinfo is not None:
        raise RuleError(f"{text} has an offset already: leave out --tz", path=option, rule="local_time")
    with naming(option):
        try:
            return slot_time(when, tz=tz, fold=fold)
        except RuleError as error:
            if error.rule != "local_time_unambiguous":
                raise
            msg = f"{when} happens twice in {tz}: say --fold 0 for the first time or --fold 1 for the second"
            raise RuleError(msg, rule=error.rule) from None


def read_device_command(text: str) -> DeviceCommand:
    """`20000:discharge:5kW`, `21000:off`. An id may hold colons; the last word that is an action counts."""
    from mosvpp.commands import DeviceCommand

    found = _COMMAND.fullmatch(text)
    if found is None:
        msg = (
            f"{text!r} is no command: write DEVICE:ACTION or DEVICE:ACTION:POWER, as in"
            " 20000:discharge:5kW or 21000:off (charge, discharge and shed take a power, the others none)"
        )
        raise RuleError(msg, path="COMMANDS", rule="command", evidence=("command.cmd_type",))
    device_id, action, power = found.groups()
    if power is None and action in {"charge", "discharge", "shed"}:
        msg = f"{text!r}: {action} needs a power, as in {device_id}:{action}:5kW"
        raise RuleError(msg, path="COMMANDS", rule="power_based", evidence=("command.power_based",))
    with naming("COMMANDS"):
        wanted = None if power is None else read_power(power, "COMMANDS")
        return DeviceCommand(device_id=device_id, action=action, power=wanted)  # type: ignore[arg-type]  # the pattern


class Secret(NamedTuple):
    """A secret, and where it came from. Never shown."""

    value: str
    source: str

    def __repr__(self) -> str:
        return f"Secret(source={self.source!r})"


def read_secret(text: str, option: str) -> Secret:
    """`@FILE`, `env:NAME`, or the secret itself. The errors do not repeat it."""
    if not text:  # what an unset variable of a shell leaves
        raise RuleError("it is empty; give @FILE or env:VARIABLE", path=option, rule="required")
    if text.startswith("@"):
        path = Path(text[1:])
        try:
            # A file ends with a line break that nobody means; anything else in it is part of the secret.
            return Secret(
                read_file(path, option).decode().removesuffix("\n").removesuffix("\r"), f"file {path}"
            )
        except UnicodeDecodeError:
            raise RuleError(f"{path} is no text", path=option, rule="file") from None
    if text.startswith("env:"):
        name = text[4:]
        value = os.environ.get(name)
        if not value:
            msg = f"the environment variable {name} is not set, or empty"
            raise RuleError(msg, path=option, rule="environment")
        return Secret(value, f"variable {name}")
    return Secret(text, COMMAND_LINE)


def read_file(path: Path, option: str) -> bytes:
    """The bytes of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}"
        raise RuleError(msg, path=option, rule="file") from None
