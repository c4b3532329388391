"""The SQL layer by itself: group commit, safe settings, versions."""

from __future__ import annotations

import asyncio
import pickle
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, func, insert, select, text

from mosvpp.errors import RuleError, StoreError
from mosvpp.store import Database, GroupCommit, Pending, Schema
from mosvpp.store.database import _INDEX_LOCK
from postgresql import PostgresServer

PATIENCE_S = 30

TABLES = MetaData()
THINGS = Table("things", TABLES, Column("name", Text, primary_key=True))
FIRST = Schema("things", TABLES)


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    database = Database(store_url, FIRST)
    database.open()
    yield database
    database.close()


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(select(THINGS.c.name).order_by(THINGS.c.name)))


# Transactions


def test_what_is_committed_is_there_and_what_fails_is_not(database: Database) -> None:
    def add(connection: Connection) -> str:
        connection.execute(insert(THINGS).values(name="a"))
        return "added"

    assert database.commit(add) == "added"

    def fail(connection: Connection) -> None:
        connection.execute(insert(THINGS).values(name="b"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.commit(fail)
    assert names(database) == ["a"]


def test_a_line_keeps_its_connection_and_leaves_nothing_open_when_work_fails(database: Database) -> None:
    line = database.line()

    def add(connection: Connection, name: str) -> object:
        connection.execute(insert(THINGS).values(name=name))
        return connection.connection.driver_connection

    assert line.commit(lambda c: add(c, "a")) is line.commit(lambda c: add(c, "b"))
    at_once = line.commit(lambda c: add(c, "c"), in_one_statement=True)
    assert line.commit(lambda c: add(c, "d"), in_one_statement=True) is at_once
    assert names(database) == ["a", "b", "c", "d"]  # seen by another connection, so committed
    for in_one_statement in (False, True):
        with pytest.raises(StoreError):
            line.commit(lambda c: add(c, "a"), in_one_statement=in_one_statement)
        line.commit(lambda c: add(c, f"after {in_one_statement}"), in_one_statement=in_one_statement)  # noqa: B023  called before the loop goes on
    assert names(database) == ["a", "after False", "after True", "b", "c", "d"]
    line.close()


@pytest.mark.parametrize("in_one_statement", [False, True])
def test_a_line_that_was_cut_is_replaced(postgresql: PostgresServer, in_one_statement: bool) -> None:
    database = Database(postgresql.url(), FIRST)
    database.open()
    line = database.line()

    def pid(connection: Connection) -> int:
        return int(connection.scalar(select(func.pg_backend_pid())) or 0)

    before = line.commit(pid, in_one_statement=in_one_statement)
    postgresql.execute(f"SELECT pg_terminate_backend({before}, 30000)")
    assert line.commit(pid, in_one_statement=in_one_statement) != before
    line.close()
    database.close()


def test_errors_of_the_database_are_ours_and_show_no_values(database: Database) -> None:
    def twice(connection: Connection) -> None:
        for _ in range(2):
            connection.execute(insert(THINGS).values(name="a body that nobody else may see"))

    with pytest.raises(StoreError) as caught:
        database.commit(twice)
    assert caught.value.reason == "failed"
    shown = f"{caught.value} {caught.value.__cause__}"
    if database.dialect == "sqlite":  # PostgreSQL names the key that is there twice, but only inside
        assert "nobody else" not in shown
    assert "nobody else" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).reason == "failed"


def test_a_closed_store_says_so(database: Database) -> None:
    database.close()
    with pytest.raises(StoreError) as caught, database.read():
        pass
    assert caught.value.reason == "closed"


def test_an_index_is_made_once(database: Database) -> None:
    assert database.create_index("things_by_name ON things (name)")
    assert database.create_index("things_by_name ON things (name)")


def test_an_index_that_another_process_makes_is_left_to_it(postgresql: PostgresServer) -> None:
    database = Database(postgresql.url(), FIRST)
    database.open()
    with database.write() as connection:
        connection.scalar(select(func.pg_advisory_lock(_INDEX_LOCK)))
        assert not database.create_index("things_by_name ON things (name)")
    database.close()


def test_a_connection_that_was_cut_is_replaced(postgresql: PostgresServer) -> None:
    database = Database(postgresql.url(), FIRST)
    database.open()
    database.commit(lambda connection: connection.execute(insert(THINGS).values(name="a")))
    assert postgresql.cut_connections() > 0
    database.commit(lambda connection: connection.execute(insert(THINGS).values(name="b")))
    assert names(database) == ["a", "b"]
    database.close()


def test_a_server_that_is_gone_is_unavailable_and_comes_back() -> None:
    with PostgresServer() as server:
        database = Database(server.url(), FIRST)
        database.open()
        server.stop()
        with pytest.raises(StoreError) as caught:
            database.commit(lambda connection: connection.execute(insert(THINGS).values(name="a")))
        assert caught.value.reason == "unavailable"
        server.start()
        database.commit(lambda connection: connection.execute(insert(THINGS).values(name="b")))
        assert names(database) == ["b"]
        database.close()


def test_a_sqlite_file_that_another_process_holds_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mosvpp.store.database.BUSY_TIMEOUT_S", 0.01)
    file = tmp_path / "x.db"
    database = Database(f"sqlite:///{file}", FIRST)
    database.open()
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as caught:
        database.commit(lambda _: None)
    assert caught.value.reason == "busy"
    holder.close()
    database.close()


def test_a_full_disk_is_full(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db", FIRST)
    database.open()

    def fill(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.execute(insert(THINGS), [{"name": "x" * 5000 + str(number)} for number in range(50)])

    with pytest.raises(StoreError) as caught:
        database.commit(fill)
    assert caught.value.reason == "full"
    database.close()


# Safe settings


def test_sqlite_waits_for_the_disk(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db", FIRST)
    database.open()
    with database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()


@pytest.mark.skipif(sys.platform == "win32", reason="rights of other systems")
def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db", FIRST)
    database.open()
    rights = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert rights == {0o600}
    database.close()


def test_a_file_that_is_opened_twice_keeps_the_log_that_another_program_would_remove(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    first, second = (Database(f"sqlite:///{file}", FIRST) for _ in range(2))
    first.open()
    second.open()  # POSIX locks belong to the process: whoever closes the file here gives up those of `first`
    come_and_go = (
        "import sqlite3, sys; other = sqlite3.connect(sys.argv[1]);"
        "other.execute('SELECT * FROM things').fetchall(); other.close()"
    )
    subprocess.run([sys.executable, "-c", come_and_go, str(file)], check=True)
    first.commit(lambda connection: connection.execute(insert(THINGS).values(name="a")))
    with closing(sqlite3.connect(file)) as other:
        assert (file.with_name("x.db-wal")).exists()
        assert other.execute("SELECT name FROM things").fetchall() == [("a",)]
    second.close()
    first.close()


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit"])
def test_a_postgresql_that_loses_what_it_acknowledged_is_refused(setting: str) -> None:
    with PostgresServer({setting: "off"}) as server:
        database = Database(server.url(), FIRST)
        with pytest.raises(StoreError, match=f"{setting} = off") as caught:
            database.open()
        assert caught.value.reason == "unsafe"
        assert not database.is_open


@pytest.mark.parametrize("url", ["sqlite:///:memory:", Database.MEMORY])
def test_a_store_in_memory_is_shared_by_threads(url: str) -> None:
    database = Database(url, FIRST)
    database.open()
    thread = threading.Thread(
        target=database.commit, args=(lambda connection: connection.execute(insert(THINGS).values(name="a")),)
    )
    thread.start()
    thread.join()
    assert names(database) == ["a"]
    database.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "inbox.db",
        "mysql://u:canary@h/d",
        "sqlite:///",
        "sqlite:////no/such/folder/x.db",
        "postgresql+psycopg2://h",
    ],
)
def test_urls_that_make_no_sense_are_refused(url: str) -> None:
    with pytest.raises((RuleError, StoreError)) as caught:
        Database(url, FIRST).open()
    assert "canary" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert "canary" not in repr(Database("postgresql://u:canary@h/d", FIRST))
    assert "canary" not in repr(Database("postgres://u:canary@h/d", FIRST))


def test_a_server_that_is_not_there_is_unavailable(postgresql: PostgresServer) -> None:
    with pytest.raises(StoreError) as caught:
        Database("postgresql://u:canary@127.0.0.1:1/d", FIRST).open()
    assert caught.value.reason == "unavailable"
    assert "canary" not in str(caught.value)


# Versions


def _second_step(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE things ADD COLUMN size INTEGER")


def _third_step(connection: Connection) -> None:
    connection.exec_driver_sql("UPDATE things SET size = length(name)")


def schema(version: int) -> Schema:
    tables = MetaData()
    columns = [Column("size", Integer)] if version > 1 else []
    Table("things", tables, Column("name", Text, primary_key=True), *columns)
    return Schema("things", tables, (_second_step, _third_step)[: version - 1])


def test_an_old_store_is_brought_up_to_date(store_url: str) -> None:
    old = Database(store_url, schema(1))
    old.open()
    old.commit(lambda connection: connection.execute(insert(THINGS).values(name="four")))
    old.close()
    for _ in range(2):  # a second time there is nothing to do
        now = Database(store_url, schema(3))
        now.open()
        with now.read() as connection:
            assert connection.execute(text("SELECT name, size FROM things")).all() == [("four", 4)]
        now.close()


def test_a_step_that_fails_changes_nothing(store_url: str) -> None:
    first = Database(store_url, schema(1))
    first.open()
    first.close()
    broken = Schema(
        "things", TABLES, (_second_step, lambda connection: connection.exec_driver_sql("nonsense"))
    )
    with pytest.raises(StoreError):
        Database(store_url, broken).open()
    now = Database(store_url, schema(2))
    now.open()
    now.close()


def test_a_newer_store_is_refused(store_url: str) -> None:
    newer = Database(store_url, schema(3))
    newer.open()
    newer.close()
    old = Database(store_url, schema(2))
    with pytest.raises(StoreError, match="version 3 of its things tables") as caught:
        old.open()
    assert caught.value.reason == "newer_schema"
    assert not old.is_open


def test_two_programs_may_open_an_empty_store_at_once(store_url: str) -> None:
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    def open_() -> None:
        database = Database(store_url, schema(3))
        try:
            together.wait()
            database.open()
            database.close()
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=open_) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# Group commit


class Recorder:
    """A commit that can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.entered.set()
        assert self.go.wait(PATIENCE_S)
        self.batches.append(list(items))
        if any(item < 0 for item in items):
            raise ValueError(items)
        return [item * 2 for item in items]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def group(recorder: Recorder) -> Iterator[Callable[..., GroupCommit[int, int]]]:
    made: list[GroupCommit[int, int]] = []

    def make(**limits: int) -> GroupCommit[int, int]:
        made.append(GroupCommit(recorder, **limits))
        return made[-1]

    yield make
    recorder.go.set()
    for one in made:
        one.close()


def hold_up(recorder: Recorder, group: GroupCommit[int, int]) -> Pending[int]:
    """Occupy the thread with one item."""
    recorder.go.clear()
    recorder.entered.clear()
    first = group.submit(0)
    assert recorder.entered.wait(PATIENCE_S)
    return first


def test_each_gets_its_own_result(group: Callable[..., GroupCommit[int, int]]) -> None:
    commits = group()
    pending = [commits.submit(number) for number in range(100)]
    assert [one.result(PATIENCE_S) for one in pending] == [number * 2 for number in range(100)]
    assert all(one.is_done for one in pending)


def test_what_waits_is_committed_together(
    recorder: Recorder, group: Callable[..., GroupCommit[int, int]]
) -> None:
    commits = group(max_batch=5)
    hold_up(recorder, commits)
    pending = [commits.submit(number) for number in range(1, 8)]
    recorder.go.set()
    assert [one.result(PATIENCE_S) for one in pending] == [2, 4, 6, 8, 10, 12, 14]
    assert recorder.batches == [[0], [1, 2, 3, 4, 5], [6, 7]]


def test_event_loops_and_threads_wait_side_by_side(
    recorder: Recorder, group: Callable[..., GroupCommit[int, int]]
) -> None:
    commits = group()
    hold_up(recorder, commits)

    async def ask(number: int) -> int:
        return await commits.submit(number)

    async def story() -> list[int]:
        return await asyncio.gather(*(ask(number) for number in range(10)))

    results: list[int] = []
    loops = [threading.Thread(target=lambda: results.extend(asyncio.run(story()))) for _ in range(2)]
    thread = threading.Thread(target=lambda: results.append(commits.submit(50).result(PATIENCE_S)))
    for one in (*loops, thread):
        one.start()
    recorder.go.set()
    for one in (*loops, thread):
        one.join()
    assert sorted(results) == sorted([number * 2 for number in range(10)] * 2 + [100])


def test_a_result_that_is_there_already_is_given_at_once(group: Callable[..., GroupCommit[int, int]]) -> None:
    pending = group().submit(3)
    assert pending.result(PATIENCE_S) == 6

    async def ask() -> int:
        return await pending

    assert asyncio.run(ask()) == pending.result() == 6


def test_one_bad_item_harms_no_other(recorder: Recorder, group: Callable[..., GroupCommit[int, int]]) -> None:
    commits = group()
    hold_up(recorder, commits)
    good, bad, fine = (commits.submit(number) for number in (1, -1, 2))
    recorder.go.set()
    assert (good.result(PATIENCE_S), fine.result(PATIENCE_S)) == (2, 4)
    for _ in range(2):
        with pytest.raises(StoreError, match="ValueError"):
            bad.result(PATIENCE_S)


def test_when_the_store_is_not_there_nobody_asks_it_one_by_one() -> None:
    calls = 0
    go, entered = threading.Event(), threading.Event()

    def commit(items: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        entered.set()
        assert go.wait(PATIENCE_S)
        raise StoreError("away", reason="unavailable")

    commits: GroupCommit[int, int] = GroupCommit(commit)
    first = commits.submit(0)
    assert entered.wait(PATIENCE_S)
    pending = [first, *(commits.submit(number) for number in range(5))]
    go.set()
    for one in pending:
        with pytest.raises(StoreError) as caught:
            one.result(PATIENCE_S)
        assert caught.value.reason == "unavailable"
    commits.close()
    assert calls == 2


def test_more_than_may_wait_is_refused(
    recorder: Recorder, group: Callable[..., GroupCommit[int, int]]
) -> None:
    commits = group(max_waiting=2, max_waiting_bytes=100)
    hold_up(recorder, commits)
    one = commits.submit(1, size=60)
    with pytest.raises(StoreError) as caught:
        commits.submit(2, size=60)
    assert caught.value.reason == "queue_full"
    two = commits.submit(2, size=40)
    with pytest.raises(StoreError):
        commits.submit(3)
    recorder.go.set()
    assert (one.result(PATIENCE_S), two.result(PATIENCE_S)) == (2, 4)
    assert commits.submit(4, size=100).result(PATIENCE_S) == 8


def test_waiting_has_an_end(recorder: Recorder, group: Callable[..., GroupCommit[int, int]]) -> None:
    pending = hold_up(recorder, group())
    with pytest.raises(StoreError) as caught:
        pending.result(0.01)
    assert caught.value.reason == "timeout"
    recorder.go.set()
    assert pending.result(PATIENCE_S) == 0


def test_closing_commits_what_waits_and_takes_no_more(
    recorder: Recorder, group: Callable[..., GroupCommit[int, int]]
) -> None:
    commits = group()
    hold_up(recorder, commits)
    pending = commits.submit(1)
    threading.Timer(0.02, recorder.go.set).start()
    commits.close()
    commits.close()
    assert pending.is_done
    with pytest.raises(StoreError) as caught:
        commits.submit(2)
    assert caught.value.reason == "closed"


def test_who_does_not_wait_any_more_is_no_trouble(
    recorder: Recorder, group: Callable[..., GroupCommit[int, int]]
) -> None:
    commits = group()
    hold_up(recorder, commits)

    async def give_up() -> None:
        async def wait() -> int:
            return await commits.submit(1)

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def leave() -> Pending[int]:
        pending = commits.submit(2)
        iterator = pending.__await__()
        next(iterator)
        return pending

    asyncio.run(give_up())
    left = asyncio.run(leave())
    recorder.go.set()
    assert left.result(PATIENCE_S) == 4
    assert commits.submit(3).result(PATIENCE_S) == 6


def test_the_wait_for_company_is_short(
    recorder: Recorder, group: Callable[..., GroupCommit[int, int]]
) -> None:
    """After a large batch a single item waits for others, but is committed without them."""
    commits = group()
    hold_up(recorder, commits)
    pending = [commits.submit(number) for number in range(20)]
    time.sleep(0.01)
    recorder.go.set()
    for one in pending:
        one.result(PATIENCE_S)
    assert commits.submit(21).result(PATIENCE_S) == 42


def test_a_file_with_broken_pages_is_called_damaged(tmp_path: Path) -> None:
    file = tmp_path / "broken.db"
    schema = Schema("test", MetaData())
    database = Database(f"sqlite:///{file}", schema)
    database.open()
    database.close()
    data = bytearray(file.read_bytes())
    data[100:] = b"\xff" * (len(data) - 100)  # what comes behind the header of the file
    file.write_bytes(data)
    with pytest.raises(StoreError) as caught:
        Database(f"sqlite:///{file}", schema).open()
    assert caught.value.reason == "damaged"
