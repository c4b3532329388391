"""What the tests of the outgoing side share: values to send, answers in memory, and both clients as one."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from manual_clock import ManualClock
from mosvpp import AsyncClient, Client, EventSlot, commands, discharge, kW
from mosvpp.retry import RetryPolicy

SITE = "fecd0001c031e7e8"
KEY = "canary-key-Zx81+/="
ORIGIN = "http://localhost"
EVENT_ID = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
OTHER_ID = "1c0fd2c9-8b9c-4c6e-9f0a-3f9f2f6f0a11"
SCMD_ID = "0F0B9F1C-7B1E-4F5B-9A53-5D1C2B6F3A10"
MIDNIGHT = datetime(2024, 1, 5, tzinfo=UTC)
AT_ONCE = RetryPolicy(first_delay=0)
"""Three attempts without a wait."""
NEVER = RetryPolicy(attempts=1)

KINDS = ("Client", "AsyncClient on asyncio", "AsyncClient on trio")
CALLS = ("sync_devices", "submit_dispatch", "submit_site_command")
POSTS = CALLS[1:]

Handler = Callable[[httpx.Request], httpx.Response]


def slot(**changes: Any) -> EventSlot:
    """An event from midnight to one o'clock, of the id in the page's sample."""
    given: dict[str, Any] = {
        "power": 5 * kW,
        "start": MIDNIGHT,
        "duration": timedelta(hours=1),
        "priority": 10,
        "event_id": EVENT_ID,
    }
    return discharge(**{**given, **changes})


def call(client: Any, operation: str) -> Any:
    """The same call for every test that is about all of them."""
    if operation == "sync_devices":
        return client.sync_devices(SITE)
    if operation == "submit_dispatch":
        return client.submit_dispatch(SITE, slot(), mode="test")
    wanted = [commands.discharge("20000", 5 * kW), commands.turn_off("21000")]
    return client.submit_site_command(SITE, wanted, duration=timedelta(minutes=15), scmd_id=SCMD_ID)


def good_body(operation: str) -> dict[str, Any]:
    """A reply that says yes to `call`."""
    if operation == "sync_devices":
        return {"molecule_id": SITE, "devices": [{"device_id": "20000", "device_type": 10}]}
    if operation == "submit_dispatch":
        return dispatch_reply(EVENT_ID, "accepted")
    items = [{"device_id": device, "status": "accepted"} for device in ("20000", "21000")]
    return {"molecule_id": SITE, "scmd_id": SCMD_ID, "status": "accepted", "scmd_devices": items}


def dispatch_reply(*verdicts: str, status: str | None = None, **more: Any) -> dict[str, Any]:
    """A receipt; the verdicts come in pairs of an id and a word."""
    pairs = zip(verdicts[::2], verdicts[1::2], strict=True)
    items = [{"event_id": event_id, "status": word} for event_id, word in pairs]
    return {"molecule_id": SITE, "mode": "test", "status": status, "event_slots": items, **more}


class Server:
    """Answers in memory: one after the other, the last one for ever. `requests` are what came."""

    def __init__(self, *answers: httpx.Response | Exception | Handler) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]


def reply(status: int, body: Any = b"", headers: Any = None) -> httpx.Response:
    """An answer; a body that is no bytes goes as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, headers=headers, content=content)


class Blocking:
    """An `AsyncClient` whose methods block, so that one test serves both clients."""

    def __init__(self, portal: BlockingPortal, client: AsyncClient) -> None:
        self._portal = portal
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, "aclose" if name == "close" else name)
        return lambda *args, **named: self._portal.call(functools.partial(method, *args, **named))


class Clients:
    """Makes clients of one kind, and closes them at the end of the block."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._backend = kind.rpartition(" ")[2]
        self._made: list[Any] = []

    def __enter__(self) -> Self:
        if self.kind != "Client":
            self._portal_scope = start_blocking_portal(self._backend)
            self._portal = self._portal_scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._made:
            client.close()
        if self.kind != "Client":
            self._portal_scope.__exit__(kind, error, trace)

    def make(self, server: Handler | None = None, **options: Any) -> Any:
        """A client that talks to `server`, or over sockets where there is none."""
        given: dict[str, Any] = {"api_key": KEY, "base_url": ORIGIN, "allow_live": True, "retry": AT_ONCE}
        given["clock"] = ManualClock()  # an hour before the event of `slot`
        if server is not None:
            given["transport"] = httpx.MockTransport(server)
        given |= options
        if self.kind == "Client":
            client: Any = Client(**given)
        else:
            client = Blocking(self._portal, AsyncClient(**given))
        self._made.append(client)
        return client

    def inside(self, client: Any) -> Any:
        """The client to use within another call: its methods may have to be awaited."""
        return client if self.kind == "Client" else client._client

    def together(self, *calls: Callable[[], Any]) -> Iterable[Any]:
        """Run calls at the same time, each in a thread of its own."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(calls)) as pool:
            return [future.result() for future in [pool.submit(one) for one in calls]]
