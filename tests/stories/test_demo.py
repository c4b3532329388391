"""scripts/demo.py, as a newcomer starts it and as a program does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import demo
import verdicts

DEMO = Path(demo.__file__)
WORKFLOW = verdicts.DOCUMENTS["lifecycle.arazzo.yaml"]["workflows"][0]
NAMES = [step["name"] for step in WORKFLOW["x-lifecycle"]]


def started(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEMO), *options], capture_output=True, text=True, timeout=120, check=False
    )


def test_for_a_program_it_prints_one_object_with_the_six_steps_and_again() -> None:
    for _ in range(2):
        done = started("--json")
        assert done.returncode == 0, done.stderr
        steps = json.loads(done.stdout)["steps"]
        assert [step["name"] for step in steps] == NAMES
        assert all(step["ok"] is True for step in steps)
        request, receipt, response = steps[1:4]
        assert request["event_id"] == receipt["event_id"] == response["event_id"]
        assert (response["asked_kw"], response["delivered_kw"]) == (5.0, 5.0)
        assert [step["status"] for step in steps] == [200] * 6


def test_for_people_it_tells_each_step_in_80_columns() -> None:
    done = started()
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    for number, step in enumerate(demo.STEPS, 1):
        assert f"{number}  {step.title}" in done.stdout
    for said in ("delivered  5 kW of 5 kW", "relay_state open", "inferred: receipt.dispatch_shape"):
        assert said in done.stdout
    assert "All six steps done in" in done.stdout


def test_what_it_says_of_the_evidence_is_what_the_ledger_says() -> None:
    ledger = {fact["id"]: fact["status"] for fact in verdicts.LEDGER["facts"]}
    for step in demo.STEPS:
        assert step.evidence == {fact: ledger[fact] for fact in step.evidence}
    assert [(step.name, step.title) for step in demo.STEPS] == [
        (step["name"], step["title"]) for step in WORKFLOW["x-lifecycle"]
    ]


def test_nobody_but_this_machine_is_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, where tests/conftest.py watches every connection."""
    assert main(monkeypatch, "--json") == 0
    assert json.loads(capsys.readouterr().out)["steps"]


def main(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["demo.py", *options])
    before = signal.getsignal(signal.SIGINT)
    try:
        return demo.main()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("at", range(6))
def test_a_step_that_fails_is_told_and_ends_the_demo_with_1(
    at: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: demo.Lifecycle) -> dict[str, Any]:
        raise demo.StepError("as if Molecule had refused")

    monkeypatch.setattr(demo.Lifecycle, NAMES[at], fail)
    assert main(monkeypatch, "--json") == 1
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [step["ok"] for step in steps] == [True] * at + [False] * (6 - at)
    assert [step.get("error") for step in steps[at:]] == [
        "as if Molecule had refused",
        *["not reached"] * (5 - at),
    ]
    assert main(monkeypatch) == 1
    assert "as if Molecule had refused" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminal")
def test_ctrl_c_leaves_nothing_running_and_no_traceback() -> None:
    """In a terminal, where the demo takes its time so that it can be watched."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, str(DEMO)], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown = b""
        while b"simulated minutes" not in shown:
            shown += os.read(ours, 4096)
        os.killpg(process.pid, signal.SIGINT)
        try:
            while more := os.read(ours, 4096):
                shown += more
        except OSError:  # how Linux says that the other side was closed
            pass
    os.close(ours)
    assert process.returncode == 130
    assert b"Traceback" not in shown
    assert shown.endswith(b"stopped\r\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
