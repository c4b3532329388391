"""Sends one delivery and tells what came back: a status or none, and after how long. Never raises for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from .target import Kind, Target

__all__ = ["Answer", "Sender"]

LARGEST_ANSWER = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """`status` is None where there was no answer; `reason` then says why. `seconds` ends with the answer.

    What the receiver says beside its status is not kept: it might repeat a secret.
    """

    status: int | None
    seconds: float
    reason: str = ""

    @property
    def is_taken(self) -> bool:
        """Whether a sender would take the delivery for delivered."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_refused(self) -> bool:
        """Whether it was turned away on purpose."""
        return self.status is not None and 400 <= self.status < 500

    @property
    def is_sound(self) -> bool:
        """Whether there was an answer, and it does not tell of a fault of the receiver."""
        return self.status is not None and self.status < 500

    def __str__(self) -> str:
        return self.reason if self.status is None else f"{self.status} after {_shown(self.seconds)}"


class Sender:
    """A new connection for each delivery, so that none suffers from what was sent before it."""

    def __init__(self, target: Target) -> None:
        self._urls = target.urls
        self._patience = target.within + 5.0  # to tell a slow answer from none
        self._transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_keepalive_connections=0), trust_env=False
        )

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def send(self, kind: Kind, body: bytes, headers: Mapping[str, str], mark: str) -> Answer:
        """Send it once; `mark` goes along, so that the partner finds the check in its own log."""
        timeout = httpx.Timeout(self._patience).as_dict()
        given = {"User-Agent": "mosvpp-sandbox", "X-MosVPP-Certify": mark, **headers}
        began = time.perf_counter()
        status: int | None = None
        try:
            request = httpx.Request(
                "POST", self._urls[kind], content=body, headers=given, extensions={"timeout": timeout}
            )
            async with asyncio.timeout(self._patience):
                status, reason = await self._answer(request), ""
        except TimeoutError:
            reason = f"no answer within {self._patience:g} s"
        except Exception as error:  # noqa: BLE001  whatever an answer provokes is a finding, not a fault of ours
            reason = _REASONS.get(type(error), f"no readable answer ({type(error).__name__})")
        return Answer(status, time.perf_counter() - began, reason)

    async def _answer(self, request: httpx.Request) -> int:
        answer = await self._transport.handle_async_request(request)
        try:
            size = 0
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > LARGEST_ANSWER:
                    break
        finally:
            await answer.aclose()
        return answer.status_code


_REASONS: dict[type[Exception], str] = {
    httpx.ConnectError: "no connection",
    httpx.ConnectTimeout: "no connection in time",
    httpx.ReadError: "the connection broke before an answer",
    httpx.ReadTimeout: "no answer in time",
    httpx.RemoteProtocolError: "the connection ended before an answer",
    httpx.WriteError: "the connection broke while sending",
}


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
