"""dispatch: what goes out, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mosvpp import DispatchReceipt, Request
from mosvpp.cli.exits import Exit
from mosvpp_sandbox import Sandbox

Run = Callable[..., Any]

EVENT = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
WHEN = ("--start", "2030-01-05T00:00:00Z", "--duration", "1h")
FIVE_KW = ("--type", "discharge", "--power", "5 kW", "--priority", "10")
SENDS_NOTHING = ("--api-version", "../x")  # so that a test that fails reaches no real host
ACCEPTED = json.dumps({"status": "accepted"}).encode()


def event_of(server: Any, index: int = -1) -> dict[str, Any]:
    return json.loads(server.received[index][2])["event_slots"][0]


def test_a_dispatch_is_accepted_by_the_sandbox_and_cancelled_from_its_receipt(
    run: Run, vpp: Sandbox, site: str
) -> None:
    to = ("--base-url", vpp.url)
    sent = run(
        "dispatch", site, *FIVE_KW, "--start", "now", "--duration", "1h", "--save", "receipt.json", *to
    )
    assert sent.code == Exit.OK, sent.err
    assert "accepted" in sent.out
    assert f"mosvpp cancel receipt.json --base-url {vpp.url}" in sent.out
    receipt = DispatchReceipt.from_json(Path("receipt.json").read_bytes())
    assert receipt.is_accepted

    cancelled = run("cancel", "receipt.json", "--save", "cancelled.json", *to)
    assert cancelled.code == Exit.OK, cancelled.err
    assert "to cancel" not in cancelled.out
    again = DispatchReceipt.from_json(Path("cancelled.json").read_bytes())
    assert [slot.event_id for slot in again.slots] == [slot.event_id for slot in receipt.slots]
    assert all(slot.cancelled for slot in again.slots)


def test_every_option_reaches_the_wire(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, ACCEPTED))
    ran = run(
        *("dispatch", site, "--type", "charge", "--power", "250w", "--priority", "7", "--mandatory"),
        *("--start", "2030-07-01 10:00", "--end", "2030-07-01 11:30", "--tz", "Europe/Berlin"),
        *("--event-id", EVENT, "--api-version", "v2", "--base-url", server.url),
    )
    assert ran.code == Exit.OK, ran.err
    method, path, body = server.received[0]
    assert (method, path) == ("POST", f"/v2/api/gateway/{site}/dr")
    assert json.loads(body) == {
        "mode": "test",
        "event_slots": [
            {
                "event_id": EVENT,
                "start_time": "2030-07-01T08:00:00Z",
                "end_time": "2030-07-01T09:30:00Z",
                "event_type": "charge",
                "event_quantity": 250,
                "event_unit": "w",
                "priority": 7,
                "mandatory": True,
                "cancelled": False,
            }
        ],
    }


def test_restore_needs_no_power(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, ACCEPTED))
    ran = run("dispatch", site, "--type", "restore", "--priority", 5, *WHEN, "--base-url", server.url)
    assert ran.code == Exit.OK
    assert event_of(server)["event_quantity"] == 0


def test_now_is_the_present(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, ACCEPTED))
    before = datetime.now(UTC).replace(microsecond=0)
    run("dispatch", site, *FIVE_KW, "--start", "now", "--duration", "15m", "--base-url", server.url)
    event = event_of(server)
    start, end = (datetime.fromisoformat(event[name]) for name in ("start_time", "end_time"))
    assert before <= start <= datetime.now(UTC)
    assert (end - start).total_seconds() == 900


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ([*FIVE_KW, "--start", "now"], "--end"),
        ([*FIVE_KW, *WHEN, "--end", "2030-01-05T02:00:00Z"], "--end"),
        ([*FIVE_KW, "--start", "2030-01-05T00:00:00", "--duration", "1h"], "--start"),
        ([*FIVE_KW, "--start", "2030-01-05T00:00:00Z", "--end", "2030-01-04T00:00Z"], "end_time"),
        (["--type", "shed", "--priority", "10", *WHEN], "--power"),
        (["--type", "restore", "--power", "5 kW", "--priority", "10", *WHEN], "--power"),
        (["--type", "shed", "--power", "0 kW", "--priority", "10", *WHEN], "event_quantity"),
        (["--type", "shed", "--power", "5 kW", "--priority", "100", *WHEN], "priority"),
        ([*FIVE_KW, *WHEN, "--event-id", "not-a-uuid"], "--event-id"),
        ([*FIVE_KW, *WHEN, "--live"], "--live"),
        ([*FIVE_KW, *WHEN, "--mode", "live", "--yes"], "--live"),
        ([*FIVE_KW, *WHEN, "--mode", "live", "--live"], "--yes"),
        ([*FIVE_KW, *WHEN, "--api-key", "env:NOT_SET"], "--api-key"),
        ([*FIVE_KW, *WHEN, "--api-key", "bad\nkey"], "--api-key"),
        ([*FIVE_KW, *WHEN, "--timeout", "-1"], "--timeout"),
        ([*FIVE_KW, *WHEN, "--api-version", "../x"], "--api-version"),
        ([*FIVE_KW, *WHEN, "--ca-file", "missing.pem"], "--ca-file"),
        ([*FIVE_KW, *WHEN, "--save", "missing/receipt.json"], "--save"),
    ],
)
def test_what_breaks_a_rule_is_refused_before_anything_is_sent(
    run: Run, serve: Run, answer: Any, site: str, options: list[str], path: str
) -> None:
    server = serve(answer(200, ACCEPTED))
    ran = run("dispatch", site, *options, "--base-url", server.url, "--json")
    assert ran.code == Exit.NOT_SENT
    assert ran.json["error"]["kind"] == "RuleError"
    assert ran.json["error"]["rule"]
    assert ran.json["error"]["path"].endswith(path)
    assert server.received == []
    assert list(Path.cwd().iterdir()) == []


def test_a_broken_rule_is_told_with_its_path_its_evidence_and_the_help(run: Run, site: str) -> None:
    ran = run("dispatch", site, "--type", "shed", "--power", "5 kW", "--priority", "100", *WHEN)
    assert ran.code == Exit.NOT_SENT
    for words in (
        "maximum of 99",
        "$.event_slots[0].priority",
        "dispatch.priority",
        "mosvpp dispatch --help",
    ):
        assert words in ran.words


@pytest.mark.parametrize("site_id", ["../x", "", "a b"])
def test_a_site_id_that_would_change_the_address_is_refused(run: Run, site_id: str) -> None:
    ran = run("dispatch", site_id, *FIVE_KW, *WHEN, "--json")
    assert ran.code == Exit.NOT_SENT
    assert ran.json["error"]["evidence"] == ["transport.molecule_id_segment"]
    assert ran.json["error"]["path"] == "SITE"
    assert run("devices", site_id, "--json").json["error"]["path"] == "SITE"


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://example.com", "https://me:canary-password@example.com", "https://x/path"]
)
def test_a_base_url_that_is_none_is_refused_and_no_password_in_it_is_shown(
    run: Run, site: str, url: str
) -> None:
    ran = run("dispatch", site, *FIVE_KW, *WHEN, "--base-url", url)
    assert ran.code == Exit.NOT_SENT
    assert "--base-url" in ran.err
    assert "canary" not in ran.words


@pytest.mark.parametrize("command", ["devices", "doctor"])
@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:99999", "http://localhost:-1", "http://localhost:" + "9" * 5000),
        *("http://[", "http://[::1", "https://xn--/", "https://xn--a"),
    ],
)
def test_what_cannot_be_taken_apart_as_a_url_is_refused(run: Run, site: str, command: str, url: str) -> None:
    ran = run(command, site, "--base-url", url, *SENDS_NOTHING, "--json")
    assert ran.code == Exit.NOT_SENT
    assert ran.json["error"]["path"] == "--base-url"
    assert "is no URL; it looks like https://" in ran.json["error"]["message"]


@pytest.mark.parametrize("url", ["", " "])
def test_an_empty_base_url_does_not_mean_the_gateway(
    run: Run, vpp: Sandbox, site: str, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    ran = run("devices", site, "--base-url", url, *SENDS_NOTHING)
    assert ran.code == Exit.NOT_SENT
    assert "the URL is empty" in ran.words
    monkeypatch.setenv("MOSVPP_BASE_URL", url)
    ran = run("devices", site, *SENDS_NOTHING)
    assert ran.code == Exit.NOT_SENT
    assert "is empty" in ran.words
    assert run("devices", site, "--base-url", vpp.url).code == Exit.OK


def test_without_a_key_it_says_where_to_put_one(run: Run, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOSVPP_API_KEY")
    ran = run("dispatch", site, *FIVE_KW, *WHEN)
    assert ran.code == Exit.NOT_SENT
    assert "MOSVPP_API_KEY" in ran.err


def test_the_base_url_may_come_from_the_environment(
    run: Run, vpp: Sandbox, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOSVPP_BASE_URL", vpp.url)
    assert run("dispatch", site, *FIVE_KW, *WHEN).code == Exit.OK


def test_with_json_the_receipt_is_one_object_and_cancels_as_well(run: Run, vpp: Sandbox, site: str) -> None:
    to = ("--base-url", vpp.url)
    sent = run("dispatch", site, *FIVE_KW, *WHEN, "--json", *to)
    assert sent.code == Exit.OK
    assert sent.err == ""
    assert set(sent.json) == {
        *("ok", "exit_code", "outcome", "certainty", "why", "receipt", "request", "base_url", "file"),
    }
    assert (sent.json["ok"], sent.json["outcome"], sent.json["certainty"]) == (True, "accepted", "per_item")
    Path("sent.json").write_text(sent.out)
    assert run("cancel", "sent.json", *to).code == Exit.OK


@pytest.mark.parametrize(
    ("body", "code", "outcome"),
    [
        ({"status": "accepted"}, Exit.OK, "accepted"),
        (
            {"event_slots": [{"event_id": EVENT, "status": "rejected", "message": "too late"}]},
            Exit.NO,
            "rejected",
        ),
        ({"event_slots": [{"event_id": EVENT, "status": "novel"}]}, Exit.OUTCOME_UNKNOWN, "unknown"),
        ({}, Exit.OUTCOME_UNKNOWN, "unknown"),
        ([], Exit.OUTCOME_UNKNOWN, "unknown"),
    ],
)
def test_the_receipt_decides_how_it_ends(
    run: Run, serve: Run, answer: Any, site: str, body: Any, code: Exit, outcome: str
) -> None:
    server = serve(answer(200, json.dumps(body).encode()))
    options = ("dispatch", site, *FIVE_KW, *WHEN, "--event-id", EVENT, "--base-url", server.url)
    ran = run(*options)
    assert ran.code == code
    assert outcome in ran.out
    assert run(*options, "--json").json["outcome"] == outcome


def test_a_rejection_shows_the_reason_and_leaves_no_file(
    run: Run, serve: Run, answer: Any, site: str
) -> None:
    said = {"event_slots": [{"event_id": EVENT, "status": "REJECTED", "message": "too \x1b[31mlate"}]}
    server = serve(answer(200, json.dumps(said).encode()))
    ran = run(
        *("dispatch", site, *FIVE_KW, *WHEN, "--event-id", EVENT, "--save", "r.json"),
        "--base-url",
        server.url,
    )
    assert ran.code == Exit.NO
    assert "too \\x1b[31mlate" in ran.out
    assert not Path("r.json").exists()


def test_partly_accepted_has_a_code_of_its_own(run: Run, serve: Run, answer: Any, site: str) -> None:
    """Several events come from a receipt that the SDK kept; the cancel of one of them is refused."""
    other = "3c1e6f0a-9b52-4d7e-8a10-5f2c7d9e4b61"
    both = serve(answer(200, ACCEPTED))
    run("dispatch", site, *FIVE_KW, *WHEN, "--event-id", EVENT, "--save", "r.json", "--base-url", both.url)
    receipt = json.loads(Path("r.json").read_text())
    receipt["slots"].append({**receipt["slots"][0], "event_id": other})
    Path("two.json").write_text(json.dumps(receipt))
    verdicts = [{"event_id": EVENT, "status": "cancelled"}, {"event_id": other, "status": "rejected"}]
    server = serve(answer(200, json.dumps({"event_slots": verdicts}).encode()))
    ran = run("cancel", "two.json", "--save", "partly.json", "--base-url", server.url)
    assert ran.code == Exit.PARTLY
    assert "partially accepted" in ran.out
    assert DispatchReceipt.from_json(Path("partly.json").read_bytes()).items


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Exit.NO),
        (401, Exit.NO),
        (403, Exit.NO),
        (404, Exit.NO),
        (409, Exit.NO),
        (302, Exit.UNEXPECTED),
        (500, Exit.OUTCOME_UNKNOWN),
        (503, Exit.OUTCOME_UNKNOWN),
    ],
)
def test_the_status_decides_how_it_ends(
    run: Run, serve: Run, answer: Any, site: str, status: int, code: Exit
) -> None:
    server = serve(answer(status, b"{}"))
    ran = run("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url, "--json")
    assert ran.code == code
    assert ran.json["error"]["http_status"] == status
    assert len(server.received) == 1
    assert bool(list(Path.cwd().iterdir())) == (code is Exit.OUTCOME_UNKNOWN)


def test_an_answer_that_makes_no_sense_leaves_the_request_in_the_file_that_was_named(
    run: Run, serve: Run, answer: Any, site: str
) -> None:
    """A redirect may follow on having done it."""
    server = serve(answer(303, b"", {"Location": "https://elsewhere.example/"}))
    ran = run("dispatch", site, *FIVE_KW, *WHEN, "--save", "r.json", "--base-url", server.url)
    assert ran.code == Exit.UNEXPECTED
    assert "kept in r.json" in ran.words
    assert "mosvpp doctor" in ran.words
    assert Request.from_json(Path("r.json").read_bytes()).slots
    assert run("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url).code == Exit.UNEXPECTED


def test_nothing_listening_is_unreachable_and_leaves_no_file(run: Run, closed_port: int, site: str) -> None:
    ran = run(
        *("dispatch", site, *FIVE_KW, *WHEN, "--save", "r.json"),
        *("--base-url", f"http://127.0.0.1:{closed_port}"),
    )
    assert ran.code == Exit.UNREACHABLE
    assert "Nothing was sent" in ran.words
    assert f"mosvpp doctor {site}" in ran.words
    assert list(Path.cwd().iterdir()) == []


def test_a_refused_key_points_to_the_doctor(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(401, b'{"title": "Unauthorized"}'))
    ran = run("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url)
    assert ran.code == Exit.NO
    assert f"mosvpp doctor {site}" in ran.words


def test_surprises_in_an_answer_are_warnings(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, b'{"status": "accepted", "novelty": 1}'))
    options = ("dispatch", site, *FIVE_KW, *WHEN, "--base-url", server.url)
    assert "novelty" in run(*options).err
    ran = run(*options, "--json")
    assert ran.err == ""
    assert len(ran.json["warnings"]) == 1
