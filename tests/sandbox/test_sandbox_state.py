"""What is kept in a file survives; without one nothing is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mosvpp import Client, commands, discharge, kW, shed
from mosvpp_sandbox import Choices, Fault, ManualClock, Sandbox
from receiving import Receiver, wait_until

NOON = datetime(2024, 1, 5, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
EMPTY = {
    "now": "2024-01-05T12:00:00Z",
    "seed": 0,
    "profile": "flat",
    "choices": {},
    "faults": [],
    "sites": [],
}


def without_log(history: bytes) -> list[Any]:
    """What was done, without what was asked and told."""
    lines = [json.loads(line) for line in history.splitlines()]
    return [line for line in lines if "event" in line or "command" in line]


def lived(stops: bool, path: Path | None, **options: Any) -> tuple[Any, list[Any], list[bytes]]:
    """An hour with events and commands under way; half of the time after a restart, if it `stops`."""
    ids = [f"{number:08X}-5AD6-42F6-BCAD-6194BBD2F68D" for number in range(4)]
    with Receiver() as receiver:
        options = {"execution_response_url": receiver.url + "/done", "sites": 2, "seed": 3, **options}
        clock = ManualClock(NOON)
        vpp = Sandbox(clock=clock, state=path, **options)
        vpp.start()
        site = vpp.molecule_id
        with Client(vpp.api_key, base_url=vpp.url, allow_live=True) as client:
            slots = [
                discharge(2 * kW, start=NOON, duration=HOUR, priority=9, event_id=ids[0]),
                shed(0.3 * kW, start=NOON + HOUR, duration=HOUR, priority=9, event_id=ids[1]),
            ]
            client.submit_dispatch(site, slots, mode="live")
            rehearsed = discharge(1 * kW, start=NOON, duration=HOUR, priority=9, event_id=ids[2])
            client.submit_dispatch(site, rehearsed, mode="test")
            off = commands.turn_off("21000")
            client.submit_site_command(site, off, duration=40 * timedelta(minutes=1), scmd_id=ids[3])
        clock.advance(minutes=30)
        vpp.flush()
        if stops:
            vpp.stop()
            clock = ManualClock(NOON)
            vpp = Sandbox(clock=clock, state=path, **options)
            vpp.start()
            assert clock.now() == NOON + timedelta(minutes=30)
        clock.advance(minutes=95)
        vpp.flush()
        vpp.stop()
        bodies = sorted(one.body for one in receiver.received)
        return vpp.metrics(), without_log(vpp.history()), bodies


def test_after_a_restart_everything_goes_on_as_if_there_had_been_none(tmp_path: Path) -> None:
    assert lived(True, tmp_path / "state.json") == lived(False, None)


def test_what_is_switched_on_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    options: dict[str, Any] = {
        "choices": Choices(ids="text"),
        "profile": "flat",
        "faults": [Fault("drop", times=3)],
    }
    with Sandbox(state=path, seed=9, **options) as vpp:
        before = vpp.control.overview()
    after = Sandbox(state=path).control.overview()
    assert {name: after[name] for name in ("choices", "profile", "seed")} == {
        name: before[name] for name in ("choices", "profile", "seed")
    }
    assert [fault["name"] for fault in after["faults"]] == ["drop"]


def test_sites_and_devices_are_those_that_were_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with Sandbox(state=path, sites=3) as vpp:
        vpp.control.change_device(vpp.molecule_id, "20000", online=False, stored_kwh=2.0)
    again = Sandbox(state=path, sites=1)
    assert len(again.sites) == 3
    assert "20000" not in again.metrics()
    assert again.sites[again.molecule_id].plant.devices["20000"].stored_kwh == 2.0


def test_with_a_clock_of_its_own_real_time_goes_on_and_pushes_are_not_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with Sandbox(state=path, clock=ManualClock(datetime.now(UTC) - timedelta(hours=3))):
        pass
    with Receiver() as receiver, Sandbox(state=path, data_push_url=receiver.url + "/data") as vpp:
        assert abs(vpp.now() - datetime.now(UTC)) < timedelta(minutes=5)
        vpp.clock.advance(seconds=61)
        receiver.wait("/data")
        vpp.flush()
        assert len(receiver.received) <= 2


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Sandbox(clock=ManualClock(NOON)) as vpp:
        vpp.clock.advance(hours=1)
        vpp.flush()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no state of the sandbox"),
        ('{"version": 1}', "is no state of the sandbox: .*required"),
        (
            json.dumps({**EMPTY, "version": 99}),
            "another version of the sandbox",
        ),
    ],
)
def test_another_file_is_refused_and_left_alone(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=said):
        Sandbox(state=path)
    assert path.read_text() == content


def test_it_survives_being_killed(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    program = [sys.executable, "-m", "mosvpp_sandbox", "--state", str(path), "--speed", "60"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[2]
        start = datetime.now(UTC) + timedelta(days=1)
        slot = discharge(1 * kW, start=start, duration=HOUR, priority=5)
        with Client("sandbox-key", base_url=url) as client:
            client.submit_dispatch("fecd0001c031e7e8", slot, mode="test")
        wait_until(lambda: path.exists() and slot.event_id in path.read_text())
        process.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
    with Sandbox(state=path) as vpp:
        shown = httpx.get(f"{vpp.url}/sandbox/events").json()
    assert [event["event_id"] for event in shown] == [slot.event_id]
