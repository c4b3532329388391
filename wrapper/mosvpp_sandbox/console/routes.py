"""The pages of the console, their parts, and what their buttons do.

    GET  /                                   sites          /console/parts/sites
    GET  /console/sites/{site}               one site       …/state, …/timeline, …/chart
    GET  /console/timeline                   all sites      /console/parts/timeline, …/timeline.json
    GET  /console/log                        the log        /console/parts/log, /console/log/{number}
    GET  /console/send?site=                 forms of a partner
    GET  /console/behaviour                  clock, faults, choices, profile
    GET  /console/stream                     what has changed, as server-sent events
    POST /console/…                          what a button or a form does

A POST needs the header that htmx sends: a form on another page cannot send it. Who may come in at all is
for `guard` to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeAlias
from uuid import uuid4

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from mosvpp_sandbox.control import Control
from mosvpp_sandbox.world import UnknownSiteError

from . import answers
from .pages import Pages
from .switches import Switches
from .ticks import tick_stream

__all__ = ["Call", "console_routes"]

Call: TypeAlias = Callable[[str, Any], Awaitable[int]]
"""Sends a request as the partner would (path, body), and returns the number of its exchange."""

_LARGEST = 64 * 1024


def console_routes(control: Control, call: Call) -> list[BaseRoute]:
    """All of them; who may use them is not asked here."""
    pages, switches, instance = Pages(control), Switches(control, call), uuid4().hex
    site = "/console/sites/{site}"

    async def stream(_request: Request) -> Response:
        return StreamingResponse(
            tick_stream(control, instance), media_type="text/event-stream", headers=answers.stream_headers()
        )

    return [
        _get("/", pages.sites),
        _get("/console/parts/sites", pages.sites_part),
        _get("/console/parts/state", pages.state_part),
        _get(site, pages.site),
        _get(f"{site}/state", pages.site_part),
        _get(f"{site}/timeline", pages.site_timeline_part),
        _get(f"{site}/chart", pages.site_chart),
        _get("/console/timeline", pages.timeline),
        _get("/console/parts/timeline", pages.timeline_part),
        _get("/console/chart", pages.fleet_chart),
        _get("/console/log", pages.log),
        _get("/console/parts/log", pages.log_part),
        _get("/console/log/{number:int}", pages.exchange),
        _get("/console/send", pages.send),
        _get("/console/behaviour", pages.behaviour),
        _get("/console/parts/faults", pages.faults_part),
        Route("/console/stream", stream, methods=["GET"]),
        _get("/console/static/{name:path}", lambda one: answers.file(one.path_params["name"])),
        _post("/console/clock", switches.clock),
        _post("/console/faults", switches.add_fault),
        _post("/console/faults/remove", switches.remove_fault),
        _post("/console/choices", switches.choose),
        _post("/console/log/{number:int}/resend", switches.resend),
        _post(f"{site}/dispatch", switches.dispatch),
        _post(f"{site}/command", switches.command),
        _post(f"{site}/events/{{event}}/cancel", switches.cancel),
        _post(f"{site}/devices/{{device}}", switches.device),
    ]


def _get(path: str, answer: Callable[[Request], Response]) -> Route:
    @wraps(answer)
    async def guarded(request: Request) -> Response:
        return await _answered(answer, request)

    return Route(path, guarded, methods=["GET"])


def _post(path: str, answer: Callable[[Request, bytes], Awaitable[Response]]) -> Route:
    @wraps(answer)
    async def guarded(request: Request) -> Response:
        if request.headers.get("hx-request") != "true":
            return answers.problem(403, "Only the console's own pages may do that.")
        body = await request.body()
        if len(body) > _LARGEST:
            return answers.problem(413, "That is too much.")
        return await _answered(lambda one: answer(one, body), request)

    return Route(path, guarded, methods=["POST"])


async def _answered(answer: Callable[[Request], Any], request: Request) -> Response:
    """The answer, or why there is none."""
    try:
        told = answer(request)
        response: Response = await told if isinstance(told, Awaitable) else told
    except UnknownSiteError:
        return answers.problem(404, "There is no site with this id.")
    except LookupError as error:
        return answers.problem(404, _sentence(error))
    except (ValueError, RuntimeError) as error:
        return answers.problem(400, _sentence(error))
    except httpx.TransportError as error:
        return answers.problem(502, f"No answer came: {error}.")
    return response


def _sentence(error: Exception) -> str:
    text = str(error.args[0] if error.args else error)
    return f"{text[:1].upper()}{text[1:]}."
