"""The charts of the settlement page as SVG coordinates: drawn here, so that the page needs no script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from math import ceil, floor, log10
from typing import NamedTuple

from mosvpp.fleet.settling import Case, Moment, SettledEvent
from mosvpp.fleet.states import State

__all__ = ["GROUPS", "Curve", "Grid", "Histogram", "coverage", "curve", "grid", "group_of"]

WIDTH, HEIGHT = 720.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 12.0, 14.0, 30.0
_MOST_SQUARES = 20_000

GROUPS: dict[str, tuple[str, tuple[State, ...]]] = {
    "done": ("completed", (State.COMPLETED,)),
    "part": ("completed in part", (State.PARTIALLY_COMPLETED,)),
    "open": ("on its way", (State.PLANNED, State.SENT, State.CONFIRMED, State.IN_PROGRESS)),
    "none": ("cancelled, superseded or opted out", (State.CANCELLED, State.SUPERSEDED, State.OPTED_OUT)),
    "failed": ("rejected or failed", (State.REJECTED, State.FAILED)),
    "doubt": ("unknown or in conflict", (State.UNKNOWN, State.CONFLICT)),
}
"""States as the map colours them: a style, its words, and what it stands for."""


def group_of(state: State) -> str:
    """The style of a state."""
    return next(style for style, (_, states) in GROUPS.items() if state in states)


class Curve(NamedTuple):
    """Asked and delivered power over time. A line is broken where nothing is known."""

    asked: str
    delivered: list[str]
    powers: list[tuple[float, str]]
    times: list[tuple[float, str]]
    zero: float
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM


class Square(NamedTuple):
    """One site of the map."""

    x: int
    y: int
    style: str
    tells: str


class Grid(NamedTuple):
    """The map of sites, in the order in which they were planned. `left_out` did not fit."""

    squares: list[Square]
    size: int
    width: int
    height: int
    left_out: int


class Histogram(NamedTuple):
    """How many sites were measured for which part of the time."""

    bars: list[tuple[str, int, float]]  # label, sites, percent of the highest


def curve(event: SettledEvent) -> Curve:
    """The two lines."""
    moments = event.moments
    known = [one.delivered_kw for one in moments if one.delivered_kw is not None]
    low, high = min([0.0, *known]), max([one.asked_kw for one in moments] + known + [0.0])
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    start, whole = moments[0].at, moments[-1].at - moments[0].at

    def x(at: datetime) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * ((at - start) / whole), 1)

    def y(power: float) -> float:
        share = (power - low) / (high - low)
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share, 1)

    asked = " ".join(f"{x(one.at)},{y(one.asked_kw)}" for one in moments)
    lines, line = list[str](), list[str]()
    for one in [*moments, None]:
        if one is not None and one.delivered_kw is not None:
            line.append(f"{x(one.at)},{y(one.delivered_kw)}")
        elif line:
            lines.append(" ".join(line))
            line = []
    return Curve(asked, lines, [(y(tick), _kilowatts(tick)) for tick in ticks], _times(moments, x), y(0.0))


def _times(moments: Sequence[Moment], x: Callable[[datetime], float]) -> list[tuple[float, str]]:
    several = [moments[round(part * (len(moments) - 1) / 4)].at for part in range(5)]
    # One day or more: the date is needed as well.
    form = "%H:%M" if several[-1] - several[0] < _DAY else "%d %b %H:%M"
    return [(x(at), at.strftime(form)) for at in several]


_DAY = datetime(2026, 1, 2) - datetime(2026, 1, 1)  # noqa: DTZ001  a difference


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers over the whole range."""
    span = (high - low) or 1.0
    step = 10.0 ** floor(log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 7)
    return [round(number * step, 9) for number in range(floor(low / step), ceil((high or 1.0) / step) + 1)]


def _kilowatts(power: float) -> str:
    return f"{power / 1000:,g} MW" if abs(power) >= 10_000 else f"{power:,g} kW"


def grid(event: SettledEvent) -> Grid:
    """One square for each site; the squares shrink as there are more of them."""
    shown = event.cases[:_MOST_SQUARES]
    size = next((size for size in (18, 14, 10, 7, 5) if len(shown) <= (720 // size) * 24), 4)
    columns = 720 // size
    squares = [
        Square((number % columns) * size, (number // columns) * size, group_of(case.state), _told(case))
        for number, case in enumerate(shown)
    ]
    height = ceil(len(shown) / columns) * size
    return Grid(squares, size - 1 - (size > 7), 720, max(height, size), len(event.cases) - len(shown))


def _told(case: Case) -> str:
    performance = case.settlement.performance
    return f"{case.molecule_id}: {case.state.replace('_', ' ')}" + (
        "" if performance is None else f", {performance:.0%} delivered"
    )


def coverage(event: SettledEvent) -> Histogram:
    """Five bars, and one for the sites of which nothing is known."""
    labels = ["nothing", "up to 25 %", "up to 50 %", "up to 75 %", "up to 99 %", "all of it"]
    counts = dict.fromkeys(labels, 0)
    for case in event.cases:
        part = case.settlement.coverage or 0.0
        index = 0 if part == 0 else 5 if part > 0.99 else 1 + min(3, int(part * 4))
        counts[labels[index]] += 1
    most = max(counts.values()) or 1
    return Histogram([(label, count, 100 * count / most) for label, count in counts.items()])
