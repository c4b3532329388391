"""A forward proxy on loopback, as companies have them: it tunnels with CONNECT, and forwards plain HTTP."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from urllib.parse import urlsplit

from hostile_server import Connection, HostileServer


class ForwardProxy(HostileServer):
    """Lets those through who give its user name and password. `requests` are what it was asked for."""

    def __init__(self, *, user: str = "partner", password: str = "canary-password") -> None:
        super().__init__(self._pass_on)
        self._user = user
        self._password = password
        self._origins: set[socket.socket] = set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for origin in list(self._origins):  # one that hangs ends now
            _end(origin)
        super().__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where it is, with the password."""
        return f"http://{self._user}:{self._password}@localhost:{self.port}"

    def _pass_on(self, connection: Connection) -> None:
        while request := connection.read_request():
            head, _, body = request.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            method, target, version = first.split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            if headers.pop("proxy-authorization", "") != f"Basic {self._credentials()}":
                connection.answer(b"", status="407 Proxy Authentication Required")
            elif method == "CONNECT":
                self._tunnel(connection, target)
                return
            else:
                url = urlsplit(target)
                lines = [f"{method} {url.path} {version}", *(f"{name}: {headers[name]}" for name in headers)]
                self._forward(connection, url.netloc, "\r\n".join([*lines, "", ""]).encode() + body)

    def _credentials(self) -> str:
        return base64.b64encode(f"{self._user}:{self._password}".encode()).decode()

    def _tunnel(self, connection: Connection, netloc: str) -> None:
        with self._connected(netloc) as origin:
            connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(origin, connection.sock))
            back.start()
            _pump(connection.sock, origin)
            back.join()

    def _forward(self, connection: Connection, netloc: str, request: bytes) -> None:
        """Pass a request on, and its answer back; an answer that does not come is a 502."""
        answer = b""
        with self._connected(netloc) as origin, suppress(OSError):
            origin.sendall(request)
            origin.shutdown(socket.SHUT_WR)
            while data := origin.recv(65536):
                answer += data
        connection.send(answer or b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    @contextmanager
    def _connected(self, netloc: str) -> Iterator[socket.socket]:
        host, _, port = netloc.rpartition(":")
        assert host == "localhost", f"a test asks for {netloc}"
        with socket.create_connection(("127.0.0.1", int(port))) as origin:
            self._origins.add(origin)
            try:
                yield origin
            finally:
                self._origins.remove(origin)


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes, and that it ends, however it does."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _end(target)


def _end(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
