"""Every scenario comes out as it says, the same way each time; and one that does not is noticed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mosvpp_sandbox.scenarios import command, script
from mosvpp_sandbox.scenarios.endpoint import PartnerEndpoint
from mosvpp_sandbox.scenarios.play import play

SCENARIOS = {scenario.name: scenario for scenario in script.named()}
LEDGER = {
    fact["id"]
    for fact in yaml.safe_load((Path(__file__).parents[2] / "spec" / "evidence.yaml").read_text("utf-8"))[
        "facts"
    ]
}
WANTED = {
    *("onboarding", "single_discharge", "update", "overlapping_events", "cancel_before_start"),
    *("cancel_while_running", "partial_delivery", "device_offline", "duplicate_and_late_pushes"),
    *("key_rotation", "endpoint_outage", "day_of_telemetry"),
}


def test_all_that_were_promised_are_there() -> None:
    assert SCENARIOS.keys() == WANTED


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_comes_out_as_it_says(name: str) -> None:
    played = play(SCENARIOS[name])
    assert [line.text for line in played.lines if line.kind == "broken"] == []
    assert any(line.kind == "kept" for line in played.lines)


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_leans_on_entries_of_the_ledger(name: str) -> None:
    assert SCENARIOS[name].evidence
    assert set(SCENARIOS[name].evidence) <= LEDGER


def test_the_same_scenario_is_the_same_history() -> None:
    first, second = (play(SCENARIOS["cancel_while_running"]).history for _ in range(2))
    assert first == second
    assert b"cancelled" in first


def test_the_steps_may_use_an_endpoint_of_the_partners() -> None:
    with PartnerEndpoint({"Authorization": ["the partner's secret"]}) as endpoint:
        played = play(
            SCENARIOS["single_discharge"],
            data_push_url=endpoint.url("data_push"),
            execution_response_url=endpoint.url("execution_response"),
            headers={"Authorization": "the partner's secret"},
        )
        assert played.is_kept
        assert [*endpoint.words.values()] == [["completed"]]
        assert sum(endpoint.pushes.values()) == 71


MINE = """
title: Mine
about: Mine.
steps:
  - dispatch: {event: a, type: discharge, power_kw: 1, in: 5m, for: 10m}
  - advance: 20m
  - expect: {events: {a: WORD}, executions: {a: TIMES}, pushes: [0, MOST], responses: {a: [HEARD]}}
"""


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({}, None),
        ({"WORD": "failed"}, "a is failed: no, it is completed"),
        ({"TIMES": "2"}, "a ran 2 times: no, it ran once"),
        ({"MOST": "3"}, "0 to 3 data pushes taken"),
        ({"HEARD": "failed"}, "the partner heard of a: failed: no, it heard completed"),
    ],
    ids=["right", "state", "executions", "pushes", "responses"],
)
def test_what_does_not_come_true_is_told_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], broken: str | None
) -> None:
    text = MINE
    for name, value in {
        "WORD": "completed",
        "TIMES": "1",
        "MOST": "20",
        "HEARD": "completed",
        **change,
    }.items():
        text = text.replace(name, value)
    (tmp_path / "mine.yaml").write_text(text)
    code = command.main(["--quiet", str(tmp_path / "mine.yaml")])
    said = capsys.readouterr().out
    assert code == (1 if broken else 0)
    assert ("✗" in said) is bool(broken)
    assert broken is None or broken in " ".join(said.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "mine is no YAML"),
        ("title: x", "missing required field `about`"),
        ("title: x\nabout: x\nsteps: [{dance: 1}]", "step 1 has to have one verb of sync, dispatch"),
        ("title: x\nabout: x\nsteps: [{advance: soon}]", "step 1, advance"),
        ("title: x\nabout: x\nsteps: [{dispatch: {event: a}}]", "a new event needs type, in and for"),
        ("title: x\nabout: x\nsteps: [{cancel: a}]", "there is no event a to cancel"),
        ("title: x\nabout: x\nsteps: [{faults: {gremlin: {}}}]", "there is no fault 'gremlin'"),
        ("title: x\nabout: x\nsteps: []\nsandbox: {choices: {ids: maybe}}", "maybe"),
    ],
    ids=["yaml", "about", "verb", "duration", "new event", "cancel", "fault", "choice"],
)
def test_a_scenario_that_makes_no_sense_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert command.main([str(tmp_path / "mine.yaml")]) == 2
    assert said in capsys.readouterr().err


def test_without_a_name_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    listed = capsys.readouterr().out
    assert all(re.search(rf"^{name} ", listed, re.MULTILINE) for name in WANTED)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "there is no scenario nothing; there are onboarding, single_discharge"),
        (["no_such.yaml"], "No such file"),
        (["update", "--data-push-url", "http://127.0.0.1:1/x"], "give your endpoints and their --header"),
        (["update", "--data-push-url", "http://example.com/x", "--header", "A=b"], "loopback"),
    ],
    ids=["name", "file", "header", "host"],
)
def test_what_cannot_begin_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert command.main(arguments) == 2
    assert said in capsys.readouterr().err
