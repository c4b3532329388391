"""The thread in which the sandbox lives: HTTP server, passing of time and sending, in one event loop."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from threading import Thread
from typing import Any, TypeVar

import httpx
import uvicorn
from starlette.applications import Starlette

from .outbox import Outbox
from .world import World

__all__ = ["LoopTransport", "Running"]

T = TypeVar("T")


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, listening: Future[None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set_result(None)


class Running:
    """The thread with its event loop."""

    def __init__(self, app: Starlette, world: World, outbox: Outbox, host: str, port: int) -> None:
        self.app = app
        self.outbox = outbox
        self._world = world
        self._socket = _listening_socket(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http="h11",
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

    @property
    def is_alive(self) -> bool:
        """Whether the thread is still there; a fault ends it."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread; a fault in it is raised here."""
        self._server.should_exit = True
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def wake(self) -> None:
        """Look at the time again; from any thread."""
        with suppress(RuntimeError):  # the loop is closed: nothing runs any more
            self._loop.call_soon_threadsafe(self._wake.set)

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
        self._collect()
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
            wait = self._world.clock.seconds_until(self._collect())
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    def _collect(self) -> datetime:
        deliveries, next_at = self._world.advance()
        for delivery in deliveries:
            self.outbox.put(delivery)
        return next_at


class LoopTransport(httpx.BaseTransport):
    """Hands requests of a blocking client to the application, in the sandbox's own event loop."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._inner = httpx.ASGITransport(running.app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for the answer; a sandbox that has stopped is one that cannot be reached."""
        request.read()
        try:
            return self._running.call(self._answer(request))
        except RuntimeError:
            raise httpx.ConnectError("the sandbox is not running", request=request) from None

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


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
