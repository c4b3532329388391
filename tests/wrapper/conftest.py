"""Every test that takes `clients` runs over `Client`, and over `AsyncClient` on asyncio and on trio."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import outgoing
from manual_clock import ManualClock


@pytest.fixture(params=outgoing.KINDS)
def clients(request: pytest.FixtureRequest) -> Iterator[outgoing.Clients]:
    with outgoing.Clients(request.param) as made:
        yield made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
