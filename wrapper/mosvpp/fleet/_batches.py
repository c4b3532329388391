"""Many rows in one step of the database, for what happens once or twice for each request.

Plain SQL, since SQLAlchemy's layer costs ten times the statement; and one step, since Python's driver of
SQLite lets go of the interpreter for each row that is written or read, and waits to get it back. The threads
that read and commit and the one that sends would stop each other for a third of the time. So SQLite gets and
gives the rows as JSON; PostgreSQL gets an array for each column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Connection

__all__ = ["ReadMany", "WriteMany"]

R = TypeVar("R", bound=tuple[Any, ...])

_encode = msgspec.json.Encoder().encode


class WriteMany:
    """A statement that reads what it writes from `{given}`: the named columns, and `place`, the order.

    `columns` are the types of PostgreSQL by name.
    """

    def __init__(self, statement: str, **columns: str) -> None:
        parts = "SELECT " + ", ".join(
            f"json_extract(value, '$[{index}]') AS {name}" for index, name in enumerate(columns)
        )
        arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
        names = ", ".join([*columns, "place"])
        self._statements = {
            "sqlite": statement.format(given=f"({parts}, key AS place FROM json_each(?)) AS given"),
            "postgresql": statement.format(given=f"unnest({arrays}) WITH ORDINALITY AS given ({names})"),
        }

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Run it for these rows, of which there is one at least; how many were written."""
        dialect = connection.dialect.name
        given: tuple[Any, ...]
        if dialect == "sqlite":
            given = (_encode(rows).decode(),)
        else:
            given = tuple(list(column) for column in zip(*rows, strict=True))
        return connection.exec_driver_sql(self._statements[dialect], given).rowcount


class ReadMany(Generic[R]):
    """A query, in the words of each dialect, for rows that are named tuples of one type."""

    def __init__(self, row: type[R], *, sqlite: str, postgresql: str) -> None:
        kind: Any = row
        self._make = kind._make
        self._decode = msgspec.json.Decoder(list[kind], strict=False).decode  # 0 and 1 are truth values
        fields = ", ".join(kind._fields)
        together = f"SELECT json_group_array(json_array({fields})) FROM found"  # noqa: S608  names of fields
        self._statements = {
            "sqlite": f"WITH found ({fields}) AS ({sqlite}) {together}",
            "postgresql": postgresql,
        }

    def run(self, connection: Connection, *values: Any) -> Iterable[R]:
        """The rows. A list among the values is one of numbers."""
        dialect = connection.dialect.name
        if dialect == "sqlite":
            values = tuple(_encode(one).decode() if isinstance(one, list) else one for one in values)
        found: Any = connection.exec_driver_sql(self._statements[dialect], values)
        rows: Iterable[R] = (
            self._decode(found.scalar_one()) if dialect == "sqlite" else map(self._make, found)
        )
        return rows
