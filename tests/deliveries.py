"""Deliveries as Molecule sends them, for tests of what receives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from mosvpp.receiver import SqlInbox
from mosvpp.receiver.deliveries import Kind, NewDelivery

InboxFactory: TypeAlias = Callable[..., SqlInbox]

SITE = "fecd0001c031e7e8"
SECRET = "the secret of the partner"
BEGINNING = datetime(2024, 1, 5, tzinfo=UTC)


def push_body(number: int = 0, site: str = SITE, **more: Any) -> bytes:
    """A data push; each number is another one."""
    at = (BEGINNING + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
    devices = [{"device_id": "20000", "metrics": {"state_of_charge": 82.5}}]
    return json.dumps({"timestamp": at, "molecule_id": site, "devices": devices, **more}).encode()


def report_body(event_id: str = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D", **more: Any) -> bytes:
    """An execution response in its flat form."""
    return json.dumps({"molecule_id": SITE, "event_id": event_id, "status": "completed", **more}).encode()


def new(
    body: bytes | None = None, *, kind: Kind = "data_push", at: datetime = BEGINNING, **more: Any
) -> NewDelivery:
    """What a receiver makes of a body."""
    headers = more.pop("headers", {"content-type": "application/json"})
    content = push_body() if body is None else body
    return NewDelivery(kind=kind, body=content, headers=headers, received_at=at, **more)
