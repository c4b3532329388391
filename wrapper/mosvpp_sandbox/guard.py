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
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from .hosts import is_loopback

__all__ = ["DOOR", "TOKEN_COOKIE", "Guard"]

TOKEN_COOKIE = "mosvpp_sandbox_token"  # noqa: S105  a name
DOOR = "/console/sign-in"


class Guard:
    """Lets requests through to routes, or refuses them with 403 (401 where the token is missing)."""

    def __init__(self, token: str | None, is_near: bool) -> None:
        self._token = token
        self._is_near = is_near

    def around(self, routes: Iterable[BaseRoute], *, is_door: bool = False) -> list[BaseRoute]:
        """The same routes, guarded. Where nobody could be let through, none.

        A door is where people give the token, so that it asks for none.
        """
        if self._token is None and not self._is_near:
            return []
        return [_Guarded(route, self, is_door) for route in routes]

    def accepts(self, token: str) -> bool:
        """Whether that is the token; without one, anything is."""
        return self._token is None or hmac.compare_digest(
            token.strip().encode("utf-8", "replace"), self._token.encode()
        )

    def refusal(self, connection: HTTPConnection, *, is_door: bool = False) -> tuple[int, str] | None:
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
        if not is_door and not self._has_token(connection):
            return 401, "The token is missing or wrong: Authorization: Bearer …"
        return None

    def _has_token(self, connection: HTTPConnection) -> bool:
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = _cookie(connection.headers.get("cookie", ""))
        return self.accepts(given)


class _Guarded(BaseRoute):
    def __init__(self, route: BaseRoute, guard: Guard, is_door: bool) -> None:
        self._route = route
        self._guard = guard
        self._is_door = is_door

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return self._route.matches(scope)

    def url_path_for(self, name: str, /, **path_params: object) -> object:  # type: ignore[override]  # as the route has it
        return self._route.url_path_for(name, **path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        refused = self._guard.refusal(connection, is_door=self._is_door)
        if refused is None:
            await self._route.handle(scope, receive, send)
            return
        status, why = refused
        if status == 401 and "text/html" in connection.headers.get("accept", ""):
            await RedirectResponse(DOOR, 303)(scope, receive, send)
            return
        challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        await JSONResponse({"error": why}, status, challenge)(scope, receive, send)


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(TOKEN_COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
