"""The key stays where it belongs: in one header of what leaves, and nowhere in what is seen, kept or told."""

from __future__ import annotations

import copy
import html
import json
import logging
import pickle
import string
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, FunctionType, MethodType, ModuleType
from typing import Any
from urllib.parse import quote

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mosvpp
import outgoing
from hostile_server import Connection, HostileServer
from mosvpp import Client, DispatchReceipt, Outcome, Request, errors
from mosvpp.auth import ApiKey, Key
from outgoing import EVENT_ID, KEY, SITE, Clients, Server, call, dispatch_reply, good_body, reply, slot

OURS = str(Path(mosvpp.__file__).parent)
REQUEST = Request(operation="submit_dispatch", method="POST", path="/x", molecule_id=SITE)
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON with slashes": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "JSON of .NET": lambda key: _escaped(key, "\\u{:04X}"),
    "JSON of Java": lambda key: _escaped(key, "\\u{:04x}"),
    "URL": lambda key: quote(key, safe=""),
    "URL in lower case": lambda key: _escaped(key, "%{:02x}"),
    "HTML": html.escape,
    "HTML by numbers": lambda key: _escaped(key, "&#{};"),
    "HTML by hexadecimal numbers": lambda key: _escaped(key, "&#x{:X};"),
}


def _escaped(key: str, form: str) -> str:
    return "".join(mark if mark.isalnum() else form.format(ord(mark)) for mark in key)


def traces(text: str) -> list[str]:
    """The spellings of the key that a text holds."""
    return [name for name, spell in SPELLINGS.items() if spell(KEY) in text]


# --- what a server echoes


def echoes(
    request: httpx.Request, status: int, spell: Callable[[str], str], body: dict[str, Any]
) -> httpx.Response:
    key = spell(request.headers["x-api-key"])
    text = json.dumps({**body, "title": "@", "detail": "@", "message": "@"}).replace("@", key)
    headers = {
        "X-Echo": f"key={key};",
        "X-API-Key": key,
        "Location": f"/?key={key}",
        "WWW-Authenticate": f'Key realm="{key}"',
        "Retry-After": key,
        f"X-{request.headers['x-api-key'].rstrip('+/=')}": "1",
    }
    return httpx.Response(status, headers=headers, content=text.encode())


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("status", [200, 302, 400, 401, 409, 429, 500, 503])
def test_an_echoed_key_is_cut_out(clients: Clients, status: int, spelling: str) -> None:
    for operation in outgoing.CALLS:
        client = clients.make(
            lambda request: echoes(request, status, SPELLINGS[spelling], good_body(operation)),  # noqa: B023  called before the loop goes on
            on_drift=lambda drift: told.append(repr(drift)),  # noqa: B023  called before the loop goes on
        )
        told: list[str] = []
        try:
            result = call(client, operation)
        except errors.MosVPPError as error:
            result = error
        assert result_is_clean(result) > 5
        assert not traces("".join(told))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_in_the_words_of_a_transport_is_cut_out(clients: Clients, spelling: str) -> None:
    fault = httpx.ReadError(f"illegal header line: {SPELLINGS[spelling](KEY)}\x1b[2J")
    with pytest.raises(errors.OutcomeUnknownError, match=r"illegal header line: \[removed\]") as caught:
        call(clients.make(Server(fault)), "submit_dispatch")
    assert result_is_clean(caught.value)
    assert str(caught.value).isprintable()


printable = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=8, max_size=40)


@given(key=printable, spelling=st.sampled_from(sorted(SPELLINGS)), around=st.text(max_size=5))
def test_every_key_in_every_spelling(key: str, spelling: str, around: str) -> None:
    own, echoed = Key(key), SPELLINGS[spelling](key)
    assert own.hide(f"<<{echoed}>>") == "<<[removed]>>"
    assert own.hide_bytes(b"<<" + echoed.encode() + b">>") == b"<<[removed]>>"
    assert key not in own.hide(around + echoed + around)


@given(key=printable, text=st.text(max_size=100), data=st.binary(max_size=100))
def test_what_holds_no_key_stays_as_it_is(key: str, text: str, data: bytes) -> None:
    own = Key(key)
    if not any(spell(key)[:4] in text for spell in SPELLINGS.values()):
        assert own.hide(text) == text
    if not any(spell(key)[:4].encode() in data for spell in SPELLINGS.values()):
        assert own.hide_bytes(data) == data


@pytest.mark.parametrize("key", ["a", "ok", "accepte", "1", ".", "{", '"'])
def test_a_short_key_tears_nothing_apart(clients: Clients, key: str) -> None:
    """It is no secret, and half of a receipt is made of its characters."""
    body = dispatch_reply(EVENT_ID, "ok", message="1")
    receipt = call(clients.make(Server(reply(200, body)), api_key=key), "submit_dispatch")
    assert receipt.outcome is Outcome.ACCEPTED
    assert json.loads(receipt.raw.body) == body


# --- everything that can be reached from a result, an error, a client

VAULTS = (Key, ApiKey)
"""These two hold the key, and are the only ones."""


def parts(value: Any) -> Iterator[Any]:
    """What an object is made of, as far as it is ours or plain data."""
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif isinstance(value, BaseException):
        yield from (
            value.args,
            value.__cause__,
            value.__context__,
            vars(value),
            getattr(value, "__notes__", ()),
        )
        yield from _frames(value)
    elif isinstance(value, MethodType):
        yield value.__self__
    elif isinstance(value, FunctionType):
        yield from [cell.cell_contents for cell in value.__closure__ or ()]
    elif type(value).__module__.startswith("mosvpp"):
        names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        names += list(getattr(value, "__struct_fields__", ())) + list(getattr(value, "__dict__", ()))
        yield from [getattr(value, name) for name in names if hasattr(value, name)]


def _frames(error: BaseException) -> Iterator[Any]:
    """The local variables of our own functions on the way of an error."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if isinstance(frame, FrameType) and frame.f_code.co_filename.startswith(OURS):
            yield dict(frame.f_locals)


def walked(value: Any) -> list[Any]:
    """Every object within reach, each once."""
    seen: dict[int, Any] = {}
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | ModuleType):
            continue
        seen[id(one)] = one
        if not isinstance(one, VAULTS):
            waiting.extend(parts(one))
    return list(seen.values())


def result_is_clean(result: Any) -> int:
    """No part of it shows the key; the number of parts that were looked at."""
    found = walked(result)
    for one in found:
        shown = repr(one) + (one.decode("latin-1") if isinstance(one, bytes) else str(one))
        assert not traces(shown), (type(one), traces(shown))
        assert not isinstance(one, httpx.Request | httpx.Response | httpx.HTTPError)
    if isinstance(result, BaseException):
        lines = "".join(
            traceback.TracebackException.from_exception(
                _without_the_test(result), capture_locals=True
            ).format()
        )
        assert not traces(lines)
    again = pickle.loads(pickle.dumps(result))
    assert repr(again) == repr(result)
    assert not traces(pickle.dumps(result).decode("latin-1"))
    if hasattr(result, "to_json"):
        assert not traces(result.to_json())
    return len(found)


def _without_the_test(error: BaseException) -> BaseException:
    """The error with only our own frames: the test's frames know the key, of course."""
    trace = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(OURS):
        trace = trace.tb_next
    # From there on all frames belong to us, to httpx, or to the transport of the test.
    names = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(trace)]
    assert all(name.startswith(OURS) for name in names), names
    return copy.copy(error).with_traceback(trace)


def test_the_walk_finds_what_is_there() -> None:
    """The positive control: each hiding place, with something in it."""
    box = errors.RejectedError("x", request=REQUEST)
    box.add_note("note")
    box.__cause__ = KeyError("inner")
    found = walked(box)
    assert {"x", "note", "inner"} <= {one for one in found if isinstance(one, str)}
    client = Client(KEY, base_url=outgoing.ORIGIN, transport=httpx.MockTransport(Server(reply(200))))
    assert any(isinstance(one, ApiKey) for one in walked(client))
    with pytest.raises(AssertionError):
        result_is_clean([f"x{KEY}"])
    with pytest.raises(AssertionError):
        result_is_clean(errors.RejectedError("x", request=REQUEST, retry_after=KEY))


def test_a_client_shows_nothing(clients: Clients) -> None:
    for source in (KEY, lambda: KEY):
        client = clients.inside(clients.make(Server(reply(200)), api_key=source))
        call(clients.make(Server(reply(200)), api_key=source), "submit_dispatch")
        for one in walked(client):
            if one is KEY or (isinstance(one, FunctionType) and one.__module__ == __name__):
                continue  # the function is the caller's own
            assert not traces(repr(one) + str(one)), type(one)


@pytest.mark.parametrize(
    "vault", [Key(KEY), ApiKey(KEY), ApiKey(lambda: KEY)], ids=["key", "source", "function"]
)
def test_a_vault_is_neither_shown_nor_copied_nor_pickled(vault: Any) -> None:
    assert not traces(repr(vault) + str(vault) + f"{vault}")
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError) as caught:
            copying(vault)
        assert not traces(str(caught.value))
    with pytest.raises(TypeError):
        vars(vault)


def test_generated_code_is_given_no_key() -> None:
    """Its own client would print it."""
    from mosvpp_api import client as generated

    assert "token" in {field.name for field in attrs.fields(generated.AuthenticatedClient)}
    sources = Path(OURS).glob("*.py")
    assert not [path.name for path in sources if "AuthenticatedClient" in path.read_text("utf-8")]


def failures() -> list[Any]:
    return [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        ValueError(KEY),
        OSError(5, KEY),
        reply(400, {"title": "no"}),
        reply(429),
        reply(500),
        reply(302),
        reply(200, {"status": "rejected"}),
        reply(200),
    ]


@pytest.mark.parametrize("index", range(len(failures())))
@pytest.mark.parametrize("operation", outgoing.CALLS)
def test_every_outcome_is_clean_and_survives_pickling(clients: Clients, operation: str, index: int) -> None:
    """No exception of httpx hangs on it, no request of httpx, no frame with the key."""
    try:
        result = call(clients.make(Server(failures()[index])), operation)
    except errors.MosVPPError as error:
        assert error.__cause__ is None  # noqa: PT017  whichever error came
        assert error.__context__ is None  # noqa: PT017  whichever error came
        if clients.kind == "Client":
            result_is_clean(error)
        error.__traceback__ = None
        result = error
    assert result_is_clean(result) > 5
    for again in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert type(again) is type(result)
        assert str(again) == str(result)
        if isinstance(result, errors.MosVPPError):
            assert again.__dict__ == result.__dict__
        else:
            assert again == result


def test_rule_errors_survive_pickling() -> None:
    with pytest.raises(errors.RuleError) as caught:
        slot(priority="1")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.path, again.rule, again.evidence) == (
        str(caught.value),
        caught.value.path,
        caught.value.rule,
        caught.value.evidence,
    )
    assert isinstance(again, ValueError)


def test_interrupted_frames_show_nothing(clients: Clients) -> None:
    """Tools that report an exception with its local variables see our frames as well."""

    def interrupt(request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    if clients.kind == "Client":  # a loop that is interrupted ends, and the portal of the test with it
        with pytest.raises(KeyboardInterrupt) as caught:
            call(clients.make(interrupt), "submit_dispatch")
        frames = list(_frames(caught.value))
        assert len(frames) > 2
        assert not traces(repr(frames))


# --- logs


def echoing(connection: Connection) -> None:
    while request := connection.read_request():
        key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"x-api-key: "))[11:]
        body = json.dumps(good_body("submit_dispatch")).encode()
        connection.answer(body, f"X-Echo: {key.decode()}", f"X-Again: {quote(key)}")


def breaking(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\n" + KEY.encode() + b"\r\n\r\n")


@pytest.mark.parametrize("behaviour", [echoing, breaking])
def test_logs_at_their_most_talkative(
    clients: Clients, caplog: pytest.LogCaptureFixture, behaviour: Any
) -> None:
    """Httpcore logs the headers of answers, in which a server may echo the key."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection", "mosvpp", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    with HostileServer(behaviour) as server:
        client = clients.make(base_url=server.origin, timeout=30, retry=outgoing.NEVER)
        try:
            call(client, "submit_dispatch")
        except errors.OutcomeUnknownError:
            assert behaviour is breaking
        client.close()
    assert "receive_response_headers" in caplog.text
    assert "[removed]" in caplog.text
    assert not traces(caplog.text)
    assert not [record for record in caplog.records if traces(repr(record.__dict__))]


def test_other_users_of_httpcore_keep_their_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="httpcore.http11")
    with HostileServer(echoing) as server, httpx.Client() as other:
        other.post(server.origin, headers={"X-API-Key": KEY}, content=b"{}")
    assert KEY in caplog.text


# --- a proxy's password


def test_the_password_of_a_proxy_is_not_shown(clients: Clients) -> None:
    client = clients.make(
        base_url="http://elsewhere.localhost:81",
        proxy="http://partner:canary-password@localhost:1",
        retry=outgoing.NEVER,
    )
    with pytest.raises(errors.UnreachableError) as caught:
        call(client, "submit_dispatch")
    shown = "".join(repr(one) + str(one) for one in [*walked(clients.inside(client)), *walked(caught.value)])
    assert "canary-password" not in shown
    assert "canary-password" not in "".join(traceback.format_exception(caught.value))


def test_a_saved_receipt_holds_no_key(clients: Clients) -> None:
    """It is what a partner puts into a ticket."""
    body = dispatch_reply(EVENT_ID, "accepted", message=f"key {KEY}")
    receipt = clients.make(Server(reply(200, body))).submit_dispatch(SITE, slot(), mode="test")
    assert isinstance(receipt, DispatchReceipt)
    assert not traces(receipt.to_json())
    assert receipt.message == "key [removed]"
