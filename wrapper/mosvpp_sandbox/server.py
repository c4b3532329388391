"""The thread in which the sandbox lives: HTTP server, passing of time and sending, in one event loop."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from threading import Thread, current_thread
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from .broken_answers import LINE, Line
from .clock import real_seconds
from .outbox import Outbox
from .world import World

__all__ = ["Running"]

T = TypeVar("T")
_KEEP_S = 2.0
_ROUNDS_TO_CLOSE = 5
_LOOK_S = 0.1
_BEAT_S = 1.0
_SLEPT_S = 60.0


class _Protocol(H11Protocol):
    """Puts the connection into the scope of each request, so that a fault can reset it."""

    transport: asyncio.Transport

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._gateway, self.app = self.app, self._answer

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), LINE: Line(self.transport.abort)}
        await self._gateway(scope, receive, send)


class _Server(uvicorn.Server):
    """Tells when it listens, and can stop listening for a while."""

    def __init__(self, config: uvicorn.Config, listening: Future[None]) -> None:
        super().__init__(config)
        self._listening = listening
        self.is_open = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set_result(None)

    def shut(self) -> None:
        """Let nobody in; connections end when what came on them is answered."""
        self.is_open = False
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def reopen(self, listening: socket.socket) -> None:
        """Listen again."""
        self.is_open = True
        await super().startup([listening])


class Running:
    """The thread with its event loop."""

    def __init__(
        self,
        app: Starlette,
        world: World,
        outbox: Outbox,
        host: str,
        port: int,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self.app = app
        self.outbox = outbox
        self._world = world
        self._keep = keep
        self._host = host
        self._socket = _listening_socket(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,  # the application writes the simulated time
            timeout_graceful_shutdown=1,
        )
        self._listening: Future[None] = Future()
        self._server = _Server(config, self._listening)
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        outbox.on_postponed = self._wake.set
        self._seen = real_seconds()
        self._failure: Exception | None = None
        self._thread = Thread(target=self._run, name="mosvpp-sandbox", daemon=True)

    def start(self) -> None:
        """Begin, and return when the server listens."""
        self._thread.start()
        try:
            self._listening.result()
        except BaseException:
            self._server.should_exit = True
            self._thread.join()
            raise
        self._world.is_attended = True

    @property
    def is_alive(self) -> bool:
        """Whether the thread is still there; a fault ends it."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread; a fault in it is raised here."""
        self._server.should_exit = True
        self._thread.join()
        self._world.is_attended = False
        if self._failure is not None:
            raise self._failure

    def wake(self) -> None:
        """Look at the time again; from any thread."""
        with suppress(RuntimeError):  # the loop is closed: nothing runs any more
            self._loop.call_soon_threadsafe(self._wake.set)

    def mind_the_door(self) -> None:
        """Stop listening while a fault wants it so; from any thread, and done when it returns."""
        if current_thread() is self._thread:
            self._mind_the_door()
            return

        async def mind() -> None:
            self._mind_the_door()
            for _ in range(_ROUNDS_TO_CLOSE):  # the loop ends connections a moment later
                await asyncio.sleep(0)
            if not self._server.is_open and not self._world.faults.refusing_s():
                await asyncio.wait([self._reopening], timeout=1)

        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self.call(mind())

    def _mind_the_door(self) -> None:
        seconds = self._world.faults.refusing_s()
        if seconds and self._server.is_open:
            self._server.shut()
            self._reopening = self._loop.create_task(self._reopen_later())

    async def _reopen_later(self) -> None:
        while (seconds := self._world.faults.refusing_s()) > 0:  # noqa: ASYNC110  it may be switched off
            await asyncio.sleep(min(seconds, _LOOK_S))
        while not self._server.is_open:
            try:
                self._socket = _listening_socket(self._host, self.port)
            except OSError:  # another program has taken the port meanwhile
                await asyncio.sleep(_LOOK_S)
            else:
                await self._server.reopen(self._socket)

    def call(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Have the loop do something, and wait for it. Raises `RuntimeError` when the loop has ended."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise
        try:
            return future.result(timeout)
        finally:
            future.cancel()

    async def flush(self) -> None:
        """Send all that is due."""
        while (await self._collect()) <= self._world.clock.now():
            pass
        await self.outbox.drained()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._main())
            except Exception as error:  # noqa: BLE001  whatever it is, it belongs to the thread that started this one
                self._failure = error
                if not self._listening.done():
                    self._listening.set_exception(error)
            finally:
                self._socket.close()

    async def _main(self) -> None:
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        work = [asyncio.create_task(self.outbox.run()), asyncio.create_task(self._pass_time())]
        work += [asyncio.create_task(self._keep_state()), asyncio.create_task(self._stay_awake())]
        await asyncio.wait([serving, *work], return_when=asyncio.FIRST_COMPLETED)
        self._server.should_exit = True
        await serving
        for task in work:
            task.cancel()
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def _pass_time(self) -> None:
        while True:
            self._wake.clear()
            wait = self._world.clock.seconds_until(await self._collect())
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _stay_awake(self) -> None:
        while True:
            self._notice_sleep()
            await asyncio.sleep(_BEAT_S)

    def _notice_sleep(self) -> None:
        """Where more time has passed than ever does, the machine slept, or somebody had us stand still."""
        before, self._seen = self._seen, real_seconds()
        if self._seen - before > _SLEPT_S:
            self._world.hurry()

    async def _keep_state(self) -> None:
        """Write down what has changed, every few seconds; rarely where writing takes long."""
        kept = -1
        while True:
            took = 0.0
            if kept != (newest := self._world.changes.last):
                kept, began = newest, time.monotonic()
                await asyncio.to_thread(self._keep)
                took = time.monotonic() - began
            await asyncio.sleep(max(_KEEP_S, 20 * took))

    async def _collect(self) -> datetime:
        """Hand on a part of what is due; returns when there will be more."""
        self._notice_sleep()
        deliveries, next_at = self._world.advance()
        for delivery in deliveries:
            self.outbox.put(delivery)
        while self.outbox.is_busy:
            await self.outbox.progress()
        await asyncio.sleep(0)
        repeat_at = self.outbox.release(self._world.clock.now())
        return next_at if repeat_at is None else min(next_at, repeat_at)


def _listening_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there the option would let two programs share the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening
