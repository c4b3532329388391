"""Two receivers and four workers on one store, killed at random: nothing is lost, no effect is doubled."""

from __future__ import annotations

import random
import sqlite3
import sys
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from mosvpp.receiver import SqlInbox
from not_run import ALL, needs_all
from pushing import Pushing, doubled, lost
from serving import PROGRAMS, Program, Serving

PATIENCE_S = 120  # only a failing test waits so long
ROUNDS = 10 if ALL else 1


@pytest.mark.parametrize("store_url", [pytest.param("sqlite", marks=needs_all), "postgresql"], indirect=True)
def test_receivers_and_workers_are_killed_and_each_delivery_has_one_effect(
    tmp_path: Path, store_url: str
) -> None:
    effects = tmp_path / "effects.db"
    prepare(effects)
    moments = random.Random(7)
    with ExitStack() as stack:
        receivers = [stack.enter_context(Serving(tmp_path, store_url)) for _ in range(2)]
        workers = [stack.enter_context(worker(tmp_path, number, store_url, effects)) for number in range(4)]
        with Pushing(*(one.port for one in receivers), senders=2, pause=0.005) as sender:
            sender.wait_for(20)
            for _ in range(ROUNDS):
                victims = moments.sample(receivers, 1) + moments.sample(workers, 2)
                for victim in moments.sample(victims, 3):
                    if victim in workers:
                        wait_until_busy(victim, effects)
                    time.sleep(moments.uniform(0, 0.05))
                    assert not victim.has_ended(), victim.said()
                    victim.kill()
                    victim.start()
            sender.wait_for(20)
        wait_until_done(store_url)
        said = [one.said() for one in workers]
    assert lost(sender.acknowledged, store_url) == set()
    assert doubled(store_url) == []
    assert sender.statuses() == {200}
    had = numbers(effects, "effects")
    assert sender.acknowledged <= set(had), said
    assert {number: count for number, count in had.items() if count > 1} == {}
    # The control: whoever does not look at the key does things twice.
    assert max(numbers(effects, "calls").values()) > 1, "no worker was killed with something in hand"


def prepare(effects: Path) -> None:
    with closing(sqlite3.connect(effects, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE noted (key TEXT PRIMARY KEY)")
        connection.execute("CREATE TABLE effects (number INTEGER, worker INTEGER)")
        connection.execute("CREATE TABLE calls (number INTEGER, worker INTEGER)")


def worker(folder: Path, number: int, store: str, effects: Path) -> Program:
    command = [sys.executable, str(PROGRAMS / "working.py")]
    return Program(command, {"store": store, "effects": str(effects)}, folder / f"worker-{number}.log")


def wait_until_busy(worker: Program, effects: Path) -> None:
    """Until it has something in hand, for one that is killed on its way to work has nothing to lose."""
    until = time.monotonic() + PATIENCE_S
    with closing(sqlite3.connect(effects)) as connection:
        while True:
            counts = [
                connection.execute(f"SELECT count(*) FROM {table} WHERE worker = ?", [worker.pid]).fetchone()
                for table in ("calls", "effects")
            ]
            if counts[0] > counts[1]:
                return
            assert time.monotonic() < until, worker.said()
            time.sleep(0.005)


def wait_until_done(store: str) -> None:
    """Until each delivery has been handed out and is done."""
    until = time.monotonic() + PATIENCE_S
    with SqlInbox(store) as inbox:
        while left := inbox.backlog():
            if not any(kind.unfinished for kind in left.values()):
                break
            assert time.monotonic() < until, left
            time.sleep(0.05)
        assert inbox.count(state="dead") == 0


def numbers(effects: Path, table: str) -> Counter[int]:
    """How often each push is in a table."""
    with closing(sqlite3.connect(effects)) as connection:
        return Counter(number for (number,) in connection.execute(f"SELECT number FROM {table}"))
