"""The servers that `receiver` compares, each run by granian as `mosvpp receive` runs it.

    python -m benchmarks.receiver_servers WHICH STORE_URL PORT

`bare` answers 200 to whatever comes and stores nothing: nothing that Python serves this way can be faster.
`ours` is the receiver, `each` the same one with a commit for each delivery, and `usual` what one would write
without it: FastAPI, pydantic, a SQLAlchemy session and a commit for each request.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

KEY = "a key of the partner"


async def bare(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Read the body, answer 200."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body", False):
        pass
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"OK\n"})


def ours(url: str, *, batch: int | None = None) -> Any:
    """The receiver; `batch` is how many deliveries share a commit at most."""
    from mosvpp import receiver
    from mosvpp.receiver import SqlInbox
    from mosvpp.signatures import SharedHeaders

    inbox = SqlInbox(url)
    if batch is not None:
        inbox._max_batch = batch  # noqa: SLF001  nobody else has a reason to
    return receiver.asgi(inbox, verifier=SharedHeaders({"X-API-Key": KEY}))


def make() -> Any:
    """The application that the environment names: granian calls this in its worker."""
    which, url = os.environ["BENCH_SERVER"], os.environ["BENCH_STORE"]
    if which == "bare":
        return bare
    if which == "usual":
        from benchmarks.usual import app

        return app
    return ours(url, batch=1 if which == "each" else None)


def main() -> None:
    """Serve until told to stop."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    which, url, port = sys.argv[1:]
    os.environ.update(BENCH_SERVER=which, BENCH_STORE=url, BENCH_KEY=KEY)
    Granian(
        "benchmarks.receiver_servers:make",
        factory=True,
        address="127.0.0.1",
        port=int(port),
        interface=Interfaces.ASGI,
        log_access=False,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main()
