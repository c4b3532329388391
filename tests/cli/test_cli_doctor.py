"""doctor: configuration, DNS and TCP, and that every fact it names is in the ledger."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

from mosvpp.cli import evidence, network_checks
from mosvpp.cli.exits import Exit
from mosvpp.cli.network_checks import Address, Target
from mosvpp_sandbox import Sandbox

Run = Callable[..., Any]

ROOT = Path(__file__).resolve().parents[2]


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


def test_all_is_well_with_the_sandbox(diagnosed: Run, vpp: Sandbox, site: str) -> None:
    told = diagnosed(site, "--base-url", vpp.url)
    assert told.code == Exit.OK
    assert told.json["molecule_id"] == site
    assert set(told.states.values()) == {"ok", "skipped"}
    assert told.states["tls"] == "skipped"
    assert "MOSVPP_API_KEY" in told.check("configuration")["found"]


def test_it_asks_once_and_only_for_the_devices(run: Run, serve: Run, answer: Any, site: str) -> None:
    server = serve(answer(503, b"", {"Retry-After": "0"}))
    assert run("doctor", site, "--base-url", server.url).code == Exit.NO
    assert [(method, path) for method, path, _ in server.received] == [
        ("GET", f"/v1/api/gateway/{site}/devicesync")
    ]


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
def test_options_that_make_no_sense_end_it(diagnosed: Run, site: str, options: list[str], words: str) -> None:
    told = diagnosed(site, *options)
    assert words in " ".join(told.check("configuration")["remedies"])
    assert set(list(told.states.values())[1:]) == {"skipped"}


def test_a_ca_file_without_certificates_is_told(diagnosed: Run, site: str) -> None:
    Path("ca.pem").write_text("nothing")
    told = diagnosed(site, "--ca-file", "ca.pem")
    assert "no certificates" in told.check("configuration")["found"]


@pytest.mark.parametrize("how", ["missing", "bad", "site"])
def test_without_a_key_or_a_site_the_network_is_looked_at_all_the_same(
    diagnosed: Run, vpp: Sandbox, site: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "missing":
        monkeypatch.delenv("MOSVPP_API_KEY")
    if how == "bad":
        monkeypatch.setenv("MOSVPP_API_KEY", "two\nlines")
    told = diagnosed("not/a/site" if how == "site" else site, "--base-url", vpp.url)
    assert told.states["configuration"] == "failed"
    assert told.check("configuration")["remedies"] == (["mend SITE"] if how == "site" else [])
    assert told.states["tcp"] == "ok"
    assert told.states["http"] == "skipped"


def test_a_key_on_the_command_line_is_a_warning(diagnosed: Run, vpp: Sandbox, site: str, key: str) -> None:
    told = diagnosed(site, "--base-url", vpp.url, "--api-key", key)
    assert told.code == Exit.OK
    assert told.states["configuration"] == "warning"
    Path("key").write_text(f"{key}\n")
    assert diagnosed(site, "--base-url", vpp.url, "--api-key", "@key").states["configuration"] == "ok"


def test_a_name_without_an_address(diagnosed: Run, site: str) -> None:
    told = diagnosed(site, "--base-url", "https://vpp.invalid")
    assert told.states["dns"] == "failed"
    assert "no address for vpp.invalid" in told.check("dns")["found"]
    assert told.check("dns")["evidence"] == [{"id": "transport.base_url", "status": "documented"}]


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


def test_nothing_listens_on_this_machine(diagnosed: Run, site: str, closed_port: int) -> None:
    for host in ("127.0.0.1", "localhost"):
        told = diagnosed(site, "--base-url", f"http://{host}:{closed_port}")
        assert told.states["tcp"] == "failed"
        assert f"port {closed_port}" in told.check("tcp")["remedies"][0]
        assert told.check("tcp")["evidence"] == []


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
