"""A partner's integration in miniature: it asks for an event, and notes what Molecule says became of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from mosvpp import Client, DispatchReceipt, ExecutionReport, discharge, errors, kW, webhooks
from mosvpp.signatures import SharedHeaders

settled: dict[str, str] = {}  # in reality a table
kept: set[bytes] = set()  # in reality the inbox of mosvpp.receiver


def shave_the_peak(client: Client, molecule_id: str, start: datetime) -> DispatchReceipt:
    """Ask a site for 3 kW over an hour."""
    slot = discharge(3 * kW, start=start, duration=timedelta(hours=1), priority=50)
    return client.submit_dispatch(molecule_id, slot, mode="test")


def app(environ: dict, start_response: Callable) -> Iterable[bytes]:
    """The endpoint for execution responses (WSGI)."""
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
    headers = [(name[5:].replace("_", "-"), value) for name, value in environ.items() if name[:5] == "HTTP_"]
    start_response(take(body, headers), [("Content-Length", "0")])
    return []


def take(body: bytes, headers: Iterable[tuple[str, str]]) -> str:
    """Note what came, once; the status to answer with."""
    verifier = SharedHeaders({"X-API-Key": [os.environ["WEBHOOK_SECRET"]]})
    try:
        event = webhooks.parse(body, headers, verifier=verifier, expect="execution_response")
    except errors.AuthenticationError:
        return "401 Unauthorized"
    except errors.PayloadError:
        return "400 Bad Request"
    if body not in kept and isinstance(event, ExecutionReport):
        kept.add(body)
        for result in event.results:
            settled[result.event_id.lower()] = result.status
    return "200 OK"
