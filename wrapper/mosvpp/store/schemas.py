"""Versions of a schema: an older store is brought up to date, a newer one is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, func, insert, select, update

from mosvpp.errors import StoreError

__all__ = ["Migration", "Schema", "bring_up_to_date"]

Migration: TypeAlias = Callable[[Connection], None]
"""One step, from a version to the next, inside a transaction."""

_OWN = MetaData()
_VERSIONS = Table(
    "mosvpp_schemas", _OWN, Column("name", Text, primary_key=True), Column("version", Integer, nullable=False)
)
_LOCK = 0x6D6F73767070  # "mosvpp": two programs that start at once take turns


@dataclass(frozen=True)
class Schema:
    """The tables of one part, as they are now, and the way to them.

    `migrations[0]` leads from version 1 to 2, and so on: there is one version more than there are steps.
    Several schemas may live in one database, as long as their tables have names of their own.
    """

    name: str
    tables: MetaData
    migrations: tuple[Migration, ...] = ()

    @property
    def version(self) -> int:
        """The version that this program writes."""
        return len(self.migrations) + 1


def bring_up_to_date(connection: Connection, schema: Schema) -> None:
    """Create the tables, or take the steps that are missing. Raises `StoreError` for a newer version."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    _OWN.create_all(connection)
    found = connection.scalar(select(_VERSIONS.c.version).where(_VERSIONS.c.name == schema.name))
    if found is None:
        schema.tables.create_all(connection)
        connection.execute(insert(_VERSIONS).values(name=schema.name, version=schema.version))
        return
    if found > schema.version:
        msg = (
            f"the store has version {found} of its {schema.name} tables, this program knows them up to "
            f"{schema.version}: a newer mosvpp opened it, so update this one (pip install -U mosvpp)"
        )
        raise StoreError(msg, reason="newer_schema")
    for migrate in schema.migrations[found - 1 :]:
        migrate(connection)
    if found < schema.version:
        connection.execute(
            update(_VERSIONS).where(_VERSIONS.c.name == schema.name).values(version=schema.version)
        )
