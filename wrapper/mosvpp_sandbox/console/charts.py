"""Numbers for the charts, so few that a page draws them at once: the window only, at most `POINTS` points."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

from mosvpp_sandbox.control import Control, Span
from mosvpp_sandbox.records import POWER

from . import wording
from .lanes import Window

__all__ = ["POINTS", "of_events", "of_site"]

POINTS = 300
_ALL = 10**6
_LOOKS = {
    "requested_kw": ("requested", "asked", True),
    "delivered_kw": ("delivered", "given", False),
    "import_kw": ("drawn from the grid", "grid", False),
}


def of_site(control: Control, molecule_id: str, columns: Sequence[str], shown: Window) -> dict[str, Any]:
    """What a site told in that window; each point is the mean of its neighbours. Raises `LookupError`."""
    told = control.telemetry(molecule_id, columns or POWER, points=_ALL)
    at = [wording.instant(str(text)).timestamp() for text in told.pop("at")]
    first = bisect_left(at, shown.begin.timestamp())
    stride = max(1, -(-(len(at) - first) // POINTS))
    groups = [range(begin, min(begin + stride, len(at))) for begin in range(first, len(at), stride)]
    series = [
        _series(name, [round(sum(float(values[one]) for one in group) / len(group), 4) for group in groups])
        for name, values in told.items()
    ]
    return _chart([at[group[-1]] for group in groups], series, shown)


def of_events(events: Iterable[Span], shown: Window) -> dict[str, Any]:
    """What all sites were asked for, and what they delivered: of each event its average up to now."""
    begin, end, now = (one.timestamp() for one in (shown.begin, shown.end, shown.now))
    step = (end - begin) / POINTS
    asked, given = [0.0] * (POINTS + 2), [0.0] * (POINTS + 2)

    def add(into: list[float], power: float, start: float, stop: float) -> None:
        first, last = (min(POINTS + 1, max(0, -int((begin - one) // step))) for one in (start, stop))
        into[first] += power
        into[max(first, last)] -= power

    for one in events:
        add(asked, one.asked_kw, one.start, min(one.end, one.ended or one.end))
        if one.began is not None:
            add(given, one.delivered_kw, one.began, one.ended or now + 2 * step)
    at = [begin + step * index for index in range(POINTS + 1)]
    sums = [_summed(asked), _summed(given)]
    delivered = [value if instant <= now else None for instant, value in zip(at, sums[1], strict=True)]
    series = [_series("requested_kw", list(sums[0])), _series("delivered_kw", delivered)]
    return _chart(at, series, shown)


def _summed(changes: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for change in changes[: POINTS + 1]:
        total += change
        sums.append(round(total, 4) + 0.0)
    return sums


def _series(name: str, values: list[float | None] | list[float]) -> dict[str, Any]:
    label, style, is_stepped = _LOOKS.get(name, (wording.words(name.rpartition(".")[2]), "metric", False))
    return {
        "label": label,
        "style": style,
        "stepped": is_stepped,
        "unit": wording.unit(name),
        "values": values,
    }


def _chart(at: list[float], series: list[dict[str, Any]], shown: Window) -> dict[str, Any]:
    newest = []
    for one in series:
        known = [value for value in one["values"] if value is not None]
        if known:
            newest.append(f"{one['label']} {known[-1]:.4g} {one['unit']}".strip())
    return {
        "at": at,
        "series": series,
        "begin": shown.begin.timestamp(),
        "end": shown.end.timestamp(),
        "now": shown.now.timestamp(),
        "step": shown.step.total_seconds(),
        "summary": ", ".join(newest) or "nothing recorded yet",
    }
