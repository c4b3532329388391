"""PostgreSQL ends in the middle of the load, and comes back or another takes over.

The receiver is not started again: it finds its way back by itself, and says 503 until it has.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from not_run import ALL
from postgresql import PostgresServer
from pushing import Pushing, doubled, lost
from serving import Serving

ROUNDS = 5 if ALL else 2

Fault: TypeAlias = Callable[[PostgresServer, Pushing], None]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that no other test uses."""
    with PostgresServer() as server:
        yield server


def restarted(server: PostgresServer, sender: Pushing) -> None:
    server.stop(signal.SIGINT)
    sender.wait_for_answer(503)
    server.start()


def killed(server: PostgresServer, sender: Pushing) -> None:
    server.kill()
    sender.wait_for_answer(503)
    server.start()


def cut_off(server: PostgresServer, sender: Pushing) -> None:
    for _ in range(5):
        assert server.cut_connections() > 0
        sender.wait_for(20)


@pytest.mark.parametrize("fault", [restarted, killed, cut_off])
def test_whatever_becomes_of_postgresql_nothing_acknowledged_is_lost(
    tmp_path: Path, server: PostgresServer, fault: Fault
) -> None:
    store = server.url()
    with Serving(tmp_path, store) as receiver, Pushing(receiver.port) as sender:
        for _ in range(ROUNDS):
            sender.wait_for(200)
            fault(server, sender)
        sender.wait_for(100)
        assert not receiver.has_ended()
    assert lost(sender.acknowledged, store) == set()
    assert doubled(store) == []
    assert sender.statuses() <= {200, 503}


def test_control_who_acknowledges_before_the_commit_loses_some(
    tmp_path: Path, server: PostgresServer
) -> None:
    store = server.url()
    with Serving(tmp_path, store, variant="early") as receiver, Pushing(receiver.port) as sender:
        sender.wait_for(200)
        server.kill()
        sender.wait_for(50)  # by one that has nowhere to put it
        server.start()
    assert lost(sender.acknowledged, store)


# Fail-over: the primary is lost for good, and the standby is promoted


@pytest.fixture
def primary() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def standby(primary: PostgresServer) -> Iterator[PostgresServer]:
    with PostgresServer(standby_of=primary) as server:
        yield server


def either(primary: PostgresServer, standby: PostgresServer) -> str:
    """An empty store on whichever of the two can be written."""
    _, _, schema = primary.url().partition("?")
    hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in (primary, standby))
    return f"postgresql://postgres@/postgres?{hosts}&target_session_attrs=read-write&{schema}"


def fail_over(primary: PostgresServer, standby: PostgresServer, sender: Pushing) -> None:
    primary.kill()
    sender.wait_for_answer(503)
    standby.execute("SELECT pg_promote()")


def test_a_synchronous_standby_that_takes_over_has_everything(
    tmp_path: Path, primary: PostgresServer, standby: PostgresServer
) -> None:
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.execute("SELECT pg_reload_conf()")
    store = either(primary, standby)
    with Serving(tmp_path, store) as receiver, Pushing(receiver.port) as sender:
        sender.wait_for(300)
        fail_over(primary, standby, sender)
        sender.wait_for(100)
        assert not receiver.has_ended()
    assert lost(sender.acknowledged, store) == set()
    assert doubled(store) == []
    assert sender.statuses() == {200, 503}


def test_control_a_standby_for_which_nobody_waits_does_not(
    tmp_path: Path, primary: PostgresServer, standby: PostgresServer
) -> None:
    store = either(primary, standby)
    with Serving(tmp_path, store) as receiver, Pushing(receiver.port) as sender:
        sender.wait_for(100)
        standby.kill()
        sender.wait_for(100)  # as if nothing had happened
        primary.kill()
        standby.start()
        standby.execute("SELECT pg_promote()")
        sender.wait_for(50)
    assert lost(sender.acknowledged, store)
