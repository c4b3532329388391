"""OpenTelemetry spans around receiving and handling (extra `otel`).

Give a tracer to the inbox and to the receiver: `SqlInbox(url, tracer=tracing.tracer())`. Without one
nothing is traced and nothing is imported. A sender's `traceparent` is kept with the delivery, and the span
of its handling links to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from .deliveries import StoredDelivery

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["handling", "receiving", "tracer"]


def tracer(name: str = "mosvpp.receiver") -> Tracer:
    """The tracer of the provider that your program has set up. Raises `ImportError` without the extra."""
    try:
        from opentelemetry import trace
    except ModuleNotFoundError:
        msg = (
            "tracing needs opentelemetry-api, which comes with an extra: pip install 'mosvpp[receiver,otel]'"
        )
        raise ImportError(msg, name="opentelemetry") from None
    return trace.get_tracer(name)


def receiving(tracer: Tracer | None, kind: str, headers: Mapping[str, str]) -> AbstractContextManager[Any]:
    """A span for one request, a child of the sender's."""
    if tracer is None:
        return nullcontext()
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    return tracer.start_as_current_span(
        f"receive {kind}",
        context=extract(dict(headers)),
        kind=SpanKind.SERVER,
        attributes={"mosvpp.kind": kind},
    )


def handling(tracer: Tracer | None, delivery: StoredDelivery) -> AbstractContextManager[Any]:
    """A span for one call of a handler: a trace of its own, linked to the one in which the delivery came."""
    if tracer is None:
        return nullcontext()
    from opentelemetry.context import Context
    from opentelemetry.propagate import extract
    from opentelemetry.trace import Link, SpanKind, get_current_span

    came_with = get_current_span(extract(delivery.headers)).get_span_context()
    attributes: dict[str, str | int] = {
        "mosvpp.kind": delivery.kind,
        "mosvpp.key": delivery.key,
        "mosvpp.attempt": delivery.attempts,
    }
    return tracer.start_as_current_span(
        f"handle {delivery.kind}",
        context=Context(),
        kind=SpanKind.CONSUMER,
        links=[Link(came_with)] if came_with.is_valid else [],
        attributes=attributes,
    )
