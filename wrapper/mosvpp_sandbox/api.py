"""The three endpoints, as an ASGI application. Paths and methods come from the specification.

A request is refused in this order: unknown path (404), wrong method (405), wrong key (401), unknown site
(404), a body that is no JSON by its headers (415), too large (413), no acceptable JSON (400), against the
specification (400).
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.utils import format_datetime
from functools import partial
from random import Random
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from mosvpp import rules
from mosvpp._contract import document, server_path
from mosvpp.errors import RuleError

from . import messages
from .strict_json import NotJsonError, read
from .world import RepeatedCommandError, UnknownSiteError, World

__all__ = ["LARGEST_BODY", "Answered", "make_app"]

LARGEST_BODY = 1024 * 1024

_log = logging.getLogger("mosvpp_sandbox")


@dataclass(frozen=True)
class Answered:
    """A call of the partner, and how it was answered; `at` is simulated time."""

    at: datetime
    method: str
    path: str
    status: int


class _ValidationError(Exception):
    def __init__(self, faults: list[RuleError]) -> None:
        super().__init__()
        self.faults = faults


def make_app(
    world: World,
    *,
    api_key: str,
    api_version: str = "v1",
    seed: int = 0,
    note: Callable[[Answered], object] = lambda _: None,
) -> Starlette:
    """The application; `seed` is for the trace ids of problems, and `note` is told of every answer."""
    gateway = _Gateway(world, api_key, Random(seed), note)  # noqa: S311  trace ids are no secrets
    routes = [
        Route(
            server_path(api_version) + path,
            partial(gateway.answer, item[method]["operationId"]),
            methods=[method],
        )
        for path, item in document()["paths"].items()
        for method in ("get", "post")
        if method in item
    ]
    handlers: dict[Any, Callable[[Request, Any], Any]] = {
        HTTPException: gateway.http_problem,
        _ValidationError: gateway.validation_problem,
        Exception: gateway.fault,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


class _Gateway:
    def __init__(
        self, world: World, api_key: str, chance: Random, note: Callable[[Answered], object]
    ) -> None:
        self._world = world
        self._api_key = api_key.encode("latin-1")
        self._chance = chance
        self._note = note

    async def answer(self, operation: str, request: Request) -> Response:
        self._check_key(request)
        molecule_id = request.path_params["molecule_id"]
        try:
            self._world.require(molecule_id)
            if operation == "sync_devices":
                return self._reply(request, "device_list", self._world.device_list(molecule_id))
            if operation == "submit_dispatch":
                body = await _valid_body(request, "DispatchRequest")
                return self._reply(request, "dispatch_receipt", self._world.dispatch(molecule_id, body))
            body = await _valid_body(request, "SiteCommandRequest")
            return self._reply(request, "command_receipt", self._world.command(molecule_id, body))
        except UnknownSiteError:
            raise HTTPException(404, "There is no site with this id.") from None
        except RepeatedCommandError:
            raise HTTPException(409, "A site command with this scmd_id was taken before.") from None

    def _check_key(self, request: Request) -> None:
        given = [value for name, value in request.headers.raw if name == b"x-api-key"]
        if not given:
            raise HTTPException(401, "The header X-API-Key is missing.")
        if len(given) > 1 or not hmac.compare_digest(given[0], self._api_key):
            raise HTTPException(401, "The key is not known.")

    async def http_problem(self, request: Request, error: HTTPException) -> Response:
        path, trace_id = request.url.path, self._trace_id()
        problem = messages.problem(error.status_code, error.detail, path=path, trace_id=trace_id)
        return self._reply(request, error.status_code, problem, error.status_code, dict(error.headers or {}))

    async def validation_problem(self, request: Request, error: _ValidationError) -> Response:
        path, trace_id = request.url.path, self._trace_id()
        problem = messages.validation_problem(error.faults, path=path, trace_id=trace_id)
        return self._reply(request, 400, problem, 400)

    async def fault(self, request: Request, error: Exception) -> Response:
        """A fault of the sandbox itself; the server logs its trace."""
        return await self.http_problem(
            request, HTTPException(500, "The sandbox has a fault; its log tells more.")
        )

    def _reply(
        self,
        request: Request,
        kind: str | int,
        body: dict[str, Any],
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        now = self._world.clock.now()
        self._note(Answered(now, request.method, request.url.path, status))
        _log.info("%s %s: %s", request.method, request.url.path, status)
        evidence = messages.EVIDENCE.get(kind, messages.EVIDENCE["problem"])
        return Response(
            msgspec.json.encode(body),
            status,
            {
                "Date": format_datetime(now, usegmt=True),
                messages.EVIDENCE_HEADER: evidence,
                **(headers or {}),
            },
            media_type="application/json" if status == 200 else "application/problem+json",
        )

    def _trace_id(self) -> str:
        return f"00-{self._chance.getrandbits(128):032x}-{self._chance.getrandbits(64):016x}-00"


async def _valid_body(request: Request, schema: str) -> Any:
    _check_headers(request)
    try:
        body = read(await _read(request))
    except NotJsonError as error:
        raise HTTPException(400, str(error)) from None
    faults = rules.faults(schema, body)
    if faults:
        raise _ValidationError(faults)
    return body


def _check_headers(request: Request) -> None:
    if _content_type(request.headers.get("content-type", "")) != ("application/json", "utf-8"):
        raise HTTPException(415, "Send the body as application/json in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "Send the body without a content encoding.")


def _content_type(header: str) -> tuple[str, str]:
    """The type and the charset. What the library cannot read at all is none."""
    told = Message()
    told["Content-Type"] = header
    try:
        return told.get_content_type(), told.get_content_charset("utf-8")
    except ValueError:  # such as a parameter with a number of thousands of digits
        return "", ""


async def _read(request: Request) -> bytes:
    too_large = HTTPException(413, f"The body is larger than {LARGEST_BODY} bytes.")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and float(announced) > LARGEST_BODY:  # int() refuses thousands of digits
        raise too_large
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY:
                raise too_large
    except ClientDisconnect:
        raise HTTPException(400, "The body broke off.") from None
    return bytes(body)
