"""What only an event loop can do to a client: cancel it, run many calls at once, end and be replaced."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest

import outgoing
from hostile_server import Connection, HostileServer
from manual_clock import ManualClock
from mosvpp import AsyncClient, RetryPolicy, errors
from outgoing import EVENT_ID, KEY, SITE, Server, dispatch_reply, reply, slot

BACKENDS = ["asyncio", "trio"]
YES = json.dumps(dispatch_reply(EVENT_ID, "accepted")).encode()


def client_of(server: HostileServer, **options: Any) -> AsyncClient:
    given = {"base_url": server.origin, "timeout": 30, "retry": outgoing.NEVER, "clock": ManualClock()}
    return AsyncClient(KEY, **{**given, **options})


def says_yes(connection: Connection) -> None:
    while connection.read_request():
        connection.answer(YES)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cancelled_call_ends_at_once_and_leaves_the_client_usable(backend: str) -> None:
    """At each stage: while the answer is waited for, and while it comes."""
    stages: list[Any] = [
        lambda connection: (connection.read_request(), connection.hang()),
        lambda connection: (
            connection.read_request(),
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
            connection.hang(),
        ),
        says_yes,
    ]

    async def main() -> None:
        async with client_of(server) as client:
            for _ in range(2):
                with anyio.move_on_after(2) as scope:
                    await client.submit_dispatch(SITE, slot(), mode="test")
                assert scope.cancelled_caught
            receipt = await client.submit_dispatch(SITE, slot(), mode="test")
            assert receipt.is_accepted

    def behaviour(connection: Connection) -> None:
        stages.pop(0)(connection)

    with HostileServer(behaviour) as server:
        anyio.run(main, backend=backend)
    assert len(server.requests) == 3, "no cancelled request is sent again"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_cancelled_in_its_pause_sends_nothing_more(backend: str) -> None:
    server = Server(reply(429, headers={"Retry-After": "60"}))

    class Sleeps(ManualClock):
        async def sleep_async(self, seconds: float) -> None:
            await anyio.sleep(seconds)

    async def main() -> None:
        transport = httpx.MockTransport(server)
        async with AsyncClient(KEY, base_url=outgoing.ORIGIN, transport=transport, clock=Sleeps()) as client:
            with anyio.move_on_after(0.05):
                await client.submit_dispatch(SITE, slot(), mode="test")

    anyio.run(main, backend=backend)
    assert len(server.requests) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_time_out_of_the_caller_is_the_callers(backend: str) -> None:
    """Not taken for one of ours."""

    async def main() -> None:
        async with client_of(server) as client:
            with pytest.raises(TimeoutError):
                with anyio.fail_after(0.3):
                    await client.submit_dispatch(SITE, slot(), mode="test")

    with HostileServer(Connection.hang) as server:
        anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_transport_that_knows_no_deadline_is_held_to_it(backend: str) -> None:
    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await anyio.sleep(60)
            raise AssertionError

    async def main() -> None:
        client = AsyncClient(
            KEY, base_url=outgoing.ORIGIN, transport=Slow(), timeout=0.2, retry=outgoing.NEVER
        )
        with pytest.raises(errors.OutcomeUnknownError):
            await client.submit_dispatch(SITE, slot(), mode="test")

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_body_that_waits_for_ever_in_another_transport(backend: str) -> None:
    class Waits(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            await anyio.sleep(60)

    async def main() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Waits()))
        client = AsyncClient(
            KEY, base_url=outgoing.ORIGIN, transport=transport, timeout=0.2, retry=outgoing.NEVER
        )
        with pytest.raises(errors.OutcomeUnknownError, match="after 1 bytes"):
            await client.submit_dispatch(SITE, slot(), mode="test")

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_many_calls_at_once(backend: str) -> None:
    """Each task has its own deadline and its own answer."""

    def behaviour(connection: Connection) -> None:
        while request := connection.read_request():
            sent = json.loads(request.partition(b"\r\n\r\n")[2])["event_slots"][0]["event_id"]
            connection.answer(json.dumps(dispatch_reply(sent, "accepted")).encode())

    async def submit(client: AsyncClient, accepted: list[bool]) -> None:
        own = slot(event_id=None)
        receipt = await client.submit_dispatch(SITE, own, mode="test")
        accepted.append(receipt.item(own.event_id).outcome == "accepted")

    async def main() -> list[bool]:
        accepted: list[bool] = []
        async with client_of(server) as client, anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(submit, client, accepted)
        return accepted

    with HostileServer(behaviour) as server:
        assert anyio.run(main, backend=backend) == [True] * 50
    assert len(server.requests) == 50


def test_a_client_belongs_to_one_event_loop() -> None:
    """Its connections do; a second loop gets a rule, and not what a dead loop leaves."""
    with HostileServer(says_yes) as server:
        client = client_of(server, retry=RetryPolicy(first_delay=0))

        async def submit() -> Any:
            return await client.submit_dispatch(SITE, slot(), mode="test")

        async def submit_and_close() -> None:
            await submit()
            await submit()
            await client._transport._pool.aclose()

        asyncio.run(submit_and_close())
        with pytest.raises(errors.RuleError, match="event loop") as caught:
            asyncio.run(submit())
        assert caught.value.rule == "event_loop"
        asyncio.run(client.aclose())
        assert len(server.requests) == 2


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_can_be_closed_after_the_end_of_its_loop() -> None:
    """What the loop left open, Python complains of, and we do not fall over it."""

    def use_and_close(client: AsyncClient) -> None:
        async def submit() -> Any:
            return await client.submit_dispatch(SITE, slot(), mode="test")

        assert asyncio.run(submit()).is_accepted
        asyncio.run(client.aclose())

    with HostileServer(says_yes) as server:
        use_and_close(client_of(server))
        gc.collect()


def test_a_client_over_another_transport_may_be_used_in_any_loop() -> None:
    transport = httpx.MockTransport(Server(reply(200, YES)))
    client = AsyncClient(KEY, base_url=outgoing.ORIGIN, transport=transport, clock=ManualClock())

    async def submit() -> Any:
        return await client.submit_dispatch(SITE, slot(), mode="test")

    assert asyncio.run(submit()).is_accepted
    assert anyio.run(submit, backend="trio").is_accepted


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_client_that_was_never_used_can_be_closed(backend: str) -> None:
    async def main() -> None:
        async with AsyncClient(KEY, base_url=outgoing.ORIGIN):
            pass

    anyio.run(main, backend=backend)
