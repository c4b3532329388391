"""Sends what the simulation wants to tell to the partner's two URLs.

How often MosVPP tries again, and after how long, is not known (unknown.delivery_rules). Here: three
attempts, each given 5 s, until the partner answers exactly 200, which is what the pages ask for
(push.answer_200). Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import msgspec

from . import messages
from .site import Delivery, Kind

__all__ = ["REMEMBERED", "Outbox", "Sent"]

ATTEMPTS = 3
TIMEOUT_S = 5.0
PAUSE_S = 0.2
WAITING = 1000
REMEMBERED = 1000

_log = logging.getLogger("mosvpp_sandbox")


@dataclass(frozen=True)
class Sent:
    """How a delivery went: the status of the last attempt, or None without an answer, and the reason."""

    delivery: Delivery
    attempts: int
    status: int | None
    reason: str = ""

    @property
    def is_acknowledged(self) -> bool:
        """Whether the partner answered exactly 200."""
        return self.status == 200


class Outbox:
    """A line of waiting deliveries for each URL, so that neither holds up the other. For one event loop."""

    def __init__(self, urls: Mapping[Kind, str], headers: Mapping[str, str], sent: deque[Sent]) -> None:
        self._urls = dict(urls)
        self._headers = dict(headers)
        self._lines: dict[Kind, asyncio.Queue[Delivery]] = {kind: asyncio.Queue(WAITING) for kind in urls}
        self._sent = sent

    def put(self, delivery: Delivery) -> None:
        """Have it sent; without a URL for its kind nothing happens."""
        line = self._lines.get(delivery.kind)
        if line is None:
            return
        try:
            line.put_nowait(delivery)
        except asyncio.QueueFull:
            self._note(Sent(delivery, 0, None, f"{WAITING} others are waiting"))

    async def drained(self) -> None:
        """Wait until nothing is waiting or on its way."""
        for line in self._lines.values():
            await line.join()

    async def run(self) -> None:
        """Send until cancelled."""
        limits = httpx.Limits(keepalive_expiry=2.0)
        # A transport and no client, which would read the Location of a redirect, and fail at an absurd one.
        async with (
            httpx.AsyncHTTPTransport(limits=limits, trust_env=False) as transport,
            asyncio.TaskGroup() as senders,
        ):
            for kind, line in self._lines.items():
                senders.create_task(self._send_all(transport, kind, line))
            await asyncio.Event().wait()  # also with no line at all: ending would end the sandbox

    async def _send_all(
        self, transport: httpx.AsyncBaseTransport, kind: Kind, line: asyncio.Queue[Delivery]
    ) -> None:
        while True:
            delivery = await line.get()
            try:
                self._note(await self._send(transport, self._urls[kind], delivery))
            finally:
                line.task_done()

    async def _send(self, transport: httpx.AsyncBaseTransport, url: str, delivery: Delivery) -> Sent:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "mosvpp-sandbox",
            messages.EVIDENCE_HEADER: messages.EVIDENCE[delivery.kind],
            **self._headers,
        }
        body = msgspec.json.encode(delivery.body)
        status, reason = None, ""
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1:
                await asyncio.sleep(PAUSE_S * 4 ** (attempt - 2))
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    status, reason = await _post(transport, url, body, headers), ""
            except Exception as error:  # noqa: BLE001  no answer of a partner may end the sandbox
                status, reason = None, type(error).__name__
            if status == 200:
                return Sent(delivery, attempt, status)
        return Sent(delivery, ATTEMPTS, status, reason or "the partner did not answer 200")

    def _note(self, sent: Sent) -> None:
        self._sent.append(sent)
        kind = sent.delivery.kind.replace("_", " ")
        if sent.is_acknowledged:
            _log.info("%s: %s", kind, sent.status)
        else:
            _log.warning("%s was not delivered: %s (%s)", kind, sent.status or "no answer", sent.reason)


async def _post(
    transport: httpx.AsyncBaseTransport, url: str, body: bytes, headers: Mapping[str, str]
) -> int:
    """The status of the answer; the rest of it is not read."""
    timeout = httpx.Timeout(TIMEOUT_S).as_dict()
    request = httpx.Request("POST", url, content=body, headers=headers, extensions={"timeout": timeout})
    answer = await transport.handle_async_request(request)
    await answer.aclose()
    return answer.status_code
