"""A server that accepts everything, as fast as asyncio allows: what is measured is the sender.

    python3 scripts/benchmarks/fleet_server.py

It prints its port, and runs until its standard input ends. It is no HTTP server that anybody should use.
"""

from __future__ import annotations

import asyncio
import gc
import sys

_RECEIPT = (
    b'{"molecule_id":null,"mode":"live","timestamp":"2024-01-04T23:55:00Z","status":"accepted",'
    b'"event_slots":[{"event_id":"%s","status":"accepted"}]}'
)
_HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Fri, 05 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n"
)
_ID = b'"event_id":'


class Accepting(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._kept = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._kept += data
        while True:
            head, mark, rest = self._kept.partition(b"\r\n\r\n")
            place = head.lower().find(b"content-length:")
            if not mark or place < 0:
                return
            length = int(head[place + 15 :].partition(b"\r\n")[0])
            if len(rest) < length:
                return
            body, self._kept = rest[:length], rest[length:]
            start = body.index(b'"', body.index(_ID) + len(_ID)) + 1
            receipt = _RECEIPT % body[start : start + 36]
            assert self._transport is not None
            self._transport.write(_HEAD % len(receipt) + receipt)


async def main() -> None:
    """Listen on a free port of this machine."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Accepting, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    gc.disable()
    asyncio.run(main())
