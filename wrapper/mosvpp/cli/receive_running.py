"""What runs while `mosvpp receive` runs: the server, the capture, and a log of what was refused."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mosvpp.receiver._sorting import sorting
from mosvpp.receiver.fixtures import capturing
from mosvpp.receiver.logs import JsonFormatter
from mosvpp.receiver.redaction import without_secrets

from .receive_server import Listening, serving, told_to_stop

if TYPE_CHECKING:
    from mosvpp.receiver import Inbox

__all__ = ["logged_to_stderr", "receive_until_told"]

_log = logging.getLogger("mosvpp.receiver")

REPORT_EVERY_S = 10.0


async def receive_until_told(
    inbox: Inbox,
    app: Any,
    server: str,
    where: Listening,
    *,
    capture: Path | None,
    on_ready: Callable[[], object],
) -> None:
    """Receive until Ctrl-C or SIGTERM, then finish what is in hand."""
    async with AsyncExitStack() as stack:
        told = stack.enter_context(told_to_stop())
        stack.enter_context(sorting(inbox))
        if capture is not None:
            stack.enter_context(capturing(inbox, capture))
        task = await stack.enter_async_context(serving(app, server, where))
        on_ready()
        waiting = asyncio.ensure_future(told.wait())
        report = _Report(inbox)
        reporting = asyncio.ensure_future(report.now_and_then())
        try:
            await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
            if told.is_set():
                _log.info("stopping, after what is in hand")
        finally:
            waiting.cancel()
            reporting.cancel()
    report.tell()
    if task.done() and not task.cancelled() and task.exception() is not None:
        raise task.exception() or AssertionError


class _Report:
    """Logs what was stored, and what was refused and why: a 401 itself tells nobody here."""

    def __init__(self, inbox: Inbox) -> None:
        self._counters = inbox.counters
        self._stored: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    async def now_and_then(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            self.tell()

    def tell(self) -> None:
        """What has come since the last time."""
        stored, refused = self._counters.stored.copy(), self._counters.refused.copy()
        for kind, count in (stored - self._stored).items():
            _log.info("stored %d %s", count, kind, extra={"kind": kind, "count": count})
        for reason, count in (refused - self._refused).items():
            _log.warning("refused %d: %s", count, reason, extra={"reason": reason, "count": count})
        self._stored, self._refused = stored, refused


class _TextFormatter(logging.Formatter):
    """`18:00:05 warning refused 3: wrong_secret`, secrets removed."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


@contextmanager
def logged_to_stderr(how: str, level: str) -> Iterator[None]:
    """Send what the receiver logs to stderr meanwhile."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if how == "json" else _TextFormatter())
    before = []
    for name in ("mosvpp", "uvicorn"):
        logger = logging.getLogger(name)
        before.append((logger, logger.handlers, logger.level, logger.propagate))
        logger.handlers = [handler]
        logger.setLevel(level.upper() if name == "mosvpp" else logging.WARNING)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, handlers, was_level, propagates in before:
            logger.handlers, logger.propagate = handlers, propagates
            logger.setLevel(was_level)
