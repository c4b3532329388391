"""A console and somebody who asks it, without a browser."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mosvpp_sandbox import ManualClock, Sandbox

NOON = datetime(2024, 1, 5, 12, 0, tzinfo=UTC)


class Console:
    """A sandbox that is not started, and what its pages answer."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock(NOON)
        self.vpp = Sandbox(clock=self.clock, **options)
        self.site = self.vpp.molecule_id

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        async def answer() -> httpx.Response:
            inside = self.vpp.async_transport()
            async with httpx.AsyncClient(transport=inside, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, **request)

        return asyncio.run(answer())

    def page(self, path: str) -> str:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def press(self, path: str, **fields: Any) -> httpx.Response:
        """What htmx sends when a button is pressed, or a form is sent."""
        return self.ask("POST", path, data=fields, headers={"HX-Request": "true"})

    def dispatch(self, **fields: Any) -> httpx.Response:
        given = {
            "mode": "live",
            "event_type": "discharge",
            "event_quantity": "3",
            "event_unit": "kW",
            "starts_in": "0",
            "lasts": "60",
            "priority": "50",
        }
        return self.press(f"/console/sites/{self.site}/dispatch", **{**given, **fields})

    def command(self, **fields: Any) -> httpx.Response:
        given = {
            "device": ["20000", "21000"],
            "cmd_type": "discharge",
            "cmd_quantity": "2",
            "cmd_unit": "kW",
            "scmd_secs": "900",
        }
        return self.press(f"/console/sites/{self.site}/command", **{**given, **fields})


@pytest.fixture
def console() -> Console:
    return Console(sites=3)


@pytest.fixture
def consoles() -> type[Console]:
    """To make one of one's own."""
    return Console
