"""Many dispatches at once: the fleet with all that it does, against clients that only send the same bytes.

The fleet checks each request, notes it durably before it leaves and what it came to after, and reads a typed
receipt. The others post a body that is ready, and look at the status. All of them have 200 requests out at a
time, and talk to the same server, which is a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from pyreqwest.client import ClientBuilder
from pyreqwest.compatibility.httpx import HttpxTransport

from mosvpp import EventSlot, discharge, kW
from mosvpp.fleet import Journal, plan_dispatch
from mosvpp.fleet.fleet import AsyncFleet

from .measured import Goal, Measured

GOALS: dict[str, Goal] = {"vs_httpx": Goal("at least", 12.0), "vs_aiohttp": Goal("at least", 0.6)}

AT_ONCE = 200
KEY = "a key of the partner"
_HEADERS = {"X-API-Key": KEY, "Content-Type": "application/json", "Accept-Encoding": "identity"}

Post = Callable[[], Awaitable[None]]


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The origin of a server that accepts everything."""
    program = Path(__file__).with_name("fleet_server.py")
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def _slot() -> EventSlot:
    start = datetime.now(UTC) + timedelta(days=1)
    return discharge(5 * kW, start=start, duration=timedelta(hours=1), priority=10, event_id=uuid4())


def _body() -> bytes:
    return (
        b'{"mode":"live","event_slots":[{"event_id":"8a7da4d3-5ad6-42f6-bcad-6194bbd2f68d",'
        b'"start_time":"2030-01-05T00:00:00Z","end_time":"2030-01-05T01:00:00Z","event_type":"discharge",'
        b'"event_quantity":5.0,"event_unit":"kW","priority":10,"mandatory":false,"cancelled":false}]}'
    )


async def _posts(post: Post, number: int) -> float:
    """Requests a second."""
    left = iter(range(number))

    async def work() -> None:
        for _ in left:
            await post()

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return number / (time.perf_counter() - began)


@contextlib.asynccontextmanager
async def _aiohttp(url: str) -> AsyncIterator[Post]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def post() -> None:
            async with session.post(url, data=_body(), headers=_HEADERS) as answer:
                await answer.read()
                assert answer.status == 200

        yield post


@contextlib.asynccontextmanager
async def _httpx(url: str) -> AsyncIterator[Post]:
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(limits=limits, timeout=120) as client:

        async def post() -> None:
            answer = await client.post(url, content=_body(), headers=_HEADERS)
            assert answer.status_code == 200

        yield post


@contextlib.asynccontextmanager
async def _transport(url: str, transport: Any) -> AsyncIterator[Post]:
    async with transport:

        async def post() -> None:
            request = httpx.Request("POST", url, content=_body(), headers=_HEADERS)
            answer = await transport.handle_async_request(request)
            await answer.aread()
            assert answer.status_code == 200

        yield post


def _peers(url: str) -> dict[str, tuple[Callable[[], Any], float]]:
    """How each is made, and the part of the requests that it gets: httpx is too slow for all of them."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    return {
        "aiohttp": (lambda: _aiohttp(url), 1.0),
        "httpx": (lambda: _httpx(url), 0.1),
        "httpx_aiohttp_transport": (lambda: _transport(url, AiohttpTransport(limits=limits)), 0.5),
        "pyreqwest_transport": (lambda: _transport(url, HttpxTransport(ClientBuilder().build())), 0.5),
    }


async def _round(origin: str, number: int) -> dict[str, float]:
    """Requests a second of each, one after the other."""
    found = {"fleet": await _fleet(origin, number)}
    for name, (make, part) in _peers(f"{origin}/v1/api/gateway/fecd0001c031e7e8/dr").items():
        async with make() as post:
            await _posts(post, AT_ONCE)  # so that connections are there
            gc.collect()
            found[name] = await _posts(post, int(number * part))
    return found


async def _fleet(origin: str, number: int) -> float:
    """The fleet, from the plan to the last note in the journal; connections are made on the way."""
    sites = [f"{index:016x}" for index in range(number)]
    with tempfile.TemporaryDirectory() as folder, Journal(f"sqlite:///{folder}/fleet.db") as journal:
        async with AsyncFleet(journal, KEY, base_url=origin, allow_live=True, concurrency=AT_ONCE) as fleet:
            now = datetime.now(UTC)
            plan = plan_dispatch(sites, _slot(), mode="live", now=now, rate=1e9, allow_live=True)
            gc.collect()
            began = time.perf_counter()
            execution = await fleet.execute(plan)
            took = time.perf_counter() - began
            assert execution.counts == {"accepted": number}, execution.counts
    return number / took


def measure(rounds: int | None = None, *, quick: bool = False) -> Measured:
    """Take turns with the peers, and compare the medians of the rounds."""
    rounds, number = rounds or (3 if quick else 7), 3_000 if quick else 10_000
    with server() as origin:
        seen = [asyncio.run(_round(origin, number)) for _ in range(rounds)]
    rates = {name: statistics.median(one[name] for one in seen) for name in seen[0]}
    return Measured(
        ratios={
            "vs_httpx": rates["fleet"] / rates["httpx"],
            "vs_aiohttp": statistics.median(one["fleet"] / one["aiohttp"] for one in seen),
        },
        figures={"requests_per_second": {name: round(rate) for name, rate in rates.items()}},
        notes=[
            f"{AT_ONCE} requests at a time, {number:,} a round, {rounds} rounds; requests a second: "
            + ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
        ],
    )
