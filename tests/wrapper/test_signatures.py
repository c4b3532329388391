from __future__ import annotations

import base64
import copy
import hmac
import pickle
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from types import FrameType
from typing import Any

import httpx
import pytest
import standardwebhooks
import svix
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers as StarletteHeaders

import strategies
from mosvpp.auth import ApiKey
from mosvpp.errors import AuthenticationError, RuleError
from mosvpp.signatures import Headers, HmacSignature, SharedHeaders, sign
from mosvpp.webhooks import parse

NOW = datetime(2024, 1, 5, 0, 15, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()
STRANGER = "whsec_" + base64.b64encode(b"s" * 32).decode()
BODY = b'{"timestamp":"2024-01-05T00:15:00Z"}'


@dataclass(frozen=True)
class Signed:
    """A delivery that is accepted; a test changes one thing."""

    body: bytes = BODY
    headers: dict[str, Any] = field(
        default_factory=lambda: sign(BODY, secret=SECRET, message_id="msg_1", timestamp=NOW)
    )
    now: datetime = NOW
    verifier: HmacSignature = field(default_factory=lambda: HmacSignature([SECRET, OLD_SECRET]))

    def verify(self) -> None:
        self.verifier.verify(self.body, Headers(self.headers), self.now)

    def header(self, name: str, value: Any) -> Signed:
        return replace(self, headers={**self.headers, name: value})

    def without(self, name: str) -> Signed:
        return replace(self, headers={key: value for key, value in self.headers.items() if key != name})

    def signature(self, change: Callable[[str], str]) -> Signed:
        return self.header("webhook-signature", change(self.headers["webhook-signature"]))

    def signed_again(self, body: bytes = BODY, **changes: Any) -> Signed:
        parts = {"secret": SECRET, "message_id": "msg_1", "timestamp": NOW, **changes}
        return replace(self, body=body, headers=sign(body, **parts))

    def signed_by_hand(self, message_id: str = "msg_1", timestamp: str = "1704413700") -> Signed:
        content = b".".join([message_id.encode(), timestamp.encode(), self.body])
        signature = base64.b64encode(hmac.digest(b"k" * 32, content, "sha256")).decode()
        return replace(
            self,
            headers={
                "webhook-id": message_id,
                "webhook-timestamp": timestamp,
                "webhook-signature": f"v1,{signature}",
            },
        )


def _lower_bits_changed(signature: str) -> str:
    """Another base64 spelling of the same 32 bytes: the last character before `=` has two bits to spare."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert signature.endswith("=")
    other = alphabet[alphabet.index(signature[-2]) ^ 1]
    changed = f"{signature[:-2]}{other}="
    assert base64.b64decode(changed[3:]) == base64.b64decode(signature[3:])
    return changed


FIVE_MINUTES = timedelta(minutes=5)
SECOND = timedelta(seconds=1)

ACCEPTED: dict[str, Callable[[Signed], Signed]] = {
    "as it is": lambda d: d,
    "the id again, names in another case": lambda d: replace(
        d, headers={k.title(): v for k, v in d.headers.items()}
    ),
    "headers as bytes": lambda d: replace(d, headers={k.encode(): v.encode() for k, v in d.headers.items()}),
    "headers as lists": lambda d: replace(d, headers={k: [v] for k, v in d.headers.items()}),
    "other headers beside": lambda d: d.header("X-API-Key", "whatever").header("x-odd", "\u20ac"),
    "the previous secret": lambda d: d.signed_again(secret=OLD_SECRET),
    "a wrong signature first": lambda d: d.signature(lambda s: f"v1,AAAA {s}"),
    "a wrong signature after it": lambda d: d.signature(lambda s: f"{s} v1,AAAA"),
    "another version first": lambda d: d.signature(lambda s: f"v1a,{s[3:]} {s}"),
    "sixteen signatures": lambda d: d.signature(lambda s: "v1,AAAA " * 15 + s),
    "as old as allowed": lambda d: replace(d, now=NOW + FIVE_MINUTES),
    "as far ahead as allowed": lambda d: replace(d, now=NOW - FIVE_MINUTES),
    "now in another zone": lambda d: replace(d, now=NOW.astimezone()),
    "an empty body": lambda d: d.signed_again(b""),
    "a body that is no UTF-8": lambda d: d.signed_again(b"\xff\x00."),
    "signed with the bare hands": lambda d: d.signed_by_hand(),
    "leading zeros in the time": lambda d: d.signed_by_hand(timestamp="001704413700"),
}

REFUSED: dict[str, tuple[str, Callable[[Signed], Signed]]] = {
    "no id": ("missing_header", lambda d: d.without("webhook-id")),
    "no time": ("missing_header", lambda d: d.without("webhook-timestamp")),
    "no signature": ("missing_header", lambda d: d.without("webhook-signature")),
    "a header that is null": ("missing_header", lambda d: d.header("webhook-id", None)),
    "Svix's names": (
        "missing_header",
        lambda d: replace(d, headers={k.replace("webhook", "svix"): v for k, v in d.headers.items()}),
    ),
    "the id twice": ("repeated_header", lambda d: d.header("webhook-id", ["msg_1", "msg_1"])),
    "the id twice, in two cases": ("repeated_header", lambda d: d.header("Webhook-Id", "msg_1")),
    "the signature twice": (
        "repeated_header",
        lambda d: d.header("webhook-signature", [d.headers["webhook-signature"]] * 2),
    ),
    "an empty id": ("malformed_header", lambda d: d.signed_by_hand(message_id="")),
    "a full stop in the id": ("malformed_header", lambda d: d.signed_by_hand(message_id="msg.1")),
    "a very long id": ("malformed_header", lambda d: d.signed_by_hand(message_id="m" * 4097)),
    **{
        f"the time {text!r}": ("malformed_header", lambda d, text=text: d.signed_by_hand(timestamp=text))
        for text in (
            *(
                "",
                "+1704413700",
                "-1704413700",
                " 1704413700",
                "1704413700 ",
                "1_704_413_700",
                "1704413700.0",
            ),
            *("1.7e9", "0x6597", "1704413700000", "\u0661\u0667", "now", "nan"),
        )
    },
    "a negative time that is near": (
        "malformed_header",
        lambda d: replace(d.signed_by_hand(timestamp="-1"), now=datetime(1970, 1, 1, tzinfo=UTC)),
    ),
    "an empty signature": ("wrong_signature", lambda d: d.signature(lambda _: "")),
    "seventeen signatures": ("malformed_header", lambda d: d.signature(lambda s: "v1,AAAA " * 16 + s)),
    "a very long signature": ("malformed_header", lambda d: d.signature(lambda s: s + " v1," + "A" * 4096)),
    "too old": ("stale", lambda d: replace(d, now=NOW + FIVE_MINUTES + SECOND)),
    "too far ahead": ("stale", lambda d: replace(d, now=NOW - FIVE_MINUTES - SECOND)),
    "milliseconds too old": ("stale", lambda d: replace(d, now=NOW + FIVE_MINUTES + SECOND / 1000)),
    "another body": ("wrong_signature", lambda d: replace(d, body=BODY + b" ")),
    "another id": ("wrong_signature", lambda d: d.header("webhook-id", "msg_2")),
    "another time": ("wrong_signature", lambda d: d.header("webhook-timestamp", "1704413701")),
    "an unknown secret": ("wrong_signature", lambda d: d.signed_again(secret=STRANGER)),
    "no version": ("wrong_signature", lambda d: d.signature(lambda s: s[3:])),
    "version v1a": ("wrong_signature", lambda d: d.signature(lambda s: f"v1a,{s[3:]}")),
    "version V1": ("wrong_signature", lambda d: d.signature(lambda s: f"V1,{s[3:]}")),
    "a comma between signatures": ("wrong_signature", lambda d: d.signature(lambda s: f"{s},{s}")),
    "no padding": ("wrong_signature", lambda d: d.signature(lambda s: s.rstrip("="))),
    "base64 that is not canonical": ("wrong_signature", lambda d: d.signature(_lower_bits_changed)),
    "characters that are not base64": (
        "wrong_signature",
        lambda d: d.signature(lambda s: s[:9] + "!" + s[9:]),
    ),
    "in hexadecimal": (
        "wrong_signature",
        lambda d: d.signature(lambda s: f"v1,{base64.b64decode(s[3:]).hex()}"),
    ),
    "letters beyond ASCII": ("wrong_signature", lambda d: d.signature(lambda _: "v1,\u20ac\u00e4")),
    "bytes that are no text": ("wrong_signature", lambda d: d.header("webhook-signature", b"v1,\xff\xfe")),
}


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_right_signature_is_accepted(change: Callable[[Signed], Signed]) -> None:
    change(Signed()).verify()


@pytest.mark.parametrize(("reason", "change"), REFUSED.values(), ids=REFUSED.keys())
def test_one_thing_changed_and_the_signature_is_refused(
    reason: str, change: Callable[[Signed], Signed]
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        change(Signed()).verify()
    assert caught.value.reason == reason
    assert caught.value.status_hint == 401


def test_the_time_that_is_compared_must_be_aware() -> None:
    with pytest.raises(RuleError):
        replace(Signed(), now=NOW.replace(tzinfo=None)).verify()


@given(
    st.binary(max_size=200),
    st.binary(min_size=24, max_size=80),
    st.from_regex(r"[!-\-/-~]{1,40}", fullmatch=True),
)
def test_our_signatures_are_those_of_the_reference_libraries(
    body: bytes, key: bytes, message_id: str
) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    now = datetime.now(UTC).replace(microsecond=0)
    ours = sign(body, secret=secret, message_id=message_id, timestamp=now)
    for library in (standardwebhooks.Webhook(secret), svix.Webhook(secret)):
        try:
            text = body.decode()
        except UnicodeDecodeError:
            continue  # they sign text only
        theirs = library.sign(message_id, now, text)
        assert ours["webhook-signature"] == theirs
        HmacSignature(secret).verify(body, Headers({**ours, "webhook-signature": theirs}), now)


def test_the_reference_libraries_accept_what_we_sign() -> None:
    headers = sign(BODY, secret=SECRET, message_id="msg_1", timestamp=datetime.now(UTC))
    standardwebhooks.Webhook(SECRET).verify(BODY, headers)
    svix.Webhook(SECRET).verify(BODY, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(BODY + b" ", headers)
    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(SECRET).verify(BODY + b" ", headers)


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "text"},
        {"message_id": ""},
        {"message_id": "a b"},
        {"message_id": "a.b"},
        {"message_id": "\u00e4"},
        {"message_id": "a\nb"},
        {"message_id": "m" * 4097},
        {"message_id": None},
        {"timestamp": NOW.replace(tzinfo=None)},
        {"timestamp": 1704413700},
        {"timestamp": datetime(1969, 12, 31, tzinfo=UTC)},
        {"secret": ""},
        {"secret": "secret"},
    ],
    ids=str,
)
def test_what_cannot_be_signed_is_refused(changes: dict[str, Any]) -> None:
    parts: dict[str, Any] = {
        "body": BODY,
        "secret": SECRET,
        "message_id": "msg_1",
        "timestamp": NOW,
        **changes,
    }
    with pytest.raises(RuleError):
        sign(parts.pop("body"), **parts)


KEY = base64.b64encode(b"k" * 24).decode()


@pytest.mark.parametrize(
    "secrets",
    [
        *([], (), "", b"", None, 5, [None], [""], {}),
        *(KEY, f"whsec_{KEY[:-4]}", f"whsec_{KEY}\n", f" whsec_{KEY}", f"WHSEC_{KEY}", f"whsk_{KEY}"),
        *("whsec_", "whsec_!!!!", f"whsec_{KEY}=", f"whsec_{KEY}\u00e4", "whsec_" + KEY.replace("a", "-")),
        f"whsec_{base64.b64encode(b'k' * 25).decode()[:-3]}B==",
        [SECRET, "wrong"],
    ],
    ids=repr,
)
def test_a_secret_that_is_none_is_refused_when_the_verifier_is_made(secrets: Any) -> None:
    with pytest.raises(RuleError):
        HmacSignature(secrets)


@pytest.mark.parametrize("tolerance", [timedelta(0), timedelta(seconds=-1), 300, None])
def test_a_tolerance_is_a_timedelta_above_zero(tolerance: Any) -> None:
    with pytest.raises(RuleError):
        HmacSignature(SECRET, tolerance=tolerance)


def test_the_tolerance_can_be_chosen() -> None:
    verifier = HmacSignature(SECRET, tolerance=timedelta(hours=1))
    replace(Signed(), verifier=verifier, now=NOW + timedelta(hours=1)).verify()


# --- shared headers -----------------------------------------------------------------------------------------


def check(verifier: SharedHeaders, headers: Any) -> None:
    verifier.verify(b"", Headers(headers), NOW)


TWO = {"X-API-Key": ["current", "previous"], "X-Other": "one"}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "current", "X-Other": "one"},
        {"x-api-key": "previous", "X-OTHER": "one", "X-More": "\u20ac"},
        [(b"x-api-key", b"current"), (b"x-other", b"one")],
        [("X-API-Key", b"current"), (b"X-Other", "one")],
        (pair for pair in [("X-API-Key", "current"), ("X-Other", "one")]),
        {"X-API-Key": ["current"], "X-Other": ("one",)},
        httpx.Headers({"X-API-Key": "current", "X-Other": "one"}),
        StarletteHeaders(raw=[(b"x-api-key", b"current"), (b"x-other", b"one")]),
    ],
)
def test_all_configured_headers_with_one_of_their_secrets_are_accepted(headers: Any) -> None:
    check(SharedHeaders(TWO), headers)


@pytest.mark.parametrize(
    ("reason", "headers"),
    [
        ("missing_header", {}),
        ("missing_header", {"X-API-Key": "current"}),
        ("missing_header", {"X-API-Key": [], "X-Other": "one"}),
        ("missing_header", {"X_API_Key": "current", "X-Other": "one"}),
        ("wrong_secret", {"X-API-Key": "curren", "X-Other": "one"}),
        ("wrong_secret", {"X-API-Key": "current ", "X-Other": "one"}),
        ("wrong_secret", {"X-API-Key": "CURRENT", "X-Other": "one"}),
        ("wrong_secret", {"X-API-Key": "current, previous", "X-Other": "one"}),
        ("wrong_secret", {"X-API-Key": "", "X-Other": "one"}),
        ("wrong_secret", {"X-API-Key": "current", "X-Other": "current"}),
        ("wrong_secret", {"X-API-Key": "one", "X-Other": "one"}),
        ("wrong_secret", {"X-API-Key": b"\xff\xfe", "X-Other": "one"}),
        ("wrong_secret", {"X-API-Key": "\u20ac\ud800", "X-Other": "one"}),
        ("repeated_header", [("X-API-Key", "current"), ("x-api-key", "current"), ("X-Other", "one")]),
        ("repeated_header", [(b"X-API-Key", b"current"), ("x-api-key", "evil"), ("X-Other", "one")]),
        ("repeated_header", {"X-API-Key": ["current", "previous"], "X-Other": "one"}),
        ("repeated_header", {"X-API-Key": "current", "x-api-key": "current", "X-Other": "one"}),
        (
            "repeated_header",
            httpx.Headers([("X-API-Key", "current"), ("X-API-Key", "current"), ("X-Other", "one")]),
        ),
        ("repeated_header", StarletteHeaders(raw=[(b"x-api-key", b"current")] * 2 + [(b"x-other", b"one")])),
    ],
)
def test_one_header_wrong_and_the_delivery_is_refused(reason: str, headers: Any) -> None:
    with pytest.raises(AuthenticationError) as caught:
        check(SharedHeaders(TWO), headers)
    assert caught.value.reason == reason


def test_a_header_sent_twice_is_found_in_what_http_server_gives() -> None:
    headers = Message()
    headers["X-API-Key"] = "current"
    headers["X-Other"] = "one"
    check(SharedHeaders(TWO), headers)
    headers["X-API-Key"] = "current"
    with pytest.raises(AuthenticationError, match="more than once"):
        check(SharedHeaders(TWO), headers)


def test_secrets_may_come_from_a_function_that_is_asked_each_time() -> None:
    secrets = ["first"]
    verifier = SharedHeaders({"X-API-Key": lambda: secrets})
    check(verifier, {"X-API-Key": "first"})
    secrets[:] = ["second"]
    check(verifier, {"X-API-Key": "second"})
    with pytest.raises(AuthenticationError):
        check(verifier, {"X-API-Key": "first"})
    secrets.clear()
    with pytest.raises(RuleError, match="no secret for X-API-Key"):
        check(verifier, {"X-API-Key": "first"})


def test_signing_secrets_may_come_from_a_function_too() -> None:
    replace(Signed(), verifier=HmacSignature(lambda: SECRET)).verify()
    with pytest.raises(RuleError):
        replace(Signed(), verifier=HmacSignature(lambda: "wrong")).verify()


def test_a_secret_in_bytes_is_compared_with_the_bytes_of_the_wire() -> None:
    verifier = SharedHeaders({"X-API-Key": "schl\u00fcssel".encode()})
    check(verifier, [(b"x-api-key", "schl\u00fcssel".encode())])
    check(verifier, {"x-api-key": "schl\u00fcssel".encode().decode("latin-1")})  # as WSGI gives it
    with pytest.raises(AuthenticationError):
        check(verifier, {"x-api-key": "schlussel"})


@pytest.mark.parametrize(
    "configuration",
    [
        *({}, None, "X-API-Key", ["X-API-Key"], 5),
        *(
            {"X-API-Key": secrets}
            for secrets in ("", b"", None, [], (), [""], 5, ["good", ""], {}, {"a": "b"})
        ),
        *(
            {"X-API-Key": secrets}
            for secrets in ("secret\n", " secret", b"secret ", "schl\u00fcssel", ["a", None])
        ),
        *(
            {name: "secret"}
            for name in ("", "X-API-Key:", "X API Key", "\u00fc", "X-API-Key\n", 5, b"X-API-Key")
        ),
        {"X-API-Key": "secret", "x-api-key": "secret"},
    ],
    ids=repr,
)
def test_a_configuration_that_checks_nothing_or_never_matches_is_refused(configuration: Any) -> None:
    with pytest.raises(RuleError):
        SharedHeaders(configuration)


# --- headers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [None, 5, "text", b"bytes", ["text"], [("a", "b", "c")], [(5, "b")], {5: "b"}, [5]], ids=repr
)
def test_what_is_no_collection_of_headers_is_a_fault_of_the_caller(headers: Any) -> None:
    with pytest.raises(RuleError) as caught:
        Headers(headers)
    assert caught.value.path == "headers"


def test_a_value_that_is_no_text_is_a_fault_of_the_caller_once_it_is_looked_at() -> None:
    headers = Headers({"a": 5})
    with pytest.raises(RuleError):
        headers.one("a")


class IStr(str):
    """As multidict, and so aiohttp, has the names of headers."""

    __slots__ = ()


@pytest.mark.parametrize("make", [dict, list], ids=["mapping", "pairs"])
def test_names_and_values_of_a_type_derived_from_text_are_text(make: Any) -> None:
    headers = make([(IStr("X-API-Key"), IStr("current")), (IStr("X-Other"), "one")])
    check(SharedHeaders(TWO), headers)
    with pytest.raises(AuthenticationError, match="more than once"):
        check(SharedHeaders(TWO), [*Headers(headers)._values.items(), (IStr("X-Api-Key"), "current")])


def test_only_ascii_letters_have_cases() -> None:
    """A Kelvin sign is no k, so that nobody reads a name that another reader does not see."""
    for name in ("X-API-\u212aey", IStr("X-API-\u212aey")):
        with pytest.raises(AuthenticationError, match="missing"):
            check(SharedHeaders(TWO), {name: "current", "X-Other": "one"})
        check(SharedHeaders(TWO), {name: "x", "X-API-Key": "current", "X-Other": "one"})
    read = Headers([(b"X-\xc4", "a"), ("X-\xe4", "b"), (bytearray(b"X-C"), "c")])
    assert (read.all("x-\xc4"), read.all("X-\xe4"), read.all("x-c")) == ([b"a"], [b"b"], [b"c"])


def test_repeated_names_are_gathered_in_order_and_the_lists_of_the_caller_left_alone() -> None:
    values = ["a", "b"]
    pairs: list[Any] = [("x", values), ("X", "c"), ("x", ["d"]), (b"x", b"e")]
    assert Headers(pairs).all("x") == [b"a", b"b", b"c", b"d", b"e"]
    assert values == ["a", "b"]


def test_many_repeated_names_take_no_quadratic_time() -> None:
    def seconds(count: int) -> float:
        begin = time.process_time()
        assert len(Headers([(b"a", b"")] * count).all("a")) == count
        return time.process_time() - begin

    # Thirty-two times as many: thirty-two times as long, and a thousand times if all were copied each time.
    assert seconds(64_000) < 200 * min(seconds(2_000) for _ in range(5))


def test_what_could_not_be_made_can_still_be_shown() -> None:
    for kind in (SharedHeaders, HmacSignature, Headers):
        assert repr(kind.__new__(kind)).startswith(f"{kind.__name__}(")


@given(strategies.hostile_headers)
def test_headers_of_any_content_can_be_asked_for_any_name(headers: Any) -> None:
    read = Headers(headers)
    for name in ("x-api-key", "X-API-KEY", "webhook-id", "\u017f"):
        assert all(isinstance(value, bytes) for value in read.all(name))


# --- secrets do not leak ------------------------------------------------------------------------------------

CANARY = "canary-7d1f8e2a"
CANARY_KEY = "whsec_" + base64.b64encode(b"canary-7d1f8e2a-canary-7d1f8e2a!").decode()


@pytest.mark.parametrize(
    "verifier",
    [SharedHeaders({"X-API-Key": CANARY}), HmacSignature(CANARY_KEY)],
    ids=lambda v: type(v).__name__,
)
def test_no_secret_shows_and_none_can_be_pickled(verifier: Any) -> None:
    seen = repr(verifier) + str(verifier) + repr(Headers({"X-API-Key": CANARY}))
    for attempt in (
        pickle.dumps,
        copy.copy,
        lambda _: verifier.verify(b"", Headers({"X-API-Key": "wrong"}), NOW),
    ):
        try:
            attempt(verifier)
        except (TypeError, AuthenticationError) as error:
            seen += "".join(traceback.format_exception(error)) + repr(error.__dict__)
        else:
            pytest.fail("this must not work")
    assert "canary" not in seen
    assert CANARY_KEY not in seen
    assert CANARY_KEY[6:] not in seen


@pytest.mark.parametrize("secret", [f"{CANARY}\n", f"{CANARY}\u00fc", f"whsec_{CANARY}"])
def test_no_error_about_a_secret_shows_it(secret: str) -> None:
    for make in (lambda: SharedHeaders({"X-API-Key": [secret, ""]}), lambda: HmacSignature(secret)):
        with pytest.raises(RuleError) as caught:
            make()
        assert CANARY not in str(caught.value) + repr(caught.value) + repr(caught.value.__dict__)


def test_a_verifier_tells_whether_it_needs_the_body() -> None:
    assert not SharedHeaders(TWO).needs_body
    assert HmacSignature(SECRET).needs_body


def test_no_frame_that_an_error_passes_through_holds_a_secret() -> None:
    """Tools that record exceptions record the local variables of their frames."""
    key = CANARY_KEY
    signed = sign(BODY, secret=key, message_id="msg_1", timestamp=NOW)
    right = sign(BODY + b" ", secret=key, message_id="msg_1", timestamp=NOW)
    twice: Any = [("X-API-Key", CANARY), ("x-api-key", CANARY)]
    shared, signature = SharedHeaders({"X-API-Key": [CANARY, "previous"]}), HmacSignature([SECRET, key])
    bad = f"{key}\n"
    attempts: list[Callable[[], Any]] = [
        lambda: signature.verify(BODY + b" ", Headers(signed), NOW),
        lambda: shared.verify(b"", Headers({"X-API-Key": "wrong"}), NOW),
        lambda: shared.verify(b"", Headers(twice), NOW),
        lambda: shared.verify(b"", Headers({"X-API-Key": [[CANARY]]}), NOW),
        lambda: parse(BODY, twice, verifier=shared),
        lambda: Headers([*twice, (CANARY, 5, CANARY)]),
        lambda: Headers([*twice, 5]),
        lambda: SharedHeaders({"X-API-Key": [CANARY, f"{CANARY}\n"]}),
        lambda: SharedHeaders({"X-API-Key": CANARY, "X API Key": CANARY}),
        lambda: SharedHeaders({"X-API-Key": lambda: [CANARY, f"{CANARY} "]}).verify(
            b"", Headers({"X-API-Key": "a"}), NOW
        ),
        lambda: HmacSignature([key, bad]),
        lambda: HmacSignature(f"whsec_{CANARY}"),
        lambda: HmacSignature(key, tolerance=timedelta(0)),
        lambda: HmacSignature(lambda: [key, bad]).verify(BODY, Headers(signed), NOW),
        lambda: sign(BODY, secret=bad, message_id="msg_1", timestamp=NOW),
        lambda: sign(BODY, secret=key, message_id="msg_1", timestamp=NOW.replace(tzinfo=None)),
        lambda: ApiKey(f"{CANARY}\n"),
        lambda: ApiKey(lambda: f"{CANARY}\n").current(),
    ]
    raw = base64.b64decode(key[6:])
    secrets = [CANARY, key[6:-4], repr(raw)[2:-1], right["webhook-signature"][3:]]
    for number, attempt in enumerate(attempts):
        with pytest.raises((AuthenticationError, RuleError)) as caught:
            attempt()
        frames = list(_our_frames(caught.value))
        assert frames, number
        for frame in frames:
            seen = repr(frame.f_locals)
            found = [secret for secret in secrets if secret in seen]
            assert not found, (number, frame.f_code.co_qualname, found)


def _our_frames(error: BaseException | None) -> Iterator[FrameType]:
    """The frames within the package, of an error and of what it was raised from."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_globals["__name__"].startswith("mosvpp"):
                yield frame
        error = error.__context__
