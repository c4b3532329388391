"""One SQLite file or one PostgreSQL database, opened so that what is committed stays.

SQLite runs in WAL mode with `synchronous=FULL`: a commit has reached the disk before it returns. PostgreSQL
decides that itself, so a server whose `fsync` or `synchronous_commit` is off is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock, RLock
from typing import Any, Literal, TypeAlias, TypeVar

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError

from mosvpp.errors import RuleError, StoreError

from .failures import store_errors
from .lines import Line
from .schemas import Schema, bring_up_to_date

__all__ = ["Database", "Dialect"]

R = TypeVar("R")

_of_the_parent: list[Engine] = []  # kept, so that nothing closes them
_creating = Lock()  # so that no thread connects to a new file before it is closed

Dialect: TypeAlias = Literal["sqlite", "postgresql"]

BUSY_TIMEOUT_S = 4.0  # below the five seconds in which a sender should have its answer
_CONNECT_TIMEOUT_S = 3
_INDEX_LOCK = 0x6D6F73767078
_SECRET_PARAMETERS = ("password", "sslpassword", "passfile")
_DURABLE = {"fsync": {"on"}, "synchronous_commit": {"on", "local", "remote_write", "remote_apply"}}


class Database:
    """A database that holds the tables of a schema.

        database = Database("sqlite:///inbox.db", schema)      # or postgresql://user@host/name
        database.open()
        with database.write() as connection: ...

    `MEMORY` as the URL is a SQLite database that is gone when it is closed. `open` is done once; `write`
    and `read` may be used from any thread. Raises `RuleError` for a URL that is none.
    """

    MEMORY = "sqlite://"

    def __init__(self, url: str, schema: Schema) -> None:
        self._url = _read_url(url)
        self._schema = schema
        self._engine: Engine | None = None
        self._writing: Engine | None = None
        self._at_once: Engine | None = None
        in_memory = _is_in_memory(self._url)
        # All users of a database in memory share its one connection, so they take turns.
        self._turn: AbstractContextManager[Any] = RLock() if in_memory else nullcontext()
        self._in_memory = in_memory

    def __repr__(self) -> str:
        return f"Database({self.shown_url!r})"

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        bare = self._url.set(drivername=self.dialect).difference_update_query(_SECRET_PARAMETERS)
        return bare.render_as_string(hide_password=True)

    @property
    def dialect(self) -> Dialect:
        """Which of the two it is."""
        return "sqlite" if self._url.drivername == "sqlite" else "postgresql"

    @property
    def is_open(self) -> bool:
        """Whether `open` has been called, and `close` not since."""
        return self._engine is not None

    def open(self) -> None:
        """Connect, check that commits are durable, create or migrate the tables. Raises `StoreError`."""
        engine = self._new_engine()
        self._engine = engine
        self._writing = engine.execution_options(mosvpp_begin="BEGIN IMMEDIATE")
        if self.dialect == "sqlite":
            self._at_once = engine.execution_options(mosvpp_begin=None)
        else:
            self._at_once = engine.execution_options(isolation_level="AUTOCOMMIT")
        try:
            with self.write() as connection:
                bring_up_to_date(connection, self._schema)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection that is not in use."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = self._writing = self._at_once = None

    def forget(self) -> None:
        """In a process that was forked: leave the connections, which are the parent's, as they are."""
        if self._engine is not None:
            _of_the_parent.append(self._engine)
            self._engine = self._writing = self._at_once = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable when this ends without an error. Raises `StoreError`."""
        with self._turn, store_errors(), self._opened(self._writing).begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database. Raises `StoreError`."""
        with self._turn, store_errors(), self._opened(self._engine).begin() as connection:
            yield connection

    def line(self) -> Line:
        """Commits for one thread, which closes it in the end; it may be made before `open`."""
        return Line(
            lambda: self._opened(self._writing).connect(),
            lambda: self._opened(self._at_once).connect(),
            self._turn,
        )

    def commit(self, work: Callable[[Connection], R]) -> R:
        """The same as `Line.commit`, once; from any thread."""
        line = self.line()
        try:
            return line.commit(work)
        finally:
            line.close()

    def create_index(self, definition: str) -> bool:
        """Create an index that is missing, in PostgreSQL without stopping those who write.

        False when another process is at it; it can be tried again later. `definition` is what follows
        CREATE INDEX.
        """
        with self._turn, store_errors(), self._opened(self._writing).connect() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {definition}")
                connection.commit()
                return True
            connection.execution_options(isolation_level="AUTOCOMMIT")
            # Waiting for a lock would hold a snapshot, for which the other one would wait in turn.
            if not connection.scalar(select(func.pg_try_advisory_lock(_INDEX_LOCK))):
                return False
            try:
                connection.exec_driver_sql(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {definition}")
            finally:
                connection.scalar(select(func.pg_advisory_unlock(_INDEX_LOCK)))
            return True

    def _opened(self, engine: Engine | None) -> Engine:
        if engine is None:
            raise StoreError("the store is not open", reason="closed")
        return engine

    def _new_engine(self) -> Engine:
        # Values of statements never show in an error or in a log: they are what partners were sent.
        return self._sqlite() if self.dialect == "sqlite" else self._postgresql()

    def _sqlite(self) -> Engine:
        options: dict[str, Any] = {"poolclass": StaticPool} if self._in_memory else {}
        if not self._in_memory:
            _create_file(Path(str(self._url.database)))
        engine = create_engine(
            self._url,
            hide_parameters=True,
            # The driver begins no transaction by itself: that is left to `_begin`.
            connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None, "check_same_thread": False},
            **options,
        )
        event.listen(engine, "connect", _prepare_sqlite_in_memory if self._in_memory else _prepare_sqlite)
        event.listen(engine, "begin", _begin)
        return engine

    def _postgresql(self) -> Engine:
        try:
            engine = create_engine(
                self._url,
                hide_parameters=True,
                connect_args={
                    "connect_timeout": _CONNECT_TIMEOUT_S,
                    "application_name": "mosvpp",
                    "keepalives_idle": 5,
                    "keepalives_interval": 2,
                    "keepalives_count": 2,
                    "tcp_user_timeout": int(BUSY_TIMEOUT_S * 1000),
                },
            )
        except ModuleNotFoundError:
            msg = (
                "PostgreSQL needs psycopg, which comes with an extra: pip install 'mosvpp[receiver,postgres]'"
            )
            raise ImportError(msg, name="psycopg") from None
        event.listen(engine, "connect", _check_durability)
        return engine


def is_in_memory(url: str) -> bool:
    """Whether what is stored there is gone when it is closed. Raises `RuleError` for a URL that is none."""
    return _is_in_memory(_read_url(url))


def _is_in_memory(url: URL) -> bool:
    return url.drivername == "sqlite" and url.database is None


def _read_url(url: str) -> URL:
    hint = "give sqlite:///inbox.db or postgresql://user@host/name"
    try:
        read = make_url(url)
    except (ArgumentError, ValueError):  # its message may show a password
        raise RuleError(f"this is no URL of a store; {hint}", path="url", rule="format") from None
    if read.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return read.set(drivername="postgresql+psycopg")
    if read.drivername != "sqlite":
        raise RuleError(f"{read.drivername} is no store that we know; {hint}", path="url", rule="enum")
    if read.database == ":memory:":
        return make_url(Database.MEMORY)
    if not read.database and url != Database.MEMORY:
        raise RuleError(f"the URL names no file; {hint}", path="url", rule="required")
    return read


def _create_file(file: Path) -> None:
    """Make the file readable for its owner only; SQLite gives its side files the same rights.

    A file that exists is never opened here: closing it would give up every lock that SQLite holds on it in
    this process (POSIX locks belong to the process), and another program would then remove the write-ahead
    log that is in use.
    """
    try:
        with _creating:
            os.close(os.open(os.path.realpath(file), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass  # SQLite says what is wrong with it, if anything is
    except OSError as error:
        msg = f"{file} cannot be opened: {error.strerror}"
        raise StoreError(msg, reason="unavailable") from None


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    try:
        (mode,) = cursor.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            msg = "SQLite cannot use its write-ahead log there; is it a network file system?"
            raise StoreError(msg, reason="unsafe")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA journal_size_limit=67108864")
        # Pages that many commits touch, those of indexes, are copied into the database less often.
        cursor.execute("PRAGMA wal_autocheckpoint=4000")
    finally:
        cursor.close()


def _prepare_sqlite_in_memory(_connection: Any, _record: object) -> None:
    pass


def _begin(connection: Connection) -> None:
    # A transaction that starts by reading and then writes can fail where one that starts by writing waits.
    begin = connection.get_execution_options().get("mosvpp_begin", "BEGIN")
    if begin is not None:
        connection.exec_driver_sql(begin)


def _check_durability(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        for setting, allowed in _DURABLE.items():
            value = cursor.execute("SELECT current_setting(%s)", (setting,)).fetchone()[0]
            if value not in allowed:
                msg = (
                    f"PostgreSQL runs with {setting} = {value}: what was acknowledged would be lost with the "
                    "power. "
                    f"Set {setting} = on (postgresql.conf, or ALTER ROLE … SET), then start again"
                )
                raise StoreError(msg, reason="unsafe")
    connection.rollback()
