"""The three endpoints, as an ASGI application. Paths and methods come from the specification.

A request is refused in this order: unknown path (404), wrong method (405), wrong key (401), unknown site
(404), a body that is no JSON by its headers, too large, no acceptable JSON or against the specification (400:
the specification knows no other status for any of these). Then faults that are switched on may strike.

Every request becomes an exchange in the log; what it looks like on the wire is up to the profile.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from functools import partial
from random import Random
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mosvpp import rules
from mosvpp._contract import document, server_path
from mosvpp.errors import RuleError

from . import messages
from .broken_answers import DrippingAnswer, HangingAnswer, ResetAnswer, TruncatedAnswer, gzip_bomb
from .commands import RepeatedCommandError
from .exchanges import Exchange, hidden
from .profiles import PROFILES
from .strict_json import NotJsonError, read
from .world import UnknownSiteError, World

__all__ = ["LARGEST_BODY", "Answered", "make_app"]

LARGEST_BODY = 1024 * 1024
_EXCHANGE = "mosvpp_sandbox.exchange"

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


class _StruckError(Exception):
    """A fault answers in place of the sandbox."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def make_app(
    world: World,
    *,
    api_key: str,
    api_version: str = "v1",
    seed: int = 0,
    note: Callable[[Answered], object] = lambda _: None,
    more: Sequence[BaseRoute] = (),
) -> Starlette:
    """The application; `seed` is for the trace ids of problems, and `note` is told of every answer.

    `more` are routes beside those of MosVPP.
    """
    gateway = _Gateway(world, api_key, Random(seed), note)  # noqa: S311  trace ids are no secrets
    routes: list[BaseRoute] = [
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
        _StruckError: gateway.struck,
        Exception: gateway.fault,
    }
    app = Starlette(routes=[*routes, *more], exception_handlers=handlers)
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
        molecule_id = request.path_params["molecule_id"]
        self._open(request, operation, molecule_id)
        self._check_key(request)
        try:
            self._world.require(molecule_id)
            body = await self._valid_body(operation, request)
            faults = self._world.faults.strike(operation, molecule_id)
            self._exchange(request).faults += faults
            self._strike_before(request, faults)
            response = self._process(operation, request, molecule_id, body)
        except UnknownSiteError:
            raise HTTPException(404, "There is no site with this id.") from None
        except RepeatedCommandError:
            raise HTTPException(409, "A site command with this scmd_id was taken before.") from None
        return self._struck_after(response, faults)

    def _process(self, operation: str, request: Request, molecule_id: str, body: Any) -> Response:
        if operation == "sync_devices":
            return self._reply(request, "device_list", self._world.device_list(molecule_id))
        if operation == "submit_dispatch":
            return self._reply(request, "dispatch_receipt", self._world.dispatch(molecule_id, body))
        return self._reply(request, "command_receipt", self._world.command(molecule_id, body))

    async def _valid_body(self, operation: str, request: Request) -> Any:
        if operation == "sync_devices":
            return None
        schema = "DispatchRequest" if operation == "submit_dispatch" else "SiteCommandRequest"
        _check_headers(request)
        raw = await _read(request)
        self._exchange(request).body = raw
        try:
            body = read(raw)
        except NotJsonError as error:
            raise HTTPException(400, str(error)) from None
        faults = rules.faults(schema, body)
        if faults:
            raise _ValidationError(faults)
        return body

    def _check_key(self, request: Request) -> None:
        given = [value for name, value in request.headers.raw if name == b"x-api-key"]
        if not given:
            raise HTTPException(401, "The header X-API-Key is missing.")
        if len(given) > 1 or not hmac.compare_digest(given[0], self._api_key):
            raise HTTPException(401, "The key is not known.")

    # --- faults ---

    def _strike_before(self, request: Request, faults: dict[str, float]) -> None:
        """Raise what answers in place of the sandbox, which then does nothing."""
        if "refuse" in faults:  # who needs no connection has come so far
            raise _StruckError(self._silent(request, ResetAnswer("refused")))
        if "reset" in faults:
            raise _StruckError(self._silent(request, ResetAnswer("reset")))
        if "hang" in faults:
            raise _StruckError(self._silent(request, HangingAnswer()))
        for name in ("too_many_requests", "too_many_requests_date", "unavailable"):
            if name in faults:
                status = 503 if name == "unavailable" else 429
                after = f"{faults[name]:.0f}"
                if name.endswith("_date"):  # read against Date, which is simulated time
                    at = self._world.clock.now() + timedelta(seconds=faults[name])
                    after = format_datetime(at, usegmt=True)
                detail = "A fault is switched on: try again later. Nothing was done."
                raise HTTPException(status, detail, {"Retry-After": after})
        for name in ("error_json", "error_html", "error_empty"):
            if name in faults:
                raise _StruckError(self._error(request, name, int(faults[name])))

    def _error(self, request: Request, name: str, status: int) -> Response:
        profile = {"error_json": "inferred", "error_html": "html_errors", "error_empty": "http_only"}[name]
        detail = "A fault is switched on. Nothing was done."
        problem = messages.problem(status, detail, path=request.url.path, trace_id=self._trace_id())
        return self._written(request, 500, status, *PROFILES[profile].written_error(status, problem), detail)

    def _silent(self, request: Request, response: Response) -> Response:
        self._close(request, None, f"not answered: {', '.join(self._exchange(request).faults)}")
        return response

    def _struck_after(self, response: Response, faults: dict[str, float]) -> Response:
        """The answer with what faults do to it; what was asked for has been done."""
        if "clock_skew" in faults:
            wrong = self._world.clock.now() + timedelta(seconds=faults["clock_skew"])
            response.headers["Date"] = format_datetime(wrong, usegmt=True)
        if "gzip_bomb" in faults:
            response.headers["Content-Encoding"] = "gzip"
            response.body = gzip_bomb(int(faults["gzip_bomb"]))
            response.headers["Content-Length"] = str(len(response.body))
        headers = dict(response.headers)
        if "drop" in faults:
            return ResetAnswer("dropped")
        if "truncated" in faults:
            return TruncatedAnswer(response.body, response.status_code, headers)
        if "drip" in faults:
            dripping = DrippingAnswer(response.body, response.status_code, headers)
            dripping.pause_s = faults["drip"]
            return dripping
        return response

    # --- answers ---

    async def struck(self, request: Request, error: _StruckError) -> Response:
        return error.response

    async def http_problem(self, request: Request, error: HTTPException) -> Response:
        path, trace_id = request.url.path, self._trace_id()
        problem = messages.problem(error.status_code, error.detail, path=path, trace_id=trace_id)
        return self._problem(request, error.status_code, problem, error.detail, dict(error.headers or {}))

    async def validation_problem(self, request: Request, error: _ValidationError) -> Response:
        path, trace_id = request.url.path, self._trace_id()
        problem = messages.validation_problem(error.faults, path=path, trace_id=trace_id)
        return self._problem(request, 400, problem, f"refused: {error.faults[0].args[0]}", {})

    async def fault(self, request: Request, error: Exception) -> Response:
        """A fault of the sandbox itself; the server logs its trace."""
        return await self.http_problem(
            request, HTTPException(500, "The sandbox has a fault; its log tells more.")
        )

    def _problem(
        self, request: Request, status: int, problem: dict[str, Any], verdict: str, headers: dict[str, str]
    ) -> Response:
        body, media_type = self._world.profile.written_error(status, problem)
        return self._written(request, status, status, body, media_type, verdict, headers)

    def _reply(self, request: Request, kind: str, receipt: dict[str, Any]) -> Response:
        body, media_type = self._world.profile.written_reply(kind, receipt)
        verdict = receipt.get("status", "answered")
        return self._written(request, kind, 200, body, media_type, verdict)

    def _written(
        self,
        request: Request,
        kind: str | int,
        status: int,
        body: bytes,
        media_type: str,
        verdict: str,
        headers: dict[str, str] | None = None,
    ) -> Response:
        now = self._world.clock.now()
        self._note(Answered(now, request.method, request.url.path, status))
        _log.info("%s %s: %s", request.method, request.url.path, status)
        response = Response(
            body,
            status,
            {
                "Date": format_datetime(now, usegmt=True),
                messages.EVIDENCE_HEADER: messages.EVIDENCE.get(kind, messages.EVIDENCE["problem"]),
                **({"Content-Type": media_type} if body or status == 200 else {}),
                **(headers or {}),
            },
        )
        self._close(request, response, verdict)
        return response

    # --- the log ---

    def _open(self, request: Request, operation: str, molecule_id: str) -> Exchange:
        exchange = self._world.exchanges.open(
            "received",
            self._world.clock.now(),
            operation=operation,
            molecule_id=molecule_id,
            method=request.method,
            url=request.url.path,
            headers=hidden(request.headers.items()),
            repeats=request.scope.get("extensions", {}).get("mosvpp_sandbox.repeats"),
        )
        request.scope[_EXCHANGE] = (exchange, time.monotonic())
        self._world.exchanges.changed(exchange)
        return exchange

    def _exchange(self, request: Request) -> Exchange:
        if _EXCHANGE not in request.scope:
            return self._open(request, "", "")
        exchange: Exchange = request.scope[_EXCHANGE][0]
        return exchange

    def _close(self, request: Request, response: Response | None, verdict: str) -> None:
        exchange = self._exchange(request)
        exchange.state, exchange.verdict, exchange.attempts = "done", verdict, 1
        exchange.seconds = time.monotonic() - request.scope[_EXCHANGE][1]
        if response is not None:
            exchange.status, exchange.answer = response.status_code, bytes(response.body)
            exchange.answer_headers = tuple(response.headers.items())
        self._world.exchanges.changed(exchange)

    def _trace_id(self) -> str:
        return f"00-{self._chance.getrandbits(128):032x}-{self._chance.getrandbits(64):016x}-00"


def _check_headers(request: Request) -> None:
    if _content_type(request.headers.get("content-type", "")) != ("application/json", "utf-8"):
        raise HTTPException(400, "Send the body as application/json in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(400, "Send the body without a content encoding.")


def _content_type(header: str) -> tuple[str, str]:
    """The type and the charset. What the library cannot read at all is none."""
    told = Message()
    told["Content-Type"] = header
    try:
        return told.get_content_type(), told.get_content_charset("utf-8")
    except ValueError:  # such as a parameter with a number of thousands of digits
        return "", ""


async def _read(request: Request) -> bytes:
    too_large = HTTPException(400, f"The body is larger than {LARGEST_BODY} bytes.")
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
