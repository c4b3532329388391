"""SIGTERM, which service managers send, ends a command in order, as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["sigterm_is_ctrl_c"]


@contextmanager
def sigterm_is_ctrl_c() -> Iterator[None]:
    """Do with SIGTERM what is done with Ctrl-C, also where a shell lets that be ignored."""

    def tell(_number: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)  # an event loop that runs has one of its own
        if not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
