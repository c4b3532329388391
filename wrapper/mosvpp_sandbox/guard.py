"""Who may use the control interface and the console.

On loopback everybody on this machine, unless there is a token; elsewhere only who has the token. Pages of
other sites may not: a request that a browser sends on behalf of another origin is refused, and so is one
that came by a name that is not this machine's (DNS rebinding).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from .hosts import is_loopback

__all__ = ["TOKEN_COOKIE", "Guard"]

TOKEN_COOKIE = "mosvpp_sandbox_token"  # noqa: S105  a name


class Guard:
    """Lets requests through to routes, or refuses them with 403 (401 where the token is missing)."""

    def __init__(self, token: str | None, is_near: bool) -> None:
        self._token = token
        self._is_near = is_near

    def around(self, routes: Iterable[BaseRoute]) -> list[BaseRoute]:
        """The same routes, guarded. Where nobody could be let through, none."""
        if self._token is None and not self._is_near:
            return []
        return [_Guarded(route, self) for route in routes]

    def refusal(self, connection: HTTPConnection) -> tuple[int, str] | None:
        """Status and reason, or None for a request that is welcome."""
        headers = connection.headers
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if self._is_near and not is_loopback(host):
            return 403, "Call the sandbox by the address of this machine."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "Pages of other sites may not use the sandbox."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return 403, "Pages of other sites may not use the sandbox."
        if self._token is not None and not self._has_token(connection):
            return 401, "The token is missing or wrong: Authorization: Bearer …"
        return None

    def _has_token(self, connection: HTTPConnection) -> bool:
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = _cookie(connection.headers.get("cookie", ""))
        expected = (self._token or "").encode()
        return hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected)


class _Guarded(BaseRoute):
    def __init__(self, route: BaseRoute, guard: Guard) -> None:
        self._route = route
        self._guard = guard

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return self._route.matches(scope)

    def url_path_for(self, name: str, /, **path_params: object) -> object:  # type: ignore[override]
        return self._route.url_path_for(name, **path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._guard.refusal(HTTPConnection(scope))
        if refused is None:
            await self._route.handle(scope, receive, send)
            return
        status, why = refused
        challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        await JSONResponse({"error": why}, status, challenge)(scope, receive, send)


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(TOKEN_COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
