"""A program that is killed at any moment: what it sent is known, and nothing is sent twice.

It runs as a process of its own, and is killed with SIGKILL by the operating system in the middle of what it
does: at each system call in turn that writes to the journal or to the network.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateways import Gateway, serving
from mosvpp import discharge, kW
from mosvpp.fleet import Journal, State, plan_dispatch
from mosvpp.fleet.entries import Sent
from mosvpp.fleet.fleet import Fleet
from mosvpp.slots import EventSlot

KEY = "a-key-for-the-fleet"
SITES = [f"{index:016x}" for index in range(12)]

PROGRAM = """
import os, signal, socket, sys
url, origin, plan_file, kind, count = sys.argv[1:]

left = int(count)
def strike():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

import asyncio.selector_events as events
from mosvpp.fleet import Journal, Plan, _journal_rows
from mosvpp.fleet import journal as journals
from mosvpp.fleet.fleet import Fleet
from mosvpp.store import Database

def wrap(owner, name, before, after):
    original = getattr(owner, name)
    def wrapped(*arguments, **options):
        if before: strike()
        result = original(*arguments, **options)
        if after: strike()
        return result
    setattr(owner, name, wrapped)

if kind == "before_commit": wrap(Database, "commit", True, False)
if kind == "after_commit": wrap(Database, "commit", False, True)
if kind == "in_commit": wrap(_journal_rows, "append", False, True)
if kind == "before_write": wrap(events._SelectorSocketTransport, "write", True, False)
if kind == "after_write": wrap(events._SelectorSocketTransport, "write", False, True)
if kind == "before_answer":
    from mosvpp.fleet._connections import _Connection
    wrap(_Connection, "data_received", True, False)
if kind == "after_answer":
    from mosvpp.fleet._connections import _Connection
    wrap(_Connection, "data_received", False, True)

plan = Plan.from_json(open(plan_file, "rb").read())
with Journal(url) as journal, Fleet(journal, "KEY", base_url=origin, allow_live=True, concurrency=3) as fleet:
    fleet.execute(plan)
print("done")
""".replace("KEY", KEY)

KINDS = [
    "before_commit",
    "in_commit",
    "after_commit",
    "before_write",
    "after_write",
    "before_answer",
    "after_answer",
]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_program_loses_no_outcome_and_sends_nothing_twice(
    tmp_path: Path, kind: str, count: int
) -> None:
    gateway, slot = Gateway(), _slot()
    url = f"sqlite:///{tmp_path}/fleet.db"
    plan = plan_dispatch(SITES, slot, mode="live", now=datetime.now(UTC), rate=1e6, allow_live=True)
    plan_file = tmp_path / "plan.json"
    plan_file.write_text(plan.to_json())
    with serving(gateway) as server:
        command = [sys.executable, "-c", PROGRAM, url, server.origin, str(plan_file), kind, str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        with Journal(url) as journal:
            _check_what_is_known(journal, gateway, slot)
            journal.close_interrupted(timedelta(0))
            with Fleet(journal, KEY, base_url=server.origin, allow_live=True, concurrency=3) as fleet:
                fleet.execute(plan)
            _check_the_end(journal, gateway, slot)


def _slot() -> EventSlot:
    start = datetime.now(UTC) + timedelta(hours=1)
    return discharge(5 * kW, start=start, duration=timedelta(hours=1), priority=10)


def _check_what_is_known(journal: Journal, gateway: Gateway, slot: EventSlot) -> None:
    """Whatever reached the gateway is in the journal as sent."""
    known = {one.molecule_id: one for one in journal.find(event_id=slot.event_id)}
    for site, _ in gateway.received:
        assert any(isinstance(entry, Sent) for entry in known[site].entries), site
        assert known[site].state in (State.SENT, State.CONFIRMED)


def _check_the_end(journal: Journal, gateway: Gateway, slot: EventSlot) -> None:
    """All that was never sent went out, what is unknown did not go out again, and each says so."""
    assert all(len(gateway.of(site)) <= 1 for site in SITES)
    for site in SITES:
        dispatch = journal.get(site, slot.event_id)
        assert dispatch is not None
        assert dispatch.state in (State.CONFIRMED, State.UNKNOWN)
        if dispatch.state is State.CONFIRMED:
            assert len(gateway.of(site)) == 1
        else:
            assert "may have been received" in dispatch.advice(datetime.now(UTC))
