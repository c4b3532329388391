"""Devices, what the receiver stored, and the settlement of a fleet from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deliveries import new
from journals import sent_earlier
from manual_clock import START
from mosvpp._answers import Answer
from mosvpp.cli.exits import Exit
from mosvpp.fleet import DeviceRegistry, Journal, Telemetry
from mosvpp.models import Device, DeviceList, DeviceType
from mosvpp.receiver import SqlInbox
from mosvpp.slots import EventSlot
from mosvpp.times import to_wire
from mosvpp_sandbox import Sandbox

Run = Callable[..., Any]

STORE, INBOX = "sqlite:///fleet.db", "sqlite:///inbox.db"
FULL, HALF, SILENT = "site-full", "site-half", "site-silent"
MINUTE = timedelta(minutes=1)
DECLARED = ["--unit", "kW", "--positive", "out"]


@pytest.fixture(autouse=True)
def _stores(_in_an_empty_folder: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOSVPP_FLEET_STORE", STORE)
    monkeypatch.setenv("MOSVPP_STORE", INBOX)


def push(site: str, at: datetime, **devices: float) -> bytes:
    listed = [
        {"device_id": device.removeprefix("d"), "metrics": {"power_output": power}}
        for device, power in devices.items()
    ]
    return json.dumps({"timestamp": to_wire(at), "molecule_id": site, "devices": listed}).encode()


def report(site: str, event_id: str, **more: Any) -> bytes:
    told = {"molecule_id": site, "event_id": event_id, "status": "completed", "mode": "live", **more}
    return json.dumps(told).encode()


@pytest.fixture
def event() -> EventSlot:
    """5 kW for an hour, three hours ago; in the inbox is what came: full power, half of it, nothing."""
    with Journal(STORE) as journal:
        slot = sent_earlier(journal, [FULL, HALF, SILENT])
    with SqlInbox(INBOX) as inbox:
        pending = [
            inbox.put(new(push(site, slot.start + minute * MINUTE, d20000=power, d23000=1.0)))
            for site, power in ((FULL, 5.0), (HALF, 2.5))
            for minute in range(-10, 80, 10)
        ]
        for site in (FULL, HALF):
            body = report(site, slot.event_id, executed_quantity=5, event_unit="kW")
            pending.append(inbox.put(new(body, kind="execution_response")))
        for one in pending:
            one.result(30)
    return slot


# --- follow


def test_what_the_receiver_stored_is_taken_in_once(run: Run, event: EventSlot) -> None:
    ran = run("fleet", "follow", "--once", "--json")
    assert ran.code == Exit.OK
    assert ran.json | {"ok": True} == ran.json
    assert (ran.json["reports"], ran.json["pushes"], ran.json["strangers"]) == (2, 18, 0)
    states = run("fleet", "status", "--json").json["events"][0]["states"]
    assert states == {"completed": 2, "unknown": 1}
    again = run("fleet", "follow", "--once")
    assert "0 reports and 0 pushes taken." in again.out
    with Telemetry(STORE) as telemetry:
        assert telemetry.count() == 36


def test_strangers_and_dead_letters_are_told(run: Run, event: EventSlot) -> None:
    with SqlInbox(INBOX) as inbox:
        inbox.put(new(report("nobody", event.event_id), kind="execution_response")).result(30)
        inbox.put(new(b"no JSON")).result(30)
    ran = run("fleet", "follow", "--once")
    assert ran.code == Exit.OK
    assert "a report on" in ran.err
    assert "nobody" in ran.err
    assert "1 result of no event in the journal" in ran.out
    assert "1 with the dead letters" in ran.out


def test_follow_goes_on_until_it_is_told_to_stop(event: EventSlot, start: Callable[..., Any]) -> None:
    process = start("fleet", "follow")
    assert "Ctrl-C or SIGTERM ends it in order" in process.stdout.readline()
    with Journal(STORE) as journal:
        while sum(one.value == "completed" for one in journal.summary().elements()) < 2:
            assert process.poll() is None
    process.terminate()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == Exit.OK
    assert "2 reports and" in out


def test_follow_needs_an_inbox_that_is_there(run: Run) -> None:
    ran = run("fleet", "follow", "--inbox", "sqlite:///elsewhere.db")
    assert ran.code == Exit.NOT_SENT
    assert "--inbox" in ran.words
    assert not Path("elsewhere.db").exists()


# --- settle


@pytest.fixture
def followed(run: Run, event: EventSlot) -> EventSlot:
    assert run("fleet", "follow", "--once").code == Exit.OK
    return event


def device_list(site: str, *devices: Device) -> DeviceList:
    raw = Answer(status=200, headers={}, body=b"", received_at=START)
    return DeviceList(molecule_id=site, devices=devices, raw=raw)


def settlements(ran: Any) -> dict[str, dict[str, Any]]:
    return {case["molecule_id"]: case["settlement"] for case in ran.json["settlement"]["cases"]}


def test_an_event_is_settled(run: Run, followed: EventSlot) -> None:
    """Two inverters send the metric: 5 + 1 kW at one site, 2.5 + 1 kW at the other, for an hour."""
    ran = run("fleet", "settle", followed.event_id, "--gaps", "zero", *DECLARED, "--json")
    assert ran.code == Exit.OK
    found = settlements(ran)
    assert found[FULL]["delivered_kwh"] == pytest.approx(6)
    assert found[HALF]["delivered_kwh"] == pytest.approx(3.5)
    assert found[HALF]["reported_kwh"] == pytest.approx(5)
    assert found[SILENT]["not_computable"] == "there is no telemetry of this metric"
    assert not any("inferred" in text for text in found[FULL]["assumptions"])
    shown = run("fleet", "settle", followed.event_id, "--gaps", "zero", *DECLARED)
    for words in ("15.00 kWh", "9.50 kWh", f"this metric {SILENT}", "unknown.quantity_meaning"):
        assert words in shown.words
    assert shown.out.index(HALF) < shown.out.index(FULL)


def test_without_a_declaration_the_assumption_is_told(run: Run, followed: EventSlot) -> None:
    ran = run("fleet", "settle", followed.event_id, "--gaps", "zero")
    assert "inferred from samples" in ran.words
    assert run("fleet", "settle", followed.event_id, "--gaps", "zero", "--unit", "kW").code == Exit.NOT_SENT
    assert run("fleet", "settle", followed.event_id).code == Exit.NOT_SENT  # gaps have no default


def test_only_devices_of_a_type_count(run: Run, followed: EventSlot) -> None:
    command = ["fleet", "settle", followed.event_id, "--gaps", "zero", *DECLARED, "--device-type", "10"]
    assert "mosvpp fleet devices --sync" in run(*command).words
    with DeviceRegistry(STORE) as registry:
        for site in (FULL, HALF):
            kinds = ((20000, DeviceType.BATTERY_INVERTER), (23000, DeviceType.PV_INVERTER))
            several = tuple(Device(device_id=str(id_), device_type=kind) for id_, kind in kinds)
            registry.note(device_list(site, *several))
    found = settlements(run(*command, "--json"))
    assert found[FULL]["delivered_kwh"] == pytest.approx(5)
    assert found[HALF]["delivered_kwh"] == pytest.approx(2.5)


def test_a_baseline_is_taken_off(run: Run, followed: EventSlot) -> None:
    first, last = to_wire(followed.start), to_wire(followed.end)
    lines = [f"{FULL},1 kW,", f"{HALF},0.5 kW,{last}", f"{HALF},0.5 kW,{first}"]
    Path("usual.csv").write_text("molecule_id,power,time\n" + "\n".join(lines), "utf-8")
    command = ["fleet", "settle", followed.event_id, "--gaps", "zero", *DECLARED, "--max-gap", "2h"]
    found = settlements(run(*command, "--baselines", "usual.csv", "--json"))
    assert found[FULL]["delivered_kwh"] == pytest.approx(5)
    assert found[HALF]["delivered_kwh"] == pytest.approx(3)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("a,five", "line 2 of usual.csv: 'five' is no power"),
        ("a,1 kW\na,2 kW", "line 3 of usual.csv: the site is there in a line above"),
    ],
)
def test_what_is_wrong_with_baselines_is_said(run: Run, followed: EventSlot, lines: str, words: str) -> None:
    Path("usual.csv").write_text(f"molecule_id,power\n{lines}\n", "utf-8")
    ran = run("fleet", "settle", followed.event_id, "--gaps", "zero", "--baselines", "usual.csv")
    assert ran.code == Exit.NOT_SENT
    assert words in ran.words


def test_the_page_is_a_new_file(run: Run, followed: EventSlot) -> None:
    command = ["fleet", "settle", followed.event_id, "--gaps", "drop", "--html", "event.html"]
    assert "page written to event.html" in run(*command).out
    assert followed.event_id in Path("event.html").read_text("utf-8")
    again = run(*command)
    assert again.code == Exit.NOT_SENT
    assert "exists already" in again.words


# --- devices


def test_devices_are_asked_for_and_kept(run: Run, vpp: Sandbox, site: str) -> None:
    Path("sites.csv").write_text(f"molecule_id,rating\n{site},5 kW\nnobody,1 kW\n", "utf-8")
    ran = run("fleet", "devices", "--sync", "--sites", "sites.csv", "--base-url", vpp.url)
    assert ran.code == Exit.PARTLY
    assert "1 of 2 sites answered, 5 changes." in ran.out
    assert "added: Battery Inverter 1" in ran.out
    assert "nobody" in ran.words
    shown = run("fleet", "devices", "--sites", "sites.csv")
    assert "5 kW" in shown.out
    assert "never" in shown.out
    one = run("fleet", "devices", "--site", site)
    assert "charge, discharge" in one.words
    again = run("fleet", "devices", "--sync", "--site", site, "--base-url", vpp.url)
    assert again.code == Exit.OK
    assert "nothing changed" in again.out
    history = run("fleet", "devices", "--history", "--json").json["history"]
    assert len(history) == 5
    assert "added: Grid Meter" in run("fleet", "devices", "--history").out


def test_changes_are_told_in_words(run: Run) -> None:
    def known(*devices: Device) -> None:
        with DeviceRegistry(STORE) as registry:
            registry.note(device_list("a", *devices))

    kind = DeviceType.BATTERY_INVERTER
    known(Device(device_id="1", device_type=kind, name="Old", capabilities=("charge",)))
    known(Device(device_id="1", device_type=DeviceType.METER, name="New", capabilities=None))
    known()
    told = run("fleet", "devices", "--history").words
    for words in (
        "renamed: Old → New",
        "type: 10 battery inverter → 12 meter",
        "can: charge → not listed",
        "removed: New",
    ):
        assert words in told
    assert "no device" in run("fleet", "devices", "--site", "a").out


def test_devices_say_what_is_missing(run: Run, closed_port: int, vpp: Sandbox) -> None:
    nobody = f"http://127.0.0.1:{closed_port}"
    ran = run("fleet", "devices", "--sync", "--base-url", nobody)
    assert ran.code == Exit.NOT_SENT
    assert "--sites FILE or --site ID" in ran.words
    ran = run("fleet", "devices", "--sync", "--site", "a", "--base-url", nobody)
    assert ran.code == Exit.UNREACHABLE
    ran = run("fleet", "devices", "--sync", "--site", "a", "--base-url", vpp.url)
    assert ran.code == Exit.NO  # it was answered: there is no such site
    assert "No site was asked yet" in run("fleet", "devices").words
    assert run("fleet", "devices", "--sync", "--history").code == Exit.NOT_SENT
