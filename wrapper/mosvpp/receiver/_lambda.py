"""The receiver as an AWS Lambda function behind an API Gateway."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, Unpack

from mosvpp.signatures import Verifier

from ._handle import Answer, Intake, Options, Request, VerifierFault, answer
from ._probes import Probes
from ._threads import not_checked, store
from .inbox import Inbox
from .tracing import receiving

__all__ = ["LambdaHandler", "lambda_handler"]

LambdaHandler: TypeAlias = Callable[[Mapping[str, Any], object], dict[str, Any]]


def lambda_handler(
    inbox: Inbox, *, verifier: Verifier, mounted_at: str = "", **options: Unpack[Options]
) -> LambdaHandler:
    """A function that takes events of API Gateway in format 1.0 (REST) and 2.0 (HTTP, function URLs).

        handler = receiver.lambda_handler(SqlInbox(os.environ["STORE"]), verifier=verifier)

    Give it a PostgreSQL store: the disk of a function is not kept. `mounted_at` is what stands before the
    paths of `asgi`, for example the stage. Handlers run elsewhere, see `Inbox.work`. Raises `RuleError`.
    """
    intake, probes, prefix = Intake(verifier, **options), Probes(inbox), mounted_at.rstrip("/")

    def handle(event: Mapping[str, Any], _context: object = None) -> dict[str, Any]:
        try:
            made = _serve(inbox, intake, probes, event, prefix)
        except VerifierFault as fault:
            made = not_checked(inbox, fault)
        if made.reason is not None:
            inbox.counters.count(inbox.counters.refused, made.reason)
        return {
            "statusCode": made.status,
            "headers": {
                name.decode(): value.decode() for name, value in made.headers if name != b"connection"
            },
            "body": made.body.decode(),
            "isBase64Encoded": False,
        }

    return handle


def _serve(inbox: Inbox, intake: Intake, probes: Probes, event: Mapping[str, Any], prefix: str) -> Answer:
    request = _request(event, prefix)
    step = intake.begin(request, inbox.now())
    if isinstance(step, Answer):
        return step
    if isinstance(step, str):
        return probes.answer(step)
    inbox.counters.count(inbox.counters.received, step.kind)
    try:
        body = _body(event)
    except (Base64Error, ValueError):
        return answer("framing")
    with receiving(intake.tracer, step.kind, step.headers):
        return step.feed(body) or store(inbox, intake, step.finish())


def _request(event: Mapping[str, Any], prefix: str) -> Request:
    context = event.get("requestContext") or {}
    if "http" in context:  # format 2.0
        http = context["http"]
        method, path, peer = http.get("method", ""), event.get("rawPath", ""), http.get("sourceIp")
    else:
        method, path = event.get("httpMethod", ""), event.get("path", "")
        peer = (context.get("identity") or {}).get("sourceIp")
    if prefix and path.startswith(prefix + "/"):
        path = path[len(prefix) :]
    return Request(method, path, _headers(event), peer)


def _headers(event: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    several: Mapping[str, list[str]] = event.get("multiValueHeaders") or {
        name: [value] for name, value in (event.get("headers") or {}).items()
    }
    return [
        (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, values in several.items()
        for value in values
    ]


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    return b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
