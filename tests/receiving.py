"""A partner's two endpoints, on a real socket, for tests that send something there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from types import TracebackType
from typing import Self

PATIENCE_S = 30  # only a failing test waits so long


@dataclass(frozen=True)
class Received:
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Receiver:
    """Keeps what arrives, and answers what `answer` says: a status, or a status and headers."""

    def __init__(
        self, answer: Callable[[Received], int | tuple[int, dict[str, str]]] = lambda _: 200
    ) -> None:
        self.received: list[Received] = []
        self._answer = answer
        self._arrived = Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                receiver._take(self, Received(self.path, self.headers.items(), self.rfile.read(length)))

            def do_GET(self) -> None:
                receiver._take(self, Received(self.path, self.headers.items(), b""))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # so that closing waits for those that still answer
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, handler: BaseHTTPRequestHandler, received: Received) -> None:
        with self._arrived:
            self.received.append(received)
            self._arrived.notify_all()
        answer = self._answer(received)
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        handler.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()

    def at(self, path: str) -> list[Received]:
        """What has arrived at that path."""
        return [one for one in self.received if one.path == path]

    def wait(self, path: str, count: int = 1) -> list[Received]:
        """What has arrived at that path, once it is so many."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.at(path)) >= count, PATIENCE_S)
        assert arrived, f"{len(self.at(path))} of {count} deliveries arrived at {path}"
        return self.at(path)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def wait_until(true: Callable[[], bool]) -> None:
    """For what nothing announces."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
