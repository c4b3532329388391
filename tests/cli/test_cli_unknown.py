"""When nobody knows whether a request took effect: what is kept, and what is said."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mosvpp import Request
from mosvpp.cli.exits import Exit
from mosvpp.cli.saved import NewFile
from mosvpp.errors import RuleError
from mosvpp_sandbox import Sandbox

Run = Callable[..., Any]

EVENT = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
WHEN = ("--start", "2030-01-05T00:00:00Z", "--duration", "1h")
FIVE_KW = ("--type", "discharge", "--power", "5 kW", "--priority", "10")
ACCEPTED = json.dumps({"status": "accepted"}).encode()
REQUEST = Request(operation="submit_dispatch", method="POST", path="/x", molecule_id="site")


def event_of(server: Any, index: int = -1) -> dict[str, Any]:
    return json.loads(server.received[index][2])["event_slots"][0]


@pytest.mark.parametrize("save", [None, "mine.json"])
@pytest.mark.parametrize("kind", ["drop", "hang", "500", "empty"])
def test_an_unknown_outcome_is_kept_for_a_cancel_and_a_resend(
    run: Run, serve: Run, answer: Any, vpp: Sandbox, site: str, kind: str, save: str | None
) -> None:
    answers = {"drop": answer(None), "hang": answer(hangs=True), "500": answer(500), "empty": answer(200)}
    server = serve(answers[kind])
    event_id = str(uuid4())
    options = ("dispatch", site, *FIVE_KW, "--start", "now", "--duration", "1h", "--event-id", event_id)
    where = ("--save", save) if save else ()
    ran = run(*options, *where, "--timeout", "0.5", "--base-url", server.url)
    assert ran.code == Exit.OUTCOME_UNKNOWN
    assert len(server.received) == 1
    name = save or f"mosvpp-request-{event_id[:8]}.json"
    for words in ("unknown", "telemetry", f"mosvpp cancel {name}", f"mosvpp resend {name}"):
        assert words in ran.words
    assert "client.resend" not in ran.words

    to = ("--base-url", vpp.url)
    resent = run("resend", name, "--yes", *to)
    assert resent.code == Exit.OK, resent.err
    assert run("cancel", name, *to).code == Exit.OK


def test_an_unknown_outcome_is_one_object_with_json(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(500, b"oops"))
    ran = run("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url, "--json")
    assert ran.err == ""
    assert (ran.json["ok"], ran.json["outcome"], ran.json["receipt"]) == (False, "unknown", None)
    assert ran.json["file"].startswith("mosvpp-request-")
    assert ran.json["error"]["http_status"] == 500
    Path("out.json").write_text(ran.out)
    again = serve(answer(200, ACCEPTED))
    resent = run("resend", "out.json", "--yes", "--base-url", again.url)
    assert resent.code == Exit.OK
    assert again.received[0] == server.received[0]


@pytest.mark.parametrize("command", ["dispatch", "command"])
@pytest.mark.parametrize("kept", ["what --json printed", "the receipt"])
def test_a_receipt_that_says_nothing_can_be_resent_out_of_a_file(
    run: Run, serve: Run, answer: Any, site: str, kept: str, command: str
) -> None:
    server = serve(answer(200), answer(200, ACCEPTED))
    asked = (
        (*FIVE_KW, *WHEN) if command == "dispatch" else ("21000:off", "--duration", "15m", "--live", "--yes")
    )
    ran = run(command, site, *asked, "--base-url", server.url, "--json")
    assert (ran.code, ran.json["outcome"]) == (Exit.OUTCOME_UNKNOWN, "unknown")
    Path("out.json").write_text(ran.out if kept == "what --json printed" else json.dumps(ran.json["receipt"]))
    armed = () if command == "dispatch" else ("--live",)
    resent = run("resend", "out.json", *armed, "--yes", "--base-url", server.url)
    assert resent.code == Exit.OK, resent.err
    assert f"resend submit_{command.replace('command', 'site_command')}" in resent.words
    assert server.received[0] == server.received[1]


def test_a_file_is_never_overwritten(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(500))
    options = ("dispatch", site, *FIVE_KW, *WHEN, "--event-id", EVENT, "--base-url", server.url)
    for expected in ("mosvpp-request-8A7DA4D3.json", "mosvpp-request-8A7DA4D3-2.json"):
        assert expected in run(*options).out
    ran = run(*options, "--save", "mosvpp-request-8A7DA4D3.json")
    assert ran.code == Exit.NOT_SENT
    assert "exists already" in ran.err
    assert len(server.received) == 2


def test_resending_once_more_with_an_unknown_outcome_keeps_the_one_file(
    run: Run, serve: Run, answer: Any, site: str
) -> None:
    server = serve(answer(500))
    run("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url, "--save", "r.json")
    ran = run("resend", "r.json", "--yes", "--base-url", server.url)
    assert ran.code == Exit.OUTCOME_UNKNOWN
    assert "mosvpp resend r.json" in ran.out
    assert [file.name for file in Path.cwd().iterdir()] == ["r.json"]
    assert server.received[0] == server.received[1]


def test_a_cancel_with_an_unknown_outcome_offers_no_cancel_of_the_cancel(
    run: Run, serve: Run, answer: Any, site: str
) -> None:
    server = serve(answer(200, ACCEPTED), answer(500))
    run("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url, "--save", "r.json")
    ran = run("cancel", "r.json", "--base-url", server.url)
    assert ran.code == Exit.OUTCOME_UNKNOWN
    assert "mosvpp cancel" not in ran.out
    assert "mosvpp resend" in ran.out


def test_a_receipt_that_cannot_be_kept_is_shown_instead(
    run: Run, site: str, monkeypatch: pytest.MonkeyPatch, serve: Run, answer: Any
) -> None:
    """The disk fills up between the request and the receipt."""
    from mosvpp.cli import saved

    real, calls = saved._replace, []

    def replace(path: Path, text: str) -> Any:
        calls.append(path)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(path, text)

    monkeypatch.setattr(saved, "_replace", replace)
    server = serve(answer(200, ACCEPTED))
    ran = run("dispatch", site, *FIVE_KW, *WHEN, "--save", "r.json", "--base-url", server.url)
    assert ran.code == Exit.OK
    assert "No space left" in ran.words
    assert '"kind":"dispatch_receipt"' in "".join(ran.out.split())


def test_a_request_that_cannot_be_kept_is_shown_instead(
    run: Run, site: str, monkeypatch: pytest.MonkeyPatch, serve: Run, answer: Any
) -> None:
    from mosvpp.cli import saved

    def replace(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved, "_replace", replace)
    server = serve(answer(500))
    ran = run("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url)
    assert ran.code == Exit.OUTCOME_UNKNOWN
    assert '"kind":"request"' in "".join(ran.out.split())
    assert list(Path.cwd().iterdir()) == []
    assert run("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url, "--json").json["file"] is None
    before = run("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url, "--save", "r.json")
    assert before.code == Exit.NOT_SENT
    assert list(Path.cwd().iterdir()) == []
    assert len(server.received) == 2


def test_of_two_commands_only_one_gets_a_name(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    first = NewFile(path, base_url="http://127.0.0.1:1")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(RuleError, match="exists already"):
        NewFile(path, base_url="http://127.0.0.1:1")
    first.release()
    assert not path.exists()
    NewFile(path, base_url="http://127.0.0.1:1").keep(REQUEST)
    assert Request.from_json(path.read_bytes()) == REQUEST
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.parametrize("kept_before", [False, True])
def test_what_another_put_in_the_place_is_neither_replaced_nor_deleted(
    tmp_path: Path, kept_before: bool
) -> None:
    path = tmp_path / "r.json"
    file = NewFile(path, base_url="http://127.0.0.1:1")
    if kept_before:
        file.keep(REQUEST)
    (tmp_path / "other").write_text("theirs")
    (tmp_path / "other").replace(path)
    with pytest.raises(RuleError, match="no longer the file that this command made"):
        file.keep(REQUEST)
    file.release()
    file.discard()
    assert path.read_text() == "theirs"


def test_a_link_that_leads_nowhere_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "r.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RuleError, match="exists already"):
        NewFile(tmp_path / "r.json", base_url="http://127.0.0.1:1")
    assert (tmp_path / "r.json").is_symlink()
    assert not (tmp_path / "elsewhere").exists()


def test_while_one_command_asks_another_cannot_take_its_file(
    terminal: Run, run: Run, serve: Run, answer: Any, site: str
) -> None:
    server = serve(answer(200, ACCEPTED))
    options = ("dispatch", site, *FIVE_KW, *WHEN, "--mode", "live", "--live", "--save", "r.json")
    asking = terminal(*options, "--base-url", server.url)
    asking.wait_for("Type the site id")
    refused = run(*options, "--yes", "--base-url", server.url)
    assert refused.code == Exit.NOT_SENT
    assert "exists already" in refused.words
    assert server.received == []
    asking.type(f"{site}\n")
    assert asking.end() == Exit.OK
    assert json.loads(Path("r.json").read_text())["kind"] == "dispatch_receipt"


def test_a_name_that_no_file_can_have_is_refused(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, ACCEPTED))
    for name in ("a" * 300, "missing/r.json"):
        ran = run("dispatch", site, *FIVE_KW, *WHEN, "--save", name, "--base-url", server.url)
        assert ran.code == Exit.NOT_SENT
        assert "cannot be written: " in ran.words
    assert server.received == []


def test_a_write_that_fails_leaves_nothing_half_done(tmp_path: Path) -> None:
    from mosvpp.cli.saved import _replace

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    with pytest.raises(OSError, match="folder"):
        _replace(tmp_path / "folder", "text")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_the_request_is_in_the_file_while_it_is_on_its_way(
    start: Run, serve: Run, answer: Any, site: str
) -> None:
    """So that it is known even when the process is killed."""
    server = serve(answer(hangs=True))
    process = start("dispatch", site, *FIVE_KW, *WHEN, "--save", "r.json", "--base-url", server.url)
    assert server.got_one.wait(30)
    process.kill()
    process.communicate()
    request = Request.from_json(Path("r.json").read_bytes())
    assert request.body == server.received[0][2]


def test_ctrl_c_while_it_is_on_its_way_is_an_unknown_outcome(
    start: Run, serve: Run, answer: Any, site: str
) -> None:
    server = serve(answer(hangs=True))
    process: subprocess.Popen[str] = start("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url)
    assert server.got_one.wait(30)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == Exit.OUTCOME_UNKNOWN
    assert "Ctrl-C" in out
    assert "Traceback" not in out + err
    (kept,) = Path.cwd().iterdir()
    assert Request.from_json(kept.read_bytes()).body == server.received[0][2]


def test_ctrl_c_between_two_attempts_has_sent_nothing(
    run: Run, serve: Run, answer: Any, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is pressed while the client waits, as the server asked it to."""
    from mosvpp.clock import SystemClock

    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SystemClock, "sleep", pressed)
    server = serve(answer(429, b"", {"Retry-After": "30"}))
    ran = run("dispatch", site, *FIVE_KW, *WHEN, "--save", "r.json", "--base-url", server.url)
    assert ran.code == Exit.INTERRUPTED
    assert "nothing is on its way" in ran.err
    assert list(Path.cwd().iterdir()) == []


def test_an_event_over_midnight_shows_both_days(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, ACCEPTED))
    when = ("--start", "2030-01-05T23:30:00Z", "--duration", "1h")
    ran = run("dispatch", site, *FIVE_KW, *when, "--base-url", server.url)
    assert "2030-01-05 23:30 to 2030-01-06 00:30 UTC" in ran.words


def test_ctrl_c_during_a_question_that_changes_nothing_just_ends(
    start: Run, serve: Run, answer: Any, site: str
) -> None:
    server = serve(answer(hangs=True))
    process: subprocess.Popen[str] = start("devices", site, "--base-url", server.url, "--json")
    assert server.got_one.wait(30)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == Exit.INTERRUPTED
    assert json.loads(out)["error"]["kind"] == "Interrupted"
    assert err == ""
