"""A fleet from the command line: plan, run, look, cancel, stop, against a real sandbox."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from journals import sent_earlier
from mosvpp.cli.exits import Exit
from mosvpp.fleet import Journal, State
from mosvpp_sandbox import Fault, Sandbox
from mosvpp_sandbox.site_specs import generated_sites

Run = Callable[..., Any]

STORE = "sqlite:///fleet.db"
SITES = [spec.molecule_id for spec in generated_sites(6)]
START = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
EVENT = ["--type", "discharge", "--start", START, "--duration", "1h", "--priority", "10"]
EVENT_ID = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
LIVE = ["--mode", "live", "--live"]


@pytest.fixture(scope="module")
def fleet_vpp() -> Iterator[Sandbox]:
    with Sandbox(api_key="canary-7f3a91-key", sites=6) as running:
        yield running


@pytest.fixture(autouse=True)
def gateway(
    fleet_vpp: Sandbox, _in_an_empty_folder: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """The sandbox without faults, and files of sites in an empty folder."""
    monkeypatch.setenv("MOSVPP_FLEET_STORE", STORE)
    monkeypatch.setenv("MOSVPP_BASE_URL", fleet_vpp.url)
    Path("sites.txt").write_text("# ours\n\n" + "\n".join(SITES) + "\n", "utf-8")
    yield fleet_vpp
    fleet_vpp.faults.clear()


@pytest.fixture
def planned(run: Run) -> Callable[..., str]:
    """Plan an event for all sites, kept in plan.json; its hash."""

    def planned(*more: object, file: str = "plan.json") -> str:
        power = () if "--power" in more else ("--power", "1 kW")
        ran = run("fleet", "plan", "--sites", "sites.txt", *EVENT, *power, "--save", file, "--json", *more)
        assert ran.code == Exit.OK, ran.out
        return str(ran.json["hash"])

    return planned


def refuse(vpp: Sandbox, name: str, *sites: str, **more: Any) -> None:
    for site in sites:
        vpp.faults.add(Fault(name, operation="submit_dispatch", molecule_id=site, **more))


def states() -> dict[str, int]:
    with Journal(STORE) as journal:
        return {state.value: count for state, count in journal.summary().items()}


# --- plan


def test_a_plan_shows_what_would_be_sent(run: Run) -> None:
    ran = run("fleet", "plan", "--sites", "sites.txt", *EVENT, "--power", "5kW", "--rate", "2")
    assert ran.code == Exit.OK
    assert "Nothing" in ran.out or "warning" in ran.out
    for words in ("sites      6", "30 kW in total, 5 kW each", "3.0 s at 2 requests a second", "--save FILE"):
        assert words in ran.out


def test_a_plan_that_begins_now_is_told_to_begin_later(run: Run) -> None:
    when = ("--start", "now", "--duration", "1h")
    ran = run("fleet", "plan", "--sites", "sites.txt", *EVENT, *when, "--power", "5kW", "--save", "plan.json")
    assert ran.code == Exit.NOT_SENT
    assert "give a start some minutes ahead" in ran.words
    assert not Path("plan.json").exists()


def test_it_tells_the_same_to_programs_and_keeps_the_plan(run: Run, planned: Callable[..., str]) -> None:
    made = planned("--event-id", EVENT_ID)
    kept = json.loads(Path("plan.json").read_text("utf-8"))
    assert kept["hash"] == made
    assert kept["molecule_ids"] == SITES
    again = run(
        *(
            "fleet",
            "plan",
            "--sites",
            "sites.txt",
            *EVENT,
            "--power",
            "1 kW",
            "--event-id",
            EVENT_ID,
            "--json",
        )
    )
    assert again.json["hash"] == made
    assert again.json["event_ids"] == [EVENT_ID]
    assert again.json["totals_kw"] == {"discharge": 6.0}


def test_a_plan_that_must_not_be_sent_ends_with_one(run: Run) -> None:
    ran = run(
        *("fleet", "plan", "--sites", "sites.txt", *EVENT, "--power", "5 kW", "--total-ceiling", "29 kW"),
        *("--save", "plan.json"),
    )
    assert ran.code == Exit.NO
    assert "total_ceiling" in ran.words
    assert "Not to be sent" in ran.words
    assert not Path("plan.json").exists()


def test_sites_that_cannot_are_left_out_when_that_is_said(run: Run, gateway: Sandbox) -> None:
    assert run("fleet", "devices", "--sync", "--sites", "sites.txt").code == Exit.OK
    bare = [
        site
        for site in SITES
        if not any(one.can("discharge") is not False for one in _devices(gateway, site))
    ]
    assert bare
    arguments = ("fleet", "plan", "--sites", "sites.txt", *EVENT, "--power", "1 kW")
    refused = run(*arguments, "--json")
    assert refused.code == Exit.NO
    assert {one["code"] for one in refused.json["findings"] if one["level"] == "error"} == {"capability"}
    ran = run(*arguments, "--leave-out", "capability", "--json")
    assert ran.code == Exit.OK
    assert ran.json["left_out"] == sorted(bare)
    assert ran.json["sites"] == len(SITES) - len(bare)
    accepted = run(*arguments, "--accept", "capability", "--json")
    assert accepted.code == Exit.OK
    assert accepted.json["sites"] == len(SITES)


def _devices(gateway: Sandbox, site: str) -> Any:
    from mosvpp import Client

    with Client(gateway.api_key, base_url=gateway.url) as client:
        return list(client.sync_devices(site))


def test_each_site_gets_the_power_of_its_line(run: Run) -> None:
    lines = [f"{SITES[0]};2 kW;5 kW", f"{SITES[1]};3500 w;5 kW", f"{SITES[2]};;5 kW"]
    Path("sites.csv").write_text("\ufeffmolecule_id;power;rating\n" + "\n".join(lines) + "\n", "utf-8")
    ran = run(
        *("fleet", "plan", "--sites", "sites.csv", *EVENT, "--power", "1 kW", "--save", "plan.json", "--json")
    )
    assert ran.code == Exit.OK
    kept = json.loads(Path("plan.json").read_text("utf-8"))
    assert [slot["power"] for slot in kept["slots"]] == ["2.0 kW", "3500.0 w", "1.0 kW"]
    assert len({slot["event_id"] for slot in kept["slots"]}) == 1
    missing = run("fleet", "plan", "--sites", "sites.csv", *EVENT)
    assert missing.code == Exit.NOT_SENT
    assert f"no power for {SITES[2]}" in missing.words


def test_a_power_that_counts_nowhere_is_told(run: Run) -> None:
    Path("sites.csv").write_text(f"molecule_id,power\n{SITES[0]},2 kW\n", "utf-8")
    ran = run("fleet", "plan", "--sites", "sites.csv", *EVENT, "--power", "3 kW")
    assert ran.code == Exit.OK
    assert "--power counts nowhere" in ran.err
    assert "counts nowhere" not in run("fleet", "plan", "--sites", "sites.csv", *EVENT).err


def test_an_event_over_midnight_is_told_with_both_days(run: Run) -> None:
    Path("sites.csv").write_text(f"molecule_id,power\n{SITES[0]},2 kW\n", "utf-8")
    when = ("--start", "2099-01-01T23:45:00Z", "--duration", "30m")
    ran = run("fleet", "plan", "--sites", "sites.csv", *EVENT, *when, "--save", "plan.json")
    assert ran.code == Exit.OK
    assert run("fleet", "run", "plan.json").code == Exit.OK
    assert "2099-01-01 23:45 to 2099-01-02 00:15 UTC" in run("fleet", "status").out


def test_a_rating_in_the_file_is_checked_against(run: Run) -> None:
    Path("sites.csv").write_text(f"molecule_id,rating\n{SITES[0]},2 kW\n", "utf-8")
    ran = run("fleet", "plan", "--sites", "sites.csv", *EVENT, "--power", "5 kW", "--json")
    assert ran.code == Exit.NO
    assert [one["code"] for one in ran.json["findings"] if one["level"] == "error"] == ["rating"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no site"),
        ("molecule_id,power\na,5\n", "line 2 of sites.csv: '5' is no power"),
        ("molecule_id,power\n\n# x\na,5 kW,7\n", "line 4 of sites.csv has more values"),
        ("molecule_id,volts\na,5\n", "has the columns molecule_id, volts"),
        ("a\nA\n", "names A twice"),
        ("molecule_id,power\n,5 kW\n", "line 2 of sites.csv names no site"),
        ("molecule_id,power\n=x,5 kW\n", "line 2 of sites.csv: '=x' is no molecule_id"),
        ("# all\n\na\na\x1b[2Jb\n", "line 4 of sites.csv: 'a\\x1b[2Jb' is no molecule_id"),
    ],
)
def test_what_is_wrong_with_a_file_of_sites_is_said(run: Run, text: str, words: str) -> None:
    Path("sites.csv").write_text(text, "utf-8")
    ran = run("fleet", "plan", "--sites", "sites.csv", *EVENT, "--power", "1 kW")
    assert ran.code == Exit.NOT_SENT
    assert words in ran.words
    assert "at --sites" in ran.words


def test_sites_come_from_standard_input_too(run: Run) -> None:
    ran = run("fleet", "plan", "--sites", "-", *EVENT, "--power", "1 kW", "--json", stdin=SITES[0] + "\n")
    assert ran.json["sites"] == 1


def test_without_a_store_it_says_how_to_give_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOSVPP_FLEET_STORE")
    for command in (["status"], ["overdue"], ["stop", "--all"], ["devices"], ["follow", "--inbox", STORE]):
        ran = run("fleet", *command)
        assert ran.code == Exit.NOT_SENT
        assert "--store sqlite:///fleet.db" in ran.words


def test_looking_makes_no_file(run: Run) -> None:
    for command in (["status"], ["overdue"], ["stop", "--all", "--yes"], ["cancel", EVENT_ID], ["devices"]):
        ran = run("fleet", *command)
        assert ran.code == Exit.NOT_SENT
        assert "no fleet in sqlite:///fleet.db yet" in ran.words
    assert not Path("fleet.db").exists()


# --- run


def test_a_plan_is_sent_once(run: Run, planned: Callable[..., str]) -> None:
    made = planned()
    ran = run("fleet", "run", "plan.json", "--hash", made[:16])
    assert ran.code == Exit.OK
    assert "6 accepted" in ran.out
    assert "6 confirmed" in ran.out
    again = run("fleet", "run", "plan.json")
    assert again.code == Exit.OK
    assert "Nothing was left to send." in again.out


@pytest.mark.parametrize(
    ("given", "words"), [("0" * 16, "which was approved"), ("abc", "too short to tell plans apart")]
)
def test_another_plan_than_the_approved_one_is_not_sent(
    run: Run, planned: Callable[..., str], given: str, words: str
) -> None:
    planned()
    ran = run("fleet", "run", "plan.json", "--hash", given)
    assert ran.code == Exit.NOT_SENT
    assert words in ran.words
    assert not states()


def test_a_plan_that_was_changed_by_hand_is_not_sent(run: Run, planned: Callable[..., str]) -> None:
    planned()
    text = Path("plan.json").read_text("utf-8")
    Path("plan.json").write_text(text.replace("1.0 kW", "9.0 kW"), "utf-8")
    ran = run("fleet", "run", "plan.json")
    assert ran.code == Exit.NOT_SENT
    assert "was changed after it was made" in ran.words
    Path("plan.json").write_text("{}", "utf-8")
    assert "is no plan that can be sent" in run("fleet", "run", "plan.json").words


def test_what_is_unknown_is_listed_with_what_can_be_done(
    run: Run, planned: Callable[..., str], gateway: Sandbox
) -> None:
    refuse(gateway, "drop", SITES[1])
    refuse(gateway, "error_json", SITES[2], value=400)
    planned()
    ran = run("fleet", "run", "plan.json", "--json")
    assert ran.code == Exit.OUTCOME_UNKNOWN
    assert ran.json["sent"] == {"accepted": 4, "rejected": 1, "unknown": 1}
    (unknown,) = ran.json["to_look_at"]
    assert unknown["molecule_id"] == SITES[1]
    assert unknown["said"].startswith("no answer came")
    assert "plan it again with --update" in unknown["advice"]
    assert "update=True" not in ran.out
    shown = run("fleet", "status", ran.json["event_ids"][0])
    assert shown.code == Exit.OK
    assert shown.out.index(SITES[1]) < shown.out.index(SITES[0])
    assert "1 unknown · " not in shown.err
    assert "4 confirmed" in shown.out


def test_some_that_are_refused_make_it_partly(
    run: Run, planned: Callable[..., str], gateway: Sandbox
) -> None:
    refuse(gateway, "error_json", SITES[2], value=400)
    planned()
    assert run("fleet", "run", "plan.json").code == Exit.PARTLY


def test_where_nobody_listens_it_says_so(run: Run, planned: Callable[..., str], closed_port: int) -> None:
    planned()
    ran = run("fleet", "run", "plan.json", "--base-url", f"http://127.0.0.1:{closed_port}")
    assert ran.code == Exit.UNREACHABLE
    assert "6 not sent" in ran.out
    assert states() == {"planned": 6}
    assert run("fleet", "run", "plan.json").code == Exit.OK


def test_a_live_plan_needs_live_and_a_yes(run: Run, planned: Callable[..., str]) -> None:
    unarmed = run("fleet", "plan", "--sites", "sites.txt", *EVENT, "--power", "1 kW", "--mode", "live")
    assert unarmed.code == Exit.NO
    assert "add --live to say that you mean it" in unarmed.words
    planned(*LIVE)
    for more, words in ((["--yes"], "add --live"), (["--live"], "add --yes")):
        ran = run("fleet", "run", "plan.json", *more)
        assert ran.code == Exit.NOT_SENT
        assert words in ran.words
    assert not states()
    assert run("fleet", "run", "plan.json", "--live", "--yes").code == Exit.OK


def test_a_person_confirms_with_the_hash(terminal: Any, planned: Callable[..., str]) -> None:
    made = planned(*LIVE)
    wrong = terminal("fleet", "run", "plan.json", "--live")
    wrong.wait_for("to send this:")
    wrong.type("yes\n")
    assert wrong.end() == Exit.NOT_SENT
    right = terminal("fleet", "run", "plan.json", "--live")
    right.wait_for("to send this:")
    right.type(made[:8] + "\n")
    assert right.end() == Exit.OK
    assert "6 confirmed" in right.seen
    assert all(len(line) <= 80 for line in right.seen.replace("\r", "").split("\n") if "\x1b" not in line)


def test_ctrl_c_leaves_a_journal_that_can_be_gone_on_with(
    terminal: Any, run: Run, planned: Callable[..., str], gateway: Sandbox
) -> None:
    refuse(gateway, "hang", SITES[0])
    planned()
    typed = terminal("fleet", "run", "plan.json")
    typed.wait_for("5 accepted")
    typed.type("\x03")
    assert typed.end() == Exit.OUTCOME_UNKNOWN
    assert "run the same plan again" in typed.seen
    gateway.faults.clear()
    ran = run("fleet", "run", "plan.json", "--json")
    assert ran.json["states"] == {"unknown": 1, "confirmed": 5}


# --- looking


def test_events_are_listed_and_sites_are_found(run: Run, planned: Callable[..., str]) -> None:
    assert run("fleet", "plan", "--sites", "sites.txt", *EVENT, "--power", "1 kW").code == Exit.OK
    assert "No event yet" in run("fleet", "status").words
    planned("--event-id", EVENT_ID)
    run("fleet", "run", "plan.json")
    listed = run("fleet", "status")
    assert EVENT_ID in listed.out
    assert "6 confirmed" in listed.out
    assert run("fleet", "status", "--json").json["events"][0]["states"] == {"confirmed": 6}
    found = run("fleet", "status", EVENT_ID.lower(), "--site", SITES[3].upper(), "--json").json
    assert [one["molecule_id"] for one in found["sites"]] == [SITES[3]]
    assert "Nothing matches." in run("fleet", "status", EVENT_ID, "--state", "failed").out
    assert "there are planned, sent" in run("fleet", "status", "--state", "lost").words
    few = run("fleet", "status", EVENT_ID, "--limit", "2").out
    assert "… and 4 more" in few


@pytest.mark.parametrize("command", [["status"], ["cancel"], ["settle", "--gaps", "zero"]])
def test_an_event_that_nobody_knows(run: Run, planned: Callable[..., str], command: list[str]) -> None:
    planned()
    assert run("fleet", "run", "plan.json").code == Exit.OK
    for other in (EVENT_ID, "no-uuid"):
        ran = run("fleet", *command, other)
        assert ran.code == Exit.NOT_SENT
        assert " EVENT_ID " in ran.words


def test_what_is_overdue_is_listed_until_it_is_resolved(run: Run) -> None:
    with Journal(STORE) as journal:
        slot = sent_earlier(journal, SITES[:2])
    for command in (["overdue"], ["overdue", "--json"]):
        assert run("fleet", *command).code == Exit.NO
    ran = run("fleet", "overdue", "--json")
    assert [one["molecule_id"] for one in ran.json["overdue"]] == SITES[:2]
    assert "mosvpp fleet resolve" in run("fleet", "overdue").words
    for site in SITES[:2]:
        done = run("fleet", "resolve", slot.event_id, site, "failed", "--reason", "asked the household")
        assert done.code == Exit.OK
        assert "unknown → failed" in done.out
    assert run("fleet", "overdue").out == "Nothing is overdue.\n"
    assert "resolved: asked the household" in run("fleet", "status", slot.event_id).words
    stranger = run("fleet", "resolve", slot.event_id, "nobody", "failed", "--reason", "x")
    assert stranger.code == Exit.NOT_SENT


# --- calling off


def test_an_event_is_cancelled_where_it_went(run: Run, planned: Callable[..., str], gateway: Sandbox) -> None:
    planned("--event-id", EVENT_ID)
    run("fleet", "run", "plan.json")
    ran = run("fleet", "cancel", EVENT_ID, "--site", SITES[0], "--site", SITES[1])
    assert ran.code == Exit.OK
    assert "2 cancelled" in ran.out
    refuse(gateway, "drop", SITES[2])
    refuse(gateway, "error_json", SITES[3], value=400)
    rest = run("fleet", "cancel", EVENT_ID, "--json")
    assert rest.code == Exit.OUTCOME_UNKNOWN
    assert rest.json["states"] == {"cancelled": 4, "unknown": 1, "confirmed": 1}
    assert {one["molecule_id"] for one in rest.json["to_look_at"]} == {SITES[2], SITES[3]}
    gateway.faults.clear()
    assert run("fleet", "cancel", EVENT_ID).code == Exit.OK
    assert states() == {"cancelled": 6}


def test_cancelling_a_live_event_needs_live_and_a_yes(run: Run, planned: Callable[..., str]) -> None:
    planned(*LIVE, "--event-id", EVENT_ID)
    run("fleet", "run", "plan.json", "--live", "--yes")
    assert "add --live" in run("fleet", "cancel", EVENT_ID, "--yes").words
    assert "add --yes" in run("fleet", "cancel", EVENT_ID, "--live").words
    assert states() == {"confirmed": 6}
    assert run("fleet", "cancel", EVENT_ID, "--live", "--yes").code == Exit.OK


def test_stop_cancels_all_that_is_live(run: Run, planned: Callable[..., str], gateway: Sandbox) -> None:
    planned(*LIVE)
    run("fleet", "run", "plan.json", "--live", "--yes")
    refuse(gateway, "drop", *SITES[:3], times=1)
    some = run("fleet", "stop", "--site", SITES[5], "--yes")
    assert some.code == Exit.OK
    assert "1 confirmed stopped, with 1 request." in some.out
    ran = run("fleet", "stop", "--all", "--yes", "--json")
    assert ran.code == Exit.OK
    assert ran.json["stopped"] == 5
    assert ran.json["requests"] == 8
    assert ran.json["not_confirmed"] == []
    assert states() == {"cancelled": 6}
    assert "Nothing live may be running." in run("fleet", "stop", "--all", "--yes").out


def test_stop_holds_back_what_was_not_sent_yet_once_that_is_confirmed(
    run: Run, planned: Callable[..., str], closed_port: int
) -> None:
    planned(*LIVE)
    nobody = f"http://127.0.0.1:{closed_port}"
    assert run("fleet", "run", "plan.json", "--live", "--yes", "--base-url", nobody).code == Exit.UNREACHABLE
    assert "add --yes" in run("fleet", "stop", "--all").words
    ran = run("fleet", "stop", "--all", "--yes")
    assert ran.code == Exit.OK
    assert "0 confirmed stopped, 6 never sent, and not sent any more" in ran.words
    again = run("fleet", "run", "plan.json", "--live", "--yes")
    assert again.code == Exit.NOT_SENT
    assert states() == {"cancelled": 6}


@pytest.mark.parametrize("where", [[], ["--all", "--site", SITES[0]]])
def test_stop_has_to_be_told_where(run: Run, where: list[str]) -> None:
    ran = run("fleet", "stop", *where)
    assert ran.code == Exit.NOT_SENT
    assert "say where" in ran.words


def test_stop_leaves_test_events_alone_and_sends_nothing_without_a_yes(
    run: Run, planned: Callable[..., str]
) -> None:
    planned()
    run("fleet", "run", "plan.json")
    assert run("fleet", "stop", "--all").code == Exit.OK
    planned(*LIVE, "--accept", "overlap", file="live.json")
    run("fleet", "run", "live.json", "--live", "--yes")
    assert "add --yes" in run("fleet", "stop", "--all").words
    assert states() == {"confirmed": 12}


def test_ctrl_c_ends_a_stop_and_what_is_not_confirmed_is_listed(
    terminal: Any, run: Run, planned: Callable[..., str], gateway: Sandbox
) -> None:
    planned(*LIVE)
    run("fleet", "run", "plan.json", "--live", "--yes")
    refuse(gateway, "drop", SITES[2], SITES[4])
    typed = terminal("fleet", "stop", "--all")
    typed.wait_for("Type stop")
    typed.type("stop\n")
    typed.wait_for("4 of 6 confirmed")
    typed.type("\x03")
    assert typed.end() == Exit.OUTCOME_UNKNOWN
    assert "NOT confirmed stopped: 2" in typed.seen
    assert states() == {"cancelled": 4, "unknown": 2}
    gateway.faults.clear()
    assert run("fleet", "stop", "--all", "--yes").code == Exit.OK
    assert states() == {State.CANCELLED: 6}


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a program without asking it")
def test_sigterm_ends_a_stop_and_a_run_as_ctrl_c_does(
    run: Run, planned: Callable[..., str], gateway: Sandbox, start: Callable[..., Any]
) -> None:
    made = planned(*LIVE)
    refuse(gateway, "hang", SITES[0])
    running = start("fleet", "run", "plan.json", "--live", "--yes", "--hash", made, "--json")
    _wait_for(State.CONFIRMED, 5)
    running.terminate()
    out, _ = running.communicate(timeout=60)
    assert running.returncode == Exit.OUTCOME_UNKNOWN
    told = json.loads(out)
    assert told["is_interrupted"]
    assert told["states"] == {"unknown": 1, "confirmed": 5}
    gateway.faults.clear()
    refuse(gateway, "drop", SITES[2], SITES[4])
    stopping = start("fleet", "stop", "--all", "--yes")
    _wait_for(State.CANCELLED, 4)
    stopping.terminate()
    out, error = stopping.communicate(timeout=60)
    assert stopping.returncode == Exit.OUTCOME_UNKNOWN
    assert "interrupted; run it again" in error
    assert "NOT confirmed stopped: 2" in out
    assert SITES[2] in out


def _wait_for(state: State, count: int) -> None:
    with Journal(STORE) as journal:
        while journal.summary()[state] < count:
            time.sleep(0.05)
