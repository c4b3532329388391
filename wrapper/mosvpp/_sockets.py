"""Pools of connections that keep the deadline of an attempt, and know whether its request was written.

httpx has no total time-out: a server that drips a byte a second is waited for for ever. The transports made
here hand the time that is left to every single step on the socket, below TLS, so that headers are covered as
well. They use the public interfaces of httpcore (which httpx is built on) and nothing private of httpx.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Self, cast

import anyio.lowlevel
import httpcore
import httpx

from .auth import Key
from .errors import RuleError

__all__ = ["AsyncDeadlineTransport", "DeadlineTransport", "Progress"]

KEEP_ALIVE_S = 2.0
"""Idle connections are closed by us first: 5 s is what many servers use, and a tie loses requests."""

_WRITTEN_AT_ONCE = 16 * 1024  # so that a server that reads slowly meets the deadline, too


class Progress:
    """How far an attempt has come. A context variable holds it: a socket knows nothing of requests."""

    _current: ContextVar[Progress] = ContextVar("mosvpp_progress")

    def __init__(self, *, seconds: float, key: Key, is_wanted: Callable[[], bool]) -> None:
        self.deadline = time.monotonic() + seconds
        self.key = key
        self.is_watched = False
        """Whether the attempt goes over sockets of this module, so that `is_written` can be relied upon."""
        self.is_written = False
        self.is_read = False
        """Whether anything was read since the request began to be written; else no answer is one to it."""
        self._is_wanted = is_wanted

    @classmethod
    def current(cls) -> Progress:
        """The attempt that this thread or task is at. Raises `LookupError` where it is at none."""
        return cls._current.get()

    def __enter__(self) -> Self:
        self._token = self._current.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        self._current.reset(self._token)

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() > self.deadline

    def after_read(self) -> None:
        """Note that something came in."""
        self.is_read = self.is_read or self.is_written

    def stop(self) -> None:
        """Let the next step on the socket fail: that unwinds httpcore, while to leave its loops does not."""
        self.deadline = float("-inf")

    def before_write(self, data: bytes) -> None:
        """Note that the request begins to be written; or refuse that, for a newer one may be out meanwhile.

        What goes to a proxy before (CONNECT) is no part of the request.
        """
        if not self.is_written and data.startswith((b"GET ", b"POST ")):
            if not self._is_wanted():
                raise httpcore.LocalProtocolError("a newer revision of the event was sent meanwhile")
            self.is_written = True


def _left(timeout: float | None, expired: type[Exception]) -> float | None:
    left = Progress.current().deadline - time.monotonic()
    if left <= 0:
        raise expired("the deadline of the attempt has passed")
    return left if timeout is None else min(left, timeout)


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _WRITTEN_AT_ONCE] for start in range(0, len(data), _WRITTEN_AT_ONCE))


class _Stream(httpcore.NetworkStream):
    """A socket on which no single step takes longer than what is left of the attempt."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))
        Progress.current().after_read()
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        Progress.current().before_write(buffer)
        for piece in _pieces(buffer):
            self._stream.write(piece, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        # One by one: left to itself, the standard library gives each address of the host the whole time.
        error: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in _addresses(host, port):
            left = _left(timeout, httpcore.ConnectTimeout)
            try:
                stream = self._backend.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
            else:
                return _Stream(stream)
        raise error


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host}: {error}") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))
        Progress.current().after_read()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        Progress.current().before_write(buffer)
        for piece in _pieces(buffer):
            await self._stream.write(piece, _left(timeout, httpcore.WriteTimeout))

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: Any,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    def __init__(self) -> None:
        # pyright sees only what httpcore puts in its place where anyio is missing.
        self._backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _AsyncStream(await self._backend.connect_tcp(host, port, left, local_address, socket_options))


def _pool_arguments(ssl_context: Any, proxy: str | None) -> dict[str, Any]:
    return {
        "ssl_context": ssl_context,
        "proxy": None if proxy is None else _proxy(proxy),
        "max_connections": 100,
        "keepalive_expiry": KEEP_ALIVE_S,
        "http1": True,
        "http2": False,
        "retries": 0,
    }


def _proxy(url: str) -> httpcore.Proxy:
    parsed = httpx.URL(url)
    auth = (parsed.username.encode(), parsed.password.encode()) if parsed.userinfo else None
    return httpcore.Proxy(str(parsed.copy_with(userinfo=b"")), auth=auth)


def _core_request(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=_Content(request.content),
        extensions=request.extensions,
    )


class _Content:
    """The body of a request, in one piece. No generator, so that none is left open when writing fails."""

    def __init__(self, data: bytes) -> None:
        self._left = [data]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._left)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        self._stream.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        await self._stream.aclose()


class DeadlineTransport(httpx.BaseTransport):
    """A pool of connections that keeps the deadline of an attempt."""

    def __init__(self, ssl_context: Any, proxy: str | None) -> None:
        self._pool = httpcore.ConnectionPool(
            **_pool_arguments(ssl_context, proxy), network_backend=_Backend()
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, and give back the answer as soon as its headers are there."""
        Progress.current().is_watched = True
        got = self._pool.handle_request(_core_request(request))
        return httpx.Response(
            got.status, headers=got.headers, stream=_Body(got.stream), extensions=got.extensions
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class AsyncDeadlineTransport(httpx.AsyncBaseTransport):
    """The same for asyncio and trio. Its connections belong to the event loop that it was first used in."""

    def __init__(self, ssl_context: Any, proxy: str | None) -> None:
        arguments = _pool_arguments(ssl_context, proxy)
        self._pool = httpcore.AsyncConnectionPool(**arguments, network_backend=_AsyncBackend())
        self._loop: object = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, and give back the answer as soon as its headers are there."""
        loop = anyio.lowlevel.current_token()
        if self._loop is None:
            self._loop = loop
        elif self._loop != loop:
            msg = (
                "this AsyncClient belongs to another event loop; make one in each (asyncio.run makes a loop)"
            )
            raise RuleError(msg, path="client", rule="event_loop")
        Progress.current().is_watched = True
        got = await self._pool.handle_async_request(_core_request(request))
        return httpx.Response(
            got.status, headers=got.headers, stream=_AsyncBody(got.stream), extensions=got.extensions
        )

    async def aclose(self) -> None:
        """Close all connections; those of an event loop that is gone went with it."""
        if self._loop in (None, anyio.lowlevel.current_token()):
            await self._pool.aclose()


class _KeyOutOfLogs(logging.Filter):
    """httpcore logs the headers of answers at DEBUG, and a server may echo the key in one."""

    def filter(self, record: logging.LogRecord) -> bool:
        with contextlib.suppress(LookupError):  # somebody else's use of httpcore
            record.msg, record.args = Progress.current().key.hide(record.getMessage()), None
        return True


for _name in ("httpcore.connection", "httpcore.http11", "httpcore.proxy"):
    logging.getLogger(_name).addFilter(_KeyOutOfLogs())
