"""Stores for the tests of the receiver: memory, SQLite, PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deliveries import InboxFactory
from manual_clock import ManualClock
from mosvpp.receiver import MemoryInbox, SqlInbox
from postgresql import PostgresServer


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store that outlives an inbox."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/inbox.db"
    server: PostgresServer = request.getfixturevalue("postgresql")
    return server.url()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def opened() -> Iterator[Callable[[SqlInbox], SqlInbox]]:
    """Open an inbox that is closed at the end of the test."""
    inboxes: list[SqlInbox] = []

    def open_(inbox: SqlInbox) -> SqlInbox:
        inboxes.append(inbox)
        inbox.open()
        return inbox

    yield open_
    for inbox in inboxes:
        inbox.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def make_inbox(
    request: pytest.FixtureRequest, tmp_path: Path, opened: Callable[[SqlInbox], SqlInbox]
) -> InboxFactory:
    """What every inbox must do is tested on all. Two from here share one store, unless in memory."""
    if request.param == "memory":
        return lambda **options: opened(MemoryInbox(**options))
    url = f"sqlite:///{tmp_path}/inbox.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").url()
    return lambda **options: opened(SqlInbox(url, **options))


@pytest.fixture
def inbox(make_inbox: InboxFactory, clock: ManualClock) -> SqlInbox:
    return make_inbox(clock=clock)
