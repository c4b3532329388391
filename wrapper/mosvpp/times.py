"""Instants: local time in, UTC out, whole seconds on the wire.

A duration is always added in UTC, so that an hour is an hour on the night when the clocks change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .errors import RuleError, shown

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = ["from_microseconds", "read_instant", "slot_time", "to_instant", "to_microseconds", "to_wire"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def slot_time(when: str | datetime, *, tz: str | ZoneInfo, fold: int | None = None) -> datetime:
    """Turn a local wall-clock time into the UTC instant that a slot wants.

    `when` is ISO 8601 without an offset (`"2026-03-29 03:30"`) or a naive datetime; `tz` an IANA name. In the
    hour that happens twice in autumn, `fold=0` means the first and `fold=1` the second.

    Raises `RuleError` for a time that does not exist in the zone, for an ambiguous one without `fold`, for a
    time that already has an offset, for one that is out of range in UTC, and for an unknown zone.
    """
    local = _parsed(when)
    zone = _zone(tz)
    if local.tzinfo is not None:
        given = shown(str(when))
        msg = f"{given} already has an offset; pass it as it is, without tz, or give the local time alone"
        raise RuleError(msg, path="when", rule="local_time")
    if fold not in (None, 0, 1):
        msg = f"fold is 0 (the first time) or 1 (the second), not {shown(fold)}"
        raise RuleError(msg, path="fold", rule="fold")
    first, second = (local.replace(tzinfo=zone, fold=turn) for turn in (0, 1))
    try:
        exists = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local
    except OverflowError:
        raise _out_of_range(first, "when") from None
    if not exists:
        msg = f"{local} does not exist in {zone.key}: the clocks are put forward over it"
        raise RuleError(msg, path="when", rule="local_time_exists")
    if first.utcoffset() != second.utcoffset() and fold is None:
        msg = f"{local} happens twice in {zone.key}; say fold=0 for the first time or fold=1 for the second"
        raise RuleError(msg, path="when", rule="local_time_unambiguous")
    return to_instant(second if fold else first, path="when")


def to_instant(when: object, *, path: str) -> datetime:
    """An aware datetime as UTC in whole seconds (a fraction is cut off); anything else is a `RuleError`."""
    if not isinstance(when, datetime):
        hint = "slot_time('2026-03-29 03:30', tz='Europe/Berlin')"
        msg = f"{shown(when)} is no datetime; use an aware one, for example {hint}"
        raise RuleError(msg, path=path, rule="type", evidence=("times.utc",))
    if when.utcoffset() is None:
        msg = f"{when} has no time zone; use slot_time(…, tz='Europe/Berlin') or .replace(tzinfo=UTC)"
        raise RuleError(msg, path=path, rule="aware_time", evidence=("times.utc",))
    try:
        return when.astimezone(UTC).replace(microsecond=0, fold=0)
    except OverflowError:
        raise _out_of_range(when, path) from None


def to_wire(instant: datetime) -> str:
    """A UTC instant as MosVPP's samples write it: `2024-01-05T00:00:00Z`."""
    return instant.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def read_instant(text: str) -> tuple[datetime, bool]:
    """Read a time that Molecule sent; the second value says whether it had an offset (times.reading).

    Without an offset it is taken as UTC. Digits beyond microseconds are cut off. Raises `ValueError`.
    """
    instant = _from_iso(text)
    offset = instant.utcoffset()
    if offset is None:
        return instant.replace(tzinfo=UTC), False
    try:
        return (instant.replace(tzinfo=UTC) if offset == timedelta(0) else instant.astimezone(UTC)), True
    except OverflowError:
        raise ValueError(f"{text} is out of range in UTC") from None


def to_microseconds(instant: datetime) -> int:
    """Microseconds since 1970, as times are stored."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The instant in UTC."""
    return _EPOCH + timedelta(microseconds=count)


def _from_iso(text: str) -> datetime:
    if "\0" in text or not text.isascii():  # fromisoformat reads up to a NUL, and takes any sign between
        raise ValueError(f"{shown(text)} is no time")
    return datetime.fromisoformat(text)


def _out_of_range(when: datetime, path: str) -> RuleError:
    return RuleError(f"{when} is out of range in UTC", path=path, rule="range")


def _parsed(when: object) -> datetime:
    if isinstance(when, datetime):
        return when
    try:
        return _from_iso(str(when).strip())
    except ValueError:
        msg = f"{shown(when)} is no time; write it like 2026-03-29 03:30"
        raise RuleError(msg, path="when", rule="format") from None


def _zone(tz: str | ZoneInfo) -> ZoneInfo:
    # Late, so that receiving starts fast.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    if isinstance(tz, ZoneInfo):
        return tz
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        # A small container may know no zone at all.
        remedy = "use an IANA name such as Europe/Berlin" if available_timezones() else "pip install tzdata"
        msg = f"{shown(tz)} is no time zone that this machine knows; {remedy}"
        raise RuleError(msg, path="tz", rule="time_zone") from None
