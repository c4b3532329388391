"""The receiver inside an event loop: what is answered when the store, the sender or the server misbehaves."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from deliveries import SECRET, InboxFactory, new, push_body
from manual_clock import ManualClock
from mosvpp import DataPush
from mosvpp.clock import Clock
from mosvpp.errors import StoreError
from mosvpp.receiver import MemoryInbox, SqlInbox, _probes, asgi
from mosvpp.receiver._asgi import AsgiReceiver
from mosvpp.signatures import Headers, SharedHeaders
from mosvpp.store import Pending

PATIENCE_S = 30
HEADERS = [(b"x-api-key", SECRET.encode()), (b"content-type", b"application/json")]


def mounted(inbox: SqlInbox, **options: Any) -> AsgiReceiver:
    return asgi(inbox, verifier=SharedHeaders({"X-API-Key": SECRET}), **options)


async def call(
    app: AsgiReceiver,
    *messages: dict[str, Any],
    receive: Callable[[], Any] | None = None,
    **scope: Any,
) -> tuple[int, dict[bytes, bytes], bytes]:
    """One request; -1 where nothing was answered."""
    left = list(messages) or [{"type": "http.request", "body": push_body()}]
    sent: list[Any] = []

    async def next_message() -> Any:
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    whole = {
        "type": "http",
        "method": "POST",
        "path": "/data-push",
        "headers": HEADERS,
        "client": ("127.0.0.1", 1),
        **scope,
    }
    await app(whole, receive or next_message, send)
    if not sent:
        return -1, {}, b""
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_a_delivery_is_stored_before_it_is_acknowledged(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    status, headers, body = asyncio.run(call(mounted(inbox)))
    assert (status, body) == (200, b"OK\n")
    assert headers[b"content-length"] == b"3"
    assert [one.body for one in inbox.find()] == [push_body()]


def test_many_at_once_share_commits(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    app = mounted(inbox)

    async def story() -> list[int]:
        bodies = [{"type": "http.request", "body": push_body(number)} for number in range(64)]
        return [status for status, _, _ in await asyncio.gather(*(call(app, body) for body in bodies))]

    assert asyncio.run(story()) == [200] * 64
    assert len(list(inbox.find())) == 64
    assert sum(inbox.counters.batches) < 32


def test_the_path_below_a_mount_counts(make_inbox: InboxFactory) -> None:
    app = mounted(make_inbox())
    assert asyncio.run(call(app, path="/mosvpp/data-push", root_path="/mosvpp"))[0] == 200
    assert asyncio.run(call(app, path="/data-push", root_path="/mosvpp"))[0] == 200
    assert asyncio.run(call(app, path="/mosvpp/data-push"))[0] == 404


def test_a_head_request_is_answered_without_a_body(make_inbox: InboxFactory) -> None:
    status, headers, body = asyncio.run(call(mounted(make_inbox()), method="HEAD", path="/healthz"))
    assert (status, body) == (200, b"")
    assert headers[b"content-length"] != b"0"


# When the store fails


class Broken(MemoryInbox):
    """Fails in a chosen way."""

    def __init__(self, failure: BaseException | None, clock: Clock | None = None) -> None:
        super().__init__(clock=clock)
        self._failure = failure

    def put(self, delivery: object) -> Any:
        pending: Pending[bool] = Pending()
        if self._failure is not None:
            pending._settle(None, self._failure)
        return pending

    def check(self) -> Any:
        return self.put(None)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (StoreError("no space left", reason="full"), "store_full"),
        (StoreError("no connection", reason="unavailable"), "store_unavailable"),
        (ZeroDivisionError("a fault of ours"), "store_failed"),
    ],
    ids=str,
)
def test_what_is_not_stored_is_not_acknowledged(
    failure: BaseException, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = Broken(failure)
    status, headers, _ = asyncio.run(call(mounted(inbox)))
    assert (status, headers[b"retry-after"]) == (503, b"5")
    assert inbox.counters.refused == {reason: 1}
    assert "could not be stored" in caplog.text


@pytest.mark.parametrize("reason", ["failed", "full"])
def test_a_store_that_fails_many_fills_no_log(
    reason: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = mounted(Broken(StoreError("it broke", reason=reason), clock))

    def told(count: int) -> list[str]:
        caplog.clear()
        for _ in range(count):
            assert asyncio.run(call(app))[0] == 503
        assert all(bool(record.exc_info) == (reason == "failed") for record in caplog.records)
        return [record.getMessage() for record in caplog.records]

    first = f"a delivery could not be stored ({reason}): it broke"
    assert told(50) == [first]
    clock.advance(9)
    assert told(1) == []
    clock.advance(1)
    assert told(50) == [f"{first}; 50 more since the last line like this"]


def test_each_cause_of_a_failure_is_told(caplog: pytest.LogCaptureFixture) -> None:
    inbox = Broken(None)
    app = mounted(inbox)
    for failure in (StoreError("away", reason="unavailable"), ZeroDivisionError("one"), KeyError("two")):
        inbox._failure = failure
        assert asyncio.run(call(app))[0] == 503
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [
        None,
        ZeroDivisionError,
        KeyError,
    ]


def test_a_store_that_does_not_answer_is_not_waited_for() -> None:
    inbox = Broken(None)
    app = mounted(inbox, store_deadline=timedelta(milliseconds=40))

    async def story() -> list[int]:
        return [status for status, _, _ in await asyncio.gather(*(call(app) for _ in range(3)))]

    assert asyncio.run(story()) == [503] * 3
    assert asyncio.run(story()) == [503] * 3  # in another event loop as well
    assert inbox.counters.refused == {"store_timeout": 6}


def test_a_full_queue_refuses(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    lanes = inbox._open_lanes()
    lanes.receiving._max_waiting = 0
    assert asyncio.run(call(mounted(inbox)))[0] == 503
    assert inbox.counters.refused == {"store_queue_full": 1}


# When the verifier fails


class Failing:
    """A verifier of a partner's own that cannot reach what it asks."""

    def __init__(self, *, needs_body: bool) -> None:
        self.needs_body: bool = needs_body

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        raise OSError("no answer from the vault")


@pytest.mark.parametrize("quarantine", [True, False])
@pytest.mark.parametrize("needs_body", [True, False])
def test_who_cannot_be_checked_is_neither_stored_nor_turned_away(
    needs_body: bool, quarantine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with MemoryInbox() as inbox:
        app = asgi(inbox, verifier=Failing(needs_body=needs_body), quarantine=quarantine)
        for _ in range(3):
            status, headers, _ = asyncio.run(call(app))
            assert (status, headers[b"retry-after"]) == (503, b"5")
        assert [*inbox.find(), *inbox.quarantined()] == []
        assert inbox.counters.refused == {"verifier": 3}
    (record,) = caplog.records
    assert "could not be checked (OSError)" in record.getMessage()
    assert "no answer from the vault" in caplog.text


# When the sender fails


def test_a_slow_body_is_given_up(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    app = mounted(inbox, body_deadline=timedelta(milliseconds=40))
    drips = 0

    async def drip() -> dict[str, Any]:
        nonlocal drips
        drips += 1
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    status, headers, _ = asyncio.run(call(app, receive=drip))
    assert (status, headers[b"connection"]) == (408, b"close")
    assert 1 < drips < 1000
    assert list(inbox.find()) == []


def test_who_goes_early_is_stored_nothing_of(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    part = {"type": "http.request", "body": b"{", "more_body": True}
    # granian says so of a body in damaged chunks too, and answers 500 where nobody answers.
    assert asyncio.run(call(mounted(inbox), part, {"type": "http.disconnect"}))[0] == 400
    assert inbox.counters.refused == {"disconnected": 1}
    assert list(inbox.find()) == []


def test_a_server_may_refuse_an_answer_to_who_has_gone_and_to_nobody_else(make_inbox: InboxFactory) -> None:
    app = mounted(make_inbox())
    scope = {"type": "http", "method": "POST", "path": "/data-push", "headers": HEADERS, "client": None}

    async def send(_message: Any) -> None:
        raise BrokenPipeError

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def there() -> dict[str, Any]:
        return {"type": "http.request", "body": push_body()}

    asyncio.run(app({**scope}, gone, send))
    with pytest.raises(BrokenPipeError):
        asyncio.run(app({**scope}, there, send))


def test_a_request_that_is_cancelled_is_cancelled(make_inbox: InboxFactory) -> None:
    app = mounted(make_inbox())

    async def never() -> dict[str, Any]:
        await asyncio.sleep(PATIENCE_S)
        raise AssertionError

    async def story() -> None:
        task = asyncio.ensure_future(call(app, receive=never))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())


def test_strangers_are_kept_aside_where_wanted(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    app = mounted(inbox, quarantine=True)
    assert asyncio.run(call(app, headers=HEADERS[1:]))[0] == 401
    assert inbox.counters.refused == {"missing_header": 1}
    inbox.sites()  # after it in the queue of PostgreSQL
    assert [one.body for one in inbox.quarantined()] == [push_body()]


# Probes


def test_a_probe_tells_whether_the_store_takes_what_comes(make_inbox: InboxFactory) -> None:
    app = mounted(make_inbox())
    assert asyncio.run(call(app, method="GET", path="/healthz"))[0] == 200
    status, _, body = asyncio.run(call(app, method="GET", path="/readyz"))
    assert (status, json.loads(body)) == (200, {"ok": True, "store": "writable"})


def test_a_crowd_of_probes_costs_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probes, "_FRESH_S", 60)  # they are a crowd however busy the machine is
    inbox = Broken(StoreError("no space", reason="full"))
    checks = []
    check = inbox.check
    inbox.check = lambda: checks.append(1) or check()
    app = mounted(inbox)
    for _ in range(5):
        status, _, body = asyncio.run(call(app, method="GET", path="/readyz"))
        assert (status, json.loads(body)) == (503, {"ok": False, "store": "full"})
    assert len(checks) == 1
    assert inbox.counters.refused == {"not_ready": 5}


# Served by itself


def test_by_itself_it_runs_the_inbox(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    inbox.close()
    handled = asyncio.Event()

    @inbox.handler(DataPush)
    async def keep(push: DataPush, delivery: object) -> None:
        handled.set()

    sent: list[Any] = []

    async def story() -> None:
        app, told = mounted(inbox), asyncio.Queue[dict[str, Any]]()

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await told.put({"type": "lifespan.startup"})
        task = asyncio.ensure_future(app({"type": "lifespan"}, told.get, send))
        await inbox.put(new())
        await asyncio.wait_for(handled.wait(), PATIENCE_S)
        await told.put({"type": "lifespan.shutdown"})
        await task

    asyncio.run(story())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert not inbox._database.is_open


def test_it_does_not_start_where_the_store_cannot(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Any] = []

    async def story() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "lifespan.startup"}

        async def send(message: Any) -> None:
            sent.append(message)

        await mounted(SqlInbox("sqlite:////no/such/folder/inbox.db"))({"type": "lifespan"}, receive, send)

    asyncio.run(story())
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "cannot be opened" in sent[0]["message"]
    assert "does not start" in caplog.text


def test_web_sockets_are_closed(make_inbox: InboxFactory) -> None:
    app = mounted(make_inbox())
    sent: list[Any] = []

    async def story() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await app({"type": "websocket"}, receive, send)
        await app({"type": "something new"}, receive, send)

    asyncio.run(story())
    assert sent == ["websocket.close"]


def test_requests_leave_nothing_behind(make_inbox: InboxFactory) -> None:
    app = mounted(make_inbox())

    async def story() -> None:
        for number in range(200):
            await call(app, {"type": "http.request", "body": push_body(number)})

    asyncio.run(story())
    gc.collect()
    assert (app._deadlines._due, app._deadlines._late) == ({}, set())
