"""Read what Molecule sends to the partner's endpoints.

    verifier = SharedHeaders({"X-API-Key": secret})
    delivery = webhooks.parse(body, headers, verifier=verifier, expect="data_push")

Answer 200 as soon as the delivery is stored (push.answer_200, behaviour.receiver_answer). Nothing is
documented about repetition, order or loss, so expect all of them (unknown.delivery_rules). This module does
no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, overload

import msgspec

from mosvpp_events import DataPushPayload, DeviceReading

from ._deliveries import Kind, read_delivery
from ._json import decode_strictly, has_keys
from .drift import OnDrift, report
from .errors import PayloadError, RuleError
from .events import DataPush, Delivery, ExecutionReport, UnknownDelivery
from .signatures import Headers, HeadersLike, Verifier, aware
from .statuses import check_statuses

__all__ = ["MAX_BYTES", "parse"]

MAX_BYTES = 1024 * 1024

_decode_push = msgspec.json.Decoder(DataPushPayload).decode
_LONG_FRACTION = re.compile(rb":[0-9]{2}[.,][0-9]{7}|\\u00(?:2[cCeE]|3)")  # also where a digit is escaped
_PUSH_KEYS = len(DataPushPayload.__struct_fields__)
_DEVICE_KEYS = len(DeviceReading.__struct_fields__)


@overload
def parse(
    body: bytes,
    headers: HeadersLike,
    *,
    verifier: Verifier,
    expect: Literal["data_push"],
    now: datetime | None = None,
    on_drift: OnDrift | None = None,
    statuses: Mapping[str, str] | None = None,
) -> DataPush | UnknownDelivery: ...
@overload
def parse(
    body: bytes,
    headers: HeadersLike,
    *,
    verifier: Verifier,
    expect: Literal["execution_response"],
    now: datetime | None = None,
    on_drift: OnDrift | None = None,
    statuses: Mapping[str, str] | None = None,
) -> ExecutionReport | UnknownDelivery: ...
@overload
def parse(
    body: bytes,
    headers: HeadersLike,
    *,
    verifier: Verifier,
    expect: Kind | None = None,
    now: datetime | None = None,
    on_drift: OnDrift | None = None,
    statuses: Mapping[str, str] | None = None,
) -> Delivery: ...
def parse(
    body: bytes,
    headers: HeadersLike,
    *,
    verifier: Verifier,
    expect: Kind | None = None,
    now: datetime | None = None,
    on_drift: OnDrift | None = None,
    statuses: Mapping[str, str] | None = None,
) -> Delivery:
    """Verify the raw bytes, then read them.

    `body` is what came, before any decoding, at most 1 MiB; `headers` what the framework offers, a mapping or
    pairs. `expect` is the kind that this URL receives (push.separate_endpoints); without it the shape
    decides. `now` is an aware datetime, the present if left out. `on_drift` is given each surprise, and
    `statuses` adds status words, as in `{"DONE": "completed"}`.

    Raises `AuthenticationError` (answer 401) when the sender did not prove who it is, `PayloadError` (answer
    400) for bytes that are no acceptable JSON, and `RuleError` for wrong arguments. Acceptable JSON in a
    shape that we do not know is no error but an `UnknownDelivery`; fields, words and metrics that we do not
    know fail nothing.
    """
    if type(body) is not bytes:
        body = _raw(body)
    if expect is not None and expect not in ("data_push", "execution_response"):
        raise RuleError('expect is "data_push", "execution_response" or left out', path="expect", rule="enum")
    if statuses is not None:
        check_statuses(statuses)
    verify = getattr(verifier, "verify", None)
    if verify is None:
        msg = "give a verifier, for example SharedHeaders; no delivery is read without one"
        raise RuleError(msg, path="verifier", rule="required", evidence=("push.validate_headers",))
    now = datetime.now(UTC) if now is None else aware(now, path="now")
    if len(body) > MAX_BYTES:
        raise PayloadError(
            f"the body has {len(body)} bytes, the most we take are {MAX_BYTES}", reason="too_large"
        )
    if not isinstance(headers, Headers):
        headers = Headers(headers)  # from here on, no frame of ours shows the values
    verify(body, headers, now)
    if expect != "execution_response":
        push = _quick_push(body)
        if push is not None:
            return push
    delivery, drifts = read_delivery(decode_strictly(body), body, expect=expect, statuses=statuses)
    for drift in drifts:
        report(on_drift, drift)
    return delivery


def _raw(body: object) -> bytes:
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    msg = f"give the raw bytes as they arrived, before any decoding, and not a {type(body).__name__}"
    raise RuleError(msg, path="body", rule="type")


def _quick_push(body: bytes) -> DataPush | None:
    """A push that has nothing surprising about it, or None for everything that must be looked at closely.

    One typed decoding tells almost all. What it passes over in silence are a key that comes twice and a key
    that is not known, with whatever is in it; but either makes more keys in the bytes than were decoded. All
    fields are required, so that equal counts prove that there is neither. Where no white space is, every key
    ends in `":`; where some is, `has_keys` looks closer.
    """
    try:
        payload = _decode_push(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    devices, timestamp = payload.devices, payload.timestamp
    keys = _PUSH_KEYS + _DEVICE_KEYS * len(devices)
    for device in devices:
        keys += len(device.metrics)
    is_spaced = 32 in body or 10 in body or 13 in body or 9 in body
    if body.count(b'":') != keys or (is_spaced and not has_keys(body, keys)) or timestamp.tzinfo is not UTC:
        return None
    if (timestamp.microsecond or body.find(b"999999") >= 0 or 92 in body) and _LONG_FRACTION.search(body):
        return None  # what lies beyond microseconds is cut off there, and rounded here
    return DataPush(molecule_id=payload.molecule_id, timestamp=timestamp, devices=tuple(devices), raw=body)
