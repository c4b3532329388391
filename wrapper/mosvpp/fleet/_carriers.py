"""What stands around the sending of an attempt: a bound, less patience, a proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from mosvpp._answers import Answer
from mosvpp._requests import Failure
from mosvpp._sockets import AsyncDeadlineTransport
from mosvpp._transport import send_async
from mosvpp.clock import Clock
from mosvpp.timeouts import Timeout

from ._connections import Exchange
from ._courier import Carrier

__all__ = ["Bounded", "Hurried", "ThroughProxy"]


class ThroughProxy:
    """Sends as `AsyncClient` does, which knows proxies."""

    def __init__(
        self,
        url_of: Callable[[str], Any],
        tls: ssl.SSLContext | None,
        proxy: str,
        timeout: Timeout,
        clock: Clock,
    ) -> None:
        self._url_of = url_of
        self._transport = AsyncDeadlineTransport(tls, proxy)
        self._timeout = timeout
        self._clock = clock

    async def send(self, exchange: Exchange) -> Answer | Failure:
        """Make one attempt."""
        exchange.is_written = True  # who cancels the task will not learn how far it came
        url = self._url_of(exchange.attempt.request.path)
        timeout = self._timeout if exchange.seconds is None else Timeout(total=exchange.seconds)
        result = await send_async(self._transport, url, exchange.attempt, timeout, self._clock)
        exchange.is_written = not isinstance(result, Failure) or result.sent
        return result

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


class Bounded:
    """Has so many requests out at a time, and no more."""

    def __init__(self, carrier: Carrier, at_once: int) -> None:
        self._carrier = carrier
        self._turn = asyncio.Semaphore(at_once)

    async def send(self, exchange: Exchange) -> Answer | Failure:
        """Make one attempt."""
        async with self._turn:
            return await self._carrier.send(exchange)


class Hurried:
    """Waits for each answer no longer than so many seconds."""

    def __init__(self, carrier: Carrier, seconds: float) -> None:
        self._carrier = carrier
        self._seconds = seconds

    async def send(self, exchange: Exchange) -> Answer | Failure:
        """Make one attempt."""
        exchange.seconds = self._seconds
        return await self._carrier.send(exchange)
