"""The receiver as a WSGI application, for Flask, Django and other servers of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, TypeAlias, Unpack

from mosvpp.signatures import Verifier

from ._handle import Answer, Intake, Options, Reception, Request, VerifierFault, answer
from ._probes import Probes
from ._threads import not_checked, store
from .inbox import Inbox
from .tracing import receiving

__all__ = ["WsgiReceiver", "wsgi"]

StartResponse: TypeAlias = Callable[..., Any]

_CHUNK = 16 * 1024
_PHRASES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    503: "Service Unavailable",
}


def wsgi(inbox: Inbox, *, verifier: Verifier, **options: Unpack[Options]) -> WsgiReceiver:
    """A WSGI application with the same paths and options as `asgi`.

        ours = receiver.wsgi(inbox, verifier=verifier)
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/mosvpp": ours})

    The first delivery opens the inbox. Handlers do not run here: let a process of its own call
    `inbox.work()`. A body that is slow is noticed between two reads, so give the server a time-out as well.
    Raises `RuleError`.
    """
    return WsgiReceiver(inbox, Intake(verifier, **options))


class WsgiReceiver:
    """See `wsgi`."""

    def __init__(self, inbox: Inbox, intake: Intake) -> None:
        self._inbox = inbox
        self._intake = intake
        self._probes = Probes(inbox)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        try:
            made = self._serve(environ)
        except VerifierFault as fault:
            made = not_checked(self._inbox, fault)
        if made.reason is not None:
            self._inbox.counters.count(self._inbox.counters.refused, made.reason)
        # A connection is the server's business in WSGI.
        headers = [(name.decode(), value.decode()) for name, value in made.headers if name != b"connection"]
        start_response(f"{made.status} {_PHRASES[made.status]}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [made.body]

    def _serve(self, environ: dict[str, Any]) -> Answer:
        path = environ.get("PATH_INFO", "")
        request = Request(environ["REQUEST_METHOD"], path, _headers(environ), environ.get("REMOTE_ADDR"))
        step = self._intake.begin(request, self._inbox.now())
        if isinstance(step, Answer):
            return step
        if isinstance(step, str):
            return self._probes.answer(step)
        self._inbox.counters.count(self._inbox.counters.received, step.kind)
        with receiving(self._intake.tracer, step.kind, step.headers):
            refused = self._read(step, environ)
            return refused or store(self._inbox, self._intake, step.finish())

    def _read(self, reception: Reception, environ: dict[str, Any]) -> Answer | None:
        """Read as much as was announced, or to the end where the server says that there is one."""
        stream, until = environ["wsgi.input"], monotonic() + self._intake.body_deadline_s
        announced = environ.get("CONTENT_LENGTH") or None
        if announced is None and not environ.get("wsgi.input_terminated"):
            return reception.feed(b"")
        left = None if announced is None else int(announced)
        while left is None or left > 0:
            try:
                chunk = stream.read(_CHUNK if left is None else min(left, _CHUNK))
            except OSError:
                return answer("slow_body", count_as="disconnected", unread=True)
            if not chunk:
                break
            left = None if left is None else left - len(chunk)
            refused = reception.feed(chunk)
            if refused is not None:
                return refused
            if monotonic() > until:
                return answer("slow_body", unread=True)
        if left:
            return answer("framing", count_as="disconnected", unread=True)
        return None


def _headers(environ: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """The headers as far as WSGI gives them: it joins those that were sent more than once."""
    given = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    given |= {name: environ[name] for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)}
    return [
        (name.replace("_", "-").lower().encode("latin-1"), str(value).encode("latin-1", "replace"))
        for name, value in given.items()
    ]
