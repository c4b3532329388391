"""doctor: what the one answer says, each told apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from mosvpp_sandbox import ManualClock, Sandbox

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("status", "body", "headers", "name", "words", "remedy"),
    [
        (401, b'{"title": "No such key"}', {}, "key", "It says: No such key", "compare the key"),
        (403, b"", {}, "access", "forbidden", "allowlist"),
        (403, b"<html>blocked", {}, "access", "is a web page", "allowlist"),
        (404, b"", {}, "site", "not found", "check the site id"),
        (404, b"", {}, "site", "not found", "v1 is inferred"),
        (405, b"", {}, "devices", "refused (HTTP 405)", "--base-url"),
        (429, b"", {"Retry-After": "900"}, "devices", "too many requests", "wait 900 s"),
        (429, b"", {}, "devices", "too many requests", "wait a while"),
        (500, b"oops", {}, "devices", "a fault on the other side", "ask Molecule"),
        (502, b"", {"Content-Type": "text/html"}, "devices", "is a web page", "ask Molecule"),
        (503, b"", {"Retry-After": "9"}, "devices", "a fault on the other side", "ask Molecule"),
        (302, b"", {"Location": "https://login.example/"}, "devices", "https://login.example/", "login page"),
        (304, b"", {}, "devices", "somewhere else", "login page"),
        (
            200,
            b"<html>Please log in",
            {"Content-Type": "text/html"},
            "devices",
            "is a web page",
            "login page",
        ),
        (200, b"", {}, "devices", "is no device list", "--base-url"),
        (200, b'{"devices": 1}', {}, "devices", "is no device list", "--base-url"),
        (200, b" " * 2_000_000, {}, "devices", "cut off", "try again"),
    ],
)
def test_each_answer_is_told_apart(
    diagnosed: Run,
    serve: Run,
    answer: Any,
    site: str,
    status: int,
    body: bytes,
    headers: dict[str, str],
    name: str,
    words: str,
    remedy: str,
) -> None:
    server = serve(answer(status, body, headers))
    told = diagnosed(site, "--base-url", server.url)
    assert [check for check, state in told.states.items() if state == "failed"] == [name]
    assert told.states["http"] == "ok"
    assert words in told.check(name)["found"]
    assert remedy in " ".join(told.check(name)["remedies"])
    assert told.states["clock"] == "ok"


def test_an_answer_that_breaks_off(diagnosed: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, b"{", {"Content-Length": "99"}))
    told = diagnosed(site, "--base-url", server.url)
    assert told.states["devices"] == "failed"
    assert "broke off" in told.check("devices")["found"]


def test_an_answer_that_is_no_http(diagnosed: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, b"{}", {"Transfer-Encoding": "nonsense"}))
    told = diagnosed(site, "--base-url", server.url)
    assert told.states["http"] == "failed"
    assert "ProtocolError" in told.check("http")["found"]


@pytest.mark.parametrize(
    ("hangs", "words", "remedy"),
    [(True, "no answer within", "--timeout"), (False, "disconnected", "try again")],
)
def test_no_answer_names_the_allowlist_too(
    diagnosed: Run, serve: Run, answer: Any, site: str, hangs: bool, words: str, remedy: str
) -> None:
    server = serve(answer(None, hangs=hangs))
    told = diagnosed(site, "--base-url", server.url, "--timeout", "2" if hangs else "30")
    assert told.states["http"] == "failed"
    assert words in told.check("http")["found"]
    assert remedy in told.check("http")["remedies"][0]
    assert "allowlist" in told.check("http")["remedies"][1]
    assert told.states["clock"] == "skipped"


@pytest.mark.parametrize(
    ("offset", "state", "words"),
    [
        (timedelta(seconds=2), "ok", "within 5 s"),
        (timedelta(seconds=-60), "failed", "ahead of"),
        (timedelta(seconds=60), "failed", "behind"),
        (timedelta(hours=3), "failed", "180 min behind"),
    ],
)
def test_the_clock_is_compared(
    diagnosed: Run,
    serve: Run,
    no_devices: Run,
    answer: Any,
    site: str,
    offset: timedelta,
    state: str,
    words: str,
) -> None:
    date = format_datetime(datetime.now(UTC) + offset, usegmt=True)
    server = serve(answer(200, no_devices(site), date=date))
    told = diagnosed(site, "--base-url", server.url)
    assert told.states["clock"] == state
    assert words in told.check("clock")["found"]


def test_the_time_of_a_sandbox_is_its_own(diagnosed: Run, site: str) -> None:
    with Sandbox(clock=ManualClock(datetime(2026, 1, 15, tzinfo=UTC)), api_key="canary-7f3a91-key") as vpp:
        told = diagnosed(site, "--base-url", vpp.url)
    assert told.states["clock"] == "failed"
    assert "its time is simulated" in str(told.check("clock"))


@pytest.mark.parametrize("date", ["none", "yesterday", "Mon, 99 Nov 2026 99:00:00 GMT"])
def test_without_a_readable_date_the_clock_is_left_out(
    diagnosed: Run, serve: Run, no_devices: Run, answer: Any, site: str, date: str
) -> None:
    server = serve(answer(200, no_devices(site), date=date))
    assert diagnosed(site, "--base-url", server.url).states["clock"] == "skipped"


def test_a_date_without_a_zone_is_taken_as_utc(
    diagnosed: Run, serve: Run, no_devices: Run, answer: Any, site: str
) -> None:
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S -0000")
    server = serve(answer(200, no_devices(site), date=date))
    assert diagnosed(site, "--base-url", server.url).states["clock"] == "ok"


def test_a_wrong_key_is_told_by_the_sandbox(diagnosed: Run, vpp: Sandbox, site: str) -> None:
    told = diagnosed(site, "--base-url", vpp.url, "--api-key", "another")
    assert told.states["key"] == "failed"


def test_a_wrong_site_is_told_by_the_sandbox(diagnosed: Run, vpp: Sandbox) -> None:
    told = diagnosed("0000000000000000", "--base-url", vpp.url)
    assert told.states["site"] == "failed"


def test_a_wrong_version_is_told_by_the_sandbox(diagnosed: Run, vpp: Sandbox, site: str) -> None:
    told = diagnosed(site, "--base-url", vpp.url, "--api-version", "v9")
    assert told.states["site"] == "failed"
    assert "v9 is inferred" in " ".join(told.check("site")["remedies"])
