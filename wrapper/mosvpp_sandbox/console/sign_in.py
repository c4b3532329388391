"""The page on which people give the token, where there is one. A cookie keeps it."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from mosvpp_sandbox.guard import DOOR, TOKEN_COOKIE, Guard

from . import answers
from .forms import Fields

__all__ = ["sign_in_routes"]

_PAUSE_S = 0.5  # before a wrong token is refused, so that guessing takes time
_LONGEST = 4096


def sign_in_routes(guard: Guard) -> list[BaseRoute]:
    """The page, its form, and the two files that it loads."""

    async def show(_request: Request) -> Response:
        return answers.page("sign_in", said="")

    async def enter(request: Request) -> Response:
        body = await request.body()
        token = Fields(body[:_LONGEST]).text("token")
        if not guard.accepts(token):
            await asyncio.sleep(_PAUSE_S)
            return answers.page("sign_in", 401, said="That is not the token.")
        welcome = RedirectResponse("/", 303)
        welcome.set_cookie(TOKEN_COOKIE, token, httponly=True, samesite="strict")
        return welcome

    async def style(_request: Request) -> Response:
        return answers.file("console.css")

    async def icon(_request: Request) -> Response:
        return answers.file("icon.svg")

    return [
        Route(DOOR, show, methods=["GET"]),
        Route(DOOR, enter, methods=["POST"]),
        Route(f"{DOOR}/console.css", style, methods=["GET"]),
        Route(f"{DOOR}/icon.svg", icon, methods=["GET"]),
    ]
