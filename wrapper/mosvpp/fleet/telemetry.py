"""Telemetry, flattened: one row for each value of each metric, its history, and the latest of each series.

    known = Metrics({"power_output": Metric(unit="kW", positive="out")})
    telemetry = Telemetry("sqlite:///fleet.db", metrics=known)

    @inbox.handler(DataPush)
    async def keep(push, delivery):
        await telemetry.put(push, delivery.received_at)

A value is identified by site, device, metric and time, so that a push which comes twice is stored once. One
that comes late goes into the history and leaves the latest value alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias

from sqlalchemy import Connection, and_, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from mosvpp.errors import RuleError
from mosvpp.events import DataPush
from mosvpp.store import Database, GroupCommit, Pending
from mosvpp.times import from_microseconds, to_microseconds

from ._telemetry_tables import SCHEMA, latest, series, values
from .metrics import Metric, Metrics

__all__ = ["Added", "Reading", "Telemetry"]

_BATCH = 5_000
_Key: TypeAlias = tuple[str, str, str]
_Push: TypeAlias = tuple[DataPush, datetime]


class Added(NamedTuple):
    """What became of values that were added.

    `duplicates` were there already; `contradictions` were there with another value, which was kept.
    """

    stored: int
    duplicates: int
    contradictions: int


class Reading(NamedTuple):
    """One value: a number, or a text. `time` is that of the push, `received_at` when it came, both in UTC."""

    molecule_id: str
    device_id: str
    metric: str
    time: datetime
    value: float | str
    received_at: datetime


class _Row(NamedTuple):
    series: int
    time: int
    number: float | None
    text: str | None
    received_at: int


class Telemetry:
    """The telemetry of a fleet in SQLite or PostgreSQL. Use it in a `with` block, or `open` and `close` it.

    `metrics` says what the numbers mean. Threads may share it. Raises `RuleError` for a URL that is none,
    `StoreError` when the store fails.
    """

    def __init__(self, url: str, *, metrics: Metrics | None = None) -> None:
        self.metrics: Metrics = Metrics() if metrics is None else metrics
        self._database = Database(url, SCHEMA)
        self._ids: dict[_Key, int] = {}
        self._opening = threading.Lock()
        self._lane: GroupCommit[_Push, None] | None = None

    def __repr__(self) -> str:
        return f"Telemetry({self._database!r})"

    def open(self) -> None:
        """Connect, and create or migrate the tables. Does nothing when it is open. Raises `StoreError`."""
        if not self._database.is_open:
            self._database.open()

    def close(self) -> None:
        """Store what waits, and close the connections."""
        with self._opening:
            lane, self._lane = self._lane, None
        if lane is not None:
            lane.close()
        self._database.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Writing

    def add(self, pushes: Iterable[tuple[DataPush, datetime]]) -> Added:
        """Store pushes with the instants at which they came; durable when this returns.

        Whatever the order, and as often as you like: the result is the same. Raises `StoreError`.
        """
        total, batch = Added(0, 0, 0), list[Reading]()
        for push, received_at in pushes:
            batch += _flattened(push, received_at)
            if len(batch) >= _BATCH:
                total = _sum(total, self._store(batch))
                batch = []
        return _sum(total, self._store(batch)) if batch else total

    def put(self, push: DataPush, received_at: datetime) -> Pending[None]:
        """Store one push: `await` it, or call `.result()`; it is durable then.

        Those who put at the same time share a commit, so that many handlers of an inbox may do it at once.
        Raises `StoreError`.
        """
        with self._opening:
            if self._lane is None:
                self.open()
                self._lane = GroupCommit(self._commit, name="mosvpp-telemetry")
            return self._lane.submit((push, received_at))

    def _commit(self, pushes: Sequence[_Push]) -> Sequence[None]:
        self.add(pushes)
        return [None] * len(pushes)

    def _store(self, batch: list[Reading]) -> Added:
        rows = self._rows(batch)
        # One order for all who write at once, so that they cannot wait for each other in a circle.
        fresh = dict[tuple[int, int], _Row]()
        for row in rows:
            fresh.setdefault((row.series, row.time), row)
        ordered = [fresh[key] for key in sorted(fresh)]
        return self._database.commit(lambda connection: self._write(connection, rows, ordered))

    def _write(self, connection: Connection, rows: list[_Row], ordered: list[_Row]) -> Added:
        new = _insert(connection, values).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        stored = connection.execute(new, [row._asdict() for row in ordered]).rowcount
        _note_latest(connection, ordered)
        if stored == len(rows):
            return Added(stored, 0, 0)
        kept = _present(connection, ordered)
        contradictions = sum(_value(row) != _value(kept[row.series, row.time]) for row in rows)
        return Added(stored, len(rows) - stored - contradictions, contradictions)

    def _rows(self, batch: list[Reading]) -> list[_Row]:
        missing = {reading[:3] for reading in batch} - self._ids.keys()
        if missing:
            self._ids |= self._database.commit(lambda connection: _ids_of(connection, sorted(missing)))
        return [
            _Row(
                series=self._ids[reading[:3]],
                time=to_microseconds(reading.time),
                number=None if isinstance(reading.value, str) else reading.value,
                text=reading.value if isinstance(reading.value, str) else None,
                received_at=to_microseconds(reading.received_at),
            )
            for reading in batch
        ]

    # Reading

    def latest(self, molecule_id: str | None = None) -> list[Reading]:
        """The latest value of each series, by site, device and metric."""
        with self._database.read() as connection:
            rows = connection.execute(_select(latest, molecule_id=molecule_id)).all()
        return [_reading(row) for row in rows]

    def readings(
        self,
        *,
        molecule_id: str | None = None,
        metric: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Reading]:
        """The history, by site, device, metric and time; `until` is not included. Read as it is consumed."""
        for chunk in self.chunks(molecule_id=molecule_id, metric=metric, since=since, until=until):
            yield from map(_reading, chunk)

    def chunks(
        self,
        *,
        molecule_id: str | None = None,
        metric: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        size: int = 20_000,
    ) -> Iterator[Sequence[Any]]:
        """The same as raw rows, so many at a time: ids, metric, time, number, text, received_at (in µs)."""
        statement = _select(values, molecule_id=molecule_id, metric=metric, since=since, until=until)
        with (
            self._database.read() as connection,
            connection.execution_options(yield_per=size).execute(statement) as found,
        ):
            yield from found.partitions()

    def count(self) -> int:
        """How many values there are."""
        with self._database.read() as connection:
            return int(connection.scalar(select(func.count()).select_from(values)) or 0)

    def series(
        self, molecule_id: str, metric: str, start: datetime, end: datetime
    ) -> dict[str, list[tuple[datetime, float]]]:
        """The numbers of one metric for each device of a site, in the order of time.

        From the last one before `start` to the first one from `end` on: both ends can be interpolated.
        """
        found: dict[str, list[tuple[datetime, float]]] = {}
        with self._database.read() as connection:
            chosen = select(series.c.id, series.c.device_id).where(
                series.c.molecule_id == molecule_id, series.c.metric == metric
            )
            for id_, device_id in connection.execute(chosen.order_by(series.c.device_id)).all():
                own = and_(values.c.series == id_, values.c.number.is_not(None))
                first = select(func.max(values.c.time)).where(own, values.c.time < to_microseconds(start))
                last = select(func.min(values.c.time)).where(own, values.c.time >= to_microseconds(end))
                low = connection.scalar(first)
                high = connection.scalar(last)
                rows = select(values.c.time, values.c.number).where(
                    own,
                    values.c.time >= (to_microseconds(start) if low is None else low),
                    values.c.time <= (to_microseconds(end) if high is None else high),
                )
                got = connection.execute(rows.order_by(values.c.time)).all()
                if got:
                    found[device_id] = [(from_microseconds(time), number) for time, number in got]
        return found

    def metric(self, name: str) -> Metric | None:
        """What is declared or inferred of a metric; None where nothing is."""
        return self.metrics.get(name)


def _sum(left: Added, right: Added) -> Added:
    return Added(*(a + b for a, b in zip(left, right, strict=True)))


def _flattened(push: DataPush, received_at: datetime) -> Iterator[Reading]:
    if received_at.tzinfo is None:
        msg = "it has no time zone; give an aware datetime, as delivery.received_at is"
        raise RuleError(msg, path="received_at", rule="aware_time")
    for device in push.devices:
        for name, value in device.metrics.items():
            yield Reading(
                push.molecule_id,
                device.device_id,
                name,
                push.timestamp,
                value if isinstance(value, str) else float(value),
                received_at,
            )


def _insert(connection: Connection, table: Any) -> Any:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def _ids_of(connection: Connection, keys: list[_Key]) -> dict[_Key, int]:
    """The numbers of these series; those that are new get one."""
    columns = ("molecule_id", "device_id", "metric")
    new = _insert(connection, series).on_conflict_do_nothing()
    connection.execute(new, [dict(zip(columns, key, strict=True)) for key in keys])
    ids: dict[_Key, int] = {}
    where = tuple_(series.c.molecule_id, series.c.device_id, series.c.metric)
    for at in range(0, len(keys), 500):
        for row in connection.execute(select(series).where(where.in_(keys[at : at + 500]))):
            ids[row.molecule_id, row.device_id, row.metric] = row.id
    return ids


def _note_latest(connection: Connection, rows: list[_Row]) -> None:
    newest = {row.series: row for row in rows}  # they come in the order of time
    statement = _insert(connection, latest)
    changed = {name: statement.excluded[name] for name in ("time", "number", "text", "received_at")}
    statement = statement.on_conflict_do_update(
        index_elements=["series"], set_=changed, where=statement.excluded.time > latest.c.time
    )
    connection.execute(statement, [row._asdict() for row in newest.values()])


def _value(row: _Row) -> tuple[float | None, str | None]:
    return row.number, row.text


def _present(connection: Connection, rows: list[_Row]) -> dict[tuple[int, int], _Row]:
    """What the store has of these."""
    found = {}
    where = tuple_(values.c.series, values.c.time)
    for at in range(0, len(rows), 500):
        keys = [(row.series, row.time) for row in rows[at : at + 500]]
        for row in connection.execute(select(values).where(where.in_(keys))):
            found[row.series, row.time] = _Row(*row)
    return found


def _select(
    table: Any,
    *,
    molecule_id: str | None = None,
    metric: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Any:
    which = (series.c.molecule_id, series.c.device_id, series.c.metric)
    what = (table.c.time, table.c.number, table.c.text, table.c.received_at)
    statement = select(*which, *what).join_from(table, series, table.c.series == series.c.id)
    if molecule_id is not None:
        statement = statement.where(series.c.molecule_id == molecule_id)
    if metric is not None:
        statement = statement.where(series.c.metric == metric)
    if since is not None:
        statement = statement.where(table.c.time >= to_microseconds(since))
    if until is not None:
        statement = statement.where(table.c.time < to_microseconds(until))
    return statement.order_by(*which, table.c.time)


def _reading(row: Any) -> Reading:
    value = row.text if row.number is None else row.number
    time, received_at = from_microseconds(row.time), from_microseconds(row.received_at)
    return Reading(row.molecule_id, row.device_id, row.metric, time, value, received_at)
