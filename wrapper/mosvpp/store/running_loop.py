"""Which event loop runs here, asked for each delivery."""

from __future__ import annotations

import asyncio
import sys
import threading

__all__ = ["running_loop"]

_here = threading.local()


def _remembered_loop() -> asyncio.AbstractEventLoop:
    """The loop that was running here the last time, if it still is.

    Before Python 3.12, `asyncio.get_running_loop` asks the system for the number of the process each time,
    which took a fifth of the time that a receiver spends on a delivery. A thread runs one loop at a time.
    """
    loop: asyncio.AbstractEventLoop | None = getattr(_here, "loop", None)
    if loop is None or not loop.is_running():
        loop = _here.loop = asyncio.get_running_loop()
    return loop


running_loop = asyncio.get_running_loop if sys.version_info >= (3, 12) else _remembered_loop
