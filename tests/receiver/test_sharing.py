"""Several worker processes on one PostgreSQL: who gets what, in which order, and how they stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from deliveries import new, push_body
from mosvpp.receiver import SqlInbox
from postgresql import PostgresServer

PATIENCE_S = 60

# The effect is made once, because it is stored under the key of the delivery; every call is noted as well.
WORKER = """
import asyncio, os, sys, psycopg
from datetime import timedelta
from mosvpp import DataPush
from mosvpp.receiver import SqlInbox

url, mode = sys.argv[1:]
effects = psycopg.connect(url, autocommit=True)
inbox = SqlInbox(url)

@inbox.handler(
    DataPush, ordered_by="molecule_id", at_once=8, attempts=3, poll=timedelta(milliseconds=50),
    lease=timedelta(seconds=5 if mode == "slow" else 30), first_pause=timedelta(milliseconds=20),
)
async def keep(push, delivery):
    print("got", delivery.seq, flush=True)
    row = (delivery.key, delivery.molecule_id, delivery.seq, delivery.attempts, os.getpid())
    effects.execute("INSERT INTO calls VALUES (%s, %s, %s, %s, %s)", row)
    if mode == "slow":
        await asyncio.sleep(1)
    else:
        await asyncio.sleep(0.002)
    if delivery.molecule_id == "flaky" and delivery.attempts < 3:
        raise ConnectionError("not today")
    if delivery.molecule_id == "hopeless":
        raise ValueError("password=canary")
    effects.execute("INSERT INTO effects VALUES (%s, %s) ON CONFLICT DO NOTHING", row[:2])

print("ready", flush=True)
inbox.work()
print("stopped", flush=True)
"""


@pytest.fixture
def url(postgresql: PostgresServer) -> str:
    made = postgresql.url()
    with psycopg.connect(made) as connection:
        connection.execute(
            "CREATE TABLE calls (key text, site text, seq bigint, attempt int, worker int,"
            " at timestamptz DEFAULT clock_timestamp())"
        )
        connection.execute("CREATE TABLE effects (key text PRIMARY KEY, site text)")
    return made


@pytest.fixture
def work(url: str, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a worker process."""
    (tmp_path / "worker.py").write_text(WORKER, encoding="utf-8")
    with ExitStack() as stack:

        def start(mode: str) -> subprocess.Popen[str]:
            command = [sys.executable, str(tmp_path / "worker.py"), url, mode]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            return process

        yield start


def stop(*workers: subprocess.Popen[str]) -> None:
    """Tell them to stop; each ends by itself and well."""
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        told, _ = worker.communicate(timeout=PATIENCE_S)
        assert told.endswith("stopped\n")
        assert worker.returncode == 0


def wait_until_done(inbox: SqlInbox) -> None:
    until = time.monotonic() + PATIENCE_S
    while inbox.backlog()["data_push"].unfinished:
        assert time.monotonic() < until, inbox.backlog()
        time.sleep(0.05)


def test_processes_share_the_work_and_keep_the_order_within_each_site(
    url: str, work: Callable[[str], subprocess.Popen[str]]
) -> None:
    sites = [f"site-{number}" for number in range(8)]
    with SqlInbox(url) as inbox:
        workers = [work("quick") for _ in range(3)]
        for number in range(240):
            inbox.put(new(push_body(number, sites[number % 8]), at=inbox.now())).result(PATIENCE_S)
        wait_until_done(inbox)
        stop(*workers)
        assert {one.state for one in inbox.find()} == {"done"}
    with psycopg.connect(url) as connection:
        calls = connection.execute("SELECT site, seq, worker FROM calls ORDER BY at").fetchall()
        (effects,) = connection.execute("SELECT count(*) FROM effects").fetchone() or (0,)
    assert effects == len(calls) == 240  # nobody died, so nobody was asked twice
    order = defaultdict(list)
    for site, seq, _ in calls:
        order[site].append(seq)
    assert all(seqs == sorted(seqs) for seqs in order.values())
    assert len({worker for _, _, worker in calls}) > 1


def test_failures_are_tried_again_elsewhere_and_end_with_the_dead_letters(
    url: str, work: Callable[[str], subprocess.Popen[str]]
) -> None:
    with SqlInbox(url) as inbox:
        for site in ("flaky", "hopeless", "fine"):
            for number in range(2):
                inbox.put(new(push_body(number, site), at=inbox.now())).result(PATIENCE_S)
        workers = [work("quick") for _ in range(2)]
        wait_until_done(inbox)
        stop(*workers)
        ended = {(one.molecule_id, one.state, one.attempts, one.reason) for one in inbox.find()}
        assert ended == {
            ("flaky", "done", 3, None),
            ("hopeless", "dead", 3, "ValueError"),
            ("fine", "done", 1, None),
        }
        for dead in inbox.find(state="dead"):
            assert "ValueError: password=[removed]" in (dead.traceback or "")
    with psycopg.connect(url) as connection:
        calls = connection.execute("SELECT site, seq, attempt FROM calls ORDER BY at").fetchall()
    for site in ("flaky", "hopeless"):  # the second waits until the first has succeeded or is dead
        (first, second) = sorted({seq for at, seq, _ in calls if at == site})
        found = [(seq, attempt) for at, seq, attempt in calls if at == site]
        assert found == [(first, 1), (first, 2), (first, 3), (second, 1), (second, 2), (second, 3)]


def test_a_stop_finishes_what_is_in_hand_and_leaves_the_rest_to_others(
    url: str, work: Callable[[str], subprocess.Popen[str]]
) -> None:
    with SqlInbox(url) as inbox:
        for number in range(20):
            inbox.put(new(push_body(number, f"site-{number}"), at=inbox.now())).result(PATIENCE_S)
        first = work("slow")
        assert first.stdout is not None
        assert first.stdout.readline().startswith("got")
        stop(first)
        done = list(inbox.find(state="done"))
        assert 0 < len(done) <= 8
        assert inbox.count(state="waiting") == 20 - len(done)
        assert inbox.count(state="leased") == 0
        assert {one.attempts for one in inbox.find(state="waiting")} == {0}
        second = work("quick")
        wait_until_done(inbox)
        stop(second)
    with psycopg.connect(url) as connection:
        calls = connection.execute("SELECT key FROM calls").fetchall()
    assert len(calls) == len(set(calls)) == 20


def test_what_a_killed_worker_held_goes_to_another_once(
    url: str, work: Callable[[str], subprocess.Popen[str]]
) -> None:
    with SqlInbox(url) as inbox:
        for number in range(4):
            inbox.put(new(push_body(number, "site"), at=inbox.now())).result(PATIENCE_S)
        first = work("slow")
        assert first.stdout is not None
        assert first.stdout.readline().startswith("got")
        first.kill()
        second = work("quick")
        wait_until_done(inbox)
        stop(second)
        assert [one.attempts for one in inbox.find()] == [2, 1, 1, 1]
    with psycopg.connect(url) as connection:
        (effects,) = connection.execute("SELECT count(*) FROM effects").fetchone() or (0,)
        order = connection.execute("SELECT seq FROM calls ORDER BY at").fetchall()
    assert effects == 4
    assert order == sorted(order)
