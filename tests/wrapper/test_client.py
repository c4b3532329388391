"""The clients themselves: their arguments, arming, what leaves, surprises, and any httpx transport below."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

import outgoing
from manual_clock import START, ManualClock
from mosvpp import AsyncClient, Client, Drift, RetryPolicy, Timeout, commands, errors, kW
from mosvpp.clock import SystemClock
from outgoing import EVENT_ID, KEY, SITE, Clients, Server, call, dispatch_reply, good_body, reply, slot

YES = reply(200, dispatch_reply(EVENT_ID, "accepted"))


# --- arguments


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"api_key": ""}, "api_key"),
        ({"api_key": " key"}, "api_key"),
        ({"api_key": "key\n"}, "api_key"),
        ({"api_key": "schlüssel"}, "api_key"),
        ({"api_key": "a\x00b"}, "api_key"),
        ({"api_key": b"bytes"}, "api_key"),
        ({"api_key": 7}, "api_key"),
        ({"base_url": "webhooks.moleculesystems.com"}, "base_url"),
        ({"base_url": "ftp://localhost"}, "base_url"),
        ({"base_url": "http://"}, "base_url"),
        ({"base_url": "https://localhost/v1"}, "base_url"),
        ({"base_url": "https://localhost//"}, "base_url"),
        ({"base_url": "https://localhost?x=1"}, "base_url"),
        ({"base_url": "https://localhost#x"}, "base_url"),
        ({"base_url": "https://localhost:99999"}, "base_url"),
        ({"base_url": "https://localhost:0"}, "base_url"),
        ({"base_url": "http://webhooks.moleculesystems.com"}, "base_url"),
        ({"base_url": "http://93.184.216.34"}, "base_url"),
        ({"base_url": None}, "base_url"),
        ({"base_url": "https://" + "a" * 100_000}, "base_url"),
        ({"api_version": ""}, "api_version"),
        ({"api_version": "v1/../../x"}, "api_version"),
        ({"api_version": ".."}, "api_version"),
        ({"api_version": "v1\n"}, "api_version"),
        ({"api_version": 1}, "api_version"),
        ({"api_version": "v" * 1000}, "api_version"),
        ({"allow_live": 1}, "allow_live"),
        ({"allow_live": "yes"}, "allow_live"),
        ({"timeout": 0}, "timeout.total"),
        ({"timeout": -1}, "timeout.total"),
        ({"timeout": True}, "timeout.total"),
        ({"timeout": None}, "timeout.total"),
        ({"timeout": "30"}, "timeout.total"),
        ({"timeout": float("inf")}, "timeout.total"),
        ({"timeout": float("nan")}, "timeout.total"),
        ({"timeout": 10**6}, "timeout.total"),
        ({"retry": 3}, "retry"),
        ({"proxy": "localhost:3128"}, "proxy"),
        ({"proxy": "socks5://localhost"}, "proxy"),
        ({"proxy": "http://"}, "proxy"),
        ({"proxy": "http://[::1"}, "proxy"),
        ({"proxy": 7}, "proxy"),
        ({"ssl_context": True}, "ssl_context"),
        ({"transport": "localhost"}, "transport"),
        ({"clock": time.time}, "clock"),
        ({"on_drift": []}, "on_drift"),
        ({"statuses": {"DONE": "done"}}, "statuses"),
        ({"statuses": {1: "completed"}}, "statuses"),
        ({"statuses": ["DONE"]}, "statuses"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_arguments_that_make_no_sense_are_refused(clients: Clients, options: Any, path: str) -> None:
    with pytest.raises(errors.RuleError) as caught:
        clients.make(**options)
    assert caught.value.path == path
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:canary@localhost",
        "https://canary@localhost",
        "http://user:canary@webhooks.moleculesystems.com/v1",
    ],
)
def test_a_password_in_the_origin_is_refused_and_not_repeated(clients: Clients, url: str) -> None:
    with pytest.raises(errors.RuleError) as caught:
        clients.make(base_url=url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://LocalHost:443/", "https://localhost"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://10.0.0.7", "http://10.0.0.7"),
        ("http://sandbox:8080", "http://sandbox:8080"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
    ],
)
def test_origins_are_written_in_one_way(clients: Clients, given: str, used: str) -> None:
    server = Server(YES)
    client = clients.make(server, base_url=given)
    call(client, "submit_dispatch")
    request = server.requests[0]
    assert str(request.url) == f"{used}/v1/api/gateway/{SITE}/dr"
    assert request.headers["host"] == used.partition("//")[2]
    assert repr(clients.inside(client)) == f"{clients.kind.split()[0]}(base_url={used!r})"


def test_the_default_origin_is_the_documented_one(clients: Clients) -> None:
    server = Server(YES)
    client = clients.inside(clients.make(server))
    made = type(client)(KEY, transport=httpx.MockTransport(server))
    assert repr(made) == f"{type(client).__name__}(base_url='https://webhooks.moleculesystems.com')"


def test_the_key_may_come_from_the_environment(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.RuleError, match="MOSVPP_API_KEY"):
        clients.make(api_key=None)
    monkeypatch.setenv("MOSVPP_API_KEY", "from outside")
    server = Server(YES)
    call(clients.make(server, api_key=None), "submit_dispatch")
    assert server.requests[0].headers["x-api-key"] == "from outside"


def test_a_function_may_give_the_key_for_each_attempt(clients: Clients) -> None:
    """So that a rotated key is used without a restart."""
    keys = iter(["first key", "second key"])
    server = Server(reply(429), YES)
    call(clients.make(server, api_key=lambda: next(keys)), "submit_dispatch")
    assert [request.headers["x-api-key"] for request in server.requests] == ["first key", "second key"]


def test_a_function_that_gives_the_same_key_again(clients: Clients) -> None:
    """It is asked each time, and the key is prepared once."""
    asked: list[str] = []

    def source() -> str:
        asked.append("same key")
        return "".join(asked[:1])

    server = Server(reply(429), YES)
    client = clients.make(server, api_key=source)
    call(client, "submit_dispatch")
    assert len(asked) == 2
    assert {request.headers["x-api-key"] for request in server.requests} == {"same key"}
    key = clients.inside(client)._calls.key
    assert key.current() is key.current()


def fails() -> str:
    raise LookupError("the vault says canary")


@pytest.mark.parametrize("given", [fails, "", None, "key\n", 7])
def test_a_function_that_gives_no_key_sends_nothing(clients: Clients, given: Any) -> None:
    server = Server(YES)
    source = given if callable(given) else lambda: given
    with pytest.raises(errors.RuleError) as caught:
        call(clients.make(server, api_key=source), "submit_dispatch")
    assert caught.value.path == "api_key"
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None
    assert server.requests == []


@pytest.mark.parametrize(
    "site", ["", " ", "a/b", "..", "a\n", "fecd0001c031e7e8\n", "é", "a b", "%2e", None, 7]
)
@pytest.mark.parametrize("operation", outgoing.CALLS)
def test_a_molecule_id_is_one_harmless_segment(clients: Clients, site: Any, operation: str) -> None:
    server = Server(YES)
    client = clients.make(server)
    calls = {
        "sync_devices": lambda: client.sync_devices(site),
        "submit_dispatch": lambda: client.submit_dispatch(site, slot(), mode="test"),
        "submit_site_command": lambda: client.submit_site_command(
            site, commands.turn_off("1"), duration=timedelta(seconds=1)
        ),
    }
    with pytest.raises(errors.RuleError) as caught:
        calls[operation]()
    assert (caught.value.path, caught.value.evidence) == (
        "molecule_id",
        ("transport.molecule_id_segment",),
    )
    assert server.requests == []


def test_an_endless_molecule_id_is_refused(clients: Clients) -> None:
    with pytest.raises(errors.RuleError):
        clients.make(Server(YES)).sync_devices("a" * 70_000)


def test_many_sites_do_not_fill_the_memory(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mosvpp.client._URLS_KEPT", 3)
    server = Server(*(reply(200, {"molecule_id": f"site-{number}", "devices": []}) for number in range(10)))
    client = clients.make(server)
    for number in range(10):
        client.sync_devices(f"site-{number}")
    assert len(clients.inside(client)._urls) <= 3
    assert [request.url.path.split("/")[4] for request in server.requests] == [f"site-{n}" for n in range(10)]


# --- what is refused before anything is sent


@pytest.mark.parametrize(
    "wrong", [None, "discharge", 5 * kW, {}, [slot(), None], [{"event_id": EVENT_ID}], 5]
)
def test_only_slots_are_dispatched(clients: Clients, wrong: Any) -> None:
    with pytest.raises(errors.RuleError, match=r"discharge|minItems|less than"):
        clients.make(Server(YES)).submit_dispatch(SITE, wrong, mode="test")


@pytest.mark.parametrize("wrong", [None, "off", slot(), [commands.turn_off("1"), "x"]])
def test_only_commands_are_commanded(clients: Clients, wrong: Any) -> None:
    with pytest.raises(errors.RuleError, match="turn_off"):
        clients.make(Server(YES)).submit_site_command(SITE, wrong, duration=timedelta(seconds=1))


@pytest.mark.parametrize("mode", [None, "", "Test", "LIVE", "drill", True, ["test"]])
def test_there_are_two_modes(clients: Clients, mode: Any) -> None:
    with pytest.raises(errors.RuleError) as caught:
        clients.make(Server(YES)).submit_dispatch(SITE, slot(), mode=mode)
    assert caught.value.path == "$.mode"


def test_there_is_no_default_mode(clients: Clients) -> None:
    with pytest.raises(TypeError):
        clients.make(Server(YES)).submit_dispatch(SITE, slot())


@pytest.mark.parametrize(
    "duration",
    [
        900,
        None,
        "15 min",
        timedelta(0),
        timedelta(seconds=-1),
        timedelta(seconds=1.5),
        timedelta(microseconds=1),
    ],
)
def test_a_duration_is_whole_seconds_and_at_least_one(clients: Clients, duration: Any) -> None:
    server = Server(YES)
    with pytest.raises(errors.RuleError):
        clients.make(server).submit_site_command(SITE, commands.turn_off("1"), duration=duration)
    assert server.requests == []


def test_the_error_names_path_rule_and_evidence(clients: Clients) -> None:
    slots = [slot(), slot(event_id=None, priority=120)]
    with pytest.raises(errors.RuleError) as caught:
        clients.make(Server(YES)).submit_dispatch(SITE, slots, mode="test")
    error = caught.value
    assert (error.path, error.rule, error.evidence) == (
        "$.event_slots[1].priority",
        "maximum",
        ("dispatch.priority",),
    )
    assert "120" in str(error)
    assert "dispatch.priority" in str(error)


@pytest.mark.parametrize(
    "send",
    [
        lambda client: client.submit_dispatch(SITE, slot(), mode="live"),
        lambda client: call(client, "submit_site_command"),
    ],
    ids=["live dispatch", "site command"],
)
def test_what_moves_devices_needs_arming_on_any_host(clients: Clients, send: Any) -> None:
    server = Server(reply(200))
    with pytest.raises(errors.RuleError, match="allow_live") as caught:
        send(clients.make(server, allow_live=False))
    assert caught.value.evidence == ("behaviour.arming",)
    assert server.requests == []
    send(clients.make(server, allow_live=True))
    assert len(server.requests) == 1


# --- what leaves


def test_an_id_goes_out_as_it_was_written(clients: Clients) -> None:
    for event_id in (EVENT_ID, EVENT_ID.lower(), "8a7dA4d3-5AD6-42f6-BcAd-6194bBd2f68D", UUID(EVENT_ID)):
        server = Server(reply(200))
        clients.make(server).submit_dispatch(SITE, slot(event_id=event_id), mode="test")
        assert server.bodies[0]["event_slots"][0]["event_id"] == str(event_id)
        server = Server(reply(200))
        clients.make(server).submit_site_command(
            SITE, commands.turn_on("1"), duration=timedelta(seconds=1), scmd_id=event_id
        )
        assert server.bodies[0]["scmd_id"] == str(event_id)


def test_a_new_id_is_made_once_for_all_attempts(clients: Clients) -> None:
    server = Server(reply(429), reply(429), reply(200))
    receipt = clients.make(server).submit_site_command(
        SITE, commands.turn_on("1"), duration=timedelta(seconds=1)
    )
    assert UUID(receipt.scmd_id).version == 4
    assert {body["scmd_id"] for body in server.bodies} == {receipt.scmd_id}


@pytest.mark.parametrize("wrong", ["", "1", EVENT_ID[:-1], EVENT_ID + "\n", f"{{{EVENT_ID}}}", 7, b"x"])
def test_an_id_that_is_none_is_refused(clients: Clients, wrong: Any) -> None:
    with pytest.raises(errors.RuleError) as caught:
        clients.make(Server(YES)).submit_site_command(
            SITE, commands.turn_on("1"), duration=timedelta(seconds=1), scmd_id=wrong
        )
    assert caught.value.path == "scmd_id"


# --- surprises


def surprises_of(clients: Clients, answer: httpx.Response, operation: str, **options: Any) -> list[Drift]:
    found: list[Drift] = []
    call(clients.make(Server(answer), on_drift=found.append, **options), operation)
    return found


def test_unknown_fields_words_and_shapes_are_handed_over(clients: Clients) -> None:
    body = dispatch_reply(EVENT_ID, "maybe", status="done", moleculeVersion=7)
    body["event_slots"][0]["lead_time"] = 1
    body["event_slots"].append({"event_id": outgoing.OTHER_ID, "status": "accepted"})
    found = surprises_of(clients, reply(200, body), "submit_dispatch")
    assert [(drift.kind, drift.path, drift.detail) for drift in found] == [
        ("unknown_field", "$.moleculeVersion", "moleculeVersion"),
        ("unknown_field", "$.event_slots[0].lead_time", "lead_time"),
        ("unknown_word", "$.status", "done"),
        ("unknown_word", "$", "maybe"),
        ("unexpected_shape", "$", "a verdict on 1c0fd2c98b9c4c6e9f0a3f9f2f6f0a11, which was not sent"),
    ]
    assert {drift.operation for drift in found} == {"submit_dispatch"}


def test_a_word_is_handed_over_once(clients: Clients) -> None:
    slots = [slot(event_id=None) for _ in range(5)]
    body = dispatch_reply(*(word for one in slots for word in (one.event_id, "maybe")))
    found: list[Drift] = []
    clients.make(Server(reply(200, body)), on_drift=found.append).submit_dispatch(SITE, slots, mode="test")
    assert [drift.detail for drift in found] == ["maybe"]


def test_statuses_of_the_partner_extend_the_mapping(clients: Clients) -> None:
    body = dispatch_reply(EVENT_ID, "Done-It")
    receipt = call(
        clients.make(Server(reply(200, body)), statuses={"DONE IT": "completed"}), "submit_dispatch"
    )
    assert receipt.is_accepted
    assert receipt.item(EVENT_ID).status == "completed"


def test_new_device_types_and_fields_are_handed_over(clients: Clients) -> None:
    body = {"molecule_id": SITE, "devices": [{"device_id": "1", "device_type": 99, "firmware": "2"}]}
    found = surprises_of(clients, reply(200, body), "sync_devices")
    assert [(drift.kind, drift.path) for drift in found] == [
        ("unknown_field", "$.devices[0].firmware"),
        ("unknown_word", "$.devices[0].device_type"),
    ]


def test_a_fault_in_on_drift_loses_no_receipt(clients: Clients, caplog: pytest.LogCaptureFixture) -> None:
    def on_drift(drift: Drift) -> None:
        raise ZeroDivisionError

    body = dispatch_reply(EVENT_ID, "accepted", news=1)
    assert call(clients.make(Server(reply(200, body)), on_drift=on_drift), "submit_dispatch").is_accepted
    assert [record.levelno for record in caplog.records if record.name == "mosvpp"] == [logging.ERROR]


@pytest.mark.parametrize(
    ("date", "skew"),
    [
        ("Thu, 04 Jan 2024 23:00:00 GMT", None),
        ("Thu, 04 Jan 2024 22:59:55 GMT", None),
        ("Thu, 04 Jan 2024 22:59:54 GMT", " 6 s ahead of"),
        ("Thu, 04 Jan 2024 23:00:06 GMT", " 6 s behind"),
        ("Thu, 04 Jan 2024 22:59:54 -0000", " 6 s ahead of"),
        ("Mon, 01 Jan 1990 00:00:00 GMT", "ahead of"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "behind"),
        ("Mon, 31 Dec 9999 23:59:59 -2300", None),
        ("now", None),
        ("", None),
        ("Thu, 99 Jan 2024 23:00:00 GMT", None),
    ],
)
def test_a_clock_that_is_off_is_reported(clients: Clients, date: str, skew: str | None) -> None:
    answer = reply(200, dispatch_reply(EVENT_ID, "accepted"), {"Date": date})
    found = surprises_of(clients, answer, "submit_dispatch")
    assert [drift.kind for drift in found] == ([] if skew is None else ["clock_skew"])
    assert skew is None or skew in found[0].detail


def test_a_slow_answer_is_no_skew(clients: Clients) -> None:
    """The Date may lie anywhere between sending and having the whole answer."""
    clock = ManualClock()

    def answer(request: httpx.Request) -> httpx.Response:
        clock.advance(20)
        return reply(200, dispatch_reply(EVENT_ID, "accepted"), {"Date": "Thu, 04 Jan 2024 23:00:03 GMT"})

    found: list[Drift] = []
    call(clients.make(answer, clock=clock, on_drift=found.append), "submit_dispatch")
    assert found == []


# --- any httpx transport


def test_a_body_in_pieces_is_put_together(clients: Clients) -> None:
    text = json.dumps(dispatch_reply(EVENT_ID, "accepted")).encode()

    class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return (text[at : at + 7] for at in range(0, len(text), 7))

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self:
                yield piece

    client = clients.make(lambda _: httpx.Response(200, stream=Pieces()))
    assert call(client, "submit_dispatch").is_accepted


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that never ends, of another transport than ours; `wait` seconds between its pieces."""

    def __init__(self, piece: bytes, wait: float) -> None:
        self._piece = piece
        self._wait = wait

    def __iter__(self) -> Iterator[bytes]:
        while True:
            time.sleep(self._wait)
            yield self._piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


@pytest.mark.parametrize(("piece", "wait"), [(b" " * 100_000, 0.0), (b" ", 0.01)], ids=["large", "slow"])
def test_an_endless_body_of_another_transport_is_left(clients: Clients, piece: bytes, wait: float) -> None:
    client = clients.make(lambda _: httpx.Response(200, stream=Endless(piece, wait)), timeout=0.5)
    with pytest.raises(errors.OutcomeUnknownError, match=r"KiB|deadline"):
        call(client, "submit_dispatch")


def test_a_body_that_breaks_within_another_transport(clients: Clients) -> None:
    class Breaks(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"{"
            raise KeyError("what is this")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self:
                yield piece

    client = clients.make(lambda _: httpx.Response(200, stream=Breaks()))
    with pytest.raises(errors.OutcomeUnknownError, match="broke off after 1 bytes") as caught:
        call(client, "submit_dispatch")
    assert caught.value.body == b"{"


def test_an_answer_counts_although_closing_its_connection_fails(clients: Clients) -> None:
    class Stuck(httpx.ByteStream):
        def close(self) -> None:
            raise OSError("stuck")

        async def aclose(self) -> None:
            raise OSError("stuck")

    text = json.dumps(dispatch_reply(EVENT_ID, "accepted")).encode()
    client = clients.make(lambda _: httpx.Response(200, stream=Stuck(text)))
    assert call(client, "submit_dispatch").is_accepted


def test_an_endless_iterator_that_is_no_generator(clients: Clients) -> None:
    class Spaces(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(lambda: b" " * 65536, None)

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            return b" " * 65536

    with pytest.raises(errors.OutcomeUnknownError, match="KiB"):
        call(clients.make(lambda _: httpx.Response(200, stream=Spaces())), "submit_dispatch")


@pytest.mark.parametrize("nonsense", [None, 7, "200 OK"])
def test_a_transport_that_gives_no_response(clients: Clients, nonsense: Any) -> None:
    with pytest.raises(errors.OutcomeUnknownError):
        call(clients.make(lambda _: nonsense), "submit_dispatch")


# --- the life of a client


def test_closing_twice_does_no_harm(clients: Clients) -> None:
    client = clients.make(Server(YES))
    client.close()
    client.close()


def test_a_client_is_a_context_manager() -> None:
    closed = []

    class Noting(httpx.MockTransport):
        def close(self) -> None:
            closed.append(self)

    with Client(KEY, base_url=outgoing.ORIGIN, transport=Noting(Server(YES))) as client:
        assert call(client, "submit_dispatch").is_accepted
    assert len(closed) == 1


def test_interrupted_in_the_middle_of_a_call(clients: Clients) -> None:
    """Ctrl-C goes through, and the client is still good."""
    if clients.kind != "Client":
        return  # an event loop has its own ways, see test_async_client.py
    server = Server(_interrupt, YES)
    client = clients.make(server)
    with pytest.raises(KeyboardInterrupt):
        call(client, "submit_dispatch")
    assert call(client, "submit_dispatch").is_accepted


def _interrupt(request: httpx.Request) -> httpx.Response:
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy, pickle.dumps], ids=lambda one: one.__name__)
def test_a_client_is_neither_copied_nor_pickled(kind: Any, copying: Any) -> None:
    client = kind(KEY, base_url=outgoing.ORIGIN, transport=httpx.MockTransport(Server(YES)))
    with pytest.raises(TypeError, match="holds the key"):
        copying(client)


def test_flows_may_be_abandoned() -> None:
    """A sender that stops in the middle leaves nothing behind."""
    client = Client(KEY, base_url=outgoing.ORIGIN, transport=httpx.MockTransport(Server(YES)))
    flow = client._calls.submit_dispatch(SITE, slot(), "test")
    next(flow)
    flow.close()
    flow = client._calls.sync_devices(SITE)
    next(flow)
    with pytest.raises(TypeError, match="Answer or a Failure"):
        next(flow)
    client.close()


# --- time-outs and clocks


def test_a_plain_number_is_the_total_of_one_attempt() -> None:
    assert Timeout.of(7) == Timeout(total=7)
    assert Timeout.of(Timeout(connect=1)) == Timeout(connect=1)


@pytest.mark.parametrize("name", ["total", "connect", "read", "write", "pool"])
def test_every_limit_is_checked(name: str) -> None:
    with pytest.raises(errors.RuleError) as caught:
        Timeout(**{name: 0})
    assert caught.value.path == f"timeout.{name}"


def test_the_clock_of_the_machine_waits(clients: Clients) -> None:
    client = clients.make(
        Server(reply(429), YES), clock=SystemClock(), retry=RetryPolicy(first_delay=0.01, longest_delay=0.01)
    )
    later = slot(start=SystemClock().now() + timedelta(days=1))
    before = SystemClock().monotonic()
    client.submit_dispatch(SITE, later, mode="test")
    assert SystemClock().monotonic() > before


def test_answers_say_when_they_came(clients: Clients) -> None:
    assert call(clients.make(Server(YES)), "submit_dispatch").raw.received_at == START


def test_tls_is_set_up_only_where_it_is_used() -> None:
    with Client(KEY, base_url="https://localhost", ssl_context=ssl.create_default_context()):
        pass


def test_every_good_body_is_good(clients: Clients) -> None:
    """The yardstick of the other tests."""
    for operation in outgoing.CALLS:
        assert call(clients.make(Server(reply(200, good_body(operation)))), operation)
