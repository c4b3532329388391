"""The I/O below the clients: one attempt of a request, over any httpx transport, with a deadline and a cap.

httpx has no total time-out: a server that drips a byte a second is waited for for ever. The transports made here hand the
time that is left to every single step on the socket, below TLS, so that headers are covered as well. They use the
public interfaces of httpcore (which httpx is built on) and nothing private of httpx.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing, closing
from contextvars import ContextVar
from typing import Any

import anyio
import httpcore
import httpx

from ._answers import Answer
from ._calls import MAX_ANSWER, Failure, Request
from .auth import HEADER
from .clock import Clock
from .timeouts import Timeout

__all__ = ["AsyncDeadlineTransport", "DeadlineTransport", "send", "send_async"]

_deadline: ContextVar[float | None] = ContextVar("mosvpp_deadline", default=None)

KEEP_ALIVE_S = 2.0
"""Idle connections are closed by us first: 5 s is what many servers use, and a tie loses requests."""

# What can only happen while nothing of the request has been written.
_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpcore.LocalProtocolError,
)


def _remaining(timeout: float | None, expired: type[Exception]) -> float | None:
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        msg = "the deadline of the attempt has passed"
        raise expired(msg)
    return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    """A socket on which no single step takes longer than what is left of the attempt."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _remaining(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(
            self._stream.start_tls(ssl_context, server_hostname, _remaining(timeout, httpcore.ConnectTimeout))
        )

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
        left = _remaining(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, left, local_address, socket_options))


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, _remaining(timeout, httpcore.ReadTimeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, _remaining(timeout, httpcore.WriteTimeout))

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        left = _remaining(timeout, httpcore.ConnectTimeout)
        return _AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        left = _remaining(timeout, httpcore.ConnectTimeout)
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
    bare = parsed.copy_with(userinfo=b"")
    auth = (parsed.username.encode(), parsed.password.encode()) if parsed.userinfo else None
    return httpcore.Proxy(str(bare), auth=auth)


def _core_request(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class DeadlineTransport(httpx.BaseTransport):
    """A pool of connections that keeps the deadline of an attempt."""

    def __init__(self, ssl_context: Any, proxy: str | None) -> None:
        self._pool = httpcore.ConnectionPool(**_pool_arguments(ssl_context, proxy), network_backend=_Backend())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        got = self._pool.handle_request(_core_request(request))
        return httpx.Response(got.status, headers=got.headers, stream=_Body(got.stream), extensions=got.extensions)

    def close(self) -> None:
        self._pool.close()


class AsyncDeadlineTransport(httpx.AsyncBaseTransport):
    """The same for asyncio and trio."""

    def __init__(self, ssl_context: Any, proxy: str | None) -> None:
        arguments = _pool_arguments(ssl_context, proxy)
        self._pool = httpcore.AsyncConnectionPool(**arguments, network_backend=_AsyncBackend())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        got = await self._pool.handle_async_request(_core_request(request))
        return httpx.Response(got.status, headers=got.headers, stream=_AsyncBody(got.stream), extensions=got.extensions)

    async def aclose(self) -> None:
        await self._pool.aclose()


# --- one attempt -----------------------------------------------------------------------------------------------------


def _prepared(url: httpx.URL, request: Request, key: str, timeout: Timeout) -> httpx.Request:
    headers = [
        ("Host", url.netloc.decode("ascii")),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", "mosvpp-python"),
        (HEADER, key),
    ]
    if request.is_post:
        headers += [("Content-Type", "application/json"), ("Content-Length", str(len(request.body)))]
    limits = {"connect": timeout.connect, "read": timeout.read, "write": timeout.write, "pool": timeout.pool}
    return httpx.Request(
        request.method, url, headers=headers, content=request.body or None, extensions={"timeout": limits}
    )


class _Incoming:
    """Collects an answer up to the cap."""

    def __init__(self, response: httpx.Response, clock: Clock, key: str) -> None:
        self.status = response.status_code
        self._headers = response.headers.raw
        self._clock = clock
        self._key = key
        self._chunks: list[bytes] = []
        self.size = 0

    def take(self, chunk: bytes) -> bool:
        """Keep a piece of the body; False when it is more than may be kept."""
        self._chunks.append(chunk[: MAX_ANSWER - self.size])
        self.size += len(chunk)
        return self.size <= MAX_ANSWER

    def answer(self) -> Answer:
        """What has arrived so far."""
        body = b"".join(self._chunks)
        return Answer.build(self.status, self._headers, body, now=self._clock.now(), secret=self._key)

    def too_large(self) -> Failure:
        reason = f"HTTP {self.status} with an answer of more than {MAX_ANSWER // 1024} KiB, which was cut off"
        return Failure(sent=True, reason=reason, answer=self.answer(), transient=False)


def _failed(error: Exception, incoming: _Incoming | None) -> Failure:
    """What an exception of the transport means for the request; the exception itself is not kept: it holds the key."""
    if incoming is not None:
        reason = f"HTTP {incoming.status}, but the answer broke off after {incoming.size} bytes ({_words(error)})"
        return Failure(sent=True, reason=reason, answer=incoming.answer())
    if isinstance(error, _NOTHING_SENT):
        return Failure(sent=False, reason=f"no connection could be made ({_words(error)})")
    return Failure(sent=True, reason=f"no answer came ({_words(error)})")


def _words(error: Exception) -> str:
    name = type(error).__name__
    text = str(error)
    return f"{name}: {text}" if text else name


def send(
    transport: httpx.BaseTransport, url: httpx.URL, request: Request, key: str, timeout: Timeout, clock: Clock
) -> Answer | Failure:
    """Make one attempt. Nothing that a transport raises escapes."""
    end = time.monotonic() + timeout.total
    token = _deadline.set(end)
    incoming: _Incoming | None = None
    try:
        response = transport.handle_request(_prepared(url, request, key, timeout))
        with closing(response):
            incoming = _Incoming(response, clock, key)
            for chunk in response.stream:  # type: ignore[union-attr]  # a sync transport gives a sync stream
                if not incoming.take(chunk):
                    return incoming.too_large()
                if time.monotonic() > end:
                    return _failed(TimeoutError("the deadline of the attempt has passed"), incoming)
        return incoming.answer()
    except Exception as error:  # whatever a transport raises; the outcome is what matters
        failure = _failed(error, incoming)
    finally:
        _deadline.reset(token)
    return failure


async def send_async(
    transport: httpx.AsyncBaseTransport, url: httpx.URL, request: Request, key: str, timeout: Timeout, clock: Clock
) -> Answer | Failure:
    """Make one attempt. Nothing that a transport raises escapes; being cancelled does."""
    token = _deadline.set(time.monotonic() + timeout.total)
    incoming: _Incoming | None = None
    try:
        # A transport of the caller's own may know nothing of the deadline; one of ours meets it a moment earlier, and
        # then knows whether anything was sent.
        with anyio.fail_after(timeout.total + 0.05):
            response = await transport.handle_async_request(_prepared(url, request, key, timeout))
            async with aclosing(response):
                incoming = _Incoming(response, clock, key)
                async for chunk in response.stream:  # type: ignore[union-attr]
                    if not incoming.take(chunk):
                        return incoming.too_large()
        return incoming.answer()
    except Exception as error:
        failure = _failed(error, incoming)
    finally:
        _deadline.reset(token)
    return failure
