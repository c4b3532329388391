"""A connection to one URL of the partner, for one POST after the other.

A client library takes three times as long as all the rest of a push together, and follows, unpacks and
remembers what the sandbox must not: so this is h11 on a socket. Redirects are answers like any other, nothing
but the head of an answer is looked at, and proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TypeAlias

import h11
import httpx

__all__ = ["Answer", "Posting"]

Answer: TypeAlias = tuple[int, list[tuple[str, str]]]
_IDLE_S = 2.0  # below the time after which servers close idle connections
_REST_S = 1.0
_LARGEST_REST = 64 * 1024


class Posting:
    """Opens its connection when needed, and again when it was closed. For one task at a time."""

    def __init__(self, url: str) -> None:
        parsed = httpx.URL(url)
        is_secure = parsed.scheme == "https"
        self._place = (parsed.host, parsed.port or (443 if is_secure else 80))
        self._ssl = ssl.create_default_context() if is_secure else None
        self._target = parsed.raw_path
        self._host = parsed.netloc.decode("ascii")
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._protocol = h11.Connection(h11.CLIENT)
        self._used_at = 0.0

    async def post(self, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
        """Status and headers of the answer. Raises `OSError` or `h11.ProtocolError`."""
        reader, writer = await self._connected()
        try:
            writer.write(self._written(headers, body))
            await writer.drain()
            answer = await self._answer(reader)
            await self._finish(reader)
        except BaseException:
            self.close()
            raise
        self._used_at = time.monotonic()
        return answer

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._open is not None:
            self._open[1].transport.abort()
            self._open = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._open is not None:
            reader, writer = self._open
            is_fresh = time.monotonic() - self._used_at < _IDLE_S
            if is_fresh and not reader.at_eof() and not writer.is_closing():
                return self._open
            self.close()
        host, port = self._place
        self._open = await asyncio.open_connection(host, port, ssl=self._ssl)
        self._protocol = h11.Connection(h11.CLIENT)
        return self._open

    def _written(self, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
        head: list[tuple[str, str]] = [("Host", self._host), *headers, ("Content-Length", str(len(body)))]
        request = h11.Request(method="POST", target=self._target, headers=head)
        parts = (self._protocol.send(event) for event in (request, h11.Data(body), h11.EndOfMessage()))
        return b"".join(part for part in parts if part)

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        while True:
            event = await self._event(reader)
            if isinstance(event, h11.Response):
                told = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
                return event.status_code, told
            if isinstance(event, h11.ConnectionClosed):
                raise ConnectionResetError("closed without an answer")

    async def _finish(self, reader: asyncio.StreamReader) -> None:
        """Read over the rest of the answer, so that the connection can be used again; give up early."""
        rest = 0
        with suppress(TimeoutError, OSError, h11.ProtocolError):
            async with asyncio.timeout(_REST_S):
                while rest < _LARGEST_REST:
                    event = await self._event(reader)
                    if isinstance(event, h11.Data):
                        rest += len(event.data)
                    else:
                        break
        if self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE:
            self._protocol.start_next_cycle()
        else:
            self.close()

    async def _event(self, reader: asyncio.StreamReader) -> object:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await reader.read(65536))
        return event
