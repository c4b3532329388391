from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest

from mosvpp_sandbox import Delivery, ManualClock, Sandbox

# Five minutes before the event of the pages' sample; the receipts in spec/examples are of this time.
BEFORE_THE_SAMPLE = datetime(2024, 1, 4, 23, 55, tzinfo=UTC)

Call = Callable[..., httpx.Response]


def call(vpp: Sandbox, method: str, path: str, **request: Any) -> httpx.Response:
    """One request to a sandbox in process, with its key unless `headers` are given."""
    request.setdefault("headers", {"X-API-Key": vpp.api_key, "Content-Type": "application/json"})

    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=vpp.async_transport(), base_url="http://sandbox") as client:
            return await client.request(method, path, **request)

    return asyncio.run(answer())


def due(vpp: Sandbox) -> list[Delivery]:
    """All that a sandbox that is not started would send by now."""
    found: list[Delivery] = []
    while True:
        some, next_at = vpp._world.advance()
        found += some
        if next_at > vpp.now():
            return found


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEFORE_THE_SAMPLE)


@pytest.fixture
def vpp(clock: ManualClock) -> Sandbox:
    """A sandbox that is not started: it answers in process, opens no port, and its time stands still."""
    return Sandbox(clock=clock)


@pytest.fixture
def send(vpp: Sandbox) -> Call:
    """Call `vpp`: method, path, and the arguments of httpx."""
    return partial(call, vpp)


@pytest.fixture(name="call")
def _call() -> Call:
    """The same for a sandbox of one's own, which comes first."""
    return call


@pytest.fixture
def gateway(vpp: Sandbox) -> str:
    return f"/v1/api/gateway/{vpp.molecule_id}"
