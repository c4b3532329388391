"""doctor: certificates and handshakes."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from mosvpp.cli import network_checks
from mosvpp.cli.exits import Exit
from mosvpp.cli.network_checks import Address, Target
from mosvpp_sandbox import Sandbox

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA(organization_name="Doctor's Test Authority")


def certificate(authority: trustme.CA, host: str = "127.0.0.1", **validity: datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **validity).configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


def test_a_good_certificate_is_told_with_its_end(
    diagnosed: Run, serve: Run, no_devices: Run, answer: Any, site: str, authority: trustme.CA, ca_file: Path
) -> None:
    server = serve(answer(200, no_devices(site)), tls=certificate(authority))
    told = diagnosed(site, "--base-url", server.url, "--ca-file", ca_file)
    assert told.code == Exit.OK
    assert told.states["tls"] == "ok"
    assert re.match(
        r"TLSv1\.\d, issued by Doctor's Test Authority, good until \d{4}", told.check("tls")["found"]
    )


def test_a_proxy_in_the_environment_is_told_to_be_unused(
    diagnosed: Run,
    serve: Run,
    no_devices: Run,
    answer: Any,
    site: str,
    authority: trustme.CA,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    server = serve(answer(200, no_devices(site)), tls=certificate(authority))
    told = diagnosed(site, "--base-url", server.url, "--ca-file", ca_file)
    assert told.code == Exit.OK
    assert "HTTPS_PROXY is set" in told.check("configuration")["found"]


def test_a_certificate_that_ends_soon_is_a_warning(
    diagnosed: Run, serve: Run, no_devices: Run, answer: Any, site: str, authority: trustme.CA, ca_file: Path
) -> None:
    soon = certificate(authority, not_after=datetime.now(UTC) + timedelta(days=3))
    server = serve(answer(200, no_devices(site)), tls=soon)
    told = diagnosed(site, "--base-url", server.url, "--ca-file", ca_file)
    assert told.code == Exit.OK
    assert told.states["tls"] == "warning"


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
    diagnosed: Run,
    serve: Run,
    no_devices: Run,
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
    server = serve(answer(200, no_devices(site)), tls=certificate(authority, host, **validity))
    trust = ("--ca-file", ca_file) if trusted else ()
    told = diagnosed(site, "--base-url", server.url, *trust)
    assert told.states["tls"] == "failed"
    assert told.states["http"] == "skipped"
    assert words in told.check("tls")["found"]
    assert remedy in " ".join(told.check("tls")["remedies"])
    assert server.received == []
    if not validity:
        assert "issued by Doctor's Test Authority" in told.check("tls")["found"]


def test_a_port_that_speaks_no_tls(diagnosed: Run, vpp: Sandbox, site: str) -> None:
    told = diagnosed(site, "--base-url", vpp.url.replace("http:", "https:"))
    assert told.states["tls"] == "failed"
    assert "speaks TLS" in told.check("tls")["remedies"][0]


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
def test_a_handshake_that_does_not_happen(
    diagnosed: Run, site: str, silent: Any, closes: bool, words: str
) -> None:
    port = silent(closes)
    told = diagnosed(site, "--base-url", f"https://127.0.0.1:{port}", "--timeout", "0.5")
    assert told.states["tls"] == "failed"
    assert words in told.check("tls")["found"]
    found = network_checks.check_tls(
        Target("vpp.example", port, 0.5),
        Address(socket.AF_INET, ("127.0.0.1", port)),
        ssl.create_default_context(),
    )
    assert words in found.found
    assert "allowlist" in found.remedies[0]
