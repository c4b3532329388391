"""The fleet's own connections, against servers that answer too much, too early, or for ever."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from hostile_server import Connection, HostileServer
from mosvpp._answers import Answer
from mosvpp._requests import Attempt, Failure, Request
from mosvpp.auth import Key
from mosvpp.clock import SystemClock
from mosvpp.fleet._connections import Connections, Exchange
from mosvpp.timeouts import Timeout

pytestmark = pytest.mark.anyio

KEY = Key("a-key-for-the-fleet")


@contextmanager
def serving(behaviour: Callable[[Connection], object]) -> Iterator[HostileServer]:
    with HostileServer(behaviour) as server:
        yield server


@asynccontextmanager
async def connected_to(server: HostileServer) -> AsyncIterator[Connections]:
    connections = Connections(
        "localhost",
        server.port,
        netloc=b"localhost",
        tls=None,
        timeout=Timeout(total=60),
        clock=SystemClock(),
    )
    try:
        yield connections
    finally:
        await connections.aclose()


def an_exchange(path: str) -> Exchange:
    request = Request(operation="submit_dispatch", method="POST", path=path, molecule_id="s", body=b"{}")
    return Exchange(Attempt(request, KEY, lambda: True))


def named_after(request: bytes) -> bytes:
    """An answer that shows to which request it belongs."""
    return request.split(b" ")[1]


async def test_a_surplus_answer_is_not_taken_for_that_to_the_next_request() -> None:
    """Also where it came, and the event loop had no time to read it yet."""
    go_on, is_there = threading.Event(), threading.Event()

    def behaviour(connection: Connection) -> None:
        while request := connection.read_request():
            connection.answer(named_after(request))
            if request.startswith(b"POST /first "):
                go_on.wait(60)
                connection.answer(b"surplus")
                is_there.set()

    with serving(behaviour) as server:
        async with connected_to(server) as connections:
            first = await connections.send(an_exchange("/first"))
            go_on.set()
            assert is_there.wait(60)  # while the event loop stands still
            second = await connections.send(an_exchange("/second"))
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert (first.body, second.body) == (b"/first", b"/second")
    assert server.connections == 2


async def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    go_on, is_closed = threading.Event(), threading.Event()

    def behaviour(connection: Connection) -> None:
        request = connection.read_request()
        connection.answer(named_after(request))
        if request.startswith(b"POST /first "):
            go_on.wait(60)
            connection.close()
            is_closed.set()

    with serving(behaviour) as server:
        async with connected_to(server) as connections:
            await connections.send(an_exchange("/first"))
            go_on.set()
            assert is_closed.wait(60)
            second = await connections.send(an_exchange("/second"))
    assert isinstance(second, Answer)
    assert second.body == b"/second"


@pytest.mark.parametrize(
    ("head", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000),
    ],
)
async def test_an_answer_without_end_is_cut_off(head: bytes, again: bytes) -> None:
    """Long before the deadline, by its size."""

    def behaviour(connection: Connection) -> None:
        connection.read_request()
        connection.send(head)
        while not connection.server.stopping.is_set():
            connection.send(again * 100)

    with serving(behaviour) as server:
        async with connected_to(server) as connections:
            result = await connections.send(an_exchange("/flood"))
            assert isinstance(result, Failure)
            assert result.sent
            assert "deadline" not in result.reason
            later = await connections.send(an_exchange("/flood"))
            assert isinstance(later, Failure)
    assert server.connections == 2
