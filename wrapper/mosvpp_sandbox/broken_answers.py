"""Answers that misbehave on the wire, for the faults of calls.

A server that closes a connection for no reason is none that a web framework offers: whoever carries the
request puts a `Line` into its scope, and tells by it how to reset the connection.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from functools import lru_cache

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["LINE", "DrippingAnswer", "HangingAnswer", "Line", "ResetAnswer", "TruncatedAnswer", "gzip_bomb"]

LINE = "mosvpp_sandbox.line"


class Line:
    """The connection on which a request came."""

    def __init__(self, reset: Callable[[], None] | None = None) -> None:
        self._reset = reset
        self.broken = ""

    async def cut(self, how: str, receive: Receive) -> None:
        """Reset it; `how` is refused, reset, dropped or truncated. In process it is only noted."""
        self.broken = how
        if self._reset is not None:
            self._reset()
            await _until_closed(receive)  # else the server would answer in our place


def _line(scope: Scope) -> Line:
    found: Line = scope.get("extensions", {}).get(LINE) or Line()
    return found


async def _until_closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class ResetAnswer(Response):
    """No answer: the connection is reset."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cut the line, and wait until the server has noticed."""
        await _line(scope).cut(self._how, receive)


class HangingAnswer(Response):
    """No answer, for as long as the caller waits."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait."""
        await _until_closed(receive)


class TruncatedAnswer(Response):
    """Announces all of its body, and sends half of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the half, then cut the line."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await asyncio.sleep(0.05)  # so that the half is on its way before the reset overtakes it
        await _line(scope).cut("truncated", receive)


class DrippingAnswer(Response):
    """Sends one byte of its body at a time."""

    pause_s = 1.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, and pause; when the caller has gone, stop."""
        gone = asyncio.create_task(_until_closed(receive))
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            body = bytes(self.body)
            for place in range(len(body)):
                await send({"type": "http.response.body", "body": body[place : place + 1], "more_body": True})
                await asyncio.wait([gone], timeout=self.pause_s)
                if gone.done():
                    return
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()


@lru_cache(maxsize=4)
def gzip_bomb(megabytes: int) -> bytes:
    """So many megabytes of zeros, packed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = [packer.compress(bytes(1_000_000)) for _ in range(megabytes)]
    return b"".join([*packed, packer.flush()])
