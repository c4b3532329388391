"""What a site told over time, for charts: numbers only, the newest points, in flat arrays.

A point is taken with each data push: the power that was requested and delivered at that moment, what flowed
through the meter, and every metric that is a number (of a switch: 1 for closed or active, else 0).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from datetime import UTC, datetime

from mosvpp.times import to_wire

from .physics.device import Metrics

__all__ = ["POWER", "Record"]

POWER = ("requested_kw", "delivered_kw", "import_kw")
_WORDS = {"closed": 1.0, "open": 0.0, "active": 1.0, "inactive": 0.0}


class Record:
    """A ring of `size` points. Columns are named `requested_kw`, …, or `<device_id>.<metric>`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._columns: tuple[str, ...] = ()
        self._devices: tuple[str, ...] = ()
        self._at = array("d")
        self._rows = array("f")
        self._count = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what is recorded."""
        return self._columns

    def note(self, at: datetime, power: tuple[float, float, float], metrics: Mapping[str, Metrics]) -> None:
        """Add a point. Where there are other metrics than before, recording begins anew."""
        row = [*power]
        for told in metrics.values():
            row += [
                _WORDS.get(value, 0.0) if isinstance(value, str) else value
                for value in told.values()
                if not isinstance(value, str) or value in _WORDS
            ]
        if len(row) != len(self._columns) or tuple(metrics) != self._devices:
            self._begin(metrics)
        place = self._count % self._size
        if self._count < self._size:
            self._at.append(at.timestamp())
            self._rows.extend(row)
        else:
            width = len(row)
            self._at[place] = at.timestamp()
            self._rows[place * width : (place + 1) * width] = array("f", row)
        self._count += 1

    def series(self, names: tuple[str, ...], points: int = 300) -> dict[str, list[float | str]]:
        """The columns of those names and `at`, oldest first, each point the mean of its neighbours.

        Raises `LookupError` for a name that is not recorded.
        """
        columns = [self._index(name) for name in names]
        order = self._order()
        stride = max(1, -(-len(order) // max(1, points)))
        groups = [order[begin : begin + stride] for begin in range(0, len(order), stride)]
        width = len(self._columns)
        told: dict[str, list[float | str]] = {
            "at": [to_wire(datetime.fromtimestamp(self._at[group[-1]], UTC)) for group in groups]
        }
        for name, column in zip(names, columns, strict=True):
            told[name] = [
                round(sum(self._rows[place * width + column] for place in group) / len(group), 4)
                for group in groups
            ]
        return told

    def _order(self) -> list[int]:
        first = self._count % self._size if self._count > self._size else 0
        count = min(self._count, self._size)
        return [(first + index) % self._size for index in range(count)]

    def _index(self, name: str) -> int:
        try:
            return self._columns.index(name)
        except ValueError:
            raise LookupError(f"nothing called {name!r} is recorded") from None

    def _begin(self, metrics: Mapping[str, Metrics]) -> None:
        self._columns = (
            *POWER,
            *(
                f"{device_id}.{name}"
                for device_id, told in metrics.items()
                for name, value in told.items()
                if not isinstance(value, str) or value in _WORDS
            ),
        )
        self._devices = tuple(metrics)
        self._at, self._rows, self._count = array("d"), array("f"), 0
