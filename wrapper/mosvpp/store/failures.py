"""Errors of the database and of its driver become `StoreError`; nothing of them escapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mosvpp.errors import StoreError

__all__ = ["as_store_error", "connection_was_lost", "store_errors"]

# How SQLite says it in words, and PostgreSQL in the class of its code.
_SQLITE_WORDS = {
    "disk is full": "full",
    "is locked": "busy",
    "unable to open": "unavailable",
    "readonly": "unavailable",
    "disk i/o": "unavailable",
    "malformed": "damaged",
}
_POSTGRESQL_CLASSES = {
    "08": "unavailable",
    "40": "busy",
    "53": "full",
    "55": "busy",
    "57": "unavailable",
    "58": "unavailable",  # its disk failed
}


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what SQLAlchemy raises inside into a `StoreError`."""
    try:
        yield
    except SQLAlchemyError as error:
        raise as_store_error(error) from error


def as_store_error(error: SQLAlchemyError) -> StoreError:
    """The same failure in our words, without statements and their values: they may hold what was sent."""
    if isinstance(error, PoolTimeoutError):
        return StoreError("all connections to the store are in use", reason="busy")
    if not isinstance(error, DBAPIError) or error.orig is None:
        return StoreError(f"the store failed: {_first_line(error)}")
    return StoreError(f"the store failed: {_first_line(error.orig)}", reason=_reason(error))


def connection_was_lost(error: BaseException | None) -> bool:
    """Whether a new connection may do better."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _reason(error: DBAPIError) -> str:
    if error.connection_invalidated:
        return "unavailable"
    code = getattr(error.orig, "sqlstate", None)
    if code is not None:
        return _POSTGRESQL_CLASSES.get(str(code)[:2], "failed")
    said = str(error.orig).lower()
    for words, reason in _SQLITE_WORDS.items():
        if words in said:
            return reason
    # psycopg has no code for a connection that could not be made.
    return "unavailable" if "connect" in said else "failed"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
