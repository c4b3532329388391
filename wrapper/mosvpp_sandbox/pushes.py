"""The bytes of what is sent to the partner: shaped by the profile, and spoilt by the faults that strike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from mosvpp.times import to_wire

from .profiles import Profile
from .site import Delivery, Kind

__all__ = ["KINDS", "written_push"]

KINDS: Mapping[str, Kind] = {
    "receive_data_push": "data_push",
    "receive_execution_response": "execution_response",
}


def written_push(profile: Profile, delivery: Delivery, faults: Mapping[str, float]) -> bytes:
    """What goes over the wire."""
    body = delivery.body
    if "clock_skew" in faults:
        body = {**body, "timestamp": to_wire(delivery.at + timedelta(seconds=faults["clock_skew"]))}
    if "unknown" in faults:
        return msgspec.json.encode(_unannounced(delivery))
    written = profile.written_push(delivery.kind, body)
    return written[: len(written) // 2] if "malformed" in faults else written


def _unannounced(delivery: Delivery) -> dict[str, Any]:
    """What might come one day; market participation metrics are announced (push.future_contents)."""
    return {
        "timestamp": to_wire(delivery.at),
        "molecule_id": delivery.molecule_id,
        "market_participation": {"program": "sandbox", "revenue": 1.25, "currency": "EUR"},
    }
