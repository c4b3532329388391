"""How clients reach the sandbox without a socket; what a socket would do is done in its place."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from .broken_answers import LINE, Line

__all__ = ["DirectTransport", "LoopTransport"]


class DirectTransport(httpx.AsyncBaseTransport):
    """Hands requests to the application, in whatever event loop the caller has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for the answer, for as long as the request allows. Raises as a broken connection would."""
        line = Line()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), LINE: line}
            await self._app(scope, receive, send)

        inner = httpx.ASGITransport(app, raise_app_exceptions=False)
        try:
            with anyio.fail_after(request.extensions.get("timeout", {}).get("read")):
                answer = await inner.handle_async_request(request)
                body = await answer.aread()
        except (TimeoutError, AssertionError) as error:
            if line.broken:
                raise _broken(line, request) from None
            if isinstance(error, AssertionError):
                raise
            raise httpx.ReadTimeout("the sandbox does not answer", request=request) from None
        if line.broken:
            raise _broken(line, request)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(body))


class LoopTransport(httpx.BaseTransport):
    """Hands requests of a blocking client to the application, in the sandbox's own event loop."""

    def __init__(
        self, app: ASGIApp, call: Callable[[Coroutine[Any, Any, httpx.Response]], httpx.Response]
    ) -> None:
        self._inner = DirectTransport(app)
        self._call = call

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for the answer; a sandbox that has stopped is one that cannot be reached."""
        request.read()
        try:
            return self._call(self._inner.handle_async_request(request))
        except RuntimeError:
            raise httpx.ConnectError("the sandbox is not running", request=request) from None


def _broken(line: Line, request: httpx.Request) -> httpx.TransportError:
    if line.broken == "truncated":
        said = "peer closed connection without sending complete message body"
        return httpx.RemoteProtocolError(said, request=request)
    if line.broken == "refused":
        return httpx.ConnectError("connection refused", request=request)
    return httpx.ReadError("connection reset", request=request)
