"""What each answer comes to: exactly one of our results or errors, whatever a server does."""

from __future__ import annotations

import gzip
import json
import string
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import outgoing
import strategies
from mosvpp import Outcome, errors
from mosvpp.retry import RetryPolicy
from outgoing import EVENT_ID, KEY, SITE, Clients, Server, call, dispatch_reply, good_body, reply

ALL = range(100, 600)
YES_WORDS = (
    "accepted",
    "pending",
    "scheduled",
    "ok",
    "inprogress",
    "in progress",
    "in_progress",
    "in-progress",
)
YES_WORDS += ("started", "active", "executing", "complete", "executed", "success", "succeeded", "partial")


def expected_error(operation: str, status: int, retry_after: str | None) -> type[errors.MosVPPError]:
    """What mosvpp says of a status that is no 2xx and stays, in plain words; this is the table to look at."""
    if status == 429 or (status == 503 and retry_after is not None):
        return errors.RejectedError
    if status < 400:
        return errors.UnexpectedResponseError
    if status < 500:
        return errors.RejectedError
    return errors.UnexpectedResponseError if operation == "sync_devices" else errors.OutcomeUnknownError


def expected_attempts(operation: str, status: int, retry_after: str | None) -> int:
    nothing_done = status == 429 or (status == 503 and retry_after is not None)
    return 3 if nothing_done or (operation == "sync_devices" and status >= 500) else 1


@pytest.mark.parametrize("operation", outgoing.CALLS)
@pytest.mark.parametrize("retry_after", [None, "0"])
def test_every_status_has_its_error(clients: Clients, operation: str, retry_after: str | None) -> None:
    """All statuses but 2xx; repeated exactly where that is allowed."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    for status in [status for status in ALL if not 200 <= status <= 299]:
        server = Server(reply(status, headers=headers))
        client = clients.make(server, retry=RetryPolicy(first_delay=0))
        with pytest.raises(errors.MosVPPError) as caught:
            call(client, operation)
        error: Any = caught.value
        assert type(error) is expected_error(operation, status, retry_after), status
        assert len(server.requests) == error.attempts == expected_attempts(operation, status, retry_after)
        assert (error.status, error.body, error.problem) == (status, b"", None)
        assert error.request.molecule_id == SITE
        assert len({request.content for request in server.requests}) == 1, "every attempt has the same bytes"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 207, 226, 299])
def test_any_2xx_with_a_receipt_is_accepted(clients: Clients, status: int) -> None:
    for operation in outgoing.CALLS:
        result = call(clients.make(Server(reply(status, good_body(operation)))), operation)
        assert result.raw.status == status
        assert operation == "sync_devices" or result.outcome is Outcome.ACCEPTED


UNREADABLE = [
    b"",
    b" ",
    b"<html><body>accepted</body></html>",
    b"accepted",
    b'"accepted"',
    b"null",
    b"true",
    b"[]",
    b'["accepted"]',
    b"{}",
    b'{"status": null}',
    b'{"status": NaN}',
    b'{"status": "accepted", "n": NaN}',
    b'{"status": "accepted"',
    b'{"status": "accepted"}{"status": "accepted"}',
    b'{"status": "rejected", "status": "accepted"}',
    b'{"status": "accepted", "message": 1e400}',
    b'{"status": ["accepted"]}',
    b'{"status": {"word": "accepted"}}',
    b'{"status": 1}',
    b'{"status": true}',
    b'{"outcome": "accepted"}',
    b'{"status": "perhaps"}',
    b'{"status": "accepted", "event_slots": null, "scmd_devices": null}',
    b'{"status": "accepted", "event_slots": "accepted", "scmd_devices": "accepted"}',
    b'{"status": "accepted", "event_slots": {"status": "accepted"}, "scmd_devices": {"status": "ok"}}',
    b'{"event_slots": [[["event_id", "x"], ["status", "accepted"]]]}',
    b'{"event_slots": ["accepted"]}',
    b'{"event_slots": [{"status": "accepted"}]}',
    b'{"event_slots": [{"event_id": 1, "status": "accepted"}]}',
    b'{"status": "accepted", "event_slots": [null], "scmd_devices": [null]}',
    b'{"status": "\xff"}',
    '{"status": "accepted"}'.encode("utf-16"),
    gzip.compress(b'{"status": "accepted"}'),
    b"\x00" * 100,
    b"[" * 100_000,
    b'{"status":' * 2_000 + b'"accepted"' + b"}" * 2_000,
]


@pytest.mark.parametrize("body", UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_2xx_that_is_no_receipt_is_an_unknown_outcome(clients: Clients, body: bytes) -> None:
    """Never an exception, never accepted; the raw body is kept (behaviour.decoded_acceptance)."""
    for operation in outgoing.POSTS:
        receipt = call(clients.make(Server(reply(200, body))), operation)
        assert receipt.outcome is Outcome.UNKNOWN
        assert receipt.certainty == "http_status_only"
        assert not receipt.is_accepted
        assert receipt.raw.body == body
        assert {item.outcome for item in receipt.items} == {Outcome.UNKNOWN}


_DEVICES = [
    None,
    {},
    [1],
    [{}],
    [{"device_id": 20000, "device_type": 10}],
    [{"device_id": "20000", "device_type": "10"}],
    [{"device_id": "20000", "device_type": True}],
    [{"device_id": "20000", "device_type": None}],
    [{"device_id": "20000", "device_type": 2**70}],
    [{"device_id": "20000", "device_type": 10.5}],
    [{"device_id": "20000", "device_type": 10, "name": 1}],
    [{"device_id": "20000", "device_type": 10, "capabilities": "charge"}],
    [{"device_id": "20000", "device_type": 10, "capabilities": [1]}],
]
NO_DEVICE_LIST = [
    *UNREADABLE,
    json.dumps({"molecule_id": SITE}).encode(),
    b'{"devices": []}',
    b'{"molecule_id": null, "devices": []}',
    *(json.dumps({"molecule_id": SITE, "devices": devices}).encode() for devices in _DEVICES),
]


@pytest.mark.parametrize("body", NO_DEVICE_LIST, ids=range(len(NO_DEVICE_LIST)))
def test_a_2xx_that_is_no_device_list_is_an_unexpected_response(clients: Clients, body: bytes) -> None:
    server = Server(reply(200, body))
    with pytest.raises(errors.UnexpectedResponseError) as caught:
        clients.make(server).sync_devices(SITE)
    assert caught.value.body == body
    assert len(server.requests) == 1, "the same bytes would come again"


def test_keys_in_another_case_are_read(clients: Clients) -> None:
    """A server on .NET may write them so."""
    body = {
        "moleculeId": SITE,
        "Status": "ACCEPTED",
        "eventSlots": [{"eventId": EVENT_ID.lower(), "STATUS": "ok"}],
    }
    receipt = clients.make(Server(reply(200, body))).submit_dispatch(SITE, outgoing.slot(), mode="test")
    assert (receipt.outcome, receipt.certainty) == (Outcome.ACCEPTED, "per_item")
    listed = {"MoleculeId": SITE, "Devices": [{"DeviceId": "1", "deviceType": 13, "Capabilities": ["x"]}]}
    devices = clients.make(Server(reply(200, listed))).sync_devices(SITE)
    assert devices.get("1").device_type.name == "THERMOSTAT"
    assert devices.get("1").can("x")


@pytest.mark.parametrize(
    "body",
    [
        {"Status": "accepted", "status": "rejected"},
        {"status": "rejected", "Status": "accepted"},
        {"STATUS": "rejected", "status": "rejected", "Status": "accepted"},
    ],
)
def test_two_spellings_of_a_key_that_contradict_are_no_receipt(clients: Clients, body: Any) -> None:
    surprises: list[Any] = []
    client = clients.make(Server(reply(200, body)), on_drift=surprises.append)
    assert call(client, "submit_dispatch").outcome is Outcome.UNKNOWN
    assert {surprise.kind for surprise in surprises} == {"unexpected_shape"}


# --- rejections and partial acceptances by receipt ----------------------------------------------------------


def test_a_2xx_that_rejects_everything_is_a_rejection_with_its_receipt(clients: Clients) -> None:
    body = dispatch_reply(EVENT_ID, "rejected", status="rejected", message="no\x1b[2J capacity")
    body["event_slots"][0]["message"] = "The battery\nis empty."
    server = Server(reply(429), reply(200, body))
    with pytest.raises(errors.RejectedError) as caught:
        call(clients.make(server), "submit_dispatch")
    error = caught.value
    assert error.receipt is not None
    assert error.receipt.outcome is Outcome.REJECTED
    assert error.receipt.item(EVENT_ID).message == "The battery\nis empty."
    assert (error.status, error.attempts, error.retry_after) == (200, 2, None)
    assert "The battery is empty." in str(error)
    assert "\x1b" not in str(error), "a message must not move the cursor of a terminal"


def test_a_2xx_that_rejects_some_is_a_partial_acceptance(clients: Clients) -> None:
    body = dispatch_reply(EVENT_ID, "accepted", outgoing.OTHER_ID, "rejected")
    slots = [outgoing.slot(), outgoing.slot(event_id=outgoing.OTHER_ID)]
    receipt = clients.make(Server(reply(200, body))).submit_dispatch(SITE, slots, mode="test")
    assert receipt.outcome is Outcome.PARTIALLY_ACCEPTED
    assert [item.outcome for item in receipt.items] == [Outcome.ACCEPTED, Outcome.REJECTED]


def test_the_message_about_many_rejected_items_stays_short(clients: Clients) -> None:
    slots = [outgoing.slot(event_id=None) for _ in range(200)]
    body = dispatch_reply(*(word for slot in slots for word in (slot.event_id, "rejected")))
    with pytest.raises(errors.RejectedError) as caught:
        clients.make(Server(reply(200, body))).submit_dispatch(SITE, slots, mode="test")
    assert "and 197 more" in str(caught.value)
    assert len(str(caught.value)) < 700


# --- problem details and other bodies of errors -------------------------------------------------------------


def test_problem_details_are_read_and_told(clients: Clients) -> None:
    problem = {
        "title": "One or more validation errors occurred.",
        "status": 400,
        "traceId": "00-1-2-00",
        "errors": {"$.event_slots[0].priority": ["120 is greater than the maximum of 99"]},
    }
    server = Server(reply(400, problem, {"Content-Type": "application/problem+json"}))
    with pytest.raises(errors.RejectedError) as caught:
        call(clients.make(server), "submit_dispatch")
    assert caught.value.problem == problem
    assert caught.value.headers["content-type"] == "application/problem+json"
    assert "occurred. $.event_slots[0].priority: 120 is greater than the maximum of 99" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "key"), (403, "allowlist"), (404, "molecule_id"), (302, "base_url")]
)
def test_messages_say_what_to_do_next(clients: Clients, status: int, remedy: str) -> None:
    with pytest.raises(errors.MosVPPError, match=remedy):
        call(clients.make(Server(reply(status))), "sync_devices")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "Molecule refused it."),
        (b"<html>\n<b>no\x1b]0;x\x07</b>", "It says: <html> <b>no ]0;x </b>"),
        (b"\xff\xfe", "It says: \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        (b"x" * 10_000, "…"),
        (b'{"title": {"a": 1}, "errors": ["x"]}', "It says: {'a': 1}"),
        (b'{"status": 400}', "Molecule refused it."),
    ],
)
def test_other_bodies_are_quoted_in_one_harmless_line(clients: Clients, body: bytes, told: str) -> None:
    with pytest.raises(errors.RejectedError) as caught:
        call(clients.make(Server(reply(400, body))), "submit_dispatch")
    assert told in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


def test_headers_are_kept_in_lower_case_and_joined(clients: Clients) -> None:
    headers = [("X-Trace", "1"), ("x-trace", "2"), ("Set-Cookie", "session=1")]
    result = clients.make(Server(reply(200, good_body("sync_devices"), headers))).sync_devices(SITE)
    assert result.raw.headers["x-trace"] == "1, 2"
    assert result.raw.headers["set-cookie"] == "[removed]"


# --- whatever a server answers ------------------------------------------------------------------------------

_keys = st.sampled_from(
    [
        "molecule_id",
        "mode",
        "status",
        "message",
        "event_slots",
        "eventSlots",
        "Status",
        "scmd_devices",
        "devices",
    ]
)
_keys |= st.sampled_from(["event_id", "device_id", "device_type", "scmd_id", "timestamp", "title", "errors"])
_words = st.sampled_from(
    [SITE, EVENT_ID, EVENT_ID.lower(), "test", "live", "20000", "21000", outgoing.SCMD_ID]
)
_words |= st.sampled_from(["accepted", "REJECTED", "pending", "cancelled", "perhaps", "completed", "Failed"])
_reply_like = st.recursive(
    _words | strategies.scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=6),
    max_leaves=15,
)
_bodies = (
    st.binary(max_size=200)
    | _reply_like.map(lambda value: json.dumps(value).encode())
    | strategies.spelled(_reply_like)
    | strategies.json_values.map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [gzip.compress(b"{}"), b"\xef\xbb\xbf{}", b"NaN", KEY.encode(), b'{"status": "accepted"}']
    )
)
_tokens = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=12)
_header_values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
)
_headers = st.lists(
    st.tuples(_tokens, _header_values)
    | st.tuples(
        st.sampled_from(["Retry-After", "Date", "Content-Type", "Content-Encoding", "Location", "X-API-Key"]),
        _header_values
        | st.sampled_from(
            ["0", "3", "999999999", "9" * 40, "-1", "1.5", "Fri, 05 Jan 2024 00:05:00 GMT", "gzip"]
        ),
    ),
    max_size=5,
)


@settings(max_examples=3 * settings().max_examples)
@given(
    kind=st.sampled_from(outgoing.KINDS),
    operation=st.sampled_from(outgoing.CALLS),
    status=st.integers(100, 599) | st.sampled_from([200, 429, 503]),
    headers=_headers,
    body=_bodies,
)
@example("Client", "submit_dispatch", 200, [("Content-Encoding", "gzip")], b"junk")
def test_only_our_errors_escape(
    kind: str, operation: str, status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    """Any status, any headers, any body; and nothing but an acceptance is accepted."""

    def answer(_: httpx.Request) -> httpx.Response:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        return httpx.Response(status, headers=raw, stream=httpx.ByteStream(body))

    with Clients(kind) as clients:
        try:
            result = call(clients.make(answer, on_drift=str), operation)
        except errors.MosVPPError as error:
            assert not isinstance(error, errors.RuleError | errors.WebhookError)  # noqa: PT017  whichever error came
            assert KEY not in repr(error.__dict__) + str(error)  # noqa: PT017  whichever error came
            assert str(error).isprintable()  # noqa: PT017  whichever error came
            return
    assert 200 <= status <= 299
    if operation != "sync_devices" and result.outcome in (Outcome.ACCEPTED, Outcome.PARTIALLY_ACCEPTED):
        text = body.decode().lower()
        assert any(word in text for word in YES_WORDS) or "\\u" in text
        assert type(result).from_json(result.to_json()) == result
