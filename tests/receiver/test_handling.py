"""Handlers and loops: at least once, later again, dead letters, order, an orderly stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deliveries import SITE, InboxFactory, new, push_body, report_body
from manual_clock import ManualClock
from mosvpp import DataPush, ExecutionReport
from mosvpp.errors import RuleError, StoreError
from mosvpp.receiver import HandOut, Inbox, SqlInbox, StoredDelivery
from mosvpp.receiver import _workers as workers
from mosvpp.receiver._queue import Claim

PATIENCE_S = 30  # only a failing test waits so long
SOON = timedelta(milliseconds=1)
AGAIN_SOON = {"first_pause": SOON, "longest_pause": SOON, "poll": timedelta(milliseconds=20)}


@pytest.fixture
def inbox(make_inbox: InboxFactory) -> SqlInbox:
    """With the real clock: nobody moves another one while handlers run."""
    return make_inbox()


def put(inbox: Inbox, *bodies: bytes) -> None:
    for body in bodies:
        kind = "execution_response" if b"event_id" in body else "data_push"
        inbox.put(new(body, kind=kind, at=inbox.now())).result(PATIENCE_S)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  what is waited for happens in the store
            await asyncio.sleep(0.005)


@asynccontextmanager
async def working(inbox: SqlInbox) -> AsyncIterator[None]:
    """The handlers run, the inbox stays open."""
    async with workers.run_handlers(inbox, list(inbox._handlers.values())):
        yield


def states(inbox: Inbox) -> list[str]:
    return [one.state for one in inbox.find()]


# Handlers


def test_handlers_get_the_event_and_the_delivery(inbox: SqlInbox) -> None:
    got: list[tuple[object, str]] = []

    @inbox.handler(ExecutionReport)
    async def settle(report: ExecutionReport, delivery: StoredDelivery) -> None:
        got.append((report.results[0].status, delivery.kind))

    @inbox.handler(DataPush)
    def keep(push: DataPush, delivery: StoredDelivery) -> None:
        got.append((push.molecule_id, delivery.key))

    async def story() -> None:
        put(inbox, report_body())
        async with working(inbox):
            await until(lambda: len(got) == 1)
            await asyncio.to_thread(put, inbox, push_body())
            await until(lambda: states(inbox) == ["done", "done"])

    asyncio.run(story())
    (key,) = [one.key for one in inbox.find(kind="data_push")]
    assert got == [("completed", "execution_response"), (SITE, key)]
    assert inbox.counters.handled == {("execution_response", "done"): 1, ("data_push", "done"): 1}


def test_a_function_that_returns_an_awaitable_is_awaited(inbox: SqlInbox) -> None:
    got: list[str] = []

    async def later(delivery: StoredDelivery) -> None:
        got.append(delivery.key)

    @inbox.handler(DataPush)
    def keep(push: DataPush, delivery: StoredDelivery) -> object:
        return later(delivery)

    async def story() -> None:
        put(inbox, push_body())
        async with working(inbox):
            await until(lambda: states(inbox) == ["done"])

    asyncio.run(story())
    assert len(got) == 1


def test_what_fails_is_handed_out_again_with_the_same_key(
    inbox: SqlInbox, caplog: pytest.LogCaptureFixture
) -> None:
    keys: list[str] = []

    @inbox.handler(DataPush, **AGAIN_SOON)
    async def keep(push: DataPush, delivery: StoredDelivery) -> None:
        keys.append(delivery.key)
        if len(keys) < 3:
            msg = "the database of the partner is away"
            raise ConnectionError(msg)

    async def story() -> None:
        put(inbox, push_body())
        async with working(inbox):
            await until(lambda: states(inbox) == ["done"])

    asyncio.run(story())
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert inbox.counters.handled["data_push", "again"] == 2
    assert "is handed out again later: ConnectionError" in caplog.text


def test_after_the_last_attempt_it_is_a_dead_letter_with_its_traceback(
    inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTNER_API_KEY", "canary-in-the-environment")

    @inbox.handler(DataPush, HandOut(attempts=2), **AGAIN_SOON)
    async def keep(push: DataPush, delivery: StoredDelivery) -> None:
        msg = "POST https://user:canary1@host/ X-API-Key: canary2 canary-in-the-environment"
        raise LookupError(msg)

    async def story() -> None:
        put(inbox, push_body())
        async with working(inbox):
            await until(lambda: states(inbox) == ["dead"])

    asyncio.run(story())
    (dead,) = inbox.find(state="dead")
    assert (dead.reason, dead.attempts) == ("LookupError", 2)
    assert dead.traceback is not None
    assert "in keep" in dead.traceback
    assert "canary" not in dead.traceback


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"not JSON", "not_json"),
        (b"", "empty"),
        (b"[" * 100_000, "too_deep"),
        (b'{"timestamp": NaN}', "not_finite"),
        (b'{"a": 1, "a": 2}', "duplicate_keys"),
        (b'{"a": "\xff"}', "invalid_utf8"),
        (b'"text"', "not_an_object"),
        (b'{"molecule_id": "a", "health": []}', "does_not_fit"),
        (report_body(), "other_kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_goes_to_the_dead_letters(
    make_inbox: InboxFactory, body: bytes, reason: str
) -> None:
    inbox = make_inbox()
    inbox.put(new(body)).result(PATIENCE_S)
    put(inbox, push_body())
    assert [one.body for one in inbox.deliveries(DataPush, wait=False)] == [push_body()]
    (dead,) = inbox.find(state="dead")
    assert (dead.body, dead.reason) == (body, reason)


def test_handlers_see_no_unreadable_body_either(inbox: SqlInbox) -> None:
    @inbox.handler(DataPush)
    async def keep(push: DataPush, delivery: StoredDelivery) -> None: ...

    async def story() -> None:
        put(inbox, b"not JSON")
        async with working(inbox):
            await until(lambda: states(inbox) == ["dead"])

    asyncio.run(story())
    assert inbox.counters.handled == {("data_push", "dead"): 1}


def test_drift_and_words_of_the_partner_reach_the_reading(make_inbox: InboxFactory) -> None:
    drifts: list[str] = []
    inbox = make_inbox(statuses={"FERTIG": "completed"}, on_drift=lambda drift: drifts.append(drift.kind))
    put(inbox, report_body(status="FERTIG", more=1))
    (delivery,) = inbox.deliveries(ExecutionReport, wait=False)
    assert isinstance(delivery.event, ExecutionReport)
    assert delivery.event.status == "completed"
    assert drifts == ["unknown_field"]


def test_what_kills_its_workers_is_buried(inbox: SqlInbox) -> None:
    put(inbox, push_body())
    brief = Claim(kind="data_push", limit=1, lease=timedelta(milliseconds=1), worker="dies")
    for _ in range(2):
        assert inbox.claim(brief).result(PATIENCE_S)
        time.sleep(0.01)
    assert list(inbox.deliveries(DataPush, attempts=2, wait=False)) == []
    (dead,) = inbox.find()
    assert (dead.state, dead.reason) == ("dead", "worker_lost")


def test_a_handler_that_hangs_is_ended(inbox: SqlInbox) -> None:
    @inbox.handler(DataPush, attempts=1, timeout=timedelta(milliseconds=20))
    async def hang(push: DataPush, delivery: StoredDelivery) -> None:
        await asyncio.sleep(PATIENCE_S)

    async def story() -> None:
        put(inbox, push_body())
        async with working(inbox):
            await until(lambda: states(inbox) == ["dead"])

    asyncio.run(story())
    (dead,) = inbox.find()
    assert dead.reason == "TimeoutError"


def test_while_a_handler_runs_its_lease_is_renewed(inbox: SqlInbox) -> None:
    release = threading.Event()
    calls: list[str] = []

    @inbox.handler(DataPush, lease=timedelta(seconds=3))
    def slow(push: DataPush, delivery: StoredDelivery) -> None:
        calls.append(delivery.key)
        release.wait(PATIENCE_S)

    def lease_ends() -> datetime:
        due_at = next(inbox.find()).due_at
        assert due_at is not None
        return due_at

    async def story() -> None:
        put(inbox, push_body())
        async with working(inbox):
            await until(lambda: bool(calls))
            first = lease_ends()
            await until(lambda: lease_ends() > first)
            release.set()

    asyncio.run(story())
    assert len(calls) == 1
    assert states(inbox) == ["done"]


def test_in_order_handlers_see_each_site_as_it_was_stored(inbox: SqlInbox) -> None:
    seen: dict[str, list[float]] = {"a": [], "b": []}
    running: set[str] = set()
    failed: set[str] = set()

    @inbox.handler(DataPush, ordered_by="molecule_id", **AGAIN_SOON)
    async def keep(push: DataPush, delivery: StoredDelivery) -> None:
        assert push.molecule_id not in running
        running.add(push.molecule_id)
        await asyncio.sleep(0.001)
        running.remove(push.molecule_id)
        number = push.timestamp.timestamp()
        if number % 3 == 0 and delivery.key not in failed:
            failed.add(delivery.key)
            raise ValueError(number)
        seen[push.molecule_id].append(number)

    async def story() -> None:
        for number in range(12):
            put(inbox, push_body(number, "ab"[number % 2]))
        async with working(inbox):
            await until(lambda: states(inbox) == ["done"] * 12)

    asyncio.run(story())
    assert failed
    assert all(numbers == sorted(numbers) and len(numbers) == 6 for numbers in seen.values())


def test_no_more_run_at_once_than_allowed(inbox: SqlInbox) -> None:
    running, most = 0, 0

    @inbox.handler(DataPush, at_once=3)
    async def keep(push: DataPush, delivery: StoredDelivery) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1

    async def story() -> None:
        put(inbox, *(push_body(number) for number in range(20)))
        async with working(inbox):
            await until(lambda: states(inbox) == ["done"] * 20)

    asyncio.run(story())
    assert most == 3


# Stopping


def test_a_stop_finishes_what_is_in_hand(inbox: SqlInbox) -> None:
    started = asyncio.Event()

    @inbox.handler(DataPush, at_once=1)
    async def slow(push: DataPush, delivery: StoredDelivery) -> None:
        started.set()
        await asyncio.sleep(0.05)

    async def story() -> None:
        put(inbox, push_body(1), push_body(2))
        async with working(inbox):
            await started.wait()

    asyncio.run(story())
    assert states(inbox) == ["done", "waiting"]


def test_what_does_not_end_in_time_is_given_back(inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "GRACE_S", 0.01)
    started = asyncio.Event()

    @inbox.handler(DataPush)
    async def hang(push: DataPush, delivery: StoredDelivery) -> None:
        started.set()
        await asyncio.sleep(PATIENCE_S)

    async def story() -> None:
        put(inbox, push_body())
        async with working(inbox):
            await started.wait()

    asyncio.run(story())
    (back,) = inbox.find()
    assert (back.state, back.attempts) == ("waiting", 0)


def test_the_lifespan_opens_works_and_closes(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    inbox.close()
    got = asyncio.Event()

    @inbox.handler(DataPush)
    async def keep(push: DataPush, delivery: StoredDelivery) -> None:
        got.set()

    async def story() -> None:
        async with inbox.lifespan(object()):
            await inbox.put(new())
            await asyncio.wait_for(got.wait(), PATIENCE_S)

    asyncio.run(story())
    assert not inbox._database.is_open


WORKING_PROGRAM = """
import sys
from mosvpp import DataPush
from mosvpp.receiver import SqlInbox

inbox = SqlInbox(sys.argv[1])

@inbox.handler(DataPush)
def keep(push, delivery):
    print(push.molecule_id, flush=True)

inbox.work()
inbox.close()
print("stopped in order")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of other systems")
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_only_works_stops_when_told(tmp_path: Path, told: signal.Signals) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    with SqlInbox(url) as inbox:
        put(inbox, push_body())
    command = [sys.executable, "-W", "error", "-c", WORKING_PROGRAM, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{SITE}\n"
        process.send_signal(told)
        assert process.stdout.read() == "stopped in order\n"
        assert process.wait(PATIENCE_S) == 0


# When the store fails


def test_workers_go_on_when_the_store_comes_back(
    make_inbox: InboxFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_PAUSE_S", 0.001)
    inbox = make_inbox()
    claim, finish = inbox.claim, inbox.finish
    faults = iter([True, True])

    def sometimes(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            if next(faults, False):
                raise StoreError("away", reason="unavailable")
            return function(*arguments)

        return call

    inbox.claim = sometimes(claim)

    @inbox.handler(DataPush, lease=timedelta(milliseconds=50), poll=timedelta(milliseconds=10))
    async def keep(push: DataPush, delivery: StoredDelivery) -> None: ...

    async def story() -> None:
        put(inbox, push_body())
        async with working(inbox):
            await until(lambda: states(inbox) == ["done"])
            nonlocal faults
            faults = iter([True])
            inbox.claim = claim
            inbox.finish = sometimes(finish)
            await asyncio.to_thread(put, inbox, push_body(1))
            await until(lambda: states(inbox) == ["done", "done"])

    asyncio.run(story())
    assert "cannot be fetched: away" in caplog.text
    assert inbox.counters.handled["data_push", "done"] == 2
    assert inbox.counters.handled["data_push", "lost"] >= 1  # more where the machine is slower than a lease


# Loops


def test_a_loop_takes_one_after_the_other_until_nothing_is_due(inbox: SqlInbox) -> None:
    put(inbox, *(push_body(number) for number in range(40)), report_body())
    kinds = [delivery.kind for delivery in inbox.deliveries(wait=False)]
    assert kinds == ["data_push"] * 16 + ["execution_response"] + ["data_push"] * 24
    assert set(states(inbox)) == {"done"}


def test_an_async_loop_does_the_same(inbox: SqlInbox) -> None:
    async def story() -> list[str]:
        await asyncio.to_thread(put, inbox, *(push_body(number) for number in range(40)), report_body())
        return [delivery.kind async for delivery in inbox.deliveries(wait=False)]

    assert len(asyncio.run(story())) == 41
    assert set(states(inbox)) == {"done"}


def test_a_loop_waits_for_what_comes(inbox: SqlInbox) -> None:
    sender = threading.Timer(0.05, put, (inbox, push_body(1), push_body(2)))
    sender.start()
    for number, delivery in enumerate(inbox.deliveries(DataPush, poll=timedelta(seconds=PATIENCE_S))):
        assert isinstance(delivery.event, DataPush)
        if number == 1:
            inbox.finish(delivery).result(PATIENCE_S)
            break
    sender.join()
    assert states(inbox) == ["done", "done"]


def test_an_async_loop_waits_for_what_comes(inbox: SqlInbox) -> None:
    async def story() -> None:
        sending = asyncio.get_running_loop().run_in_executor(None, put, inbox, push_body(1))
        async for delivery in inbox.deliveries(DataPush, poll=timedelta(milliseconds=10)):
            inbox.finish(delivery).result(PATIENCE_S)
            await sending
            return

    asyncio.run(story())
    assert states(inbox) == ["done"]


def test_leaving_a_loop_gives_back_what_was_not_done(inbox: SqlInbox) -> None:
    put(inbox, *(push_body(number) for number in range(4)))
    loop = iter(inbox.deliveries(DataPush, wait=False))
    next(loop)
    next(loop)
    loop.close()  # as Python does it after a break
    found = list(inbox.find())
    assert [one.state for one in found] == ["done", "waiting", "waiting", "waiting"]
    assert [one.attempts for one in found] == [1, 1, 0, 0]
    assert found[1].reason == "left_early"


def test_a_loop_that_always_fails_at_the_same_delivery_gets_past_it(inbox: SqlInbox) -> None:
    put(inbox, push_body(1), push_body(2))
    rules = HandOut(attempts=2, **AGAIN_SOON)
    for _ in range(3):
        loop = iter(inbox.deliveries(DataPush, rules, at_once=1, wait=False))
        delivery = next(loop, None)
        while delivery is not None and delivery.body != push_body(1):
            delivery = next(loop, None)
        loop.close()
        time.sleep(0.01)
    assert [(one.state, one.reason) for one in inbox.find()] == [("dead", "left_early"), ("done", None)]


def test_what_is_not_reached_in_time_is_renewed_or_left_to_others(
    make_inbox: InboxFactory, clock: ManualClock
) -> None:
    inbox = make_inbox(clock=clock)
    put(inbox, *(push_body(number) for number in range(4)))
    loop = iter(inbox.deliveries(DataPush, lease=timedelta(minutes=1), wait=False))
    next(loop)
    clock.advance(40)  # less than half is left: renewed
    next(loop)
    clock.advance(45)  # again
    next(loop)
    clock.advance(90)  # too late, somebody else has the last one
    (other,) = [one for one in inbox.claim(_claim_all()).result(PATIENCE_S) if one.body == push_body(3)]
    assert list(loop) == []
    assert inbox.finish(other).result(PATIENCE_S)
    assert inbox.counters.handled["data_push", "lost"] == 2
    assert inbox.counters.handled["data_push", "done"] == 2


def _claim_all() -> Claim:
    return Claim(kind="data_push", limit=10, lease=timedelta(minutes=1), worker="other")


def test_a_loop_that_cannot_reach_the_store_says_so(inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    put(inbox, push_body())
    loop = iter(inbox.deliveries(DataPush, wait=False))
    next(loop)
    monkeypatch.setattr(inbox, "finish", _away)
    monkeypatch.setattr(inbox, "settle", _away)
    with pytest.raises(StoreError):
        next(loop)
    assert states(inbox) == ["leased"]


def _away(*_: object) -> None:
    raise StoreError("away", reason="unavailable")


def test_rules_that_make_no_sense_are_refused() -> None:
    for wrong in ({"attempts": 0}, {"at_once": 0}, {"lease": timedelta(0)}, {"ordered_by": "device_id"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            HandOut(**wrong)


def test_pauses_double_up_to_the_longest() -> None:
    rules = HandOut(first_pause=timedelta(seconds=2), longest_pause=timedelta(seconds=10))
    for attempts, longest in ((1, 2), (2, 4), (3, 8), (4, 10), (1000, 10)):
        assert longest / 2 <= rules.pause_after(attempts).total_seconds() <= longest


def test_a_dead_letter_is_an_error_in_the_log(inbox: SqlInbox, caplog: pytest.LogCaptureFixture) -> None:
    put(inbox, b"not JSON")
    assert list(inbox.deliveries(wait=False)) == []
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "is with the dead letters: not_json" in record.getMessage()
    assert record.reason == "not_json"


def takes_none() -> None: ...
def takes_one(_push: Any) -> None: ...
def takes_three(_push: Any, _delivery: Any, _more: Any) -> None: ...
def takes_two_at_least(_push: Any, _delivery: Any, _more: int = 1) -> None: ...


@pytest.mark.parametrize("function", [takes_none, takes_one, takes_three])
def test_a_handler_that_could_never_be_called_is_refused_at_once(inbox: SqlInbox, function: Any) -> None:
    with pytest.raises(RuleError, match="has to take two arguments: the event, and the delivery"):
        inbox.handler(DataPush)(function)
    inbox.handler(DataPush)(takes_two_at_least)
