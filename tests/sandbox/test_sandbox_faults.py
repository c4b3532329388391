"""Faults on demand: what the partner's client makes of each, and whether what it asked for was done."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from mosvpp import AsyncClient, Client, DispatchReceipt, discharge, kW, webhooks
from mosvpp.errors import (
    AuthenticationError,
    OutcomeUnknownError,
    PayloadError,
    RejectedError,
    UnreachableError,
)
from mosvpp.events import UnknownDelivery
from mosvpp.retry import RetryPolicy
from mosvpp.signatures import SharedHeaders
from mosvpp.timeouts import Timeout
from mosvpp_sandbox import Fault, ManualClock, Retries, Sandbox
from mosvpp_sandbox.faults import CALL_FAULTS, PUSH_FAULTS, Faults, read_fault
from receiving import PATIENCE_S, Receiver, wait_until

NOON = datetime(2024, 1, 5, 12, 0, tzinfo=UTC)
SECRETS = {"X-API-Key": "partner-secret"}
ONCE = RetryPolicy(attempts=1)
HOUR = timedelta(hours=1)

# How a client reaches the sandbox, and of which kind it is.
Submit = Callable[..., DispatchReceipt]


@contextmanager
def over_http(vpp: Sandbox, **options: Any) -> Iterator[Submit]:
    with Client(vpp.api_key, base_url=vpp.url, allow_live=True, **options) as client:
        yield client.submit_dispatch


@contextmanager
def in_process(vpp: Sandbox, **options: Any) -> Iterator[Submit]:
    with Client(vpp.api_key, transport=vpp.transport(), allow_live=True, **options) as client:
        yield client.submit_dispatch


@contextmanager
def awaited(vpp: Sandbox, **options: Any) -> Iterator[Submit]:
    def submit(*arguments: Any, **more: Any) -> DispatchReceipt:
        async def call() -> DispatchReceipt:
            async with AsyncClient(vpp.api_key, base_url=vpp.url, allow_live=True, **options) as client:
                return await client.submit_dispatch(*arguments, **more)

        return asyncio.run(call())

    yield submit


WAYS = pytest.mark.parametrize("reached", [over_http, in_process, awaited])


class Played:
    """One dispatch to a sandbox with one fault: what came of it here, and there."""

    def __init__(self, reached: Any, fault: Fault, **options: Any) -> None:
        with Sandbox(faults=[fault]) as vpp:
            self.slot = discharge(2 * kW, start=vpp.now() + HOUR, duration=HOUR, priority=9)
            self.error: Exception | None = None
            self.receipt: DispatchReceipt | None = None
            with reached(vpp, **{"retry": ONCE, "timeout": 20, **options}) as submit:
                try:
                    self.receipt = submit(vpp.molecule_id, self.slot, mode="live")
                except (OutcomeUnknownError, RejectedError) as error:
                    self.error = error
            wait_until(lambda: bool(vpp.control.exchanges()))  # we may have given up before it was noted
            self.taken = len(vpp.control.events())
            self.logged = vpp.control.exchanges()[0]


@WAYS
@pytest.mark.parametrize(("name", "taken"), [("reset", 0), ("drop", 1), ("truncated", 1)])
def test_a_connection_that_breaks_leaves_the_outcome_unknown(reached: Any, name: str, taken: int) -> None:
    played = Played(reached, Fault(name))
    assert isinstance(played.error, OutcomeUnknownError)
    assert played.taken == taken
    assert played.logged["faults"] == [name]


@WAYS
def test_who_is_refused_knows_that_nothing_was_done(reached: Any) -> None:
    """Another client, too, and one that was connected before; when the fault is off, all are let in."""
    with Sandbox() as vpp, reached(vpp, retry=ONCE) as submit:
        slot = discharge(2 * kW, start=vpp.now() + HOUR, duration=HOUR, priority=9)
        assert submit(vpp.molecule_id, slot, mode="live").is_accepted
        vpp.faults.add(Fault("refuse", value=600))
        for _ in range(2):
            with pytest.raises(UnreachableError):
                submit(vpp.molecule_id, slot, mode="live")
        vpp.faults.clear()
        assert submit(vpp.molecule_id, slot, mode="live").is_accepted


def test_a_refusal_ends_by_itself() -> None:
    with Sandbox(faults=[Fault("refuse", value=0.2)]) as vpp, httpx.Client() as client:
        end = time.monotonic() + PATIENCE_S
        while vpp.faults.as_json() and time.monotonic() < end:
            with suppress(httpx.ConnectError):
                client.get(f"{vpp.url}/sandbox/")
        assert vpp.faults.as_json() == []
        vpp.faults.clear()  # returns when it listens
        assert client.get(f"{vpp.url}/sandbox/").status_code == 200


def test_who_switches_it_on_over_http_is_answered_first() -> None:
    """A sandbox that refuses stops and starts as any other."""
    with Sandbox() as vpp:
        answer = httpx.post(f"{vpp.url}/sandbox/faults", json={"name": "refuse", "value": 600})
        assert [one["name"] for one in answer.json()] == ["refuse"]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{vpp.url}/sandbox/")
        vpp.stop()
        vpp.start()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{vpp.url}/sandbox/")


@WAYS
@pytest.mark.parametrize(("fault", "taken"), [(Fault("hang"), 0), (Fault("drip", value=30), 1)])
def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown(
    reached: Any, fault: Fault, taken: int
) -> None:
    played = Played(reached, fault, timeout=Timeout(total=3, read=3))
    assert isinstance(played.error, OutcomeUnknownError)
    assert played.taken == taken


@WAYS
def test_a_dripping_answer_is_read_to_its_end(reached: Any) -> None:
    played = Played(reached, Fault("drip", value=0.0005))
    assert played.receipt is not None
    assert played.receipt.is_accepted


@WAYS
@pytest.mark.parametrize("name", ["error_json", "error_html", "error_empty"])
def test_an_error_leaves_the_outcome_unknown(reached: Any, name: str) -> None:
    played = Played(reached, Fault(name, value=500))
    assert isinstance(played.error, OutcomeUnknownError)
    assert (played.taken, played.logged["status"]) == (0, 500)


@WAYS
@pytest.mark.parametrize("name", ["too_many_requests", "too_many_requests_date", "unavailable"])
def test_what_shall_be_tried_later_is_a_rejection_and_is_tried_later(reached: Any, name: str) -> None:
    played = Played(reached, Fault(name, value=60))
    assert isinstance(played.error, RejectedError)
    # A date has no fractions of a second, and some time has passed when it is read.
    assert played.error.retry_after == 60 or (name.endswith("_date") and 50 < played.error.retry_after < 60)
    assert played.taken == 0
    again = Played(reached, Fault(name, value=0, times=1), retry=RetryPolicy(attempts=2))
    assert again.receipt is not None
    assert again.taken == 1


@WAYS
def test_a_gzip_bomb_is_not_unpacked(reached: Any) -> None:
    """The client asks for no encoding, and takes what comes with one for no receipt."""
    played = Played(reached, Fault("gzip_bomb", value=20))
    assert played.taken == 1
    assert isinstance(played.error, OutcomeUnknownError) or not played.receipt.is_accepted


def test_a_bomb_unpacks_to_what_it_says(call: Any) -> None:
    vpp = Sandbox(clock=ManualClock(NOON), faults=[Fault("gzip_bomb", value=3)])
    with vpp, httpx.Client() as client:
        path = f"{vpp.url}/v1/api/gateway/{vpp.molecule_id}/devicesync"
        with client.stream("GET", path, headers={"X-API-Key": vpp.api_key}) as answer:
            packed = b"".join(answer.iter_raw())
    assert len(packed) < 10_000
    assert len(zlib.decompress(packed, 31)) == 3_000_000


def test_the_date_of_answers_may_be_wrong(call: Any) -> None:
    vpp = Sandbox(clock=ManualClock(NOON), faults=[Fault("clock_skew", value=-90)])
    answer = call(vpp, "GET", f"/v1/api/gateway/{vpp.molecule_id}/devicesync")
    assert parsedate_to_datetime(answer.headers["date"]) == NOON - timedelta(seconds=90)


def test_faults_strike_valid_calls_only(call: Any) -> None:
    vpp = Sandbox(clock=ManualClock(NOON), faults=[Fault("error_empty", times=1)])
    path = f"/v1/api/gateway/{vpp.molecule_id}/devicesync"
    assert call(vpp, "GET", path, headers={"X-API-Key": "wrong"}).status_code == 401
    assert call(vpp, "GET", path).status_code == 503
    assert call(vpp, "GET", path).status_code == 200


def test_a_server_that_has_stopped_in_between_answers_again_afterwards(call: Any) -> None:
    """A reset connection ends no more than itself."""
    with Sandbox(faults=[Fault("reset", times=1)]) as vpp, httpx.Client() as client:
        path, headers = f"{vpp.url}/v1/api/gateway/{vpp.molecule_id}/devicesync", {"X-API-Key": vpp.api_key}
        with pytest.raises(httpx.TransportError):
            client.get(path, headers=headers)
        assert client.get(path, headers=headers).status_code == 200


# Pushes


def pushed(receiver: Receiver, *faults: Fault, minutes: int = 3, **options: Any) -> list[dict[str, Any]]:
    """What arrived in that time, decoded where it can be."""
    clock = ManualClock(NOON)
    options = {"headers": SECRETS, "retries": Retries(pauses_s=()), **options}
    with Sandbox(clock=clock, data_push_url=receiver.url + "/data", faults=faults, **options) as vpp:
        for _ in range(minutes):
            clock.advance(minutes=1)
            vpp.flush()
    return [json.loads(one.body) for one in receiver.received if one.body.endswith(b"]}")]


def minutes_of(bodies: list[dict[str, Any]]) -> list[int]:
    return [int(body["timestamp"][14:16]) for body in bodies]


def test_a_push_is_sent_twice() -> None:
    with Receiver() as receiver:
        bodies = pushed(receiver, Fault("duplicate", times=1))
    assert minutes_of(bodies) == [1, 1, 2, 3]
    assert bodies[0] == bodies[1]


def test_two_pushes_change_places() -> None:
    with Receiver() as receiver:
        assert minutes_of(pushed(receiver, Fault("reorder", times=1))) == [2, 1, 3]


def test_a_push_is_late() -> None:
    with Receiver() as receiver:
        bodies = pushed(receiver, Fault("delay", value=100, times=1))
    assert sorted(minutes_of(bodies)) == [1, 2, 3]
    assert minutes_of(bodies)[0] == 2


def test_a_push_is_lost_and_the_log_knows() -> None:
    with Receiver() as receiver:
        assert minutes_of(pushed(receiver, Fault("lose", times=1))) == [2, 3]
    vpp = Sandbox(clock=ManualClock(NOON), faults=[Fault("lose")])
    assert vpp.faults.as_json()[0]["name"] == "lose"


def test_a_push_has_wrong_headers() -> None:
    with Receiver() as receiver:
        pushed(receiver, Fault("wrong_header", times=1), minutes=2)
    forged, right = receiver.received
    verifier = SharedHeaders(SECRETS)
    with pytest.raises(AuthenticationError):
        webhooks.parse(forged.body, forged.headers, verifier=verifier)
    assert webhooks.parse(right.body, right.headers, verifier=verifier)


def test_a_push_has_a_wrong_timestamp() -> None:
    with Receiver() as receiver:
        (body,) = pushed(receiver, Fault("clock_skew", value=3600, times=1), minutes=1)
    assert body["timestamp"] == "2024-01-05T13:01:00Z"


def test_a_push_is_no_json() -> None:
    with Receiver() as receiver:
        pushed(receiver, Fault("malformed"), minutes=1)
    (one,) = receiver.received
    with pytest.raises(PayloadError):
        webhooks.parse(one.body, one.headers, verifier=SharedHeaders(SECRETS))


def test_a_push_is_of_a_kind_that_nobody_has_announced() -> None:
    with Receiver() as receiver:
        pushed(receiver, Fault("unknown"), minutes=1)
    (one,) = receiver.received
    read = webhooks.parse(one.body, one.headers, verifier=SharedHeaders(SECRETS))
    assert isinstance(read, UnknownDelivery)


def test_a_fault_can_be_for_one_kind_of_push_and_for_one_site() -> None:
    elsewhere = Fault("lose", molecule_id="another")
    with Receiver() as receiver:
        assert len(pushed(receiver, Fault("lose", operation="receive_execution_response"), elsewhere)) == 3


# Whether one strikes


def test_whether_a_fault_strikes_follows_from_the_seed() -> None:
    def struck(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add(Fault("drop", probability=0.3))
        return [bool(faults.strike("submit_dispatch", "a")) for _ in range(300)]

    assert struck(1) == struck(1) != struck(2)
    assert 60 < sum(struck(1)) < 120


def test_of_a_push_it_does_not_depend_on_what_came_before() -> None:
    faults = Faults(1)
    faults.add(Fault("lose", probability=0.5))
    keys = [f"site/{number}" for number in range(50)]
    forward = {key: faults.strike("receive_data_push", "site", key) for key in keys}
    assert forward == {key: faults.strike("receive_data_push", "site", key) for key in reversed(keys)}


def test_a_fault_strikes_as_often_as_it_is_told() -> None:
    told: list[int] = []
    faults = Faults(changed=lambda: told.append(1))
    number = faults.add(Fault("drop", times=2))
    assert [bool(faults.strike("sync_devices", "a")) for _ in range(4)] == [True, True, False, False]
    assert faults.as_json() == []
    assert len(told) == 2, "switched on, and spent"
    with pytest.raises(LookupError, match="no fault has the number"):
        faults.remove(number)


def test_a_name_of_both_lists_strikes_either() -> None:
    faults = Faults()
    faults.add(Fault("clock_skew"))
    called, told = faults.strike("sync_devices", "a"), faults.strike("receive_data_push", "a", "1")
    assert called == told == {"clock_skew": 600}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("drop", Fault("drop")),
        ("drop:", Fault("drop")),
        (
            "error_json:value=502,probability=0.1,times=3,operation=submit_dispatch,molecule_id=a",
            Fault("error_json", 0.1, 3, "submit_dispatch", "a", 502),
        ),
    ],
)
def test_a_fault_is_read_from_an_option(text: str, fault: Fault) -> None:
    assert read_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("explode", "there is no fault 'explode'; there are refuse, reset, hang"),
        ("drop:often=1", "a fault has probability, times, value, operation, molecule_id, not 'often'"),
        ("drop:probability=2", "above 0 and at most 1"),
        ("drop:times=0", "at least one time"),
        ("drop:times=x", "invalid literal"),
        ("drop:operation=receive_data_push", "drop strikes submit_dispatch, .*not receive_data_push"),
        ("lose:operation=sync_devices", "lose strikes receive_data_push"),
        ("error_json:value=20", "a status from 400 to 599"),
        ("gzip_bomb:value=-1", "from 0"),
        ("refuse:times=1", "refuse strikes everybody"),
        ("refuse:value=0", "above 0 and at most 600"),
        ("refuse:value=601", "it refuses you, too"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_fault(text)


def test_every_fault_says_what_happens() -> None:
    for meaning, value, of_what in (*CALL_FAULTS.values(), *PUSH_FAULTS.values()):
        assert meaning
        assert (value is None) == (of_what == "")
