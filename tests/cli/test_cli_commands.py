"""devices and command, and what is asked before anything live."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mosvpp import CommandReceipt
from mosvpp.cli.exits import Exit
from mosvpp_sandbox import Sandbox

Run = Callable[..., Any]
ACCEPTED = b'{"status": "accepted"}'
TWO = ("20000:discharge:5kW", "21000:off", "--duration", "15m")


def test_devices_are_listed_with_what_they_can_do(run: Run, vpp: Sandbox, site: str) -> None:
    ran = run("devices", site, "--base-url", vpp.url)
    assert ran.code == Exit.OK
    for words in ("20000", "Battery Inverter 1", "charge, discharge, telemetry", "10 "):
        assert words in ran.words


def test_devices_are_one_object_with_json(run: Run, vpp: Sandbox, site: str) -> None:
    ran = run("devices", site, "--base-url", vpp.url, "--json")
    assert ran.json["molecule_id"] == site
    first = ran.json["devices"][0]
    assert set(first) == {"device_id", "device_type", "type_name", "name", "capabilities"}
    assert (first["device_id"], first["device_type"]) == ("20000", 10)


def test_a_site_without_devices_is_no_error(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, json.dumps({"molecule_id": site, "devices": []}).encode()))
    ran = run("devices", site, "--base-url", server.url)
    assert ran.code == Exit.OK
    assert "no device" in ran.out


def test_what_a_server_says_cannot_steer_the_terminal(run: Run, serve: Run, answer: Any, site: str) -> None:
    device = {
        "device_id": "1\x1b[2J",
        "device_type": 99,
        "name": "\u202eevil\r\n",
        "capabilities": ["[red]x"],
    }
    server = serve(
        answer(
            200,
            json.dumps({"molecule_id": site, "devices": [device, {**device, "capabilities": None}]}).encode(),
        )
    )
    ran = run("devices", site, "--base-url", server.url)
    assert ran.code == Exit.OK
    assert all(char.isprintable() or char == "\n" for char in ran.out)
    for words in ("\\x1b[2J", "\\u202eevil", "[red]x", "not listed", "99 unknown 99"):
        assert words in ran.words


@pytest.mark.parametrize(
    ("status", "code"), [(401, Exit.NO), (404, Exit.NO), (302, Exit.UNEXPECTED), (200, Exit.UNEXPECTED)]
)
def test_a_site_that_cannot_be_listed_ends_by_the_reason(
    run: Run, serve: Run, answer: Any, site: str, status: int, code: Exit
) -> None:
    ran = run("devices", site, "--base-url", serve(answer(status, b"<html>")).url)
    assert ran.code == code
    assert "mosvpp doctor" in ran.words


def test_a_command_is_accepted_by_the_sandbox_and_its_receipt_kept(run: Run, vpp: Sandbox, site: str) -> None:
    ran = run("command", site, *TWO, "--live", "--yes", "--save", "c.json", "--base-url", vpp.url)
    assert ran.code == Exit.OK, ran.err
    assert "discharge 5 kW" in ran.out
    receipt = CommandReceipt.from_json(Path("c.json").read_bytes())
    assert (receipt.duration_s, len(receipt.commands)) == (900, 2)
    undone = run("cancel", "c.json", "--live", "--yes", "--base-url", vpp.url)
    assert undone.code == Exit.NOT_SENT
    assert "undone by another one" in undone.words


def test_a_command_goes_out_as_it_was_written(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, ACCEPTED))
    scmd_id = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
    run("command", site, *TWO, "--scmd-id", scmd_id, "--live", "--yes", "--base-url", server.url)
    assert json.loads(server.received[0][2]) == {
        "scmd_type": "deviceControl",
        "scmd_id": scmd_id,
        "scmd_secs": 900,
        "scmd_devices": [
            {"device_id": "20000", "cmd_type": "discharge", "cmd_quantity": 5, "cmd_unit": "kW"},
            {"device_id": "21000", "cmd_type": "off"},
        ],
    }


def test_a_command_with_an_unknown_outcome_can_be_resent_but_not_cancelled(
    run: Run, serve: Run, answer: Any, site: str
) -> None:
    server = serve(answer(500), answer(200, ACCEPTED))
    ran = run("command", site, *TWO, "--live", "--yes", "--base-url", server.url)
    assert ran.code == Exit.OUTCOME_UNKNOWN
    assert "15 min" in ran.words
    assert "mosvpp cancel" not in ran.words
    (kept,) = Path.cwd().iterdir()
    assert run("cancel", kept, "--live", "--yes", "--base-url", server.url).code == Exit.NOT_SENT
    assert run("resend", kept, "--yes", "--base-url", server.url).code == Exit.NOT_SENT
    assert run("resend", kept, "--live", "--yes", "--base-url", server.url).code == Exit.OK
    assert server.received[0] == server.received[1]


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["20000:stop", "--duration", "15m", "--live", "--yes"], "COMMANDS"),
        (["20000:off", "20000:on", "--duration", "15m", "--live", "--yes"], "device_id"),
        (["20000:discharge:0kW", "--duration", "15m", "--live", "--yes"], "cmd_quantity"),
        (["20000:off", "--duration", "0s", "--live", "--yes"], "scmd_secs"),
        (["20000:off", "--duration", "15", "--live", "--yes"], "--duration"),
        (["20000:off", "--duration", "15m", "--scmd-id", "x", "--live", "--yes"], "--scmd-id"),
        (["20000:off", "--duration", "15m", "--yes"], "--live"),
        (["20000:off", "--duration", "15m", "--live"], "--yes"),
    ],
)
def test_what_breaks_a_rule_is_refused_before_anything_is_sent(
    run: Run, serve: Run, answer: Any, site: str, arguments: list[str], path: str
) -> None:
    server = serve(answer(200, ACCEPTED))
    ran = run("command", site, *arguments, "--base-url", server.url, "--json")
    assert ran.code == Exit.NOT_SENT
    assert ran.json["error"]["path"].endswith(path)
    assert server.received == []


def test_a_broken_rule_is_told_before_anyone_is_asked(
    terminal: Any, serve: Run, answer: Any, site: str
) -> None:
    server = serve(answer(200, ACCEPTED))
    at = terminal("command", site, "20000:off", "--duration", "0s", "--live", "--base-url", server.url)
    assert at.end() == Exit.NOT_SENT
    assert "Type the site id" not in at.seen


def test_the_site_id_typed_at_the_terminal_sends_it(terminal: Any, vpp: Sandbox, site: str) -> None:
    at = terminal("command", site, *TWO, "--live", "--base-url", vpp.url)
    at.wait_for("to send this:")
    assert "discharge 5 kW" in at.seen
    at.type(f"{site}\n")
    assert at.end() == Exit.OK
    assert "accepted" in at.seen


def test_live_dispatch_asks_in_the_same_way(terminal: Any, vpp: Sandbox, site: str) -> None:
    when = ("--start", "now", "--duration", "1h", "--priority", "9")
    what = ("--type", "charge", "--power", "1 kW", "--mode", "live", "--live")
    at = terminal("dispatch", site, *what, *when, "--base-url", vpp.url)
    at.wait_for("to send this:")
    assert "charge 1 kW, priority 9" in at.seen
    at.type(f"{site}\n")
    assert at.end() == Exit.OK


@pytest.mark.parametrize(
    ("typed", "code"),
    [("yes\n", Exit.NOT_SENT), ("\n", Exit.NOT_SENT), ("\x04", Exit.NOT_SENT), ("\x03", Exit.INTERRUPTED)],
)
def test_anything_else_sends_nothing(
    terminal: Any, serve: Run, answer: Any, site: str, typed: str, code: Exit
) -> None:
    server = serve(answer(200, ACCEPTED))
    at = terminal("command", site, *TWO, "--live", "--save", "c.json", "--base-url", server.url)
    at.wait_for("to send this:")
    at.type(typed)
    assert at.end() == code
    assert "Traceback" not in at.seen
    assert server.received == []
    assert not Path("c.json").exists()


def test_with_json_the_question_does_not_disturb_the_object(
    start: Run, serve: Run, answer: Any, site: str
) -> None:
    """Questions and typing are at a terminal, the result goes to a program."""
    import os
    import pty

    server = serve(answer(200, ACCEPTED))
    ours, theirs = pty.openpty()
    process = start(
        *("command", site, *TWO, "--live", "--json", "--base-url", server.url), stdin=theirs, stderr=theirs
    )
    os.write(ours, f"{site}\n".encode())
    out, _ = process.communicate(timeout=30)
    os.close(theirs)
    os.close(ours)
    assert process.returncode == Exit.OK
    assert json.loads(out)["outcome"] == "accepted"


def test_a_terminal_gets_colour_and_a_pipe_none(terminal: Any, start: Run, vpp: Sandbox, site: str) -> None:
    at = terminal("devices", site, "--base-url", vpp.url)
    assert at.end() == Exit.OK
    assert "\x1b[" in at.seen
    out, _ = start("devices", site, "--base-url", vpp.url).communicate(timeout=30)
    assert "\x1b" not in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_characters_that_a_terminal_does_not_know_hide_no_outcome(
    start: Run, vpp: Sandbox, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    for arguments in (["command", site, *TWO, "--live", "--yes"], ["devices", site], ["devices"], ["--help"]):
        to = ["--base-url", vpp.url] if len(arguments) > 1 else []
        process = start(*arguments, *to)
        out, err = process.communicate(timeout=30)
        assert process.returncode == (Exit.NOT_SENT if arguments == ["devices"] else Exit.OK), err
        assert (out + err).isascii()


def test_no_color_is_obeyed(terminal: Any, closed_port: int, site: str) -> None:
    at = terminal("doctor", site, "--base-url", f"http://127.0.0.1:{closed_port}", NO_COLOR="1")
    assert at.end() == Exit.NO
    assert not [code for code in ("\x1b[31", "\x1b[1;31", "\x1b[32", "\x1b[33") if code in at.seen]
    assert "FAILED" in at.seen


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_that_goes_away_changes_nothing(
    start: Run, vpp: Sandbox, site: str, form: list[str]
) -> None:
    """As in `mosvpp devices … | head -0`."""
    import os
    import subprocess

    reading, writing = os.pipe()
    os.close(reading)
    process: subprocess.Popen[str] = start("devices", site, "--base-url", vpp.url, *form, stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (Exit.OK, "")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_was_sent_is_told_though_stdout_is_full(
    start: Run, vpp: Sandbox, site: str, form: list[str]
) -> None:
    """Else nobody could cancel it, and the code would say that it was rejected."""
    sending = ("dispatch", site, "--type", "discharge", "--power", "5 kW", "--priority", 50)
    when = ("--start", "now", "--duration", "1h")
    before = [event["event_id"] for event in vpp.control.events()]
    with Path("/dev/full").open("w") as full:
        process = start(*sending, *when, "--base-url", vpp.url, *form, stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == Exit.OK
    (sent,) = [event["event_id"] for event in vpp.control.events() if event["event_id"] not in before]
    assert "No space left on device" in err
    assert sent in err
    assert "Traceback" not in err
