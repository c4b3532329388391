"""Whatever bytes and headers arrive: only our errors, one meaning, nothing lost."""

from __future__ import annotations

import typing
from datetime import UTC, datetime
from types import UnionType
from typing import Any

import msgspec
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

import mosvpp_events
import strategies
import verdicts
from mosvpp import _deliveries, webhooks
from mosvpp._json import decode_strictly
from mosvpp.drift import Drift
from mosvpp.errors import AuthenticationError, PayloadError, WebhookError
from mosvpp.events import DataPush, ExecutionReport, UnknownDelivery
from mosvpp.signatures import Headers, HmacSignature, SharedHeaders, sign

many_examples = settings(max_examples=25 * settings().max_examples)
SECRET = "whsec_" + "a2tr" * 8
NOW = datetime(2024, 1, 5, 0, 15, tzinfo=UTC)
SHARED = SharedHeaders({"X-API-Key": ["current", "previous"]})
SIGNED = HmacSignature([SECRET])
KNOWN = [(b"x-api-key", b"current")]
kinds = st.sampled_from([None, "data_push", "execution_response"])


class _Anyone:
    needs_body = False

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        pass


def outcome(body: bytes, headers: Any = KNOWN, *, verifier: Any = SHARED, **options: Any) -> Any:
    """What `parse` gives back, or the one of our errors that it raises."""
    try:
        return webhooks.parse(body, headers, verifier=verifier, now=NOW, **options)
    except (AuthenticationError, PayloadError) as error:
        return error


@many_examples
@given(
    strategies.hostile_bodies | strategies.bodies | strategies.nearly_plain_pushes(),
    strategies.hostile_headers | st.just(KNOWN),
    st.sampled_from([*[_Anyone()] * 6, SHARED, SIGNED]),
    kinds,
    st.none() | st.just({"perhaps": "completed"}),
)
def test_no_bytes_and_no_headers_raise_anything_but_our_errors(
    body: bytes, headers: Any, verifier: Any, expect: Any, statuses: Any
) -> None:
    drifts: list[Drift] = []
    read = outcome(body, headers, verifier=verifier, expect=expect, on_drift=drifts.append, statuses=statuses)
    if isinstance(read, WebhookError):
        event(read.reason)
        assert str(read)
        return
    event(f"{read.kind}{' with drift' if drifts else ''}")
    assert read.raw == body
    assert read.kind in {expect or read.kind, "unknown"}
    assert isinstance(repr(read), str)
    # What is held goes to JSON and back without a loss.
    assert type(read).from_json(read.to_json()) == read


@given(strategies.nearly_plain_pushes() | strategies.hostile_bodies)
@example(b'{"timestamp":"2024-01-05T00:15:00Z","molecule_id" :"a","molecule_id":"b","devices":[]}')
def test_the_quick_look_at_a_push_sees_what_a_close_one_sees(body: bytes) -> None:
    quick = webhooks._quick_push(body)
    if quick is None:
        event("close")
        return
    event("quick")
    close, drifts = _deliveries.read_delivery(decode_strictly(body), body, expect=None, statuses=None)
    assert quick == close
    assert drifts == []


@given(strategies.hostile_bodies | strategies.bodies | strategies.nearly_plain_pushes())
def test_what_is_acceptable_json_is_judged_as_by_an_independent_reader(body: bytes) -> None:
    expected = verdicts.unreadable(body.removeprefix(b"\xef\xbb\xbf"))
    read = outcome(body)
    if isinstance(read, PayloadError):
        event(read.reason)
        # One body can have several faults, and which of them is seen first is open.
        assert expected is not None or read.reason == "too_deep"
    else:
        event("read")
        assert expected is None


@given(strategies.spelled(strategies.data_pushes))
def test_a_push_of_any_spelling_is_read_or_has_a_key_twice(body: bytes) -> None:
    push = outcome(body, expect="data_push")
    if isinstance(push, PayloadError):
        assert push.reason == "duplicate_keys"
        return
    assert isinstance(push, DataPush)
    value = decode_strictly(body)
    assert push.molecule_id == value["molecule_id"]
    assert [device.device_id for device in push.devices] == [
        device["device_id"] for device in value["devices"]
    ]
    for device, sent in zip(push.devices, value["devices"], strict=True):
        assert device.metrics == {
            name: metric if isinstance(metric, str) else float(metric)
            for name, metric in sent["metrics"].items()
        }


@given(strategies.spelled(strategies.execution_responses))
def test_a_response_of_any_spelling_is_read_or_has_a_key_twice(body: bytes) -> None:
    report = outcome(body, expect="execution_response")
    if isinstance(report, PayloadError):
        assert report.reason == "duplicate_keys"
        return
    assert isinstance(report, ExecutionReport)
    for result in report.results:
        assert report.result(result.event_id).event_id.lower() == result.event_id.lower()
        power = result.executed_power
        assert power is None or (power.value, power.unit) == (result.executed_quantity, result.executed_unit)


@given(
    strategies.deliveries,
    strategies.texts.filter(lambda name: _deliveries._fold(name) not in KNOWN_NAMES),
    strategies.json_values,
)
def test_an_unknown_field_changes_nothing_and_is_kept(value: dict[str, Any], name: str, item: Any) -> None:
    body = msgspec.json.encode(value)
    more = msgspec.json.encode({**value, name: item})
    plain, extended = outcome(body), outcome(more)
    assert not isinstance(extended, UnknownDelivery)
    assert decode_strictly(msgspec.json.encode(item)) in extended.unknown_fields.values()
    for found in (plain, extended):
        found.unknown_fields.clear()
    assert msgspec.structs.replace(extended, raw=body) == plain


@given(st.binary(), st.binary(min_size=1), st.binary(), st.from_regex(r"[!-\-/-~]{1,40}", fullmatch=True))
def test_a_signed_body_is_accepted_and_no_other(
    before: bytes, more: bytes, after: bytes, message_id: str
) -> None:
    headers = Headers(sign(before + after, secret=SECRET, message_id=message_id, timestamp=NOW))
    SIGNED.verify(before + after, headers, NOW)
    with pytest.raises(AuthenticationError) as caught:
        SIGNED.verify(before + more + after, headers, NOW)
    assert caught.value.reason == "wrong_signature"


# --- what the code assumes about the generated types --------------------------------------------------------

STRUCTS: list[type[msgspec.Struct]] = [
    item
    for item in vars(mosvpp_events).values()
    if isinstance(item, type) and issubclass(item, msgspec.Struct)
]
KNOWN_NAMES = {_deliveries._fold(name) for struct in STRUCTS for name in struct.__struct_fields__}


def _members(annotation: Any) -> set[Any]:
    if typing.get_origin(annotation) in {typing.Union, UnionType}:
        return {member for part in typing.get_args(annotation) for member in _members(part)}
    return {annotation}


def test_nested_structs_and_times_are_where_the_types_have_them() -> None:
    nested: dict[Any, dict[str, Any]] = {}
    times = set()
    for struct in STRUCTS:
        for name, annotation in typing.get_type_hints(struct).items():
            for member in _members(annotation):
                inner = (typing.get_args(member) or (None,))[0]
                if typing.get_origin(member) is list and inner in STRUCTS:
                    nested.setdefault(struct, {})[name] = inner
                if member is datetime:
                    times.add(name)
    assert nested == _deliveries._NESTED
    assert times == _deliveries._TIMES


def test_a_push_has_no_optional_field_so_that_its_keys_can_be_counted() -> None:
    for struct in (mosvpp_events.DataPushPayload, mosvpp_events.DeviceReading):
        assert all(field.required for field in msgspec.structs.fields(struct))


def test_no_two_fields_of_a_struct_are_one_when_case_and_hyphens_do_not_count() -> None:
    for struct in STRUCTS:
        assert len({_deliveries._fold(name) for name in struct.__struct_fields__}) == len(
            struct.__struct_fields__
        )
