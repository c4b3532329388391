"""Journals for the tests of the fleet: memory, SQLite, PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from journals import JournalFactory
from manual_clock import ManualClock
from mosvpp.fleet import Journal
from postgresql import PostgresServer


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store that outlives a journal."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fleet.db"
    server: PostgresServer = request.getfixturevalue("postgresql")
    return server.url()


@pytest.fixture
def make_journal(store_url: str, clock: ManualClock) -> Iterator[JournalFactory]:
    """Journals of one store, as several programs have them."""
    journals: list[Journal] = []

    def make() -> Journal:
        journals.append(Journal(store_url, clock=clock))
        return journals[-1]

    yield make
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(tmp_path: Path, clock: ManualClock) -> Iterator[Journal]:
    with Journal(f"sqlite:///{tmp_path}/fleet.db", clock=clock) as journal:
        yield journal


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine functions of these tests run on asyncio."""
    return "asyncio"
