"""Why a captured webhook is accepted or not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mosvpp import webhooks
from mosvpp.cli.exits import Exit
from mosvpp.cli.json_faults import place_of
from mosvpp.errors import PayloadError
from mosvpp.signatures import sign

Run = Callable[..., Any]

EXAMPLES = Path(__file__).resolve().parents[2] / "spec" / "examples"
PUSH = EXAMPLES / "receive_data_push.event.page_sample.json"
SECRET = "canary-5c1d-shared"
SIGNING = "whsec_" + base64.b64encode(b"canary-signing-secret-24").decode()
SIGNED_AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
THEN = ("--received-at", "2026-11-20T12:00:10Z")


@pytest.fixture
def verify(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `verify`, and never show a secret; the secrets are in the variables HOOK and SIGN."""
    monkeypatch.setenv("HOOK", SECRET)
    monkeypatch.setenv("SIGN", SIGNING)

    def verify(*arguments: object, **more: Any) -> Any:
        ran = run("verify", *arguments, **more)
        assert "canary" not in ran.out + ran.err
        assert SIGNING not in ran.out + ran.err
        return ran

    return verify


EXPECTED = ("--shared-header", "X-API-Key=env:HOOK")
SIGNED = ("--signing-secret", "env:SIGN")


def states(ran: Any) -> list[tuple[str, str]]:
    return [(check["name"], check["state"]) for check in ran.json["checks"]]


def signed_headers(body: bytes, **changes: str | None) -> str:
    headers = sign(body, secret=SIGNING, message_id="msg_1", timestamp=SIGNED_AT)
    merged = {**headers, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return "".join(f"{name}: {value}\n" for name, value in merged.items() if value is not None)


def test_the_sample_of_the_page_is_accepted_and_shown(verify: Run) -> None:
    ran = verify(PUSH, "-H", f"X-API-Key={SECRET}", *EXPECTED)
    assert ran.code == Exit.OK
    for words in (
        "Yes: a receiver answers 200",
        "state_of_charge 82.5",
        "relay_state closed",
        "2024-01-05 01:00:30 UTC",
    ):
        assert words in ran.words


def test_with_json_everything_is_one_object(verify: Run) -> None:
    ran = verify(PUSH, "-H", f"x-api-key: {SECRET}", *EXPECTED, "--json")
    assert (ran.json["ok"], ran.json["accepted"], ran.json["authenticated"]) == (True, True, True)
    assert (ran.json["answer"], ran.json["kind"], ran.json["reason"]) == (200, "data_push", None)
    assert states(ran) == [("capture", "ok"), ("header", "ok"), ("json", "ok"), ("shape", "ok")]
    assert ran.json["delivery"]["molecule_id"] == "fecd0001c031e7e8"


def test_somebody_must_be_known_as_the_sender_or_left_out_in_words(verify: Run) -> None:
    ran = verify(PUSH)
    assert ran.code == Exit.NOT_SENT
    assert "--body-only" in ran.err
    ran = verify(PUSH, "--body-only", "--json")
    assert (ran.code, ran.json["authenticated"], ran.json["accepted"]) == (Exit.OK, None, True)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([], "X-API-Key is missing; there is: no header at all"),
        (["Host=x"], "X-API-Key is missing; there is: Host"),
        ([f"Authorization={SECRET}"], "its secret came in Authorization"),
        (["X-API-Key=wrong"], "its value is not the secret"),
        (["X-API-Key="], "its value is empty"),
        ([f"X-API-Key=Bearer {SECRET}"], "with a word in front"),
        ([f'X-API-Key="{SECRET}"'], "with white space or quotes around it"),
        ([f"X-API-Key={SECRET.upper()}"], "in another case"),
        ([f"X-API-Key={SECRET}", f"x-api-key={SECRET}"], "sent 2 times"),
    ],
)
def test_each_fault_of_a_header_is_told_without_the_secret(
    run: Run, monkeypatch: pytest.MonkeyPatch, headers: list[str], words: str
) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    arguments = [part for header in headers for part in ("-H", header)]
    ran = run("verify", PUSH, *arguments, *EXPECTED)
    assert ran.code == Exit.NO
    assert words in ran.words
    assert "No: a receiver answers 401." in ran.words
    assert SECRET not in ran.words
    assert SECRET.upper() not in ran.words


def test_several_secrets_of_one_header_serve_a_rotation(verify: Run, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("the new one\n")
    both = (*EXPECTED, "--shared-header", f"X-API-Key=@{tmp_path / 'new'}")
    assert verify(PUSH, "-H", f"X-API-Key={SECRET}", *both).code == Exit.OK
    assert verify(PUSH, "-H", "X-API-Key=the new one", *both).code == Exit.OK
    assert "none of the 2 secrets" in verify(PUSH, "-H", "X-API-Key=wrong", *both).words


def test_every_configured_header_must_be_there(verify: Run) -> None:
    both = (*EXPECTED, "--shared-header", "X-Group=north")
    ran = verify(PUSH, "-H", f"X-API-Key={SECRET}", *both, "--json")
    assert ran.code == Exit.NO
    assert states(ran)[1:3] == [("header", "ok"), ("header", "failed")]
    assert verify(PUSH, "-H", f"X-API-Key={SECRET}", "-H", "X-Group=north", *both).code == Exit.OK


@pytest.mark.parametrize(
    "text",
    [
        "POST /data-push HTTP/1.1\r\nHost: x\r\nX-API-Key: {secret}\r\n\r\n",
        "x-api-key:{secret}",
        '{{"X-API-Key": "{secret}"}}',
        '{{"X-API-Key": ["{secret}"], "Host": "x"}}',
        '[["Host", "x"], ["X-API-Key", "{secret}"]]',
    ],
)
def test_headers_are_read_in_the_forms_in_which_tools_show_them(verify: Run, text: str) -> None:
    Path("headers").write_text(text.format(secret=SECRET), newline="")
    assert verify(PUSH, "--headers", "headers", *EXPECTED).code == Exit.OK


@pytest.mark.parametrize(
    "text",
    [f"{SECRET}", f"{{{SECRET}", '{"X-API-Key": 1}', "[1]", '[["X-API-Key"]]', '{"a": [1]}', "[" * 9999],
)
def test_headers_that_are_none_are_refused_without_repeating_them(verify: Run, text: str) -> None:
    Path("headers").write_text(text)
    ran = verify(PUSH, "--headers", "headers", *EXPECTED)
    assert ran.code == Exit.NOT_SENT
    assert "--headers" in ran.err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("-H", SECRET),
        ("--shared-header", SECRET),
        ("--shared-header", f"={SECRET}"),
        ("--shared-header", f"X Y={SECRET}"),
        ("--shared-header", f"X-API-Key= {SECRET}"),
        ("--shared-header", "X-API-Key=@missing"),
        ("--shared-header", "X-API-Key="),
        ("--signing-secret", SECRET),
        ("--signing-secret", "env:NOT_SET"),
        ("--tolerance", "0s"),
        ("--tolerance", "5"),
        ("--received-at", "yesterday"),
        ("--kind", "telemetry"),
    ],
)
def test_wrong_options_are_refused_without_repeating_a_secret(verify: Run, option: str, value: str) -> None:
    ran = verify(PUSH, *SIGNED, option, value)
    assert ran.code == Exit.NOT_SENT
    assert ran.out == ""


def test_a_body_may_come_from_standard_input(verify: Run) -> None:
    ran = verify("-", "-H", f"X-API-Key={SECRET}", *EXPECTED, stdin=PUSH.read_bytes())
    assert ran.code == Exit.OK


def test_a_body_that_is_not_there_is_refused(verify: Run) -> None:
    assert verify("missing", "--body-only").code == Exit.NOT_SENT


# --- signatures -----------------------------------------------------------------------------------------


def test_a_right_and_fresh_signature_is_accepted(verify: Run) -> None:
    Path("headers").write_text(signed_headers(PUSH.read_bytes()))
    ran = verify(PUSH, "--headers", "headers", *SIGNED, *THEN, "--json")
    assert ran.code == Exit.OK
    assert states(ran)[1:3] == [("signature", "ok"), ("age", "ok")]


def test_header_and_signature_can_both_be_asked_for(verify: Run) -> None:
    Path("headers").write_text(signed_headers(PUSH.read_bytes()))
    both = (*EXPECTED, *SIGNED, *THEN)
    assert verify(PUSH, "--headers", "headers", *both).code == Exit.NO
    assert verify(PUSH, "--headers", "headers", "-H", f"X-API-Key={SECRET}", *both).code == Exit.OK


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"webhook_id": None}, "webhook-id is missing"),
        ({"webhook_timestamp": None}, "webhook-timestamp is missing"),
        ({"webhook_signature": None}, "Molecule documents no signature"),
        ({"webhook_signature": "v1a,xyz"}, "there is no v1 signature"),
        ({"webhook_signature": "v1,AAAA"}, "wrong for this body with the secret"),
        ({"webhook_id": "a.b"}, "webhook-id must be a text without full stops"),
        ({"webhook_timestamp": "soon"}, "webhook-timestamp must be whole seconds"),
        ({"webhook_timestamp": "999999999999"}, "webhook-timestamp is no time"),
        ({"Webhook_Id": "twice"}, "webhook-id was sent 2 times"),
    ],
)
def test_each_fault_of_a_signature_is_told(verify: Run, changes: dict[str, Any], words: str) -> None:
    Path("headers").write_text(signed_headers(PUSH.read_bytes(), **changes))
    ran = verify(PUSH, "--headers", "headers", *SIGNED, *THEN)
    assert ran.code == Exit.NO
    assert words in ran.words
    assert "No: a receiver answers 401." in ran.words


def test_an_old_signature_is_right_but_for_its_age_and_the_way_out_is_told(verify: Run) -> None:
    Path("headers").write_text(signed_headers(PUSH.read_bytes()))
    ran = verify(PUSH, "--headers", "headers", *SIGNED, "--received-at", "2026-11-20T15:00:00Z")
    assert ran.code == Exit.NO
    for words in ("right for this body", "3 h before", "--received-at 2026-11-20T12:00:00Z"):
        assert words in ran.words
    early = verify(PUSH, "--headers", "headers", *SIGNED, "--received-at", "2026-11-20T11:50:00Z")
    assert "10 min after" in early.words
    assert verify(PUSH, "--headers", "headers", *SIGNED, *THEN, "--tolerance", "5s").code == Exit.NO


def test_the_present_is_the_moment_unless_another_is_given(verify: Run) -> None:
    body = PUSH.read_bytes()
    now = datetime.now(UTC)
    headers = sign(body, secret=SIGNING, message_id="msg_1", timestamp=now - timedelta(seconds=20))
    Path("headers").write_text(json.dumps(headers))
    assert verify(PUSH, "--headers", "headers", *SIGNED, "--tolerance", "1h").code == Exit.OK


def test_several_signing_secrets_serve_a_rotation(verify: Run) -> None:
    other = "whsec_" + base64.b64encode(b"another-secret-of-24-byt").decode()
    Path("headers").write_text(signed_headers(PUSH.read_bytes()))
    assert verify(PUSH, "--headers", "headers", "--signing-secret", other, *SIGNED, *THEN).code == Exit.OK
    Path("body").write_bytes(b"{}")
    ran = verify("body", "--headers", "headers", "--signing-secret", other, *SIGNED, *THEN)
    assert "with all 2 secrets" in ran.words


@pytest.mark.parametrize(
    ("sent", "captured", "words"),
    [
        (b'{"a":1}', b'{"a":1}\n', "without the line break at its end"),
        (b'{"a":1}', b'{"a":1}\r\n', "without the line break at its end"),
        (b'{"a":1}\n', b'{"a":1}', "with a line break at its end"),
        (b'{\n"a":1}', b'{\r\n"a":1}', "with LF instead of CRLF"),
    ],
)
def test_a_capture_that_changed_the_bytes_is_recognised(
    verify: Run, sent: bytes, captured: bytes, words: str
) -> None:
    Path("headers").write_text(signed_headers(sent))
    Path("body").write_bytes(captured)
    ran = verify("body", "--headers", "headers", *SIGNED, *THEN)
    assert ran.code == Exit.NO
    assert words in ran.words


# --- bodies ---------------------------------------------------------------------------------------------


def test_every_example_of_the_specification_is_understood(verify: Run) -> None:
    examples = sorted(EXAMPLES.glob("receive_*.json"))
    assert len(examples) > 20
    for example in examples:
        kind = example.name.split(".")[0].removeprefix("receive_")
        ran = verify(example, "--body-only", "--kind", kind, "--json")
        assert (ran.code, ran.json["kind"]) == (Exit.OK, kind), example.name
        assert verify(example, "--body-only").code == Exit.OK


def test_every_invalid_example_is_not_and_a_reason_is_told(verify: Run) -> None:
    examples = sorted((EXAMPLES / "invalid").glob("receive_*"))
    assert len(examples) > 40
    for example in examples:
        kind = example.name.split(".")[0].removeprefix("receive_")
        ran = verify(example, "--body-only", "--kind", kind, "--json")
        if ran.code == Exit.OK:  # read tolerantly: what is surprising is told
            assert ran.json["warnings"], example.name
        else:
            assert ran.json["reason"], example.name
            assert ("json" if ran.json["answer"] == 400 else "shape", "failed") in states(ran), example.name
        assert verify(example, "--body-only", "--kind", kind).code == ran.code


def test_an_unknown_shape_is_kept_by_a_receiver_but_no_success(verify: Run) -> None:
    Path("body").write_bytes(b'{"hello": "world"}')
    ran = verify("body", "--body-only")
    assert ran.code == Exit.NO
    assert "Taken, but not understood" in ran.words
    ran = verify("body", "--body-only", "--json")
    assert (ran.json["answer"], ran.json["kind"], ran.json["reason"]) == (200, "unknown", "unrecognised")
    assert ran.json["accepted"] is True


def test_the_other_kind_is_told_apart(verify: Run) -> None:
    ran = verify(PUSH, "--body-only", "--kind", "execution_response")
    assert ran.code == Exit.NO
    assert "this looks like a data push" in ran.words


def test_surprises_are_warnings(verify: Run) -> None:
    example = EXAMPLES / "receive_data_push.event.extra_fields.json"
    ran = verify(example, "--body-only")
    assert ran.code == Exit.OK
    assert "warning: unknown field" in ran.err


def test_what_was_read_is_shown_with_the_words_of_the_sender(verify: Run) -> None:
    for name, words in {
        "execution_response.event.new_status_word": ["unknown", "said:"],
        "execution_response.event.energy_instead_of_power": ["executed", "kWh"],
        "execution_response.event.flat_only_required_fields": ["execution response"],
        "data_push.event.no_metrics": ["none"],
        "data_push.event.no_devices": ["data push"],
    }.items():
        ran = verify(EXAMPLES / f"receive_{name}.json", "--body-only")
        assert ran.code == Exit.OK
        for word in words:
            assert word in ran.words, name


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"a": NaN}', 'line 1, column 7: {"a": -->NaN}'),
        (b'{"a": -Infinity}', 'line 1, column 7: {"a": -->-Infinity}'),
        (b'{"a": "NaN",\n "b": 1e999}', "line 2, column 7"),
        (b'{"a": 1, "b": {"a": 2},\n"\\u0061": 3}', "line 2, column 1"),
        (b'{"a": ["\\ud800"]}', "line 1, column 8"),
        (b"[" * 65 + b"]" * 65, "line 1, column 65"),
        (b'{"a": 1,}', "line 1, column"),
        (b'{"a": \xff}', "line 1, column 7"),
        ('{"ä": nope}'.encode(), "line 1, column 7"),
        (b'\xef\xbb\xbf{"a": NaN}', "line 1, column 7"),
        (b"", ""),
    ],
)
def test_faults_of_json_are_told_with_their_place(body: bytes, place: str) -> None:
    from mosvpp._json import decode_strictly

    with pytest.raises(PayloadError) as caught:
        decode_strictly(body)
    found = place_of(caught.value, body)
    assert found.startswith(place)
    assert bool(found) == bool(place)


def test_places_are_found_in_a_large_body() -> None:
    """In time that grows with the size, not with its square; a slow one would be noticed here."""
    body = b"{" + b",".join(b'"key%d":"\\"%d"' % (n, n) for n in range(60_000)) + b',"key0":1}'
    assert "key0" in place_of(PayloadError("twice", reason="duplicate_keys"), body)


JSON_LIKE = st.lists(
    st.sampled_from(['"', "\\", "{", "}", "[", "]", ":", ",", "1", "e9", "NaN", "-", "a", "\n", "\\ud800"])
)


@given(
    JSON_LIKE.map("".join),
    st.sampled_from(["not_finite", "duplicate_keys", "lone_surrogate", "too_deep", "other"]),
)
def test_no_text_stops_the_search_for_a_place(text: str, reason: str) -> None:
    assert isinstance(place_of(PayloadError("x", reason=reason), text.encode()), str)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    body=st.one_of(st.binary(max_size=80), JSON_LIKE.map(lambda parts: "".join(parts).encode())),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["X-API-Key", "webhook-id", "webhook-timestamp", "webhook-signature"]),
            st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20),
        )
    ),
)
def test_the_verdict_is_that_of_the_sdk_whatever_came(
    verify: Run, body: bytes, headers: list[tuple[str, str]]
) -> None:
    from mosvpp.errors import WebhookError
    from mosvpp.events import DataPush, ExecutionReport
    from mosvpp.signatures import SharedHeaders

    Path("body").write_bytes(body)
    Path("headers").write_text(json.dumps(headers))
    ran = verify("body", "--headers", "headers", *EXPECTED, "--json")
    delivery: Any = None
    hint = 200
    try:
        delivery = webhooks.parse(body, headers, verifier=SharedHeaders({"X-API-Key": SECRET}))
    except WebhookError as error:
        hint = error.status_hint
    assert ran.json["answer"] == hint
    assert (ran.code == Exit.OK) == isinstance(delivery, DataPush | ExecutionReport)
    assert verify("body", "--headers", "headers", *EXPECTED, *SIGNED).code in (Exit.OK, Exit.NO)
