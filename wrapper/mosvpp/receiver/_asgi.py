"""The receiver as an ASGI application: mounted in another one, or served by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias, Unpack

from mosvpp.errors import StoreError
from mosvpp.signatures import Verifier

from ._deadlines import Deadlines
from ._handle import Answer, Intake, Options, Reception, Request, Stranger, VerifierFault, answer, stored
from ._probes import Probes
from ._threads import keep_stranger, not_checked, not_stored
from .deliveries import NewDelivery
from .inbox import Inbox
from .tracing import receiving

__all__ = ["AsgiReceiver", "asgi"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("mosvpp.receiver")

_GONE = "disconnected"


def asgi(inbox: Inbox, *, verifier: Verifier, **options: Unpack[Options]) -> AsgiReceiver:
    """An ASGI application with `POST /data-push` and `POST /execution-response`, `/healthz` and `/readyz`.

        app = FastAPI(lifespan=inbox.lifespan)
        app.mount("/mosvpp", receiver.asgi(inbox, verifier=SharedHeaders({"X-API-Key": read_keys})))

    Served by itself it opens the inbox and runs its handlers, mounted it leaves that to the application
    around it. For what can be set see `Options`. Raises `RuleError` for what makes no sense.
    """
    return AsgiReceiver(inbox, Intake(verifier, **options))


class AsgiReceiver:
    """See `asgi`."""

    def __init__(self, inbox: Inbox, intake: Intake) -> None:
        self._inbox = inbox
        self._intake = intake
        self._probes = Probes(inbox)
        self._deadlines = Deadlines(min(intake.body_deadline_s, intake.store_deadline_s) / 16)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "http":
            try:
                made = await self._serve(scope, receive)
            except VerifierFault as fault:
                made = not_checked(self._inbox, fault)
            if made.reason is not None:
                self._inbox.counters.count(self._inbox.counters.refused, made.reason)
            body = b"" if scope["method"] == "HEAD" else made.body
            try:
                await send({"type": "http.response.start", "status": made.status, "headers": made.headers})
                await send({"type": "http.response.body", "body": body})
            except OSError:
                if made.reason != _GONE:
                    raise
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def _serve(self, scope: MutableMapping[str, Any], receive: Receive) -> Awaitable[Answer]:
        client = scope.get("client")
        request = Request(scope["method"], _path(scope), scope["headers"], client[0] if client else None)
        step = self._intake.begin(request, self._inbox.now())
        if isinstance(step, Reception):
            self._inbox.counters.count(self._inbox.counters.received, step.kind)
            if self._intake.tracer is None:
                return self._take(step, receive)
            return self._take_traced(step, receive)
        return _at_once(step) if isinstance(step, Answer) else self._probes.awaited(step)

    async def _take_traced(self, reception: Reception, receive: Receive) -> Answer:
        with receiving(self._intake.tracer, reception.kind, reception.headers):
            return await self._take(reception, receive)

    async def _take(self, reception: Reception, receive: Receive) -> Answer:
        deadlines, inbox = self._deadlines, self._inbox
        task = deadlines.start(self._intake.body_deadline_s)
        found: Answer | NewDelivery | Stranger | None = None
        try:
            is_complete = False
            while found is None and not is_complete:
                message = await receive()
                if message["type"] == "http.disconnect":
                    # Some servers say so of a body that makes no sense as well, and somebody waits.
                    return answer("framing", count_as=_GONE, unread=True)
                found = reception.feed(message.get("body", b""))
                is_complete = not message.get("more_body", False)
            found = found or reception.finish()
            if isinstance(found, NewDelivery):
                deadlines.allow(task, self._intake.store_deadline_s)
                await inbox.put(found)
                made = stored()
            else:
                made = keep_stranger(inbox, found) if isinstance(found, Stranger) else found
        except asyncio.CancelledError:
            if not deadlines.has_cut(task):
                raise
            made = answer("slow_body", unread=True) if found is None else not_stored(inbox, "timeout", None)
        except StoreError as error:
            made = not_stored(inbox, error.reason, error)
        except VerifierFault:
            raise
        except Exception as error:  # noqa: BLE001  not stored, and the sender must learn that
            made = not_stored(inbox, "failed", error)
        finally:
            deadlines.end(task)
        return made

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self._inbox.lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except StoreError as error:
            _log.error("the receiver does not start: %s", error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


async def _at_once(made: Answer) -> Answer:
    return made


def _path(scope: MutableMapping[str, Any]) -> str:
    """The path below the mount: some frameworks leave the mount's path in front of it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root):
        return path[len(root) :]
    return path
