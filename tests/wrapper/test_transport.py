"""Real sockets: whatever a server does, our error comes, in time, and an ambiguous POST arrives once."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import Any

import pytest
import trustme

import outgoing
from hostile_server import Connection, HostileServer, free_port
from manual_clock import ManualClock
from mosvpp import RetryPolicy, Timeout, _sockets, errors
from mosvpp.clock import SystemClock
from mosvpp.ids import new_id
from outgoing import KEY, NEVER, SITE, Clients, call, good_body, slot

TOTAL = 1.0
PATIENCE = 10.0
"""What a busy machine may take on top; a deadline that is not kept takes for ever."""

POST_OK = json.dumps(good_body("submit_dispatch")).encode()


@contextmanager
def in_time(attempts: int = 1) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < attempts * TOTAL + PATIENCE


def client_of(clients: Clients, server: HostileServer | int, **options: Any) -> Any:
    origin = f"http://localhost:{server}" if isinstance(server, int) else server.origin
    return clients.make(**{"base_url": origin, "timeout": TOTAL, "retry": NEVER, **options})


# --- behaviours ---------------------------------------------------------------------------------------------


def closes_at_once(connection: Connection) -> None:
    connection.close()


def closes_after_the_request(connection: Connection) -> None:
    connection.read_request()


def resets_after_the_request(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def closes_after_the_headers(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")


def closes_within_the_headers(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")


def sends_half_a_body(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(POST_OK))
    connection.send(POST_OK[: len(POST_OK) // 2])


def sends_half_a_rejection(connection: Connection) -> None:
    connection.read_request()
    connection.send(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n{"title": "no"}')


def drips_headers(connection: Connection) -> None:
    connection.read_request()
    connection.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Drip: drop\r\n" * 100_000)


def drips_a_body(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    connection.drip(b" " * 100_000)


def drips_chunks(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.drip(b"1\r\n \r\n" * 100_000)


def never_answers(connection: Connection) -> None:
    connection.read_request()
    connection.hang()


def says_continue_for_ever(connection: Connection) -> None:
    connection.read_request()
    while not connection.server.stopping.is_set():
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def sends_endless_headers(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\n")
    while not connection.server.stopping.is_set():
        connection.send(b"X-Header: " + b"x" * 1000 + b"\r\n")


def sends_an_endless_body(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while not connection.server.stopping.is_set():
        connection.send(b" " * 65536)


def sends_a_huge_body(connection: Connection) -> None:
    connection.read_request()
    connection.answer(POST_OK + b" " * (1024 * 1024))


def sends_garbage_chunks(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n" + POST_OK)


def sends_http_0_9(connection: Connection) -> None:
    connection.read_request()
    connection.send(POST_OK)


def sends_another_protocol(connection: Connection) -> None:
    connection.send(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.read_request()


def sends_two_lengths(connection: Connection) -> None:
    connection.read_request()
    connection.answer(POST_OK, "Content-Length: 3")


def sends_a_negative_length(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + POST_OK)


def sends_a_status_that_is_none(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 20O OK\r\nContent-Length: 0\r\n\r\n")


def sends_a_key_in_a_header_line_that_is_none(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\n" + KEY.encode() + b"\r\n\r\n")


NO_ANSWER = [
    closes_at_once,
    closes_after_the_request,
    resets_after_the_request,
    closes_within_the_headers,
    drips_headers,
    never_answers,
    says_continue_for_ever,
    sends_endless_headers,
    sends_http_0_9,
    sends_another_protocol,
    sends_two_lengths,
    sends_a_negative_length,
    sends_a_status_that_is_none,
    sends_a_key_in_a_header_line_that_is_none,
]
BROKEN_ANSWER = [
    closes_after_the_headers,
    sends_half_a_body,
    sends_half_a_rejection,
    drips_a_body,
    drips_chunks,
    sends_an_endless_body,
    sends_a_huge_body,
    sends_garbage_chunks,
]


@pytest.mark.parametrize("behaviour", NO_ANSWER + BROKEN_ANSWER)
def test_an_ambiguous_post_arrives_once_and_its_outcome_is_unknown(clients: Clients, behaviour: Any) -> None:
    with HostileServer(behaviour) as server, in_time():
        client = client_of(clients, server, retry=outgoing.AT_ONCE)
        with pytest.raises(errors.OutcomeUnknownError) as caught:
            call(client, "submit_dispatch")
        assert server.connections == 1
    error = caught.value
    assert len(server.requests) == (0 if behaviour is closes_at_once else 1)
    assert all(sent.endswith(error.request.body) for sent in server.requests)
    assert error.attempts == 1
    assert (error.answer is None) is (behaviour in NO_ANSWER)
    assert len(error.body) <= 1024 * 1024
    assert KEY not in str(error) + repr(error.answer) + str(error.headers)


@pytest.mark.parametrize("behaviour", NO_ANSWER)
def test_a_get_without_an_answer_is_tried_three_times(clients: Clients, behaviour: Any) -> None:
    with HostileServer(behaviour) as server, in_time(attempts=3):
        client = client_of(clients, server, retry=outgoing.AT_ONCE, timeout=TOTAL / 4)
        with pytest.raises(errors.UnreachableError, match="3 attempts"):
            client.sync_devices(SITE)
        assert server.connections <= 3


@pytest.mark.parametrize("behaviour", BROKEN_ANSWER)
def test_a_get_with_a_broken_answer_is_an_unexpected_response(clients: Clients, behaviour: Any) -> None:
    with (
        HostileServer(behaviour) as server,
        in_time(),
        pytest.raises(errors.UnexpectedResponseError) as caught,
    ):
        client_of(clients, server).sync_devices(SITE)
    assert caught.value.status in (200, 400)


def test_an_answer_over_the_cap_is_cut_off_and_not_asked_for_again(clients: Clients) -> None:
    with (
        HostileServer(sends_a_huge_body) as server,
        pytest.raises(errors.UnexpectedResponseError, match="1024 KiB") as caught,
    ):
        client_of(clients, server, retry=outgoing.AT_ONCE).sync_devices(SITE)
    assert len(server.requests) == 1
    assert len(caught.value.body) == 1024 * 1024


def test_an_endless_answer_is_left_at_the_cap(clients: Clients) -> None:
    """Long before the deadline."""
    started = time.monotonic()
    with (
        HostileServer(sends_an_endless_body) as server,
        pytest.raises(errors.OutcomeUnknownError, match="1024 KiB"),
    ):
        call(client_of(clients, server, timeout=120), "submit_dispatch")
    assert time.monotonic() - started < 60


def test_an_answer_as_large_as_the_cap_is_read(clients: Clients) -> None:
    def behaviour(connection: Connection) -> None:
        connection.read_request()
        connection.answer(POST_OK + b" " * (1024 * 1024 - len(POST_OK)))

    with HostileServer(behaviour) as server:
        assert call(client_of(clients, server, timeout=30), "submit_dispatch").is_accepted


def test_a_gzip_bomb_is_not_inflated(clients: Clients) -> None:
    """It was asked for identity, so what comes is taken as it is."""
    bomb = gzip.compress(b" " * 100_000_000)

    def behaviour(connection: Connection) -> None:
        connection.read_request()
        connection.answer(bomb, "Content-Encoding: gzip")

    with HostileServer(behaviour) as server:
        receipt = call(client_of(clients, server, timeout=30), "submit_dispatch")
    assert receipt.outcome == "unknown"
    assert receipt.raw.body == bomb
    assert b"accept-encoding: identity" in server.requests[0].lower()


def test_an_answer_is_complete_before_the_connection_is_closed(clients: Clients) -> None:
    """A reset after the last byte takes nothing back."""

    def behaviour(connection: Connection) -> None:
        connection.read_request()
        connection.answer(POST_OK, "Connection: close")
        connection.hang()

    with HostileServer(behaviour) as server:
        assert call(client_of(clients, server), "submit_dispatch").is_accepted


# --- when nothing was sent ----------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", outgoing.CALLS)
def test_a_refused_connection_sends_nothing(clients: Clients, operation: str) -> None:
    with pytest.raises(errors.UnreachableError, match=r"3 attempts.*Nothing was sent"):
        call(client_of(clients, free_port(), retry=outgoing.AT_ONCE), operation)


@pytest.mark.parametrize("operation", outgoing.CALLS)
def test_refused_at_first_and_then_accepted(clients: Clients, operation: str) -> None:
    """The positive control: what was not sent is sent again, and succeeds."""
    body = json.dumps(good_body(operation)).encode()

    def behaviour(connection: Connection) -> None:
        while connection.read_request():
            connection.answer(body)

    servers: list[HostileServer] = []
    clock, port = ManualClock(), free_port()
    client = client_of(
        clients, port, retry=RetryPolicy(first_delay=1, longest_delay=1), clock=clock, timeout=30
    )
    with ExitStack() as stack:
        clock.during_pause = lambda: servers.append(stack.enter_context(HostileServer(behaviour, port=port)))
        call(client, operation)
    assert [len(server.requests) for server in servers] == [1]
    assert len(clock.pauses) == 1


def test_a_name_that_does_not_exist_is_unreachable(clients: Clients) -> None:
    client = clients.make(base_url="https://no-such-host.invalid", retry=outgoing.AT_ONCE)
    with pytest.raises(errors.UnreachableError, match=r"no-such-host|Name or service"):
        call(client, "submit_dispatch")


def test_a_name_that_cannot_be_one_is_unreachable(clients: Clients) -> None:
    client = clients.make(base_url=f"https://{'a' * 70}.invalid", retry=NEVER)
    with pytest.raises(errors.UnreachableError):
        call(client, "submit_dispatch")


# --- several addresses, slow readers ------------------------------------------------------------------------


def behaves(connection: Connection) -> None:
    """Answers every request on the connection with yes."""
    while request := connection.read_request():
        method = request.partition(b" ")[0]
        body = POST_OK if method == b"POST" else json.dumps(good_body("sync_devices")).encode()
        connection.answer(body)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Give `several.localhost` these addresses."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **named: Any) -> Any:
        if host not in ("several.localhost", b"several.localhost"):
            return real(host, port, *args, **named)
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_every_address_of_a_host_is_tried(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    with HostileServer(behaves) as server:
        client = client_of(clients, server, base_url=f"http://several.localhost:{server.port}", timeout=30)
        assert call(client, "submit_dispatch").is_accepted


def test_addresses_that_swallow_everything_share_one_deadline(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not each has the whole time."""
    addresses = [f"127.0.0.{number}" for number in range(1, 60)]
    resolve_to(monkeypatch, *addresses)
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("0.0.0.0", 0))
        full.listen(0)
        for _ in range(5):
            sock = waiting.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", full.getsockname()[1]))
        url = f"http://several.localhost:{full.getsockname()[1]}"
        client = clients.make(base_url=url, timeout=TOTAL, retry=NEVER)
        with in_time(), pytest.raises(errors.UnreachableError):
            call(client, "submit_dispatch")


def test_a_host_without_an_address_is_unreachable(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch)
    with pytest.raises(errors.UnreachableError):
        call(clients.make(base_url="http://several.localhost", retry=NEVER), "submit_dispatch")


def reads_slowly(connection: Connection) -> None:
    while connection.sock.recv(65536) and not connection.server.stopping.wait(0.1):
        pass


@pytest.mark.parametrize("behaviour", [Connection.hang, reads_slowly])
def test_a_server_that_reads_too_slowly_meets_the_deadline(clients: Clients, behaviour: Any) -> None:
    """Part of the request was written: the outcome is unknown."""
    wanted = outgoing.commands.turn_off("x" * 16_000_000)
    with HostileServer(behaviour) as server:
        client = client_of(clients, server, timeout=Timeout(total=TOTAL * 2, write=TOTAL))
        with in_time(2), pytest.raises(errors.OutcomeUnknownError):
            client.submit_site_command(SITE, wanted, duration=outgoing.timedelta(seconds=1))


def test_a_free_connection_is_waited_for_no_longer_than_the_deadline(clients: Clients) -> None:
    """A pool of 100, and all in use; what got none of them was not sent."""
    with HostileServer(never_answers) as server:
        client = client_of(clients, server, timeout=Timeout(total=TOTAL, pool=60))

        def submit() -> tuple[bytes, bool]:
            own = slot(event_id=None)
            with pytest.raises((errors.OutcomeUnknownError, errors.UnreachableError)) as caught:
                client.submit_dispatch(SITE, own, mode="test")
            return own.event_id.encode(), isinstance(caught.value, errors.OutcomeUnknownError)

        with in_time():
            outcomes = clients.together(*[submit] * 110)
        arrived = b"".join(server.requests)
        assert all(event_id not in arrived for event_id, may_be_received in outcomes if not may_be_received)


# --- connections that are kept ------------------------------------------------------------------------------


def test_a_connection_is_kept_between_calls(clients: Clients) -> None:
    with HostileServer(behaves) as server:
        client = client_of(clients, server, timeout=30)
        for operation in ("submit_dispatch", "sync_devices", "submit_dispatch"):
            call(client, operation)
        assert server.connections == 1


def goes_quietly(connection: Connection) -> None:
    connection.read_request()
    connection.answer(POST_OK)


def goes_with_a_last_word(connection: Connection) -> None:
    connection.read_request()
    connection.answer(POST_OK)
    connection.answer(b"", "Connection: close", status="408 Request Timeout")


@pytest.mark.parametrize("behaviour", [goes_quietly, goes_with_a_last_word])
def test_a_kept_connection_that_the_server_closed_is_not_used(clients: Clients, behaviour: Any) -> None:
    with HostileServer(behaviour) as server:
        client = client_of(clients, server, timeout=30)
        for number in range(1, 4):
            assert client.submit_dispatch(SITE, slot(), mode="test").is_accepted
            while server.open_connections:
                time.sleep(0.01)
            assert server.connections == number


def test_a_kept_connection_that_is_closed_in_that_moment_makes_the_outcome_unknown(clients: Clients) -> None:
    """The request was written, and may have been read."""

    def behaviour(connection: Connection) -> None:
        connection.read_request()
        connection.answer(POST_OK)
        connection.read_request()

    with HostileServer(behaviour) as server:
        client = client_of(clients, server, timeout=30, retry=outgoing.AT_ONCE)
        assert call(client, "submit_dispatch").is_accepted
        with pytest.raises(errors.OutcomeUnknownError):
            call(client, "submit_dispatch")
        assert (server.connections, len(server.requests)) == (1, 2)


# --- redirects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", outgoing.CALLS)
@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
def test_the_key_follows_no_redirect(clients: Clients, operation: str, status: str) -> None:
    with HostileServer(behaves) as elsewhere:

        def behaviour(connection: Connection) -> None:
            connection.read_request()
            connection.answer(b"", f"Location: {elsewhere.origin}/stolen?key={KEY}", status=status)

        with (
            HostileServer(behaviour) as server,
            pytest.raises(errors.UnexpectedResponseError, match="base_url") as caught,
        ):
            call(client_of(clients, server, timeout=30), operation)
        assert elsewhere.connections == 0
    assert KEY not in caught.value.headers["location"]


# --- what is on the wire ------------------------------------------------------------------------------------


def head(request: bytes) -> tuple[str, dict[str, str]]:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in lines[1:]]
    assert len({name.lower() for name, _ in pairs}) == len(pairs), "no header twice"
    return lines[0], {name.lower(): value for name, value in pairs}


def test_a_post_on_the_wire(clients: Clients) -> None:
    with HostileServer(behaves) as server:
        client = clients.make(base_url=f"http://LOCALHOST:{server.port}/", timeout=30)
        call(client, "submit_dispatch")
    first, headers = head(server.requests[0])
    assert first == f"POST /v1/api/gateway/{SITE}/dr HTTP/1.1"
    assert headers == {
        "host": f"localhost:{server.port}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"mosvpp-python/{version('mosvpp')}",
        "x-api-key": KEY,
        "content-type": "application/json",
        "content-length": str(len(server.requests[0].partition(b"\r\n\r\n")[2])),
    }


def test_a_get_on_the_wire_has_no_body(clients: Clients) -> None:
    with HostileServer(behaves) as server:
        client_of(clients, server, timeout=30, api_version="v2.1").sync_devices(SITE)
    first, headers = head(server.requests[0])
    assert first == f"GET /v2.1/api/gateway/{SITE}/devicesync HTTP/1.1"
    assert headers.keys() == {"host", "accept", "accept-encoding", "user-agent", "x-api-key"}
    assert server.requests[0].endswith(b"\r\n\r\n")


def test_an_origin_with_an_ipv6_address(clients: Clients) -> None:
    with HostileServer(behaves, family=socket.AF_INET6) as server:
        client = clients.make(base_url=f"http://[::1]:{server.port}", timeout=30)
        assert call(client, "submit_dispatch").is_accepted
    assert head(server.requests[0])[1]["host"] == f"[::1]:{server.port}"


# --- TLS ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_a_trusted_certificate_is_accepted(clients: Clients, authority: trustme.CA) -> None:
    with HostileServer(behaves, tls=server_side(authority)) as server:
        client = client_of(clients, server, ssl_context=trusting(authority), timeout=30)
        assert call(client, "submit_dispatch").is_accepted
        assert client.sync_devices(SITE).devices
        assert server.connections == 1


def test_a_certificate_that_is_not_trusted_gets_nothing(clients: Clients, authority: trustme.CA) -> None:
    with HostileServer(behaves, tls=server_side(authority)) as server:
        with pytest.raises(errors.UnreachableError, match=r"(?i)certificate"):
            call(client_of(clients, server, timeout=30), "submit_dispatch")
        assert server.requests == []


def test_a_certificate_of_another_host_gets_nothing(clients: Clients, authority: trustme.CA) -> None:
    with HostileServer(behaves, tls=server_side(authority, "elsewhere.example")) as server:
        client = client_of(clients, server, ssl_context=trusting(authority), timeout=30)
        with pytest.raises(errors.UnreachableError, match=r"(?i)certificate|hostname"):
            call(client, "submit_dispatch")
        assert server.requests == []


def speaks_http_instead(connection: Connection) -> None:
    connection.answer(POST_OK)
    connection.hang()


def drips_a_handshake(connection: Connection) -> None:
    connection.drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + b"x" * 100_000)


@pytest.mark.parametrize(
    "behaviour", [closes_at_once, Connection.hang, speaks_http_instead, drips_a_handshake]
)
def test_a_handshake_that_fails_sends_nothing(
    clients: Clients, authority: trustme.CA, behaviour: Any
) -> None:
    with HostileServer(behaviour, tls=server_side(authority), greets=False) as server:
        client = client_of(clients, server, timeout=Timeout(total=TOTAL, connect=60))
        with in_time(), pytest.raises(errors.UnreachableError, match="Nothing was sent"):
            call(client, "submit_dispatch")
        assert server.requests == []


def test_a_request_overtaken_on_its_way_is_not_written(clients: Clients, authority: trustme.CA) -> None:
    """Its connection is slow; the cancel takes another one. Then the original must not go out any more."""
    waits, go_on = threading.Event(), threading.Event()

    def behaviour(connection: Connection) -> None:
        if not waits.is_set():
            waits.set()
            go_on.wait(30)
        connection.start_tls()
        behaves(connection)

    with HostileServer(behaviour, tls=server_side(authority), greets=False) as server:
        client = client_of(clients, server, ssl_context=trusting(authority), timeout=30)

        def original() -> Any:
            with pytest.raises(errors.RuleError) as caught:
                client.submit_dispatch(SITE, slot(), mode="test")
            return caught.value.rule

        def cancel() -> Any:
            assert waits.wait(30)
            receipt = client.submit_dispatch(SITE, slot().cancel(), mode="test")
            go_on.set()
            return receipt.outcome

        assert list(clients.together(original, cancel)) == ["revision_order", "accepted"]
        assert [b'"cancelled":true' in request for request in server.requests] == [True]


# --- proxies ------------------------------------------------------------------------------------------------

PASSWORD = "canary-password"


def forwards(connection: Connection) -> None:
    connection.read_request()
    connection.answer(POST_OK)


def proxy_of(server: HostileServer) -> str:
    return f"http://partner:{PASSWORD}@localhost:{server.port}"


def test_a_proxy_for_http_gets_the_request(clients: Clients) -> None:
    with HostileServer(forwards) as proxy:
        client = clients.make(base_url="http://elsewhere.localhost:81", proxy=proxy_of(proxy), timeout=30)
        assert call(client, "submit_dispatch").is_accepted
    first, headers = head(proxy.requests[0])
    assert first.startswith("POST http://elsewhere.localhost:81/v1/api/gateway/")
    assert headers["proxy-authorization"].startswith("Basic ")
    assert headers["host"] == "elsewhere.localhost:81"


def test_a_proxy_for_http_that_fails_may_have_passed_it_on(clients: Clients) -> None:
    def behaviour(connection: Connection) -> None:
        connection.read_request()
        connection.answer(b"", status="502 Bad Gateway")

    with HostileServer(behaviour) as proxy:
        client = clients.make(base_url="http://elsewhere.localhost:81", proxy=proxy_of(proxy), timeout=30)
        with pytest.raises(errors.OutcomeUnknownError):
            call(client, "submit_dispatch")
        assert len(proxy.requests) == 1


def tunnels_to(server: HostileServer) -> Any:
    def behaviour(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port)) as other:
            back = threading.Thread(target=lambda: _pump(other, connection.sock))
            back.start()
            _pump(connection.sock, other)
            back.join()

    return behaviour


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_a_proxy_for_https_is_only_asked_for_a_tunnel(clients: Clients, authority: trustme.CA) -> None:
    with (
        HostileServer(behaves, tls=server_side(authority)) as server,
        HostileServer(tunnels_to(server)) as proxy,
    ):
        client = client_of(
            clients, server, proxy=proxy_of(proxy), ssl_context=trusting(authority), timeout=30
        )
        assert call(client, "submit_dispatch").is_accepted
        client.close()
    assert [head(request)[0] for request in proxy.requests] == [f"CONNECT localhost:{server.port} HTTP/1.1"]
    assert KEY.encode() not in b"".join(proxy.requests)
    assert len(server.requests) == 1


def refuses_a_tunnel(connection: Connection) -> None:
    connection.read_request()
    connection.answer(b"no", status="407 Proxy Authentication Required")


@pytest.mark.parametrize(
    "behaviour", [refuses_a_tunnel, closes_at_once, closes_after_the_request, sends_http_0_9, never_answers]
)
def test_a_tunnel_that_cannot_be_made_sends_nothing(clients: Clients, behaviour: Any) -> None:
    with HostileServer(behaviour) as proxy:
        client = clients.make(
            base_url="https://elsewhere.localhost", proxy=proxy_of(proxy), timeout=TOTAL, retry=NEVER
        )
        with in_time(), pytest.raises(errors.UnreachableError, match="Nothing was sent") as caught:
            call(client, "submit_dispatch")
    assert PASSWORD not in str(caught.value) + repr(clients.inside(client))


def test_a_proxy_from_the_environment(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where that is asked for, and not for hosts that no_proxy names."""
    with HostileServer(forwards) as proxy, HostileServer(behaves) as server:
        monkeypatch.setenv("http_proxy", proxy_of(proxy))
        assert call(client_of(clients, server, timeout=30), "submit_dispatch").is_accepted
        assert (proxy.connections, server.connections) == (0, 1)
        assert call(client_of(clients, server, timeout=30, trust_env=True), "submit_dispatch").is_accepted
        assert (proxy.connections, server.connections) == (1, 1)
        monkeypatch.setenv("no_proxy", "localhost")
        assert call(client_of(clients, server, timeout=30, trust_env=True), "submit_dispatch").is_accepted
        assert (proxy.connections, server.connections) == (1, 2)


# --- many at once -------------------------------------------------------------------------------------------


def test_one_client_serves_twenty_threads(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets its own answers."""
    monkeypatch.setattr(_sockets, "KEEP_ALIVE_S", 60)  # a busy machine lets none grow too old

    def behaviour(connection: Connection) -> None:
        while request := connection.read_request():
            sent = json.loads(request.partition(b"\r\n\r\n")[2])
            event_id = sent["event_slots"][0]["event_id"]
            connection.answer(json.dumps(outgoing.dispatch_reply(event_id, "accepted")).encode())

    with HostileServer(behaviour) as server:
        client = client_of(clients, server, timeout=60, clock=SystemClock())

        def submit() -> int:
            good = 0
            for _ in range(10):
                event_id = new_id()
                receipt = client.submit_dispatch(SITE, slot(event_id=event_id), mode="test")
                good += receipt.is_accepted and receipt.item(event_id).outcome == "accepted"
            return good

        assert list(clients.together(*[submit] * 20)) == [10] * 20
        assert len(set(server.requests)) == 200
        assert server.connections <= 20
