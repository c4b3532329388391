"""The control interface over HTTP, under `/sandbox/`: JSON in, JSON out, and the stream of changes.

    GET    /sandbox/                             overview
    GET    /sandbox/options                      what can be chosen, with meaning and evidence
    PATCH  /sandbox/choices                      {"profile": "flat", "test_mode": "execute", …}
    GET    /sandbox/clock                        POST {"advance_s": 3600, "speed": 60, "hold": true}
    GET    /sandbox/faults                       POST {"name": "drop", "times": 1, …}; DELETE switches all off
    DELETE /sandbox/faults/{number}
    GET    /sandbox/sites?page=&limit=&search=   POST one more site
    GET    /sandbox/sites/{site}                 …/events, …/commands, …/telemetry?column=&points=
    GET    /sandbox/sites/{site}/executions/{id} how often that event or command began to run
    PATCH  /sandbox/sites/{site}/devices/{id}    {"online": false, "stored_kwh": 1.5}
    GET    /sandbox/events, /sandbox/commands    of all sites, newest first; ?limit=
    GET    /sandbox/exchanges                    ?before=&limit=&molecule_id=&operation=&direction=
    GET    /sandbox/exchanges/{number}           POST …/resend
    GET    /sandbox/changes?after=               server-sent events; Last-Event-ID is understood
    GET    /sandbox/history                      lines of JSON

Errors are `{"error": "…"}` with 400 (also for a parameter that there is not), 401, 403, 404 or 415. Bodies
must be announced as application/json, which a page of another site cannot do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import wraps
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from .control import Control
from .records import POWER
from .world import UnknownSiteError

__all__ = ["change_stream", "routes"]

_AT_MOST = 200
_BEAT_S = 15.0
_GATHER_S = 0.1


def routes(control: Control) -> list[BaseRoute]:
    """All of them; who may use them is not asked here."""

    def get(path: str, ask: Callable[[Request], Any]) -> Route:
        return _route(path, "GET", ask)

    def change(path: str, method: str, ask: Callable[[Request, dict[str, Any]], Any]) -> Route:
        return _route(path, method, lambda request: ask(request, request.state.body))

    site = "/sandbox/sites/{site}"
    return [
        get("/sandbox/", lambda _: control.overview()),
        get("/sandbox/options", lambda _: control.options()),
        change("/sandbox/choices", "PATCH", lambda _, body: control.choose(**body)),
        get("/sandbox/clock", lambda _: control.clock()),
        change("/sandbox/clock", "POST", lambda _, body: control.set_clock(**body)),
        get("/sandbox/faults", lambda _: control.faults()),
        change("/sandbox/faults", "POST", lambda _, body: control.add_fault(**body)),
        _route("/sandbox/faults", "DELETE", lambda _: control.remove_fault()),
        _route("/sandbox/faults/{number:int}", "DELETE", lambda one: control.remove_fault(_number(one))),
        get("/sandbox/sites", lambda one: control.sites(**_query(one, page=int, limit=_limit, search=str))),
        change("/sandbox/sites", "POST", lambda _, body: control.add_site(body)),
        get(site, lambda one: control.site(_site(one))),
        get(f"{site}/events", lambda one: control.events(_site(one), **_query(one, limit=_limit))),
        get(f"{site}/commands", lambda one: control.commands(_site(one), **_query(one, limit=_limit))),
        get(f"{site}/telemetry", lambda one: _telemetry(control, one)),
        get(f"{site}/executions/{{item}}", lambda one: _executions(control, one)),
        change(f"{site}/devices/{{device}}", "PATCH", lambda one, body: _device(control, one, body)),
        get("/sandbox/events", lambda one: control.events(**_query(one, limit=_limit))),
        get("/sandbox/commands", lambda one: control.commands(**_query(one, limit=_limit))),
        get("/sandbox/exchanges", lambda one: control.exchanges(**_exchange_query(one))),
        get("/sandbox/exchanges/{number:int}", lambda one: control.exchange(_number(one))),
        _route("/sandbox/exchanges/{number:int}/resend", "POST", lambda one: _resent(control, one)),
        Route("/sandbox/changes", _stream(control), methods=["GET"]),
        Route("/sandbox/history", _history(control), methods=["GET"]),
    ]


class _RefusedError(Exception):
    pass


def _route(path: str, method: str, ask: Callable[[Request], Any]) -> Route:
    @wraps(ask)
    async def answer(request: Request) -> Response:
        try:
            if method in ("POST", "PATCH"):
                request.state.body = await _body(request)
            told = ask(request)
            return _json(await told if isinstance(told, Awaitable) else told)
        except UnknownSiteError:
            return _json({"error": "there is no site with this id"}, 404)
        except LookupError as error:
            return _json({"error": str(error.args[0] if error.args else error)}, 404)
        except _RefusedError as error:
            return _json({"error": str(error)}, 415)
        except (ValueError, TypeError, RuntimeError) as error:  # such as a name that no method has
            return _json({"error": str(error)}, 400)

    return Route(path, answer, methods=[method])


async def _body(request: Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise _RefusedError("send application/json")
    try:
        body = msgspec.json.decode(await request.body() or b"{}")
    except msgspec.DecodeError as error:
        raise ValueError(f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise ValueError("the body is a JSON object")  # noqa: TRY004  told to the caller as a 400
    return body


def _json(told: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(told), status, media_type="application/json")


def _site(request: Request) -> str:
    return str(request.path_params["site"])


def _number(request: Request) -> int:
    return int(request.path_params["number"])


def _limit(text: str) -> int:
    return max(1, min(1000, int(text)))


def _query(request: Request, **readers: Callable[[str], Any]) -> dict[str, Any]:
    if unknown := set(request.query_params) - set(readers):
        there_are = ", ".join(readers)
        raise ValueError(f"there is no parameter {', '.join(sorted(unknown))}; there are {there_are}")
    return {
        name: read(request.query_params[name])
        for name, read in readers.items()
        if name in request.query_params
    }


def _exchange_query(request: Request) -> dict[str, Any]:
    return _query(request, before=int, limit=_limit, molecule_id=str, operation=str, direction=str)


def _telemetry(control: Control, request: Request) -> dict[str, Any]:
    asked = _query(request, column=str, points=_limit)
    asked.pop("column", None)
    columns = request.query_params.getlist("column") or POWER
    return control.telemetry(_site(request), columns, **asked)


def _executions(control: Control, request: Request) -> dict[str, Any]:
    item = str(request.path_params["item"])
    return {"id": item, "executions": control.executions(_site(request), item)}


def _device(control: Control, request: Request, body: dict[str, Any]) -> dict[str, Any]:
    return control.change_device(_site(request), str(request.path_params["device"]), **body)


async def _resent(control: Control, request: Request) -> dict[str, Any]:
    return {"number": await control.resend(_number(request))}


def _history(control: Control) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        history = await asyncio.to_thread(control.history)
        return Response(history, media_type="application/x-ndjson")

    return answer


def _stream(control: Control) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query_params.get("after", "")
        after = int(seen) if seen.isdecimal() and len(seen) < 16 else control.changes.last
        return StreamingResponse(
            change_stream(control, after),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    return answer


async def change_stream(control: Control, after: int) -> AsyncIterator[bytes]:
    """Server-sent events for what comes after that number: `event: <kind>`, `id`, the change as `data`.

    What comes in a tenth of a second is sent together, at most 200 changes; `event: missed` says how many
    were left out. A comment keeps the line alive.
    """
    changed, loop = asyncio.Event(), asyncio.get_running_loop()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody watches any more
            loop.call_soon_threadsafe(changed.set)

    stop = control.changes.listen(wake)
    try:
        yield b": mosvpp sandbox\n\n"
        while not control.changes.is_ended:
            changed.clear()
            found, missed = control.changes.after(after, _AT_MOST)
            parts = [b"event: missed\ndata: %d\n\n" % missed] if missed else []
            for change in found:
                data = msgspec.json.encode(change.as_json())
                parts.append(b"id: %d\nevent: %s\ndata: %s\n\n" % (change.number, change.kind.encode(), data))
            if parts:  # in one piece: who has gone meanwhile is then noticed before the next one
                yield b"".join(parts)
            after = found[-1].number if found else after
            try:
                async with asyncio.timeout(_BEAT_S):
                    await changed.wait()
                await asyncio.sleep(_GATHER_S)
            except TimeoutError:
                yield b": still here\n\n"
    finally:
        stop()
