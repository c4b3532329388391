"""The servers under `mosvpp receive`: granian by itself, uvicorn behind a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from mosvpp.errors import RuleError

__all__ = ["Listening", "free_port", "insist_on_free_port", "serving", "told_to_stop"]

_PRIVILEGED = 1023
IN_HAND_S = 20.0  # longer than the deadlines of a body and of the store together


@dataclass(frozen=True)
class Listening:
    """Where to listen, how much at once, and for how long to wait for headers where the server can tell."""

    host: str
    port: int
    concurrency: int
    backlog: int
    header_deadline_s: float


def insist_on_free_port(host: str, port: int) -> None:
    """Refuse an address that another program has, or that is none of this machine."""
    try:
        with _bound(host, port):
            return
    except OSError as error:
        path = "--port"
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            path, reason = "--host", "is no address of this machine: try 127.0.0.1, or 0.0.0.0 for all"
        elif error.errno in (errno.EADDRINUSE, errno.EACCES) and port > _PRIVILEGED:
            reason = "is in use: stop the other program, or choose another port"
        elif isinstance(error, PermissionError):
            reason = f"needs rights that this user has not: choose a port above {_PRIVILEGED}"
        else:
            reason = f"cannot be listened at: {error.strerror or error}"
        raise RuleError(f"{host}:{port} {reason}", path=path, rule="free") from None


def free_port(host: str) -> int:
    """A port that nobody has at this moment."""
    with _bound(host, 0) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        if os.name != "nt":  # there it would share the port of another program
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        yield probe


@contextmanager
def told_to_stop() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second one ends the program at once."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    before: dict[int, Any] = {}

    def tell(number: int, _frame: object) -> None:
        signal.signal(number, before[number])
        loop.call_soon_threadsafe(told.set)

    # Not with the loop's own handlers: those do not exist on Windows.
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            number = getattr(signal, name)
            before[number] = signal.signal(number, tell)
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@asynccontextmanager
async def serving(app: Any, server: str, where: Listening) -> AsyncIterator[asyncio.Task[Any]]:
    """Serve while this lasts, then finish the requests in hand. Gives the task, which ends if it fails."""
    run, stop = (_granian if server == "granian" else _uvicorn)(app, where)
    task = asyncio.ensure_future(run)
    try:
        await _until_it_listens(where, task)
        yield task
    finally:
        stop()
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(task, IN_HAND_S)


async def _until_it_listens(where: Listening, task: asyncio.Task[Any]) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(where.host, where.host)  # noqa: S104  compared, not listened at
    while not task.done():
        try:
            _, writer = await asyncio.open_connection(host, where.port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    await task  # says why it ended
    raise RuleError("the server ended at once", path="--server", rule="server")


def _granian(app: Any, where: Listening) -> tuple[Any, Callable[[], object]]:
    try:
        from granian.constants import HTTPModes, Interfaces
        from granian.http import HTTP1Settings
        from granian.server.embed import Server
    except ImportError:
        raise _missing("granian", "mosvpp[receiver]") from None
    server = Server(
        app,
        address=where.host,
        port=where.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=where.backlog,
        backpressure=where.concurrency,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(where.header_deadline_s * 1000), max_buffer_size=64 * 1024
        ),
        log_enabled=False,
    )
    return server.serve(), server.stop


def _uvicorn(app: Any, where: Listening) -> tuple[Any, Callable[[], object]]:
    try:
        import uvicorn
    except ImportError:
        raise _missing("uvicorn", "uvicorn") from None

    class Server(uvicorn.Server):
        """Leaves signals to us."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        def end(self) -> None:
            self.should_exit = True

    config = uvicorn.Config(
        app,
        host=where.host,
        port=where.port,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the receiver itself knows whom to trust
        server_header=False,
        limit_concurrency=where.concurrency,
        backlog=where.backlog,
        timeout_graceful_shutdown=int(IN_HAND_S) - 2,
    )
    server = Server(config)
    return server.serve(), server.end


def _missing(name: str, what: str) -> RuleError:
    return RuleError(f"{name} is not installed: pip install '{what}'", path="--server", rule="extra")
