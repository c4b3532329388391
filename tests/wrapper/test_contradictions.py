"""An answer that contradicts the request, the site or itself is never a yes; the key stays where it is."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from mosvpp import Client, EventSlot, Outcome, discharge, errors, kW

SITE = "fecd0001c031e7e8"


@pytest.fixture
def slot() -> EventSlot:
    return discharge(
        5 * kW, start=datetime.now(UTC) + timedelta(hours=1), duration=timedelta(hours=1), priority=1
    )


def client(body: object) -> Client:
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    return Client("a long enough key", base_url="http://127.0.0.1:1", transport=answer)


@pytest.mark.parametrize(
    "words",
    [
        {"Status": "rejected", "status": "accepted"},
        {"Status": "accepted", "STATUS": "rejected"},
        {"status": "accepted", "mode": "test", "Mode": "live"},
        {"status": "accepted", "molecule_id": SITE, "moleculeId": "another"},
    ],
)
def test_one_field_in_two_spellings_that_says_two_things_is_unknown(words: object, slot: EventSlot) -> None:
    assert client(words).submit_dispatch(SITE, slot, mode="test").outcome is Outcome.UNKNOWN


def test_one_field_in_two_spellings_that_says_one_thing_is_read(slot: EventSlot) -> None:
    words = {"Status": "accepted", "status": "accepted"}
    assert client(words).submit_dispatch(SITE, slot, mode="test").outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("word", ["rejected", "failed", "cancelled", "opted_out", "superseded"])
def test_a_no_as_a_whole_beside_a_yes_by_item_is_unknown(word: str, slot: EventSlot) -> None:
    reply = {"status": word, "event_slots": [{"event_id": slot.event_id, "status": "accepted"}]}
    assert client(reply).submit_dispatch(SITE, slot, mode="test").outcome is Outcome.UNKNOWN


def test_the_devices_of_another_site_are_an_error() -> None:
    with pytest.raises(errors.UnexpectedResponseError, match="of this site"):
        client({"molecule_id": "another", "devices": []}).sync_devices(SITE)


@pytest.fixture
def talkative() -> Iterator[str]:
    """A server that sends one answer too many, and no further one."""
    listener = socket.create_server(("127.0.0.1", 0))
    devices = json.dumps({"molecule_id": SITE, "devices": []}).encode()
    accepted = b'{"status":"accepted"}'
    answers = b"".join(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body) for body in (devices, accepted)
    )

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answers)
            connection.settimeout(10)
            while connection.recv(65536):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread.join(10)
    listener.close()


def test_an_answer_that_was_there_before_the_request_is_not_the_answer_to_it(
    talkative: str, slot: EventSlot
) -> None:
    with Client("a long enough key", base_url=talkative) as speaker:
        assert len(speaker.sync_devices(SITE)) == 0
        with pytest.raises(errors.OutcomeUnknownError, match="before the request"):
            speaker.submit_dispatch(SITE, slot, mode="test")


def test_two_clients_of_one_gateway_know_of_each_others_cancels(slot: EventSlot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        origin = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with Client("k" * 20, base_url=origin) as first, Client("k" * 20, base_url=origin) as second:
        with pytest.raises(errors.UnreachableError) as unreached:
            first.submit_dispatch(SITE, slot, mode="test")
        with pytest.raises(errors.UnreachableError):
            second.submit_dispatch(SITE, slot.cancel(), mode="test")
        with pytest.raises(errors.RuleError, match="newer"):
            first.resend(unreached.value.request)


@pytest.mark.parametrize(
    "host", ["134744072", "0x08080808", "192.0.2.1", "198.18.0.1", "240.0.0.1", "8.8.8.8"]
)
def test_http_is_refused_for_far_hosts_in_any_spelling(host: str) -> None:
    with pytest.raises(errors.RuleError, match="https"):
        Client("k" * 20, base_url=f"http://{host}")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.1.2.3", "192.168.0.1", "sandbox", "x.localhost"])
def test_http_is_enough_for_near_hosts(host: str) -> None:
    Client("k" * 20, base_url=f"http://{host}").close()


@pytest.mark.parametrize("url", ["ftp//u:secret@x", "https://xn--/", "http://u:secret@127.0.0.1"])
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(errors.RuleError) as refused:
        Client("k" * 20, base_url=url)
    assert "secret" not in str(refused.value)


def test_a_key_that_is_echoed_in_the_name_of_a_header_is_hidden(slot: EventSlot) -> None:
    key = "AbCdEfGhIjKlMnOp"
    echo = httpx.MockTransport(lambda _: httpx.Response(500, headers={f"X-{key}": "1"}))
    with pytest.raises(errors.OutcomeUnknownError) as unknown:
        Client(key, base_url="http://127.0.0.1:1", transport=echo).submit_dispatch(SITE, slot, mode="test")
    assert key.lower() not in repr(unknown.value.headers).lower()
