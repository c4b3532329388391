"""cancel and resend: from files, in the mode and to the host of the original."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mosvpp.cli.exits import Exit
from mosvpp.commands import turn_off
from mosvpp.models import Device
from mosvpp_sandbox import Sandbox

Run = Callable[..., Any]

EVENT = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
WHEN = ("--start", "2030-01-05T00:00:00Z", "--duration", "1h")
FIVE_KW = ("--type", "discharge", "--power", "5 kW", "--priority", "10")
ACCEPTED = json.dumps({"status": "accepted"}).encode()


def event_of(server: Any, index: int = -1) -> dict[str, Any]:
    return json.loads(server.received[index][2])["event_slots"][0]


def test_a_receipt_that_the_sdk_wrote_can_be_cancelled(run: Run, vpp: Sandbox, site: str) -> None:
    from datetime import timedelta

    from mosvpp import Client, discharge, kW

    with Client(vpp.api_key, base_url=vpp.url) as client:
        slot = discharge(5 * kW, start=datetime.now(UTC), duration=timedelta(hours=1), priority=5)
        Path("r.json").write_text(client.submit_dispatch(site, slot, mode="test").to_json())
    assert run("cancel", "r.json", "--base-url", vpp.url).code == Exit.OK


@pytest.mark.parametrize("command", ["cancel", "resend"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "not json",
        '{"kind": "request"}',
        '{"kind": "other"}',
        '{"receipt": {"kind": 1}}',
        "[" * 9999,
    ],
)
def test_files_that_hold_neither_receipt_nor_request_are_refused(run: Run, command: str, text: str) -> None:
    Path("f.json").write_text(text)
    ran = run(command, "f.json", "--json")
    assert ran.code == Exit.NOT_SENT
    assert ran.json["error"]["path"] == "FILE"


def test_a_missing_file_is_refused(run: Run) -> None:
    assert "cannot be read" in run("cancel", "missing.json").err


@pytest.mark.parametrize("value", [turn_off("1"), Device(device_id="1", device_type=10)])
def test_other_values_of_the_sdk_are_refused(run: Run, value: Any) -> None:
    Path("f.json").write_text(value.to_json())
    assert run("cancel", "f.json").code == Exit.NOT_SENT


def test_what_was_answered_is_not_resent(run: Run, vpp: Sandbox, site: str) -> None:
    run("dispatch", site, *FIVE_KW, *WHEN, "--save", "r.json", "--base-url", vpp.url)
    ran = run("resend", "r.json", "--yes", "--base-url", vpp.url)
    assert ran.code == Exit.NOT_SENT
    assert "holds a receipt (accepted)" in ran.words


@pytest.mark.parametrize("command", ["cancel", "resend"])
def test_a_file_of_another_host_is_refused_unless_a_host_is_named(
    run: Run, serve: Run, answer: Any, site: str, command: str
) -> None:
    server = serve(answer(500), answer(200, ACCEPTED))
    run("dispatch", site, *FIVE_KW, *WHEN, "--save", "r.json", "--base-url", server.url)
    refused = run(command, "r.json", "--yes", "--json")
    assert refused.code == Exit.NOT_SENT
    assert refused.json["error"]["rule"] == "same_host"
    for nothing in ("", " "):
        # The version is refused too, so that a test that fails reaches no real host.
        empty = run(command, "r.json", "--yes", "--base-url", nothing, "--api-version", "../x", "--json")
        assert empty.code == Exit.NOT_SENT
        assert "is empty" in empty.json["error"]["message"]
    assert run(command, "r.json", "--yes", "--base-url", server.url).code == Exit.OK


@pytest.mark.parametrize(
    ("base_url", "command"),
    [(None, "mosvpp cancel 'my file.json' --live"), ("http://[::1]:1", "--base-url 'http://[::1]:1' --live")],
)
def test_commands_to_copy_name_the_host_only_where_it_is_another(base_url: str | None, command: str) -> None:
    from mosvpp.cli.connection import Connection
    from mosvpp.cli.outcomes import _command

    to = Connection(base_url=base_url, api_version="v1", api_key=None, timeout=1, ca_file=None)
    assert _command("cancel", Path("my file.json"), to, is_live=True).endswith(command)


def test_a_resend_always_asks(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(500))
    run("dispatch", site, *FIVE_KW, *WHEN, "--save", "r.json", "--base-url", server.url)
    ran = run("resend", "r.json", "--base-url", server.url)
    assert ran.code == Exit.NOT_SENT
    assert "--yes" in ran.err
    assert len(server.received) == 1


@pytest.mark.parametrize("command", ["cancel", "resend"])
def test_what_was_live_needs_live_again(run: Run, serve: Run, answer: Any, site: str, command: str) -> None:
    server = serve(answer(500), answer(200, ACCEPTED))
    live = ("--mode", "live", "--live", "--yes")
    first = run("dispatch", site, *FIVE_KW, *WHEN, *live, "--save", "r.json", "--base-url", server.url)
    assert first.code == Exit.OUTCOME_UNKNOWN
    assert "--live" in first.out
    assert run(command, "r.json", "--yes", "--base-url", server.url).code == Exit.NOT_SENT
    assert run(command, "r.json", "--live", "--base-url", server.url).code == Exit.NOT_SENT
    assert len(server.received) == 1
    assert run(command, "r.json", "--live", "--yes", "--base-url", server.url).code == Exit.OK
    assert json.loads(server.received[1][2])["mode"] == "live"
