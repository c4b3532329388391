"""A server on loopback that misbehaves as told: its behaviour with a connection is a function of the test."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Connection:
    """One connection as the server sees it. Errors of the socket end its behaviour, not the test."""

    def __init__(self, server: HostileServer, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self._kept = b""

    def read_request(self) -> bytes:
        """Read one whole request, note it, and give it back; empty when the client closed instead."""
        while b"\r\n\r\n" not in self._kept:
            if not self._receive():
                return b""
        head, _, rest = self._kept.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        while len(rest) < length:
            if not self._receive():
                break
            rest = self._kept.partition(b"\r\n\r\n")[2]
        self._kept = rest[length:]
        request = head + b"\r\n\r\n" + rest[:length]
        self.server.requests.append(request)
        return request

    def _receive(self) -> bytes:
        data = self.sock.recv(65536)
        self._kept += data
        return data

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def drip(self, data: bytes, seconds: float = 0.05) -> None:
        """Send byte after byte, for ever where `data` allows it."""
        for byte in data:
            self.send(bytes([byte]))
            if self.server.stopping.wait(seconds):
                return

    def hang(self) -> None:
        """Do nothing until the test is over."""
        self.server.stopping.wait(60)

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def start_tls(self) -> None:
        assert self.server.tls is not None
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


Behaviour = Callable[[Connection], object]


class HostileServer:
    """Runs `behaviour` in a thread for each connection. `requests` are those that arrived whole.

    With `tls` connections begin with a handshake, or with `greets=False` when the behaviour says so.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        port: int = 0,
        family: int = socket.AF_INET,
        tls: ssl.SSLContext | None = None,
        greets: bool = True,
    ) -> None:
        self.behaviour = behaviour
        self.tls = tls
        self.port = port
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._greets = greets
        self._family = family
        self._listener = socket.socket(family)
        self._open: set[Connection] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1" if self._family == socket.AF_INET else "::1", self.port))
        self._listener.listen(50)
        self.port = self._listener.getsockname()[1]
        self.origin = f"{'https' if self.tls else 'http'}://localhost:{self.port}"
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes up accept()
        self._listener.close()
        for connection in list(self._open):
            connection.close()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive(), "a behaviour does not end"

    @property
    def open_connections(self) -> int:
        """How many connections are being served."""
        return len(self._open)

    def _start(self, target: Callable[[], object]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection = Connection(self, sock)
            self._open.add(connection)
            self._start(lambda connection=connection: self._serve(connection))

    def _serve(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(OSError):
                if self.tls is not None and self._greets:
                    connection.start_tls()
                self.behaviour(connection)
        finally:
            connection.close()
            self._open.discard(connection)


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
