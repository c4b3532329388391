"""Connections that carry one request at a time, many side by side: the fleet's own way to send.

No queue, no task of its own, no objects handed from library to library: that is why it costs a fraction of a
general client (`scripts/bench.py fleet`). It keeps what `mosvpp._transport` keeps: it knows whether anything
was written, asks whether the request is still wanted right before, and looks at the time that is left.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import sys
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast

from aiohappyeyeballs import start_connection

from mosvpp._answers import Answer
from mosvpp._failures import readable
from mosvpp._requests import Attempt, Failure
from mosvpp._transport import judged, no_answer, request_headers
from mosvpp.auth import Key
from mosvpp.clock import Clock
from mosvpp.timeouts import Timeout

from ._answer_parser import AnswerParser, BadAnswer

__all__ = ["Connections", "Exchange"]

_KEEP_ALIVE_S = 2.0  # we close first, as in mosvpp._sockets
_NEXT_ADDRESS_S = 0.25  # of a host with several: as RFC 8305 recommends
_ROUNDS = 5  # of the event loop, after which it has read or closed what there was to read or close


class Exchange:
    """One attempt on its way. `is_written`: something of the request may have left.

    `seconds` is for those who want to wait less than usual.
    """

    def __init__(self, attempt: Attempt, seconds: float | None = None) -> None:
        self.attempt = attempt
        self.seconds = seconds
        self.is_written = False


class Connections:
    """All connections to one origin. They belong to the event loop that they are used in."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        netloc: bytes,
        tls: ssl.SSLContext | None,
        timeout: Timeout,
        clock: Clock,
    ) -> None:
        self._host = host
        self._port = port
        self._netloc = netloc
        self._tls = tls
        self._timeout = timeout
        self._clock = clock
        self._idle: deque[_Connection] = deque()
        self._fields = ""
        self._fields_kind: tuple[Key, str, int] | None = None

    async def send(self, exchange: Exchange) -> Answer | Failure:
        """Make one attempt. Being cancelled is the one thing that escapes."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (exchange.seconds or self._timeout.total)
        while True:
            connection = self._reused(loop.time())
            if connection is None or await connection.is_quiet():
                break
        if connection is None:
            made = await self._connect(deadline)
            if isinstance(made, Failure):
                return made
            connection = made
            await connection.is_quiet()
        try:
            head = self._head(exchange.attempt)
            result = await connection.carry(exchange, head, deadline, self._timeout.read, self._clock.now)
        except BaseException:
            connection.abort()
            raise
        if connection.is_open:
            connection.idle_since = loop.time()
            self._idle.append(connection)
        return result

    def _head(self, attempt: Attempt) -> bytes:
        request = attempt.request
        kind = (attempt.key, request.method, len(request.body))
        if self._fields_kind != kind:  # most requests of a fleet have the same
            lines = [f"{name}: {value}" for name, value in request_headers(self._netloc, attempt)]
            self._fields = "\r\n".join([*lines, "", ""])
            self._fields_kind = kind
        return f"{request.method} {request.path} HTTP/1.1\r\n{self._fields}".encode("ascii")

    def _reused(self, now: float) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and now - connection.idle_since < _KEEP_ALIVE_S:
                return connection
            connection.abort()
        return None

    async def _connect(self, deadline: float) -> _Connection | Failure:
        loop = asyncio.get_running_loop()
        until = min(deadline, loop.time() + self._timeout.connect)
        try:
            async with asyncio.timeout_at(until):
                # asyncio's own race between addresses leaves the winner open when it is cancelled.
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                sock = await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_S)
                _, made = await loop.create_connection(
                    _Connection, sock=sock, ssl=self._tls, server_hostname=self._host if self._tls else None
                )
        except (OSError, UnicodeError, ValueError) as error:  # of these TimeoutError and SSLError are kinds
            name, text = type(error).__name__, readable(str(error), 200)
            return no_answer(sent=False, why=f"{name}: {text}" if text else name)
        return made

    async def aclose(self) -> None:
        """Close all that are not in use."""
        while self._idle:
            self._idle.pop().abort()
        await _some_rounds()  # the event loop closes what was aborted a moment later


async def _some_rounds() -> None:
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)


def _input_of(transport: asyncio.BaseTransport) -> Callable[[int], Sequence[object]]:
    """Asks whether there is something to read; how long to wait for it is the argument."""
    if sys.platform == "win32":  # its event loop reads ahead, so that only the loop itself can tell
        return lambda _: (True,)
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), select.POLLIN)
    return poll.poll


class _Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.is_open = False
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._input: Callable[[int], Sequence[object]] = lambda _: ()
        self._waiter: asyncio.Future[None] | None = None
        self._parser = AnswerParser()
        self._fault = ""
        self._read_by = 0.0
        self._read_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # --- told by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._input = _input_of(transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            self._end("an answer was there before the request was sent")
            return
        self._read_by = self._waiter.get_loop().time() + self._read_s
        try:
            is_complete = self._parser.feed(data)
        except BadAnswer as error:
            self._end(f"the answer makes no sense: {error}")
            return
        if is_complete:
            if not self._parser.is_clean:
                self.abort()
            self._wake()

    def eof_received(self) -> None:
        if self._waiter is not None and self._parser.ends_with_connection():
            self._parser.is_complete = True  # it had no other end
        self._end("the connection was closed")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("the connection was closed" if exc is None else f"{type(exc).__name__}: {exc}")

    # --- one exchange

    async def is_quiet(self) -> bool:
        """Whether it is open, and nothing has come that nobody asked for.

        A server that answers once too often would otherwise have that taken for the answer to what is sent
        next, to another site. The event loop may not have read it yet.
        """
        if self._transport is not None and self._input(0):
            try:
                await _some_rounds()
            except BaseException:
                self.abort()
                raise
        return self.is_open

    async def carry(
        self,
        exchange: Exchange,
        head: bytes,
        deadline: float,
        read_s: float,
        now: Callable[[], datetime],
    ) -> Answer | Failure:
        """Send the request, and wait for its answer."""
        attempt = exchange.attempt
        if not attempt.is_wanted():
            return no_answer(sent=False, why="a newer revision of the event was sent meanwhile")
        if self._transport is None or not self.is_open or self._transport.is_closing():
            return no_answer(sent=False, why=self._fault or "the connection was closed")
        loop = asyncio.get_running_loop()
        parser = self._parser = AnswerParser()
        waiter = self._waiter = loop.create_future()
        self._read_s, self._read_by = read_s, loop.time() + read_s
        timer = loop.call_at(min(deadline, self._read_by), self._look_at_time, deadline)
        exchange.is_written = True
        self._transport.write(head + attempt.request.body)
        try:
            await waiter
        finally:
            timer.cancel()
            if self._timer is not None:
                self._timer.cancel()
            self._waiter = None
        if not parser.is_begun:
            return no_answer(sent=True, why=readable(attempt.key.hide(self._fault), 200))
        answer = Answer.build(parser.status, parser.headers, parser.body, now=now(), key=attempt.key)
        broken_off = None if parser.is_complete else readable(attempt.key.hide(self._fault), 200)
        return judged(answer, parser.size, broken_off=broken_off)

    def _look_at_time(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= deadline:
            self._end("the deadline of the attempt has passed")
        elif loop.time() >= self._read_by:
            self._end("nothing came for too long")
        else:
            self._timer = loop.call_at(min(deadline, self._read_by), self._look_at_time, deadline)

    def _end(self, why: str) -> None:
        """The connection is of no use any more."""
        self._fault = self._fault or why
        self.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def abort(self) -> None:
        """Close it at once."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
