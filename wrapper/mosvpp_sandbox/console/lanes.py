"""The timeline: a lane for each site, in it a bar for each event and command. Places are percentages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from . import wording

__all__ = ["WINDOWS", "Bar", "Lane", "Window", "lanes", "window"]

# What may be looked at: its length, and the distance of the marks below.
WINDOWS: Mapping[str, tuple[timedelta, timedelta]] = {
    "1h": (timedelta(hours=1), timedelta(minutes=10)),
    "6h": (timedelta(hours=6), timedelta(hours=1)),
    "24h": (timedelta(hours=24), timedelta(hours=4)),
    "7d": (timedelta(days=7), timedelta(days=1)),
}
_AHEAD = 1 / 3
_NARROW = 9.0  # percent: a label would not fit
_TIGHT = 30.0  # it would not on a phone
_MIDNIGHT = datetime(1970, 1, 1)  # noqa: DTZ001  only to count from


@dataclass(frozen=True)
class Window:
    """The time that is shown; the present lies at two thirds of it."""

    name: str
    begin: datetime
    end: datetime
    now: datetime

    @property
    def step(self) -> timedelta:
        """The distance of the marks."""
        return WINDOWS[self.name][1]

    def place(self, at: datetime) -> float:
        """Where an instant lies, in percent of the width; beyond the edges it is at the edge."""
        share = (at - self.begin) / (self.end - self.begin)
        return round(100 * min(1.0, max(0.0, share)), 3)

    @property
    def marks(self) -> list[tuple[float, str]]:
        """Full hours, or days, and where they lie."""
        step = self.step
        since = self.begin.replace(tzinfo=None) - _MIDNIGHT
        at = self.begin + (-since % step)
        found = []
        while at <= self.end:
            found.append((self.place(at), f"{at:%d %b}" if step >= timedelta(days=1) else f"{at:%H:%M}"))
            at += step
        return found


@dataclass(frozen=True)
class Bar:
    """One event or command: where it was to be, in which part of that it ran, in which row of the lane."""

    x: float
    width: float
    ran_x: float
    ran_width: float
    row: int
    kind: str
    style: str
    label: str
    tells: str
    is_tight: bool


@dataclass
class Lane:
    """What happens at one site."""

    molecule_id: str
    bars: list[Bar] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows it needs, since bars of one row do not overlap."""
        return max(1, len(self.ends))

    def row(self, x: float, end: float) -> int:
        """The first row in which there is room."""
        for number, taken in enumerate(self.ends):
            if taken <= x:
                self.ends[number] = end
                return number
        self.ends.append(end)
        return len(self.ends) - 1


def window(name: str, now: datetime) -> Window:
    """The window of that name around the present. Raises `ValueError`."""
    if name not in WINDOWS:
        raise ValueError(f"there is no window {name!r}")
    length = WINDOWS[name][0]
    end = now + length * _AHEAD
    return Window(name, end - length, end, now)


def lanes(
    events: Sequence[Mapping[str, Any]], commands: Sequence[Mapping[str, Any]], shown: Window
) -> list[Lane]:
    """A lane for each site with something in the window, that with the newest request first."""
    found: dict[str, Lane] = {}
    both = [*(_event(one) for one in events), *(_command(one) for one in commands)]
    asked: dict[str, datetime] = {}
    for item in sorted(both, key=lambda item: item.begin):
        asked[item.molecule_id] = max(item.asked_at, asked.get(item.molecule_id, item.asked_at))
        if item.end >= shown.begin and item.begin <= shown.end:
            lane = found.setdefault(item.molecule_id, Lane(item.molecule_id))
            lane.bars.append(_bar(item, lane, shown))
    return sorted(found.values(), key=lambda lane: asked[lane.molecule_id], reverse=True)


@dataclass(frozen=True)
class _Item:
    molecule_id: str
    kind: str
    asked_at: datetime
    begin: datetime
    end: datetime
    ran_from: datetime | None
    ran_to: datetime | None
    state: str
    label: str


def _event(one: Mapping[str, Any]) -> _Item:
    began, ended = one["began_at"], one["ended_at"]
    what = one["event_type"] if one["event_type"] == "restore" else _named(one)
    return _Item(
        one["molecule_id"],
        "event",
        wording.instant(one["asked_at"]),
        wording.instant(one["start"]),
        wording.instant(one["end"]),
        began and wording.instant(began),
        ended and wording.instant(ended),
        one["state"],
        what + (", test" if one["mode"] == "test" else ""),
    )


def _named(one: Mapping[str, Any]) -> str:
    return f"{one['event_type']} {wording.power(one['power_kw'])}"


def _command(one: Mapping[str, Any]) -> _Item:
    asked, until = wording.instant(one["asked_at"]), wording.instant(one["until"])
    types = sorted({device["cmd_type"] for device in one["devices"]})
    ran = None if one["state"] == "rejected" else asked
    return _Item(
        one["molecule_id"], "command", asked, asked, until, ran, until, one["state"], " + ".join(types)
    )


def _bar(item: _Item, lane: Lane, shown: Window) -> Bar:
    x, end = shown.place(item.begin), shown.place(item.end)
    ran_x = ran_end = x
    if item.ran_from is not None:
        ran_x = shown.place(item.ran_from)
        ran_end = shown.place(min(item.ran_to or shown.now, shown.now))
    width = max(end - x, 0.4)
    return Bar(
        x,
        width,
        ran_x=round(ran_x - x, 3),
        ran_width=round(max(0.0, ran_end - ran_x), 3),
        row=lane.row(x, x + width),
        kind=item.kind,
        style=wording.style(item.state),
        label=item.label if width >= _NARROW else "",
        is_tight=width < _TIGHT,
        tells=f"{item.kind.capitalize()}: {item.label}, {wording.state(item.state)}",
    )
