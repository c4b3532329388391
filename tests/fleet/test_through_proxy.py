"""A fleet behind a forward proxy: the same rules, and nothing for the proxy to read where there is TLS."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from forward_proxy import ForwardProxy
from gateways import Gateway
from hostile_server import HostileServer
from mosvpp import discharge, kW
from mosvpp.fleet import AsyncFleet, Journal, Plan, State, plan_dispatch
from mosvpp.retry import RetryPolicy
from mosvpp.slots import EventSlot

pytestmark = pytest.mark.anyio

KEY = "a-key-for-the-fleet"
START = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
SITES = [f"{index:016x}" for index in range(30)]
AT_ONCE = RetryPolicy(first_delay=0, longest_delay=0, budget=1000)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture(params=["http", "https"])
def origin(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[tuple[HostileServer, object]]:
    """A gateway, and what a client needs to trust it."""
    if request.param == "http":
        with HostileServer(gateway.serve) as server:
            yield server, None
        return
    authority = trustme.CA()
    own, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(own)
    authority.configure_trust(trusting)
    with HostileServer(gateway.serve, tls=own) as server:
        yield server, trusting


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with ForwardProxy() as proxy:
        yield proxy


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Journal]:
    with Journal(f"sqlite:///{tmp_path}/fleet.db") as journal:
        yield journal


def make_fleet(book: Journal, origin: tuple[HostileServer, object], proxy: str, **more: object) -> AsyncFleet:
    server, trusting = origin
    arguments = {"concurrency": 12, "timeout": 30.0, "retry": AT_ONCE, **more}
    return AsyncFleet(
        book,
        KEY,
        base_url=server.origin,
        allow_live=True,
        proxy=proxy,
        ssl_context=trusting,
        **arguments,
    )


def an_event() -> EventSlot:
    return discharge(5 * kW, start=START, duration=timedelta(hours=1), priority=10)


def plan_of(slot: EventSlot) -> Plan:
    return plan_dispatch(SITES, slot, mode="live", now=datetime.now(UTC), rate=1e6, allow_live=True)


async def test_each_site_gets_the_event_once(
    book: Journal, gateway: Gateway, origin: tuple[HostileServer, object], proxy: ForwardProxy
) -> None:
    async with make_fleet(book, origin, proxy.url) as fleet:
        done = await fleet.execute(plan_of(an_event()))
    assert done.counts == {"accepted": 30}
    assert sorted(site for site, _ in gateway.received) == SITES
    assert book.summary() == {State.CONFIRMED: 30}
    seen = b"".join(proxy.requests)
    assert proxy.requests  # nothing went past it
    if origin[0].tls:
        assert {request.split(b" ")[0] for request in proxy.requests} == {b"CONNECT"}
        assert KEY.encode() not in seen


async def test_what_may_have_been_received_is_not_sent_again(
    book: Journal, gateway: Gateway, origin: tuple[HostileServer, object], proxy: ForwardProxy
) -> None:
    gateway.acts[SITES[3]] = ["drop", "accept"]
    gateway.acts[SITES[4]] = ["broken", "accept"]
    gateway.acts[SITES[5]] = ["busy", "accept"]
    async with make_fleet(book, origin, proxy.url) as fleet:
        done = await fleet.execute(plan_of(an_event()))
    assert done.counts == {"accepted": 28, "unknown": 2}
    assert [len(gateway.of(site)) for site in SITES[3:6]] == [1, 1, 2]


async def test_a_proxy_that_lets_nobody_through_to_tls_leaves_everything_unsent(
    book: Journal, gateway: Gateway, proxy: ForwardProxy
) -> None:
    slot = an_event()
    with HostileServer(gateway.serve) as server:
        origin = (server, ssl.create_default_context())
        server.origin = server.origin.replace("http:", "https:")  # it is never asked to greet
        wrong = proxy.url.replace("canary-password", "another")
        async with make_fleet(book, origin, wrong) as fleet:
            done = await fleet.execute(plan_of(slot))
    assert done.counts == {"not_sent": 30}
    assert not gateway.received
    assert book.summary() == {State.PLANNED: 30}
    known = book.get(SITES[0], slot.event_id)
    assert known is not None
    assert "canary" not in repr(known)


async def test_a_run_that_is_cancelled_knows_what_was_out(
    book: Journal, gateway: Gateway, origin: tuple[HostileServer, object], proxy: ForwardProxy
) -> None:
    arrived = threading.Event()
    gateway.acts[SITES[0]] = ["hang"]
    gateway.on_request = lambda site, _: arrived.set() if site == SITES[0] else None
    slot = an_event()
    async with make_fleet(book, origin, proxy.url, concurrency=1) as fleet:
        run = asyncio.create_task(fleet.execute(plan_of(slot)))
        assert await asyncio.to_thread(arrived.wait, 60)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert {one.molecule_id for one in book.find() if one.state is State.UNKNOWN} == {SITES[0]}
        await fleet.execute(plan_of(slot))
    assert book.summary() == {State.UNKNOWN: 1, State.CONFIRMED: 29}
    assert len(gateway.of(SITES[0])) == 1


async def test_a_stop_gets_through(
    book: Journal, gateway: Gateway, origin: tuple[HostileServer, object], proxy: ForwardProxy
) -> None:
    for site in SITES[:5]:
        gateway.acts[site] = ["accept", "drop", "broken", "accept"]
    async with make_fleet(book, origin, proxy.url) as fleet:
        await fleet.execute(plan_of(an_event()))
        stopping = await fleet.stop()
    assert (stopping.stopped, stopping.requests) == (30, 40)
    assert stopping.is_complete
    assert book.summary() == {State.CANCELLED: 30}
