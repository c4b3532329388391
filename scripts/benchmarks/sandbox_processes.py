"""The two processes that `sandbox` measures: the sandbox with many sites, and a partner that answers 200.

    python -m benchmarks.sandbox_processes partner
    python -m benchmarks.sandbox_processes sandbox SITES URL

The partner prints its port. The sandbox reads numbers, each on a line: so many pushes it makes of every
site, as fast as it can, then prints the seconds and the processor's seconds that this took, and its memory,
as JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from datetime import UTC, datetime, timedelta

__all__ = ["main"]

EVERY = timedelta(minutes=1)
NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Partner(asyncio.Protocol):
    """Reads no more of a request than where it ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._read = b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self._read) < end + 4 + length:
                return
            self._read = self._read[end + 4 + length :]
            self._transport.write(_OK)


async def _partner() -> None:
    server = await asyncio.get_running_loop().create_server(_Partner, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _sandbox(sites: int, url: str) -> None:
    from mosvpp_sandbox import ManualClock, Sandbox

    clock = ManualClock(NOON)
    with Sandbox(clock=clock, sites=sites, seed=7, push_every=EVERY, data_push_url=url) as vpp:
        for line in sys.stdin:
            before = sum(site.pushes for site in vpp.sites.values())
            began, worked = time.perf_counter(), time.process_time()
            for _ in range(int(line)):
                clock.advance(EVERY)
                vpp.flush(600)
            seconds, worked = time.perf_counter() - began, time.process_time() - worked
            lost = sum(not sent.is_acknowledged for sent in vpp.sent)
            told = {
                "pushes": sum(site.pushes for site in vpp.sites.values()) - before,
                "seconds": seconds,
                "worked": worked,
                "lost": lost,
                "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
            print(json.dumps(told), flush=True)


def main() -> None:
    """Be one of the two."""
    if sys.argv[1] == "partner":
        asyncio.run(_partner())
    else:
        _sandbox(int(sys.argv[2]), sys.argv[3])


if __name__ == "__main__":
    main()
