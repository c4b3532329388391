"""Energy out of samples of power: linear between two of them, and a stated policy where there are none.

Two neighbouring samples are taken as joined by a straight line, unless they lie further apart than `max_gap`.
Peers differ in what a gap counts for, so it is said each time:

- `zero`: nothing flowed. Never more than what was measured.
- `drop`: the gap is left out, of what was asked as well; the rest is compared with the rest.
- `hold`: the last value went on until the next sample. Nothing comes before the first one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import fsum, isfinite
from typing import Literal, NamedTuple, TypeAlias

from mosvpp.errors import RuleError

__all__ = ["GapPolicy", "Integral", "Sample", "Span", "common", "integrate", "measured", "power_at"]

GapPolicy: TypeAlias = Literal["zero", "drop", "hold"]

Span: TypeAlias = tuple[datetime, datetime]

_HOUR = timedelta(hours=1)


class Sample(NamedTuple):
    """A power at an instant: kW, with the sign that the caller wants to integrate."""

    at: datetime
    kilowatts: float


class Integral(NamedTuple):
    """What the samples come to between two instants.

    `kilowatt_hours` is what flowed in `counted`, the time that is spoken of: all of it, or with `drop` what
    was measured. `measured` is the time between samples that belong together.
    """

    kilowatt_hours: float
    measured: timedelta
    counted: timedelta
    asked: timedelta

    @property
    def coverage(self) -> float:
        """The part of the time that was measured, 0 to 1."""
        return self.measured / self.asked


class _Piece(NamedTuple):
    """A stretch in which power goes in a line from one value to another; None where it is a gap."""

    start: datetime
    end: datetime
    first: float | None
    last: float | None
    before: float | None  # the sample in front of it

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    @property
    def kilowatt_hours(self) -> float:
        if self.first is None or self.last is None:
            return 0.0
        return (self.first + self.last) / 2 * (self.duration / _HOUR)


def integrate(
    samples: Sequence[Sample], start: datetime, end: datetime, *, gaps: GapPolicy, max_gap: timedelta
) -> Integral:
    """Energy from `start` to `end`, out of samples in the order of time.

    Samples outside the interval serve to know the power at its ends. Raises `RuleError` when the end is not
    after the start, when samples are out of order or two are of one instant, and for a number that is none.
    """
    if start >= end:
        raise RuleError(f"{end} is not after {start}", path="end", rule="end_after_start")
    if gaps not in ("zero", "drop", "hold"):
        raise RuleError(f"{gaps!r} is none of zero, drop, hold", path="gaps", rule="enum")
    for left, right in pairwise(samples):
        if left.at >= right.at:
            msg = f"the sample of {right.at} stands behind that of {left.at}: sort them, each instant once"
            raise RuleError(msg, path="samples", rule="order")
    if not all(isfinite(sample.kilowatts) for sample in samples):
        raise RuleError("a power is NaN or infinite", path="samples", rule="finite")
    energies, measured = [], timedelta(0)
    for piece in _pieces(samples, start, end, max_gap):
        if piece.first is not None:
            measured += piece.duration
            energies.append(piece.kilowatt_hours)
        elif gaps == "hold" and piece.before is not None:
            energies.append(piece._replace(first=piece.before, last=piece.before).kilowatt_hours)
    asked = end - start
    return Integral(fsum(energies), measured, measured if gaps == "drop" else asked, asked)


def power_at(samples: Sequence[Sample], at: datetime, *, max_gap: timedelta) -> float | None:
    """The power at an instant, in kW; None in a gap."""
    index = bisect_right(samples, at, key=lambda sample: sample.at)
    if index and samples[index - 1].at == at:
        return samples[index - 1].kilowatts
    if index in (0, len(samples)) or samples[index].at - samples[index - 1].at > max_gap:
        return None
    return _between(samples[index - 1], samples[index], at)


def measured(samples: Sequence[Sample], start: datetime, end: datetime, *, max_gap: timedelta) -> list[Span]:
    """When the power is known between `start` and `end`: spans in the order of time that do not touch."""
    spans: list[Span] = []
    for piece in _pieces(samples, start, end, max_gap):
        if piece.first is None:
            continue
        if spans and spans[-1][1] == piece.start:
            spans[-1] = (spans[-1][0], piece.end)
        else:
            spans.append((piece.start, piece.end))
    return spans


def common(left: Sequence[Span], right: Sequence[Span]) -> list[Span]:
    """The time that is in both, each being in the order of time."""
    both, i, j = list[Span](), 0, 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            both.append((start, end))
        if left[i][1] <= right[j][1]:
            i += 1
        else:
            j += 1
    return both


def _pieces(
    samples: Sequence[Sample], start: datetime, end: datetime, max_gap: timedelta
) -> Iterator[_Piece]:
    index = bisect_right(samples, start, key=lambda sample: sample.at)  # the first one behind the start
    at = start
    while at < end:
        left = samples[index - 1] if index else None
        right = samples[index] if index < len(samples) else None
        until = end if right is None else min(right.at, end)
        if left is None or right is None or right.at - left.at > max_gap:
            yield _Piece(at, until, None, None, None if left is None else left.kilowatts)
        else:
            yield _Piece(at, until, _between(left, right, at), _between(left, right, until), left.kilowatts)
        at = until
        index += 1


def _between(left: Sample, right: Sample, at: datetime) -> float:
    if at == right.at:
        return right.kilowatts
    return left.kilowatts + (right.kilowatts - left.kilowatts) * ((at - left.at) / (right.at - left.at))
