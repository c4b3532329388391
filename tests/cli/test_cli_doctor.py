"""What keeps a machine from MosVPP, told apart step by step; against real servers that fail in each way."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import trustme
import yaml

from mosvpp.cli import evidence, network_checks
from mosvpp.cli.exits import Exit
from mosvpp.cli.network_checks import Address, Target
from mosvpp_sandbox import Sandbox

Run = Callable[..., Any]

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["configuration", "dns", "tcp", "tls", "http", "key", "access", "site", "devices", "clock"]


def states(ran: Any) -> dict[str, str]:
    return {check["name"]: check["state"] for check in ran.json["checks"]}


def check(ran: Any, name: str) -> dict[str, Any]:
    return next(check for check in ran.json["checks"] if check["name"] == name)


def diagnosed(run: Run, *arguments: object) -> Any:
    """Run doctor in both forms, which must agree; the one with the object."""
    shown, told = run("doctor", *arguments), run("doctor", *arguments, "--json")
    assert shown.code == told.code
    assert list(states(told)) == NAMES
    failed = [name for name, state in states(told).items() if state == "failed"]
    assert told.code == (Exit.NO if failed else Exit.OK)
    assert ("No: " + ", ".join(failed) if failed else "Yes.") in shown.words
    for one in told.json["checks"]:
        assert one["found"] in shown.words or one["name"] in ("tcp", "http", "clock")  # times differ
        assert one["remedies"] or one["state"] in ("ok", "skipped") or one["name"] == "configuration"
        assert all(remedy in shown.words for remedy in one["remedies"])
    return told


# --- evidence ---------------------------------------------------------------------------------------------


def test_every_mark_is_that_of_the_ledger() -> None:
    ledger = yaml.safe_load((ROOT / "spec" / "evidence.yaml").read_text("utf-8"))
    statuses = {fact["id"]: fact["status"] for fact in ledger["facts"]}
    assert {name: statuses[name] for name in evidence.MARKS} == evidence.MARKS


def test_every_id_that_the_command_line_names_is_in_the_ledger() -> None:
    ledger = yaml.safe_load((ROOT / "spec" / "evidence.yaml").read_text("utf-8"))
    known = {fact["id"] for fact in ledger["facts"]}
    groups = {name.partition(".")[0] for name in known}
    named = {
        name
        for file in (ROOT / "wrapper" / "mosvpp" / "cli").glob("*.py")
        for name in re.findall(r'"([a-z]+\.[a-z_0-9]+)"', file.read_text("utf-8"))
        if name.partition(".")[0] in groups
    }
    assert len(named) > 20
    assert named - known == set()


# --- what works -------------------------------------------------------------------------------------------


def test_all_is_well_with_the_sandbox(run: Run, vpp: Sandbox, site: str) -> None:
    told = diagnosed(run, site, "--base-url", vpp.url)
    assert told.code == Exit.OK
    assert told.json["molecule_id"] == site
    assert set(states(told).values()) == {"ok", "skipped"}
    assert states(told)["tls"] == "skipped"
    assert "MOSVPP_API_KEY" in check(told, "configuration")["found"]


def test_it_asks_once_and_only_for_the_devices(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(503, b"", {"Retry-After": "0"}))
    assert run("doctor", site, "--base-url", server.url).code == Exit.NO
    assert [(method, path) for method, path, _ in server.received] == [
        ("GET", f"/v1/api/gateway/{site}/devicesync")
    ]


# --- configuration ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--base-url", "ftp://127.0.0.1"], "mend --base-url"),
        (["--base-url", "http://127.0.0.1/path"], "mend --base-url"),
        (["--api-version", "v 1"], "mend --api-version"),
        (["--timeout", "0"], "mend --timeout"),
        (["--ca-file", "missing.pem"], "mend --ca-file"),
    ],
)
def test_options_that_make_no_sense_end_it(run: Run, site: str, options: list[str], words: str) -> None:
    told = diagnosed(run, site, *options)
    assert words in " ".join(check(told, "configuration")["remedies"])
    assert set(list(states(told).values())[1:]) == {"skipped"}


def test_a_ca_file_without_certificates_is_told(run: Run, site: str) -> None:
    Path("ca.pem").write_text("nothing")
    told = diagnosed(run, site, "--ca-file", "ca.pem")
    assert "no certificates" in check(told, "configuration")["found"]


@pytest.mark.parametrize("how", ["missing", "bad", "site"])
def test_without_a_key_or_a_site_the_network_is_looked_at_all_the_same(
    run: Run, vpp: Sandbox, site: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "missing":
        monkeypatch.delenv("MOSVPP_API_KEY")
    if how == "bad":
        monkeypatch.setenv("MOSVPP_API_KEY", "two\nlines")
    told = diagnosed(run, "not/a/site" if how == "site" else site, "--base-url", vpp.url)
    assert states(told)["configuration"] == "failed"
    assert check(told, "configuration")["remedies"] == (["mend SITE"] if how == "site" else [])
    assert states(told)["tcp"] == "ok"
    assert states(told)["http"] == "skipped"


def test_a_key_on_the_command_line_is_a_warning(run: Run, vpp: Sandbox, site: str, key: str) -> None:
    told = diagnosed(run, site, "--base-url", vpp.url, "--api-key", key)
    assert told.code == Exit.OK
    assert states(told)["configuration"] == "warning"
    Path("key").write_text(f"{key}\n")
    assert states(diagnosed(run, site, "--base-url", vpp.url, "--api-key", "@key"))["configuration"] == "ok"


# --- DNS and TCP ------------------------------------------------------------------------------------------


def test_a_name_without_an_address(run: Run, site: str) -> None:
    told = diagnosed(run, site, "--base-url", "https://vpp.invalid")
    assert states(told)["dns"] == "failed"
    assert "no address for vpp.invalid" in check(told, "dns")["found"]
    assert check(told, "dns")["evidence"] == [{"id": "transport.base_url", "status": "documented"}]


@pytest.mark.parametrize(
    ("error", "words"),
    [(socket.gaierror(socket.EAI_AGAIN, "again"), "no name server"), (UnicodeError("label"), "no address")],
)
def test_other_faults_of_dns(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    """No test may ask a name server, so the resolver's own errors stand in for one."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    found, addresses = network_checks.check_dns(Target("vpp.example", 443, 5))
    assert (found.state, addresses) == ("failed", [])
    assert words in found.found


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(30))
    found, addresses = network_checks.check_dns(Target("vpp.example", 443, 0.05))
    over.set()
    assert (found.state, addresses) == ("failed", [])
    assert "within 0.05 s" in found.found


def test_nothing_listens_on_this_machine(run: Run, site: str, closed_port: int) -> None:
    for host in ("127.0.0.1", "localhost"):
        told = diagnosed(run, site, "--base-url", f"http://{host}:{closed_port}")
        assert states(told)["tcp"] == "failed"
        assert f"port {closed_port}" in check(told, "tcp")["remedies"][0]
        assert check(told, "tcp")["evidence"] == []


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue is full, so that further connections get no answer, as behind many a firewall."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def here(port: int) -> list[Address]:
    return [Address(socket.AF_INET, ("127.0.0.1", port))]


def test_a_refused_connection_names_the_allowlist(closed_port: int) -> None:
    found, address = network_checks.check_tcp(Target("vpp.example", closed_port, 5), here(closed_port))
    assert (found.state, address) == ("failed", None)
    assert "refused" in found.found
    assert "allowlist" in found.remedies[0]
    assert "check the port" in found.remedies[-1]
    assert found.evidence == ("transport.ip_allowlist",)


def test_a_connection_that_is_not_answered_names_the_allowlist(full_port: int) -> None:
    found, address = network_checks.check_tcp(Target("vpp.example", full_port, 0.3), here(full_port))
    assert (found.state, address) == ("failed", None)
    assert "did not answer within 0.3 s" in found.found
    assert "allowlist" in found.remedies[0]
    assert not any("check the port" in remedy for remedy in found.remedies)


def test_an_address_that_cannot_be_reached_names_the_reason() -> None:
    nowhere = [Address(socket.AF_INET6, ("127.0.0.1", 1))]
    found, _ = network_checks.check_tcp(Target("vpp.example", 1, 5), nowhere)
    assert found.state == "failed"
    assert "cannot be reached (" in found.found


def test_one_of_two_addresses_that_works_is_a_warning(vpp: Sandbox, closed_port: int) -> None:
    port = int(vpp.url.rpartition(":")[2])
    found, address = network_checks.check_tcp(Target("vpp.example", port, 5), here(closed_port) + here(port))
    assert (found.state, address) == ("warning", here(port)[0])
    assert "refused" in found.found


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("127.0.0.1", "your own machine"),
        ("10.1.2.3", "which is private"),
        ("93.184.216.34", "it leaves as 93.184"),
    ],
)
def test_the_own_address_is_told_as_far_as_it_helps(own: str, words: str) -> None:
    assert words in network_checks.leaving_as(ip_address(own))


def test_without_a_route_there_is_no_own_address() -> None:
    assert "no route" in network_checks.leaving_from(Address(socket.AF_INET6, ("127.0.0.1", 1)))


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("x.localhost", True),
        ("vpp.example", False),
        ("10.0.0.1", False),
    ],
)
def test_this_machine_is_recognised(host: str, is_here: bool) -> None:
    assert Target(host, 443, 5).is_here is is_here


# --- TLS --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA(organization_name="Doctor's Test Authority")


def certificate(authority: trustme.CA, host: str = "127.0.0.1", **validity: datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **validity).configure_cert(context)  # type: ignore[arg-type]
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


def devices(site: str) -> bytes:
    return json.dumps({"molecule_id": site, "devices": []}).encode()


def test_a_good_certificate_is_told_with_its_end(
    run: Run, serve: Run, answer: Any, site: str, authority: trustme.CA, ca_file: Path
) -> None:
    server = serve(answer(200, devices(site)), tls=certificate(authority))
    told = diagnosed(run, site, "--base-url", server.url, "--ca-file", ca_file)
    assert told.code == Exit.OK
    assert states(told)["tls"] == "ok"
    assert re.match(
        r"TLSv1\.\d, issued by Doctor's Test Authority, good until \d{4}", check(told, "tls")["found"]
    )


def test_a_proxy_in_the_environment_is_told_to_be_unused(
    run: Run,
    serve: Run,
    answer: Any,
    site: str,
    authority: trustme.CA,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    server = serve(answer(200, devices(site)), tls=certificate(authority))
    told = diagnosed(run, site, "--base-url", server.url, "--ca-file", ca_file)
    assert told.code == Exit.OK
    assert "HTTPS_PROXY is set" in check(told, "configuration")["found"]


def test_a_certificate_that_ends_soon_is_a_warning(
    run: Run, serve: Run, answer: Any, site: str, authority: trustme.CA, ca_file: Path
) -> None:
    soon = certificate(authority, not_after=datetime.now(UTC) + timedelta(days=3))
    server = serve(answer(200, devices(site)), tls=soon)
    told = diagnosed(run, site, "--base-url", server.url, "--ca-file", ca_file)
    assert told.code == Exit.OK
    assert states(told)["tls"] == "warning"


LONG_AGO = {"not_before": datetime(2020, 1, 1, tzinfo=UTC), "not_after": datetime(2020, 2, 1, tzinfo=UTC)}
ONE_DAY = {"not_before": datetime(2090, 1, 1, tzinfo=UTC), "not_after": datetime(2090, 2, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("host", "validity", "trusted", "words", "remedy"),
    [
        ("127.0.0.1", {}, False, "nobody we trust", "--ca-file"),
        ("vpp.example", {}, True, "is not for 127.0.0.1. It is for vpp.example", "check the host"),
        ("127.0.0.1", LONG_AGO, True, "has expired", "clock of this machine"),
        ("127.0.0.1", ONE_DAY, True, "is not valid yet", "clock of this machine"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_told_with_the_reason(
    run: Run,
    serve: Run,
    answer: Any,
    site: str,
    authority: trustme.CA,
    ca_file: Path,
    host: str,
    validity: dict[str, datetime],
    trusted: bool,
    words: str,
    remedy: str,
) -> None:
    server = serve(answer(200, devices(site)), tls=certificate(authority, host, **validity))
    trust = ("--ca-file", ca_file) if trusted else ()
    told = diagnosed(run, site, "--base-url", server.url, *trust)
    assert states(told)["tls"] == "failed"
    assert states(told)["http"] == "skipped"
    assert words in check(told, "tls")["found"]
    assert remedy in " ".join(check(told, "tls")["remedies"])
    assert server.received == []
    if not validity:
        assert "issued by Doctor's Test Authority" in check(told, "tls")["found"]


def test_a_port_that_speaks_no_tls(run: Run, vpp: Sandbox, site: str) -> None:
    told = diagnosed(run, site, "--base-url", vpp.url.replace("http:", "https:"))
    assert states(told)["tls"] == "failed"
    assert "speaks TLS" in check(told, "tls")["remedies"][0]


@pytest.fixture
def silent() -> Iterator[Callable[[bool], int]]:
    """A port that takes a connection and then says nothing, or closes it."""
    from threading import Thread

    with ExitStack() as stack:

        def start(closes: bool) -> int:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def take() -> None:
                held = []
                while True:
                    try:
                        connection, _ = listening.accept()
                    except OSError:
                        break
                    if closes:
                        connection.recv(1)
                        connection.close()
                    else:
                        held.append(connection)
                for connection in held:
                    connection.close()

            thread = Thread(target=take, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(lambda: listening.shutdown(socket.SHUT_RDWR))
            return int(listening.getsockname()[1])

        yield start


@pytest.mark.parametrize(("closes", "words"), [(True, "was dropped"), (False, "was not answered")])
def test_a_handshake_that_does_not_happen(run: Run, site: str, silent: Any, closes: bool, words: str) -> None:
    port = silent(closes)
    told = diagnosed(run, site, "--base-url", f"https://127.0.0.1:{port}", "--timeout", "0.5")
    assert states(told)["tls"] == "failed"
    assert words in check(told, "tls")["found"]
    found = network_checks.check_tls(
        Target("vpp.example", port, 0.5), here(port)[0], ssl.create_default_context()
    )
    assert words in found.found
    assert "allowlist" in found.remedies[0]


# --- answers ----------------------------------------------------------------------------------------------


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
    run: Run,
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
    told = diagnosed(run, site, "--base-url", server.url)
    assert [check for check, state in states(told).items() if state == "failed"] == [name]
    assert states(told)["http"] == "ok"
    assert words in check(told, name)["found"]
    assert remedy in " ".join(check(told, name)["remedies"])
    assert states(told)["clock"] == "ok"


def test_an_answer_that_breaks_off(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, b"{", {"Content-Length": "99"}))
    told = diagnosed(run, site, "--base-url", server.url)
    assert states(told)["devices"] == "failed"
    assert "broke off" in check(told, "devices")["found"]


def test_an_answer_that_is_no_http(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(200, b"{}", {"Transfer-Encoding": "nonsense"}))
    told = diagnosed(run, site, "--base-url", server.url)
    assert states(told)["http"] == "failed"
    assert "ProtocolError" in check(told, "http")["found"]


@pytest.mark.parametrize(
    ("hangs", "words", "remedy"),
    [(True, "no answer within", "--timeout"), (False, "disconnected", "try again")],
)
def test_no_answer_names_the_allowlist_too(
    run: Run, serve: Run, answer: Any, site: str, hangs: bool, words: str, remedy: str
) -> None:
    server = serve(answer(None, hangs=hangs))
    told = diagnosed(run, site, "--base-url", server.url, "--timeout", "0.5")
    assert states(told)["http"] == "failed"
    assert words in check(told, "http")["found"]
    assert remedy in check(told, "http")["remedies"][0]
    assert "allowlist" in check(told, "http")["remedies"][1]
    assert states(told)["clock"] == "skipped"


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
    run: Run, serve: Run, answer: Any, site: str, offset: timedelta, state: str, words: str
) -> None:
    date = format_datetime(datetime.now(UTC) + offset, usegmt=True)
    server = serve(answer(200, devices(site), date=date))
    told = diagnosed(run, site, "--base-url", server.url)
    assert states(told)["clock"] == state
    assert words in check(told, "clock")["found"]


@pytest.mark.parametrize("date", ["none", "yesterday", "Mon, 99 Nov 2026 99:00:00 GMT"])
def test_without_a_readable_date_the_clock_is_left_out(
    run: Run, serve: Run, answer: Any, site: str, date: str
) -> None:
    server = serve(answer(200, devices(site), date=date))
    assert states(diagnosed(run, site, "--base-url", server.url))["clock"] == "skipped"


def test_a_date_without_a_zone_is_taken_as_utc(run: Run, serve: Run, answer: Any, site: str) -> None:
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S -0000")
    server = serve(answer(200, devices(site), date=date))
    assert states(diagnosed(run, site, "--base-url", server.url))["clock"] == "ok"


def test_a_wrong_key_is_told_by_the_sandbox(run: Run, vpp: Sandbox, site: str) -> None:
    told = diagnosed(run, site, "--base-url", vpp.url, "--api-key", "another")
    assert states(told)["key"] == "failed"


def test_a_wrong_site_is_told_by_the_sandbox(run: Run, vpp: Sandbox) -> None:
    told = diagnosed(run, "0000000000000000", "--base-url", vpp.url)
    assert states(told)["site"] == "failed"


def test_a_wrong_version_is_told_by_the_sandbox(run: Run, vpp: Sandbox, site: str) -> None:
    told = diagnosed(run, site, "--base-url", vpp.url, "--api-version", "v9")
    assert states(told)["site"] == "failed"
    assert "v9 is inferred" in " ".join(check(told, "site")["remedies"])
