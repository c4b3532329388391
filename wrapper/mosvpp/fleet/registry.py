"""The devices of every site, as device sync last reported them, and what has changed since.

registry = DeviceRegistry("sqlite:///fleet.db")
report = registry.sync(sites, client)
for change in report.changes: ...
registry.declare_ratings({"fecd0001c031e7e8": 5 * kW})
plan_dispatch(sites, slot, registry=registry, ...)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from mosvpp._values import Value
from mosvpp.clock import Clock, SystemClock
from mosvpp.errors import MosVPPError
from mosvpp.models import Device, DeviceList, DeviceType
from mosvpp.store import Database, Schema
from mosvpp.times import from_microseconds, to_microseconds
from mosvpp.units import Power, power_of

from .sites import SiteFacts

__all__ = ["Change", "DeviceChange", "DeviceRegistry", "SyncReport"]

Change: TypeAlias = Literal["added", "removed", "renamed", "type_changed", "capabilities_changed"]

_tables = MetaData()
_Seq = BigInteger().with_variant(Integer(), "sqlite")

_devices = Table(
    "mosvpp_devices",
    _tables,
    Column("molecule_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("device", Text, nullable=False),  # JSON
    Column("position", Integer, nullable=False),  # Molecule's order
    sqlite_with_rowid=False,
)
_syncs = Table(
    "mosvpp_syncs",
    _tables,
    Column("molecule_id", Text, primary_key=True),
    Column("synced_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
_changes = Table(
    "mosvpp_device_changes",
    _tables,
    Column("seq", _Seq, primary_key=True, autoincrement=True),
    Column("molecule_id", Text, nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
)
_ratings = Table(
    "mosvpp_site_ratings",
    _tables,
    Column("site_key", Text, primary_key=True),  # without its case, since a person wrote it
    Column("power", Text, nullable=False),  # as it was written: `5.0 kW`
    sqlite_with_rowid=False,
)
_SCHEMA = Schema("registry", _tables)
_PAGE = 500
_LOCK = 0x6D6F7376  # "mosv", beside the number of a site


class DeviceChange(Value, frozen=True, kw_only=True, tag_field="kind", tag="device_change"):
    """One thing that is different; `before` is None for a new device, `after` for one that is gone."""

    molecule_id: str
    device_id: str
    change: Change
    at: datetime
    before: Device | None = None
    after: Device | None = None


class SyncReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking many sites. A site that failed keeps what was known of it."""

    synced: int
    changes: tuple[DeviceChange, ...]
    failed: dict[str, MosVPPError]


class Syncing(Protocol):
    """Who asks a site for its devices: `Client` does, and a fleet."""

    def sync_devices(self, molecule_id: str) -> DeviceList:
        """Raise an error of `mosvpp.errors` when there is no list."""
        ...


class DeviceRegistry:
    """The devices of a fleet in SQLite or PostgreSQL. Use it in a `with` block, or `open` and `close` it.

    Threads may share it. Raises `RuleError` for a URL that is none, `StoreError` when the store fails.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        self._database = Database(url, _SCHEMA)
        self._clock: Clock = clock or SystemClock()

    def __repr__(self) -> str:
        return f"DeviceRegistry({self._database!r})"

    def open(self) -> None:
        """Connect, and create or migrate the tables. Does nothing when it is open. Raises `StoreError`."""
        if not self._database.is_open:
            self._database.open()

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sync(
        self,
        sites: Iterable[str],
        client: Syncing,
        *,
        concurrency: int = 8,
        on_progress: Callable[[int], object] | None = None,
    ) -> SyncReport:
        """Ask each site for its devices and note what has changed; `on_progress` hears how many are done.

        One site's failure does not stop the others. Raises `StoreError` when the store fails.
        """
        changes: list[DeviceChange] = []
        failed: dict[str, MosVPPError] = {}
        several = list(dict.fromkeys(sites))
        with ThreadPoolExecutor(concurrency, thread_name_prefix="mosvpp-sync") as pool:
            asked = {pool.submit(client.sync_devices, site): site for site in several}
            try:
                for done, answer in enumerate(as_completed(asked), 1):
                    try:
                        changes += self.note(answer.result())
                    except MosVPPError as error:
                        if answer.exception() is None:
                            raise  # the store's, not the site's
                        failed[asked[answer]] = error
                    if on_progress is not None:
                        on_progress(done)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        changes.sort(key=lambda change: (change.molecule_id, change.device_id))
        return SyncReport(synced=len(several) - len(failed), changes=tuple(changes), failed=failed)

    def note(self, devices: DeviceList) -> list[DeviceChange]:
        """Note a list that came, and return what is different from the one before. Raises `StoreError`.

        The first list of a site adds every device. Where a device is listed twice, the last one counts.
        """
        at = self._clock.now()
        now_there = {device.device_id: device for device in devices}
        return self._database.commit(
            lambda connection: _write(connection, devices.molecule_id, now_there, at)
        )

    def devices(self, molecule_id: str) -> tuple[Device, ...] | None:
        """The devices of a site in Molecule's order; None where it was never synced."""
        with self._database.read() as connection:
            synced = connection.scalar(select(_syncs.c.synced_at).where(_syncs.c.molecule_id == molecule_id))
            return None if synced is None else tuple(_known(connection, molecule_id).values())

    def sites(self) -> dict[str, datetime]:
        """Every site with the time of its last sync."""
        with self._database.read() as connection:
            rows = connection.execute(select(_syncs).order_by(_syncs.c.molecule_id)).all()
        return {row.molecule_id: from_microseconds(row.synced_at) for row in rows}

    def declare_ratings(self, ratings: Mapping[str, Power | None]) -> None:
        """Keep the most power that each site can take or give, as you know it; None forgets it.

        MosVPP tells no rating, so `plan_dispatch` knows only those that are declared here. Raises
        `RuleError` for what is no power.
        """
        keys = [molecule_id.lower() for molecule_id in ratings]
        rows = [
            {"site_key": molecule_id.lower(), "power": _written(power_of(power, path=molecule_id))}
            for molecule_id, power in ratings.items()
            if power is not None
        ]

        def write(connection: Connection) -> None:
            for at in range(0, len(keys), _PAGE):
                page = _ratings.c.site_key.in_(keys[at : at + _PAGE])
                connection.execute(delete(_ratings).where(page))
            if rows:
                connection.execute(insert(_ratings), rows)

        self._database.commit(write)

    def ratings(self) -> dict[str, Power]:
        """Every rating that was declared, by the id of its site in lower case."""
        with self._database.read() as connection:
            rows = connection.execute(select(_ratings).order_by(_ratings.c.site_key)).all()
        return {row.site_key: _power(row.power) for row in rows}

    def facts(self, molecule_ids: Sequence[str]) -> dict[str, SiteFacts]:
        """What is known of those sites, for `plan_dispatch(…, registry=registry)`; others are missing."""
        found: dict[str, SiteFacts] = {}
        with self._database.read() as connection:
            for at in range(0, len(molecule_ids), _PAGE):
                found |= dict(_facts(connection, molecule_ids[at : at + _PAGE]))
        return found

    def history(self, molecule_id: str | None = None) -> Iterator[DeviceChange]:
        """Every change there ever was, the oldest first."""
        wanted = select(_changes).order_by(_changes.c.seq)
        if molecule_id is not None:
            wanted = wanted.where(_changes.c.molecule_id == molecule_id)
        with (
            self._database.read() as connection,
            connection.execution_options(yield_per=1_000).execute(wanted) as rows,
        ):
            for row in rows:
                yield DeviceChange(
                    molecule_id=row.molecule_id,
                    device_id=row.device_id,
                    change=row.change,
                    at=from_microseconds(row.at),
                    before=_read(row.before),
                    after=_read(row.after),
                )


def _facts(connection: Connection, molecule_ids: Sequence[str]) -> Iterator[tuple[str, SiteFacts]]:
    """What is known of a page of sites. Ids are compared without their case, as in a journal."""
    keys = {molecule_id.lower(): molecule_id for molecule_id in molecule_ids}
    devices: dict[str, list[Device]] = {}
    synced = select(_syncs.c.molecule_id).where(func.lower(_syncs.c.molecule_id).in_(keys))
    for site in connection.scalars(synced):
        devices[site.lower()] = []
    listed = select(_devices).where(func.lower(_devices.c.molecule_id).in_(keys))
    for row in connection.execute(listed.order_by(_devices.c.molecule_id, _devices.c.position)):
        devices[row.molecule_id.lower()].append(_device(row.device))
    rated = select(_ratings).where(_ratings.c.site_key.in_(keys))
    ratings = {row.site_key: _power(row.power) for row in connection.execute(rated)}
    for key, molecule_id in keys.items():
        if key in devices or key in ratings:
            known = tuple(devices[key]) if key in devices else None
            yield molecule_id, SiteFacts(devices=known, rating=ratings.get(key))


def _write(
    connection: Connection, molecule_id: str, now_there: dict[str, Device], at: datetime
) -> list[DeviceChange]:
    if connection.dialect.name == "postgresql":  # two lists of one site take turns; SQLite has one writer
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK, func.hashtext(molecule_id))))
    before = _known(connection, molecule_id)
    changes = [
        DeviceChange(
            molecule_id=molecule_id, device_id=device_id, change=change, at=at, before=old, after=new
        )
        for device_id, change, old, new in _differences(before, now_there)
    ]
    for table in (_devices, _syncs):
        connection.execute(table.delete().where(table.c.molecule_id == molecule_id))
    connection.execute(insert(_syncs).values(molecule_id=molecule_id, synced_at=to_microseconds(at)))
    if now_there:
        rows = [
            {"molecule_id": molecule_id, "device_id": id_, "device": _text(device), "position": position}
            for position, (id_, device) in enumerate(now_there.items())
        ]
        connection.execute(insert(_devices), rows)
    if changes:
        connection.execute(insert(_changes), [_row(change) for change in changes])
    return changes


def _differences(
    before: dict[str, Device], after: dict[str, Device]
) -> Iterator[tuple[str, Change, Device | None, Device | None]]:
    for device_id in sorted(before.keys() | after.keys()):
        old, new = before.get(device_id), after.get(device_id)
        if old is None:
            yield device_id, "added", None, new
        elif new is None:
            yield device_id, "removed", old, None
        else:
            if old.name != new.name:
                yield device_id, "renamed", old, new
            if old.device_type != new.device_type:
                yield device_id, "type_changed", old, new
            if _capabilities(old) != _capabilities(new):
                yield device_id, "capabilities_changed", old, new


def _capabilities(device: Device) -> frozenset[str] | None:
    return None if device.capabilities is None else frozenset(device.capabilities)


def _known(connection: Connection, molecule_id: str) -> dict[str, Device]:
    wanted = select(_devices.c.device_id, _devices.c.device).where(_devices.c.molecule_id == molecule_id)
    rows: Sequence[Any] = connection.execute(wanted.order_by(_devices.c.position)).all()
    return {row.device_id: _device(row.device) for row in rows}


def _row(change: DeviceChange) -> dict[str, Any]:
    return {
        "molecule_id": change.molecule_id,
        "at": to_microseconds(change.at),
        "change": change.change,
        "device_id": change.device_id,
        "before": None if change.before is None else _text(change.before),
        "after": None if change.after is None else _text(change.after),
    }


def _written(power: Power) -> str:
    return f"{power.value!r} {power.unit}"


def _power(text: str) -> Power:
    value, _, unit = text.partition(" ")
    return Power(float(value), unit)


def _text(device: Device) -> str:
    return json.dumps(
        {
            "device_id": device.device_id,
            "device_type": int(device.device_type),
            "name": device.name,
            "capabilities": device.capabilities,
        }
    )


def _read(text: str | None) -> Device | None:
    return None if text is None else _device(text)


def _device(text: str) -> Device:
    data = json.loads(text)
    capabilities = data["capabilities"]
    return Device(
        device_id=data["device_id"],
        device_type=DeviceType(data["device_type"]),
        name=data["name"],
        capabilities=None if capabilities is None else tuple(capabilities),
    )
