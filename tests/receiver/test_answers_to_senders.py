"""What a sender is answered, decided without a server: each fault has its status."""

from __future__ import annotations

import gzip
import traceback
import zlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries import SECRET, push_body
from mosvpp.errors import AuthenticationError, RuleError
from mosvpp.receiver._handle import Answer, Intake, Reception, Request, Stranger
from mosvpp.receiver._wire_headers import WireHeaders
from mosvpp.receiver.deliveries import NewDelivery
from mosvpp.signatures import Headers, HmacSignature, SharedHeaders, sign

KEY = (b"x-api-key", SECRET.encode())
JSON = (b"content-type", b"application/json")
NOW = datetime(2024, 1, 5, tzinfo=UTC)


def intake(**options: Any) -> Intake:
    return Intake(options.pop("verifier", SharedHeaders({"X-API-Key": SECRET})), **options)


def take(
    receiver: Intake,
    *chunks: bytes,
    method: str = "POST",
    path: str = "/data-push",
    headers: list[tuple[bytes, bytes]] | None = None,
    peer: str | None = "127.0.0.1",
) -> Any:
    step = receiver.begin(Request(method, path, [KEY, JSON] if headers is None else headers, peer), NOW)
    if not isinstance(step, Reception):
        return step
    for chunk in chunks:
        refused = step.feed(chunk)
        if refused is not None:
            return refused
    return step.finish()


def length(text: bytes | int) -> tuple[bytes, bytes]:
    return b"content-length", text if isinstance(text, bytes) else b"%d" % text


def test_a_delivery_becomes_what_is_stored() -> None:
    headers = [KEY, (b"content-type", b"application/json; charset=utf-8"), (b"date", b"today"), length(3)]
    found = take(intake(), push_body()[:10], b"", push_body()[10:], headers=headers)
    assert isinstance(found, NewDelivery)
    assert (found.body, found.kind, found.received_at) == (push_body(), "data_push", NOW)
    assert found.headers == {"content-type": "application/json; charset=utf-8", "date": "today"}


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (404, {"path": "/"}),
        (404, {"path": "/data-pushes"}),
        (404, {"path": "/metrics"}),
        (405, {"method": "GET"}),
        (405, {"method": "PUT"}),
        (405, {"method": "HEAD"}),
        (405, {"method": "POST", "path": "/healthz"}),
        (413, {"headers": [KEY, JSON, length(256 * 1024 + 1)]}),
        (413, {"chunks": [b"x" * 256 * 1024, b"x"]}),
        (400, {"headers": [KEY, JSON, length(b"1_0")]}),
        (400, {"headers": [KEY, JSON, length(b"-1")]}),
        (400, {"headers": [KEY, JSON, length("٣".encode())]}),
        (400, {"headers": [KEY, JSON, length(b"9" * 5000)]}),
        (400, {"headers": [KEY, JSON, length(3), length(4)]}),
        (400, {"headers": [KEY, JSON, length(3), (b"transfer-encoding", b"chunked")]}),
        (415, {"headers": [KEY, (b"content-type", b"text/plain")]}),
        (415, {"headers": [KEY, (b"content-type", b"application/x-www-form-urlencoded")]}),
        (415, {"headers": [KEY, (b"content-type", b"+json")]}),
        (415, {"headers": [KEY, JSON, (b"content-encoding", b"gzip")]}),
        (401, {"headers": [JSON]}),
        (401, {"headers": [JSON, (b"x-api-key", b"wrong")]}),
        (401, {"headers": [JSON, KEY, KEY]}),
    ],
    ids=str,
)
def test_each_fault_has_its_answer(status: int, request_: dict[str, Any]) -> None:
    chunks = request_.pop("chunks", [push_body()]) if "chunks" in request_ else [push_body()]
    answer = take(intake(), *chunks, **request_)
    assert isinstance(answer, Answer)
    assert answer.status == status
    assert answer.reason
    assert dict(answer.headers)[b"content-length"] == b"%d" % len(answer.body)
    assert dict(answer.headers)[b"connection"] == b"close"  # nobody reads on


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"Application/JSON ; charset=UTF-8", b"application/cloudevents+json", b"text/json"],
)
def test_json_goes_by_several_names(content_type: bytes) -> None:
    assert isinstance(take(intake(), headers=[KEY, (b"content-type", content_type)]), NewDelivery)


def test_without_a_content_type_it_is_taken_for_json() -> None:
    assert isinstance(take(intake(), headers=[KEY]), NewDelivery)


def test_a_slash_at_the_end_changes_nothing() -> None:
    assert isinstance(take(intake(), path="/data-push/"), NewDelivery)


def test_methods_that_are_allowed_are_named() -> None:
    assert dict(take(intake(), method="GET").headers)[b"allow"] == b"POST"
    assert dict(take(intake(), method="PUT", path="/healthz").headers)[b"allow"] == b"GET, HEAD"
    assert take(intake(), method="GET", path="/healthz") == "healthz"
    assert take(intake(metrics=True), method="GET", path="/metrics") == "metrics"


def test_every_401_is_the_same() -> None:
    wrong = [[JSON], [JSON, (b"x-api-key", b"")], [JSON, KEY, KEY], [JSON, (b"x-api-key", b"x")]]
    answers = {take(intake(), headers=headers).body for headers in wrong}
    assert answers == {b"the credentials are missing or wrong\n"}
    reasons = [take(intake(), headers=headers).reason for headers in wrong]
    assert reasons == ["missing_header", "wrong_secret", "repeated_header", "wrong_secret"]


def test_who_is_not_recognised_is_refused_before_the_body_is_read() -> None:
    step = intake().begin(Request("POST", "/data-push", [JSON], None), NOW)
    assert isinstance(step, Answer)


def test_paths_can_be_chosen() -> None:
    receiver = intake(paths={"/v1/hooks/telemetry/": "data_push", "/v1/hooks/results": "execution_response"})
    assert take(receiver, path="/v1/hooks/telemetry").kind == "data_push"
    assert take(receiver, path="/v1/hooks/results").kind == "execution_response"
    assert take(receiver, path="/data-push").status == 404


# Signatures

WHSEC = "whsec_" + b64encode(b"k" * 32).decode()


def signed(body: bytes, message_id: str = "msg_1") -> list[tuple[bytes, bytes]]:
    headers = sign(body, secret=WHSEC, message_id=message_id, timestamp=NOW)
    return [JSON, *((name.encode(), value.encode()) for name, value in headers.items())]


def test_a_signature_needs_the_body_and_brings_an_id() -> None:
    receiver = intake(verifier=HmacSignature(WHSEC))
    one = take(receiver, push_body(1), headers=signed(push_body(1)))
    two = take(receiver, push_body(2), headers=signed(push_body(2)))
    other = take(receiver, push_body(2), headers=signed(push_body(2), "msg_2"))
    assert [found.delivery_id for found in (one, two, other)] == [b"msg_1", b"msg_1", b"msg_2"]
    assert one.headers["webhook-id"] == "msg_1"
    assert "webhook-signature" not in one.headers
    refused = take(receiver, push_body(3), headers=signed(push_body(1)))
    assert (refused.status, refused.reason) == (401, "wrong_signature")


def test_another_header_can_carry_the_id() -> None:
    receiver = intake(id_header="X-Delivery-Id")
    with_id = [KEY, JSON, (b"x-delivery-id", b"7")]
    assert take(receiver, headers=with_id).delivery_id == b"7"
    for unclear in ([KEY, JSON], [*with_id, (b"x-delivery-id", b"8")], [KEY, JSON, (b"x-delivery-id", b"")]):
        assert take(receiver, headers=unclear).delivery_id is None


# Compressed bodies


@pytest.mark.parametrize(("name", "compress"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)])
def test_compressed_bodies_are_taken_where_wanted(name: bytes, compress: Any) -> None:
    packed = compress(push_body())
    headers = [KEY, JSON, (b"content-encoding", name)]
    found = take(intake(inflate=True), packed[:5], packed[5:], headers=headers)
    assert found.body == push_body()
    cut = take(intake(inflate=True), packed[:-5], headers=headers)
    assert (cut.status, cut.reason) == (400, "damaged")
    assert take(intake(inflate=True), b"not compressed", headers=headers).status == 400


@pytest.mark.parametrize("rest", [b"more", gzip.compress(b"more", mtime=0)])
def test_nothing_behind_the_end_of_a_compressed_body_is_dropped_in_silence(rest: bytes) -> None:
    headers = [KEY, JSON, (b"content-encoding", b"gzip")]
    packed = gzip.compress(push_body())
    for chunks in ([packed + rest], [packed, rest]):
        found = take(intake(inflate=True), *chunks, headers=headers)
        assert (found.status, found.reason) == (400, "damaged")


def test_a_bomb_is_never_inflated() -> None:
    headers = [KEY, JSON, (b"content-encoding", b"gzip")]
    bomb = gzip.compress(b"0" * 50_000_000)
    assert take(intake(inflate=True), bomb, headers=headers).status == 413
    several = [bomb[at : at + 1000] for at in range(0, len(bomb), 1000)]
    assert take(intake(inflate=True), *several, headers=headers).status == 413


@pytest.mark.parametrize("encoding", [b"br", b"gzip, gzip", b"gzip,br"])
def test_other_encodings_are_refused(encoding: bytes) -> None:
    headers = [KEY, JSON, (b"content-encoding", encoding)]
    assert take(intake(inflate=True), headers=headers).status == 415


def test_identity_is_no_encoding() -> None:
    found = take(intake(), push_body(), headers=[KEY, JSON, (b"content-encoding", b"identity")])
    assert found.body == push_body()


# Addresses


@pytest.mark.parametrize(
    ("peer", "forwarded", "is_allowed"),
    [
        ("203.0.113.7", None, True),
        ("::ffff:203.0.113.7", None, True),
        ("198.51.100.1", None, False),
        ("198.51.100.1", "203.0.113.7", False),  # anybody can write a header
        ("10.0.0.1", "203.0.113.7", True),
        ("10.0.0.1", "203.0.113.7:4711", True),
        ("10.0.0.1", "[::ffff:203.0.113.7]:4711", True),
        ("10.0.0.1", "203.0.113.7, 198.51.100.1", False),  # rightmost untrusted hop
        ("10.0.0.1", "198.51.100.1, 203.0.113.7, 10.0.0.2", True),
        ("10.0.0.1", "203.0.113.7, nonsense", False),
        ("10.0.0.1", None, False),
        (None, "203.0.113.7", False),
        ("a unix socket", None, False),
    ],
)
def test_only_allowed_addresses_are_let_in(peer: str | None, forwarded: str | None, is_allowed: bool) -> None:
    receiver = intake(allowed=["203.0.113.0/24"], trusted_proxies=["10.0.0.0/8"])
    headers = [KEY, JSON]
    if forwarded is not None:
        headers.append((b"x-forwarded-for", forwarded.encode()))
    found = take(receiver, push_body(), headers=headers, peer=peer)
    if is_allowed:
        assert isinstance(found, NewDelivery)
    else:
        assert (found.status, found.reason) == (403, "denied")


@pytest.mark.parametrize(
    ("peer", "is_allowed"),
    [("203.0.113.7", True), ("::ffff:203.0.113.7", True), ("198.51.100.1", False), ("2001:db8::1", False)],
)
def test_networks_of_ipv4_may_be_written_in_the_clothes_of_ipv6(peer: str, is_allowed: bool) -> None:
    receiver = intake(allowed=["::ffff:203.0.113.0/120"], trusted_proxies=["::ffff:10.0.0.1", "::/96"])
    through = [KEY, JSON, (b"x-forwarded-for", peer.encode())]
    for found in (
        take(receiver, push_body(), peer=peer),
        take(receiver, push_body(), headers=through, peer="10.0.0.1"),
    ):
        assert isinstance(found, NewDelivery) == is_allowed


# Secrets


def test_secrets_that_can_be_guessed_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    intake(verifier=SharedHeaders({"X-API-Key": ["x" * 16, "canary"], "X-Site-Group": "north"}))
    (record,) = caplog.records
    assert "every secret of SharedHeaders(X-API-Key, X-Site-Group) is so short" in record.getMessage()
    assert "canary" not in caplog.text
    caplog.clear()
    intake(verifier=SharedHeaders({"X-API-Key": "x" * 16, "X-Site-Group": "north"}))
    intake(verifier=SharedHeaders({"X-API-Key": lambda: "a", "X-Site-Group": "north"}))
    intake(verifier=HmacSignature(WHSEC))
    assert not caplog.records


# The quarantine


def test_strangers_can_be_kept_and_get_the_same_answer() -> None:
    found = take(intake(quarantine=True), push_body(), headers=[JSON, (b"x-api-key", b"wrong")])
    assert isinstance(found, Stranger)
    assert (found.kind, found.body, found.reason) == ("data_push", push_body(), "wrong_secret")
    assert found.headers == {"content-type": "application/json"}


# Options


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"verifier": None}, "verifier"),
        ({"max_body": 0}, "max_body"),
        ({"body_deadline": timedelta(0)}, "body_deadline"),
        ({"store_deadline": timedelta(seconds=-1)}, "store_deadline"),
        ({"paths": {}}, "paths"),
        ({"paths": {"push": "data_push"}}, "paths"),
        ({"paths": {"/healthz": "data_push"}}, "paths"),
        ({"paths": {"/push": "telemetry"}}, "paths"),
        ({"keep_headers": ["Authorization"]}, "keep_headers"),
        ({"keep_headers": ["X-API-Key"]}, "keep_headers"),
        ({"keep_headers": "X-Request-Id"}, "keep_headers"),
        ({"allowed": ["10.0.0.0/99"]}, "allowed"),
        ({"allowed": "10.0.0.0/8"}, "allowed"),
        ({"trusted_proxies": [None]}, "trusted_proxies"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], path: str) -> None:
    with pytest.raises(RuleError) as caught:
        intake(**options)
    assert caught.value.path == path


def test_more_headers_can_be_kept_but_never_a_secret_one() -> None:
    verifier = SharedHeaders({"X-Site-Group": SECRET})
    receiver = Intake(verifier, keep_headers=["X-Batch"])
    headers = [JSON, (b"x-site-group", SECRET.encode()), (b"x-batch", b"7" * 5000), (b"cookie", b"x")]
    found = take(receiver, push_body(), headers=headers)
    assert found.headers == {"content-type": "application/json", "x-batch": "7" * 1024}
    with pytest.raises(RuleError):
        Intake(verifier, keep_headers=["x-site-group"])


class _Odd:
    """A verifier of a partner's own."""

    needs_body = False

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        if headers.one("x-odd") != b"1" or headers.all("X-Even"):
            raise AuthenticationError("even", reason="even")


def test_a_verifier_of_ones_own_sees_headers_as_always() -> None:
    receiver = intake(verifier=_Odd())
    assert isinstance(take(receiver, headers=[(b"x-odd", b"1")]), NewDelivery)
    assert take(receiver, headers=[(b"x-odd", b"1"), (b"x-even", b"2")]).reason == "even"
    assert take(receiver, headers=[]).reason == "missing_header"


_names = st.sampled_from(
    [
        b"x-api-key",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"transfer-encoding",
        b"x-forwarded-for",
    ]
)
_values = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([SECRET.encode(), b"application/json", b"gzip", b"12", b"identity"]),
)


@given(
    st.sampled_from(["POST", "GET", "", "post"]),
    st.sampled_from(["/data-push", "/execution-response", "", "/", "//", "/healthz"]),
    st.lists(st.tuples(_names, _values), max_size=8),
    st.lists(st.binary(max_size=40), max_size=4),
    st.sampled_from(["127.0.0.1", None, "", "::", "x"]),
)
def test_nothing_that_comes_raises(
    method: str, path: str, headers: list[tuple[bytes, bytes]], chunks: list[bytes], peer: str | None
) -> None:
    receiver = intake(inflate=True, allowed=["127.0.0.0/8"], trusted_proxies=["127.0.0.1"], max_body=64)
    found = take(receiver, *chunks, method=method, path=path, headers=headers, peer=peer)
    assert isinstance(found, Answer | NewDelivery) or found in ("healthz", "readyz")
    if isinstance(found, Answer):
        assert found.status < 500


def test_a_header_that_is_sent_twice_leaves_no_value_in_the_frames_of_its_error() -> None:
    headers = WireHeaders([KEY, KEY, JSON])
    with pytest.raises(AuthenticationError, match="more than once") as caught:
        headers.one("X-API-Key")
    seen = [repr(frame.f_locals) for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert len(seen) > 1
    assert not any(SECRET in text for text in seen[1:]), "the first frame is that of this test"


def test_names_compare_without_the_case_of_ascii_letters_and_of_no_others() -> None:
    headers = WireHeaders([(b"x-key", b"1"), (b"x-\xe9", b"2")])
    assert headers.one("X-KEY") == b"1"
    assert headers.all("X-\N{KELVIN SIGN}ey") == []
    assert headers.all("X-\N{LATIN CAPITAL LETTER E WITH ACUTE}") == []
    assert headers.all("x-\N{LATIN SMALL LETTER E WITH ACUTE}") == [b"2"]
