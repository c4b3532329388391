"""The charts of the HTML report as SVG: drawn here, so that the page needs no script and no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log10

from .check import Exchange, Round, Verdict
from .report import WORDS, Report

__all__ = ["Bar", "Dot", "Times", "bars", "rounds", "times"]

WIDTH = 720.0
LEFT = 56.0
RIGHT = 12.0
HEIGHT = 220.0
TOP = 16.0
BOTTOM = 28.0
_TICKS_MS = (0.1, 1, 10, 100, 1000, 10_000, 100_000)


@dataclass(frozen=True)
class Dot:
    """One delivery: where it is drawn, and what it was."""

    x: float
    y: float
    style: str
    tells: str


@dataclass(frozen=True)
class Times:
    """Time to answer of every delivery, on a logarithmic scale."""

    dots: list[Dot]
    ticks: list[tuple[float, str]]
    limit_y: float
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Bar:
    """One bar of a group of checks, or of a round of kills: its parts from the left, as percentages."""

    label: str
    parts: list[tuple[str, float, str]]


def times(report: Report) -> Times:
    """A dot for each delivery, from the first to the last."""
    sent = [(result.check.name, exchange) for result in report.results for exchange in result.exchanges]
    found = [exchange.answer.seconds * 1000 for _, exchange in sent]
    limit = report.target.within * 1000
    low = 10 ** int(log10(max(min([*found, limit]), 0.1)) - 0.999)
    high = max([*found, limit]) * 1.6

    def y(milliseconds: float) -> float:
        share = (log10(max(milliseconds, low)) - log10(low)) / (log10(high) - log10(low))
        return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)

    step = (WIDTH - LEFT - RIGHT) / max(len(sent), 1)
    dots = [
        Dot(round(LEFT + (number + 0.5) * step, 1), y(took), _style(exchange), _told(name, exchange))
        for number, ((name, exchange), took) in enumerate(zip(sent, found, strict=True))
    ]
    ticks = [(y(tick), _unit(tick)) for tick in _TICKS_MS if low <= tick <= high]
    return Times(dots, ticks, y(limit))


def bars(report: Report) -> list[Bar]:
    """How the checks of each group ended."""
    made = []
    for group, results in report.groups:
        counts = [(verdict, sum(result.verdict is verdict for result in results)) for verdict in Verdict]
        parts = [
            (verdict.value, 100 * number / len(results), f"{number} {WORDS[verdict]}")
            for verdict, number in counts
            if number
        ]
        made.append(Bar(group, parts))
    return made


def rounds(report: Report) -> list[Bar]:
    """What was found after each kill, of what had been acknowledged."""
    found = [one for result in report.results for one in result.rounds]
    return [Bar(f"Kill {number}", list(_round_parts(one))) for number, one in enumerate(found, 1)]


def _round_parts(one: Round) -> Iterator[tuple[str, float, str]]:
    kept, open_ = one.acknowledged - one.missing, one.sent - one.acknowledged
    for style, number, words in (
        ("passed", kept, "acknowledged and listed"),
        ("failed", one.missing, "acknowledged and lost"),
        ("skipped", open_, "not acknowledged"),
    ):
        if number:
            yield style, 100 * number / max(one.sent, 1), f"{number} {words}"


def _style(exchange: Exchange) -> str:
    if not exchange.is_right:
        return "wrong"
    return "authentic" if exchange.is_authentic else "other"


def _told(name: str, exchange: Exchange) -> str:
    return f"{name}: {exchange.what}: {exchange.answer}"


def _unit(milliseconds: float) -> str:
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"
