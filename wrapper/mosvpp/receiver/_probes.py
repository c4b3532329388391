"""Answers for those who watch: is the process alive, does the store take what comes, what was counted."""

from __future__ import annotations

import asyncio
import json
import time

from mosvpp.errors import StoreError

from ._handle import Answer, Probe
from .inbox import Inbox

__all__ = ["Probes"]

_FRESH_S = 1.0  # a crowd of probes costs one write a second
_WAIT_S = 4.0


class Probes:
    """Answers for `/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._checked_at = float("-inf")
        self._fault: str | None = None

    def answer(self, probe: Probe) -> Answer:
        """The answer for a probe; this one waits for the store."""
        if probe == "healthz":
            return _json(200, {"ok": True})
        if probe == "metrics":
            return self._counted()
        if not self._is_fresh():
            try:
                self._inbox.check().result(_WAIT_S)
            except StoreError as error:
                self._note(error.reason)
            else:
                self._note(None)
        return self._ready()

    async def awaited(self, probe: Probe) -> Answer:
        """The same without holding up an event loop."""
        if probe == "healthz":
            return self.answer(probe)
        return await asyncio.to_thread(self.answer, probe)

    def _counted(self) -> Answer:
        from .metrics import CONTENT_TYPE, exposition

        body = exposition(self._inbox)
        headers = [(b"content-type", CONTENT_TYPE), (b"content-length", b"%d" % len(body))]
        return Answer(200, headers, body, None)

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._checked_at < _FRESH_S

    def _note(self, fault: str | None) -> None:
        self._checked_at = time.monotonic()
        self._fault = fault

    def _ready(self) -> Answer:
        if self._fault is None:
            return _json(200, {"ok": True, "store": "writable"})
        return _json(503, {"ok": False, "store": self._fault})._replace(reason="not_ready")


def _json(status: int, value: dict[str, object]) -> Answer:
    body = json.dumps(value).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return Answer(status, headers, body, None)
