"""Sends an exchange of the log again: a call as if the partner did, a push to the partner; or a new call."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import httpx
import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from mosvpp._contract import server_path

from .outbox import Outbox
from .transports import DirectTransport
from .world import World

__all__ = ["call", "resend"]


async def resend(world: World, number: int, app: ASGIApp, api_key: str, outbox: Outbox | None) -> int:
    """The number of the new exchange. Raises `LookupError`, `RuntimeError`, `ValueError`."""
    exchange = world.exchanges.get(number)
    if exchange is None:
        raise LookupError("the log holds no such exchange (any more)")
    last = world.exchanges.last
    if exchange.direction == "received":

        async def repeated(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), "mosvpp_sandbox.repeats": number}
            await app(scope, receive, send)

        async with httpx.AsyncClient(
            transport=DirectTransport(repeated), base_url="http://localhost"
        ) as client:
            headers = {"X-API-Key": api_key, "Content-Type": "application/json"}
            await client.request(exchange.method, exchange.url, content=exchange.body, headers=headers)
    elif outbox is None:
        raise RuntimeError("the sandbox is not running")
    else:
        return outbox.repeat(exchange).number
    newer = (
        one.number
        for one in world.exchanges.newest(limit=1000)
        if one.number > last and one.repeats == number
    )
    return max(newer)


async def call(world: World, app: ASGIApp, api_key: str, path: str, body: Any) -> int:
    """POST something as the partner would; the number of its exchange, which also tells of no answer."""
    last, content = world.exchanges.last, msgspec.json.encode(body)
    async with httpx.AsyncClient(transport=DirectTransport(app), base_url="http://localhost") as client:
        headers = {"X-API-Key": api_key, "Content-Type": "application/json"}
        with suppress(httpx.TransportError):
            await client.post(server_path("v1") + path, content=content, headers=headers)
    newer = world.exchanges.newest(limit=1000)
    return max(one.number for one in newer if one.number > last and one.body == content)
