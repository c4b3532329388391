"""Builds what a partner's endpoint may get: authentic deliveries, forged ones, and bytes of any kind.

    webhooks = WebhookBuilder({"X-API-Key": "the secret"})
    body, headers = webhooks.execution_response(slot, status="DONE")
    body, headers = webhooks.forged(webhooks.data_push())

Nothing is sent here. The data push has the documented shape (push.body), the execution response the two that
we infer (execution.two_forms); a signature is an offer of ours, Molecule documents none (push.no_signature).
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID, uuid4

import msgspec

from mosvpp.signatures import sign
from mosvpp.slots import EventSlot
from mosvpp.times import to_wire

__all__ = ["SAMPLE_METRICS", "Forgery", "Shape", "Webhook", "WebhookBuilder", "another", "new_signing_secret"]

Shape: TypeAlias = Literal["nested", "flat"]
Forgery: TypeAlias = Literal["wrong_secret", "missing_header", "changed_body", "stale"]

SAMPLE_METRICS: Mapping[str, Mapping[str, float | str]] = {
    "20000": {"state_of_charge": 82.5, "power_output": 4.8, "temperature": 32.1},
    "21000": {"relay_state": "closed", "last_switch_time": "2024-01-05T01:00:30Z"},
    "22000": {"voltage": 239.4, "frequency": 49.98},
}
_LONG_AGO = timedelta(hours=1)


class Webhook(NamedTuple):
    """What arrives at an endpoint: `body, headers = webhooks.data_push()`."""

    body: bytes
    headers: dict[str, str]


class WebhookBuilder:
    """Builds deliveries with the headers that a partner has configured, and signed ones where asked.

    `now` is the time that bodies tell; a signature is always of the real present, which receivers compare it
    with. Its repr shows no secret.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        *,
        molecule_id: str = "fecd0001c031e7e8",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        signing_secret: str | None = None,
    ) -> None:
        self.headers = dict(headers)
        self.molecule_id = molecule_id
        self.signing_secret = signing_secret
        self._now = now

    def __repr__(self) -> str:
        signed = ", signed" if self.signing_secret else ""
        return f"WebhookBuilder({', '.join(self.headers)}{signed})"

    def signed(self, secret: str | None = None) -> WebhookBuilder:
        """The same, with a Standard Webhooks signature; `signing_secret` of the result is the secret."""
        return WebhookBuilder(
            self.headers,
            molecule_id=self.molecule_id,
            now=self._now,
            signing_secret=secret or self.signing_secret or new_signing_secret(),
        )

    # --- authentic ---

    def data_push(
        self,
        metrics: Mapping[str, Mapping[str, Any]] = SAMPLE_METRICS,
        *,
        at: datetime | None = None,
        **more: Any,
    ) -> Webhook:
        """A data push with the metrics of each device, by its id; `more` are further fields of the body."""
        devices = [{"device_id": name, "metrics": dict(told)} for name, told in metrics.items()]
        fields = {"timestamp": to_wire(at or self._now()), "molecule_id": self.molecule_id}
        return self.json({**fields, "devices": devices, **more})

    def execution_response(
        self,
        event: EventSlot | UUID | str | None = None,
        *,
        status: str = "completed",
        shape: Shape = "nested",
        at: datetime | None = None,
        **more: Any,
    ) -> Webhook:
        """What became of an event, in words and a shape of your choice.

        `event` is the slot that was dispatched, whose times and power are then reported as delivered, or only
        its id; without one it is an id that nobody has seen. `more` are further fields of the event, or other
        values for those that are there.
        """
        result = {**_result(event, status), **more}
        envelope = {"molecule_id": self.molecule_id, "timestamp": to_wire(at or self._now())}
        if shape == "flat":
            return self.json({**envelope, **result})
        return self.json({**envelope, "mode": "test", "status": status, "event_slots": [result]})

    def json(self, body: Any) -> Webhook:
        """A body of your own, as compact JSON."""
        return self.raw(msgspec.json.encode(body))

    def raw(self, body: bytes) -> Webhook:
        """Any bytes, with the headers of an authentic delivery."""
        return Webhook(body, self._around(body))

    # --- forged ---

    def forged(self, webhook: Webhook | None = None, *, how: Forgery = "wrong_secret") -> Webhook:
        """The same from somebody who is not the sender.

        `wrong_secret`: every configured header has another value of the same length, and the signature is by
        another key. `missing_header`: there is neither. For a builder that signs also `changed_body` (the
        body is not the one that was signed) and `stale` (signed an hour ago, as a recording played again).
        Raises `ValueError` for these two where nothing is signed: headers alone prove nothing of the kind.
        """
        body, headers = webhook or self.data_push()
        if how == "missing_header":
            return Webhook(body, {"Content-Type": "application/json"})
        if how == "wrong_secret":
            wrong = {name: another(value) for name, value in self.headers.items()}
            builder = WebhookBuilder(wrong, signing_secret=self.signing_secret and new_signing_secret())
            return builder.raw(body)
        if self.signing_secret is None:
            msg = f"without a signature nothing shows {how!r}: use signed()"
            raise ValueError(msg)
        if how == "changed_body":
            return Webhook(body + b"\n", headers)
        return Webhook(body, self._around(body, datetime.now(UTC) - _LONG_AGO))

    def _around(self, body: bytes, signed_at: datetime | None = None) -> dict[str, str]:
        headers = {"Content-Type": "application/json", **self.headers}
        if self.signing_secret is not None:
            when = signed_at or datetime.now(UTC)
            message_id = f"msg_{uuid4().hex}"
            headers |= sign(body, secret=self.signing_secret, message_id=message_id, timestamp=when)
        return headers


def another(secret: str) -> str:
    """A text of the same length whose last character is another one: a careless comparison misses it."""
    return secret[:-1] + ("0" if secret[-1:] != "0" else "1")


def new_signing_secret() -> str:
    """A secret for Standard Webhooks signatures."""
    return f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"


def _result(event: EventSlot | UUID | str | None, status: str) -> dict[str, Any]:
    if not isinstance(event, EventSlot):
        return {"event_id": str(event or uuid4()), "status": status}
    result: dict[str, Any] = {
        "event_id": event.event_id,
        "status": status,
        "start_time": to_wire(event.start),
        "end_time": to_wire(event.end),
    }
    if event.power is not None:
        result |= {"executed_quantity": event.power.value, "event_unit": event.power.unit}
    return result
