"""The partner's dispatcher as a program that is run against a sandbox: what it sends, and how it ends."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from signal import SIGTERM

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mosvpp.ids import id_key
from mosvpp_sandbox.faults import Fault
from mosvpp_sandbox.sandbox import Sandbox
from mosvpp_sandbox.site_specs import generated_sites

from .check import Call

__all__ = ["Dispatched", "Twist", "listening", "run_dispatcher"]

LONGEST_S = 60.0

Twist = Callable[[bytes], "tuple[int, dict[str, str], bytes]"]
"""From the body of a dispatch request to the status, headers and body of another answer."""


@dataclass(frozen=True)
class Dispatched:
    """One run. `code` is None for a program that had to be ended; `seconds` is how long it took."""

    code: int | None
    calls: list[Call]
    bodies: list[bytes] = field(repr=False)
    seconds: float

    @property
    def dispatches(self) -> list[Call]:
        """The calls that ask for events."""
        return [call for call in self.calls if call.method == "POST" and call.path.endswith("/dr")]

    @property
    def event_ids(self) -> set[str]:
        """Every event that was asked for; two spellings of one id are one event."""
        found: set[str] = set()
        for body in self.bodies:
            with suppress(msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
                slots = msgspec.json.decode(body)["event_slots"]
                found |= {id_key(slot["event_id"]) for slot in slots}
        return found


async def run_dispatcher(
    command: Sequence[str],
    molecule_id: str,
    *,
    faults: Sequence[Fault] = (),
    twist: Twist | None = None,
) -> Dispatched:
    """Run it once against a sandbox of its own. Raises `OSError` where it does not start."""
    api_key = secrets.token_urlsafe(24)
    vpp = Sandbox(
        api_key=api_key,
        sites=[replace(generated_sites(1, 0)[0], molecule_id=molecule_id)],
        faults=faults,
    )
    calls: list[Call] = []
    bodies: list[bytes] = []
    vpp.app.add_middleware(_Witness, calls=calls, bodies=bodies, twist=twist, api_key=api_key)
    await asyncio.to_thread(vpp.start)
    try:
        began = time.monotonic()
        code = await asyncio.to_thread(_run, command, vpp.url, api_key, molecule_id)
        return Dispatched(code, list(calls), list(bodies), time.monotonic() - began)
    finally:
        await asyncio.to_thread(vpp.stop)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, list[bool]]]:
    """Another address, and of each request that came there whether it brought a key."""
    arrived: list[bool] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            arrived.append(b"\r\nx-api-key:" in head.lower())
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", arrived


def _run(command: Sequence[str], url: str, api_key: str, molecule_id: str) -> int | None:
    settings = {"MOSVPP_BASE_URL": url, "MOSVPP_API_KEY": api_key, "MOSVPP_MOLECULE_ID": molecule_id}
    process = subprocess.Popen(  # noqa: S603  given by who certifies
        list(command),
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(LONGEST_S)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and all that it has started."""
    if sys.platform == "win32":
        process.terminate()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.kill()
    process.wait()


class _Witness:
    """Stands in front of the sandbox, notes each call, and may answer a dispatch in its place."""

    def __init__(
        self, app: ASGIApp, *, calls: list[Call], bodies: list[bytes], twist: Twist | None, api_key: str
    ) -> None:
        self._app = app
        self._calls, self._bodies = calls, bodies
        self._twist = twist
        self._key = api_key.encode()
        self._began = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        at = time.monotonic() - self._began
        is_dispatch = scope["method"] == "POST" and scope["path"].endswith("/dr")
        body = await _read(receive) if is_dispatch else b""
        if is_dispatch:
            self._bodies.append(body)
        place = len(self._calls)
        has_key = any(name == b"x-api-key" and value == self._key for name, value in scope["headers"])
        by_us = is_dispatch and self._twist is not None
        self._calls.append(Call(scope["method"], scope["path"], None, at, has_key=has_key, by_us=by_us))

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._calls[place] = replace(self._calls[place], status=message["status"])
            await send(message)

        if is_dispatch and self._twist is not None:
            status, headers, answer = self._twist(body)
            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            await noting({"type": "http.response.start", "status": status, "headers": raw})
            await noting({"type": "http.response.body", "body": answer})
            return
        await self._app(scope, _again(body, receive) if is_dispatch else receive, noting)


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, as if it had not been."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
