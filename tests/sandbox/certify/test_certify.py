"""Certification over real sockets: our own receiver passes, each wrong one is caught by the right check."""

from __future__ import annotations

import asyncio
import base64
import io
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import yaml
from rich.console import Console

from hostile_server import free_port
from mosvpp_sandbox.certify.catalogue import CHECKS
from mosvpp_sandbox.certify.check import Verdict
from mosvpp_sandbox.certify.command import main
from mosvpp_sandbox.certify.evidence import MARKS
from mosvpp_sandbox.certify.junit import to_junit
from mosvpp_sandbox.certify.page import to_html
from mosvpp_sandbox.certify.report import Report
from mosvpp_sandbox.certify.run import certify
from mosvpp_sandbox.certify.target import Target
from mosvpp_sandbox.certify.terminal import Terminal
from receiving import wait_until

RECEIVERS = Path(__file__).with_name("wrong_receivers.py")
SECRET, PREVIOUS = "the current secret", "the previous secret"
SIGNING_SECRET = "whsec_YSBzaWduaW5nIHNlY3JldCBvZiAzMiBieXRlcyAuLi4="
LEDGER = Path(__file__).parents[3] / "spec" / "evidence.yaml"


def target(command: list[str], port: int, **more: Any) -> Target:
    given: dict[str, Any] = {
        "urls": {
            "data_push": f"http://127.0.0.1:{port}/data-push",
            "execution_response": f"http://127.0.0.1:{port}/execution-response",
        },
        "headers": {"X-API-Key": SECRET},
        "previous": {"X-API-Key": PREVIOUS},
        "command": command,
    }
    return Target(**{**given, **more})


def certified(variant: str, folder: Path, **more: Any) -> Report:
    """What becomes of one of the receivers in the file beside this one."""
    port, kept = free_port(), folder / "kept.jsonl"
    command = [sys.executable, str(RECEIVERS), variant, str(port), str(kept)]
    names = more.pop("only", None)
    checks = [check for check in CHECKS if names is None or check.name in names]
    if more.pop("listed", False):
        printing = "import sys; sys.stdout.write(open(sys.argv[1]).read())"
        more["list_command"] = [sys.executable, "-c", printing, str(kept)]
    return asyncio.run(certify(target(command, port, **more), checks=checks))


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def failed(report: Report) -> set[str]:
    return {one.check.name for one in report.results if one.verdict is not Verdict.PASSED} - skipped(report)


def skipped(report: Report) -> set[str]:
    return {one.check.name for one in report.results if one.verdict is Verdict.SKIPPED}


def faults(report: Report) -> str:
    return "\n".join(f"{one.check.name}: {fault}" for one in report.results for fault in one.faults)


KILLING = {"kept_after_kill", "listed_as_sent", "nothing_forged_listed"}


def test_a_receiver_that_does_it_right_passes(tmp_path: Path) -> None:
    report = certified("right", tmp_path, listed=True)
    assert report.is_passed, faults(report)
    assert skipped(report) == {"forged_signature"}
    kills = [one for result in report.results for one in result.rounds]
    assert len(kills) == 3
    assert all(one.acknowledged and not one.missing for one in kills)


def test_one_that_checks_signatures_passes_too(tmp_path: Path) -> None:
    report = certified("signed", tmp_path, signing_secret=SIGNING_SECRET)
    assert report.is_passed, faults(report)
    assert skipped(report) == KILLING


WRONG: list[tuple[str, dict[str, Any], set[str]]] = [
    ("accepts_forged", {"listed": True}, {"forged_secret", "nothing_forged_listed"}),
    ("answers_before_storing", {"listed": True}, {"kept_after_kill"}),
    ("fails_on_unknown_fields", {}, {"unknown_fields", "other_shapes"}),
    ("answers_202", {}, {"exactly_200"}),
    ("slow", {"within": 1.0}, {"in_time"}),
    ("refuses_duplicates", {}, {"duplicates", "duplicates_at_once"}),
    ("crashes_on_nan", {}, {"nan"}),
    ("dies_on_nan", {}, {"nan"}),
    ("verifies_rewritten", {"signing_secret": SIGNING_SECRET}, {"raw_bytes"}),
]  # fmt: skip


@pytest.mark.parametrize(("variant", "more", "caught_by"), WRONG, ids=[variant for variant, *_ in WRONG])
def test_a_wrong_receiver_is_caught_by_the_right_check_and_by_no_other(
    tmp_path: Path, variant: str, more: dict[str, Any], caught_by: set[str]
) -> None:
    report = certified(variant, tmp_path, **more)
    assert failed(report) == caught_by, faults(report)
    assert not report.is_passed


def test_our_own_receiver_passes_and_is_killed_on_the_way(tmp_path: Path) -> None:
    """As the guide says: the two commands of the SDK, a store, and nothing else."""
    port, store = free_port(), f"sqlite:///{tmp_path}/inbox.db"
    (tmp_path / "secrets").write_text(f"{SECRET}\n{PREVIOUS}\n")
    mosvpp = [sys.executable, "-m", "mosvpp"]
    receive = [*mosvpp, "receive", "--store", store, "--port", str(port)]
    command = [*receive, "--header-file", f"X-API-Key={tmp_path / 'secrets'}"]
    lists = [*mosvpp, "inbox", "export", "-", "--store", store]
    report = asyncio.run(certify(target(command, port, list_command=lists)))
    assert report.is_passed, faults(report)
    assert skipped(report) == {"forged_signature"}


# --- dispatchers --------------------------------------------------------------------------------------------


WRONG_DISPATCHERS = {
    "right": set(),
    "asks_with_a_new_id": {"asked_once"},
    "does_not_wait": {"waits_when_told"},
    "follows_with_its_key": {"keeps_its_key"},
    "believes_any_200": {"only_acceptance"},
    "believes_any_answer": {"asked_once", "only_acceptance"},
    "writes_nonsense": {"asks_rightly"},
}


def dispatched(command: list[str]) -> Report:
    return asyncio.run(certify(Target(urls={}, headers={}, dispatcher_command=command)))


@pytest.mark.parametrize("variant", WRONG_DISPATCHERS)
def test_a_dispatcher_is_caught_by_the_right_check_and_by_no_other(variant: str) -> None:
    report = dispatched([sys.executable, str(RECEIVERS.with_name("wrong_dispatchers.py")), variant])
    assert len(report.results) == 5
    assert failed(report) == WRONG_DISPATCHERS[variant], faults(report)


def test_our_own_dispatcher_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it keeps requests whose outcome stayed unknown
    event = [
        "--type",
        "discharge",
        "--power",
        "3 kW",
        "--start",
        "now",
        "--duration",
        "1h",
        "--priority",
        "50",
    ]
    report = dispatched([sys.executable, "-m", "mosvpp", "dispatch", "fecd0001c031e7e8", *event])
    assert failed(report) == skipped(report) == set(), faults(report)
    assert sum(len(run.calls) for result in report.results for run in result.runs) >= 7
    for text in (printed(report), to_html(report), to_junit(report).decode()):
        assert "keeps_its_key" in text


# --- reports ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One with checks that passed, failed and were not asked for, made once."""
    return certified("answers_202", tmp_path_factory.mktemp("certified"))


def printed(report: Report) -> str:
    stream = io.StringIO()
    terminal = Terminal(
        Console(file=stream, width=80, highlight=False, markup=False, emoji=False), len(CHECKS)
    )
    terminal.begin(report.target)
    for result in report.results:
        terminal.begins(result.check)
        terminal.ends(result)
    terminal.end()
    terminal.show(report)
    return stream.getvalue()


def test_no_report_holds_a_secret(report: Report) -> None:
    for text in (printed(report), to_html(report), to_junit(report).decode(), repr(report.target)):
        assert SECRET not in text
        assert PREVIOUS not in text
        assert "exactly_200" in text or text.startswith("Target")


def test_the_terminal_says_what_was_expected_and_why_where_it_failed(report: Report) -> None:
    text = " ".join(printed(report).split())
    assert "answered with 202" in text
    assert "The page on data pushes asks for 200 OK" in text
    assert "push.answer_200 (documented)" in text
    assert "FAILED" in text
    assert max(map(len, printed(report).splitlines())) <= 80


def test_ci_reads_what_failed(report: Report) -> None:
    root = ET.fromstring(to_junit(report))
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert cases.keys() == {check.name for check in CHECKS if check.side == "receiver"}
    assert {name for name, case in cases.items() if case.find("failure") is not None} == {"exactly_200"}
    assert {name for name, case in cases.items() if case.find("skipped") is not None} == skipped(report)
    assert sum(int(suite.get("failures", "0")) for suite in root.iter("testsuite")) == 1


def test_the_marks_of_evidence_are_those_of_the_ledger() -> None:
    ledger = {one["id"]: one for one in yaml.safe_load(LEDGER.read_text("utf-8"))["facts"]}
    assert {name: ledger[name]["status"] for name in MARKS} == MARKS
    assert {name for check in CHECKS for name in check.evidence} == MARKS.keys()


# --- the command --------------------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mosvpp_sandbox", "certify", *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_program_writes_its_reports_without_secrets_and_ends_with_1_when_a_check_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver repeats each secret that comes; the URL holds one, too."""
    port = free_port()
    monkeypatch.setenv("PRESENT", SECRET)
    (tmp_path / "previous").write_text(PREVIOUS + "\n")
    receiver = f"{sys.executable} {RECEIVERS} accepts_forged {port} {tmp_path / 'kept.jsonl'}"
    ran = run(
        *("--data-push-url", f"http://127.0.0.1:{port}/data-push?token=canary", "--command", receiver),
        *("--header", "X-API-Key=env:PRESENT", "--previous-header", f"X-API-Key=@{tmp_path / 'previous'}"),
        *("--html", str(tmp_path / "r.html"), "--junit", str(tmp_path / "r.xml")),
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert ET.parse(tmp_path / "r.xml").getroot() is not None
    for text in (
        ran.stdout,
        (tmp_path / "r.html").read_text("utf-8"),
        (tmp_path / "r.xml").read_text("utf-8"),
    ):
        assert "forged_secret" in text
        for secret in (SECRET, PREVIOUS, "canary"):
            encoded = base64.b64encode(secret.encode()).decode()
            for form in (secret, quote(secret), quote_plus(secret), encoded, secret[:-1]):
                assert form not in text


def test_what_cannot_be_reached_any_more_is_not_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that nobody starts again: the check that killed it failed, those after it were not made."""
    monkeypatch.setattr("mosvpp_sandbox.certify.run.RETURN_S", 0.5)
    port = free_port()
    command = [sys.executable, str(RECEIVERS), "dies_on_nan", str(port), str(tmp_path / "kept.jsonl")]
    checks = [check for check in CHECKS if check.name in ("ordinary", "nan", "malformed")]
    with subprocess.Popen(command) as receiver:
        wait_until(lambda: is_listening(port))
        report = asyncio.run(certify(target([], port), checks=checks))
        assert receiver.wait() == 1
    ended = {result.check.name: result.verdict for result in report.results}
    assert ended == {"ordinary": Verdict.PASSED, "nan": Verdict.FAILED, "malformed": Verdict.BLOCKED}
    assert not report.is_passed
    assert ET.fromstring(to_junit(report)).find(".//testcase[@name='malformed']/error") is not None


def test_it_ends_in_time(tmp_path: Path) -> None:
    report = certified("right", tmp_path, within=0.01, deadline=0.01)
    assert {result.verdict for result in report.results} == {Verdict.FAILED, Verdict.BLOCKED}
    assert "--deadline" in faults(report)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --data-push-url"),
        (["--data-push-url", "http://127.0.0.1:1/x"], "give the headers that you have configured"),
        (["--data-push-url", "http://example.com/x", "--header", "A=b"], "--allow-host"),
        (["--data-push-url", "http://127.0.0.1:1/x", "--header", "A=b"], "does not answer"),
        (["--data-push-url", "http://127.0.0.1:1/x", "--header", "canary"], "NAME=VALUE"),
        (["--data-push-url", "http://127.0.0.1:1/x", "--header", "A=env:NOT_SET"], "NOT_SET is not set"),
        (["--data-push-url", "http://127.0.0.1:1/x", "--header", "A=@/no/such"], "cannot be read"),
        (["--data-push-url", "http://127.0.0.1:1/x", "--header", "A=canary\n"], "white space"),
        (["--data-push-url", "http://127.0.0.1:1/x", "--signing-secret", "canary"], "whsec_"),
        (["--data-push-url", "http://a:canary@127.0.0.1:1/x", "--header", "A=b"], "user name"),
        (["--command", "x", "--dispatcher-command", "x"], "--command starts a receiver"),
        (["--dispatcher-command", "/no/such/program"], "/no/such/program: there is no such"),
        (["--data-push-url", "http://127.0.0.1:1/x", "--header", "A=b", "--html", "/no/such/r"], "no folder"),
    ],
    ids=["nothing", "no header", "another host", "nobody there", "no value", "no variable", "no file",
         "a line break", "no signing secret", "a password", "no receiver", "no program", "no folder"],
)  # fmt: skip
def test_what_cannot_begin_says_why_and_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = int(str(stopped.code))
    errors = capsys.readouterr().err
    assert code == 2
    assert said in errors
    assert "canary" not in errors
