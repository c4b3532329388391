"""Connections that one thread keeps, because it commits again and again.

Asking a pool for a connection and giving it back costs as much as a small commit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from .failures import connection_was_lost, store_errors

__all__ = ["Line"]

R = TypeVar("R")


class Line:
    """Commits work in one thread; see `Database.line`.

    `begin` opens a connection for transactions, `at_once` one on which each statement is a transaction by
    itself. `turn` is held meanwhile.
    """

    def __init__(
        self,
        begin: Callable[[], Connection],
        at_once: Callable[[], Connection],
        turn: AbstractContextManager[Any],
    ) -> None:
        self._connect = {False: begin, True: at_once}
        self._kept: dict[bool, Connection] = {}
        self._turn = turn

    def commit(self, work: Callable[[Connection], R], *, in_one_statement: bool = False) -> R:
        """Run `work` in a transaction of its own and return its result once that is durable.

        Work `in_one_statement` that writes needs no transaction around it, and is faster without one. When
        the connection turns out to be lost, `work` is run once more on a new one. What the first run did
        may have been committed all the same, so it must be work that may be done twice. Raises
        `StoreError`.
        """
        with self._turn, store_errors():
            try:
                return self._run(work, in_one_statement)
            except DBAPIError as error:
                if not connection_was_lost(error):
                    raise
            return self._run(work, in_one_statement)

    def close(self) -> None:
        """Give the connections back; the next commit asks for new ones."""
        while self._kept:
            self._kept.popitem()[1].close()

    def _run(self, work: Callable[[Connection], R], in_one_statement: bool) -> R:
        try:
            connection = self._kept.get(in_one_statement)
            if connection is None:
                connection = self._kept[in_one_statement] = self._connect[in_one_statement]()
            if in_one_statement:
                return work(connection)
            with connection.begin():
                return work(connection)
        except BaseException:
            self.close()
            raise
