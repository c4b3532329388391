"""Many connections that push one delivery after the other, from one thread that does nothing else.

It speaks HTTP/1.1 on plain sockets: a client library would be slower than the servers that it is to measure.
`Run.busy` says how much of its time it was at work, so that one sees that it was not what limited a server.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

__all__ = ["Bodies", "Run", "push"]

PATIENCE_S = 20.0  # a server that is silent for so long is broken
_PER_SECOND = 2000  # deliveries that carry the same time, as those of many sites do


class Run(NamedTuple):
    """What became of one slice of load."""

    acknowledged: int
    seconds: float
    latencies_s: list[float]
    busy: float
    """The share of its time in which the load itself was at work."""

    @property
    def rate(self) -> float:
        """Acknowledged deliveries per second."""
        return self.acknowledged / self.seconds


class Bodies:
    """Data pushes that differ in site, time and a reading, and are all of the same length."""

    def __init__(self, devices: int, *, start: datetime | None = None) -> None:
        self._count = 0
        self._start = start or datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        self._at = b""
        metrics = b'{"state_of_charge": 82.5, "power_output": 4.8, "temperature": 32.1}'
        self._devices = b", ".join(
            b'{"device_id": "%d", "metrics": %b}' % (20000 + number, metrics) for number in range(devices)
        )
        self.length = len(next(self))

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        count = self._count
        if count % _PER_SECOND == 0:
            at = self._start + timedelta(seconds=count // _PER_SECOND)
            self._at = at.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        self._count = count + 1
        site = b"fecd%012x" % count
        return b'{"timestamp": "%b", "molecule_id": "%b", "devices": [%b]}' % (self._at, site, self._devices)


class _Connection:
    __slots__ = ("received", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.received = b""


def push(
    port: int, bodies: Bodies, *, key: str, connections: int = 64, seconds: float = 3600, at_most: int = 10**9
) -> Run:
    """Push until the time is up or so many are acknowledged; whatever is on its way then is waited for."""
    head = (
        f"POST /data-push HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {bodies.length}\r\n\r\n"
    ).encode()
    several = [_Connection(port) for _ in range(connections)]
    try:
        with _undisturbed():
            return _drive(several, head, bodies, seconds, at_most)
    finally:
        for one in several:
            one.socket.close()


def _drive(several: list[_Connection], head: bytes, bodies: Bodies, seconds: float, at_most: int) -> Run:
    clock = time.perf_counter
    by_number = {one.socket.fileno(): one for one in several}
    latencies: list[float] = []
    poll = select.epoll()
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    began, worked = clock(), time.thread_time()
    until = began + seconds
    for one in several:
        one.sent_at = clock()
        one.socket.sendall(head + next(bodies))
    in_flight, started = len(several), len(several)
    while in_flight:
        ready = poll.poll(PATIENCE_S)
        if not ready:
            raise TimeoutError(f"no answer within {PATIENCE_S:g} s")
        for number, _ in ready:
            one = by_number[number]
            one.received += one.socket.recv(65536)
            if not _is_complete(one.received):
                continue
            one.received = b""
            now = clock()
            latencies.append(now - one.sent_at)
            if now < until and started < at_most:
                started += 1
                one.sent_at = now
                one.socket.sendall(head + next(bodies))
            else:
                in_flight -= 1
    elapsed, worked = clock() - began, time.thread_time() - worked
    poll.close()
    return Run(len(latencies), elapsed, latencies, worked / elapsed)


def _is_complete(answer: bytes) -> bool:
    """Whether the answer is all there. Raises `RuntimeError` for any but 200."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        if not answer:
            raise RuntimeError("the server closed the connection")
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {answer[:200]!r}")
    head = head.lower()
    announced = head.find(b"content-length: ")
    if announced < 0:
        return body.endswith(b"0\r\n\r\n")  # in chunks
    return len(body) >= int(head[announced + 16 :].partition(b"\r\n")[0])


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without the garbage collector: what is made here holds no cycles."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
