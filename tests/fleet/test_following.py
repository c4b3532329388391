"""From the inbox into the journal and the telemetry: once, whatever comes twice, fails or is killed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deliveries import new, push_body
from journals import sent_earlier
from manual_clock import START
from mosvpp.errors import RuleError, StoreError
from mosvpp.events import DataPush
from mosvpp.fleet import Followed, Journal, State, Telemetry, follow
from mosvpp.fleet.following import catch_up
from mosvpp.receiver import SqlInbox
from mosvpp_events.events import DeviceReading

pytestmark = pytest.mark.anyio

SITE = "fecd0001c031e7e8"


@pytest.fixture
def inbox(tmp_path: Path) -> SqlInbox:
    return SqlInbox(f"sqlite:///{tmp_path}/inbox.db")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Journal]:
    with Journal(f"sqlite:///{tmp_path}/fleet.db") as opened:
        yield opened


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Telemetry]:
    with Telemetry(f"sqlite:///{tmp_path}/fleet.db") as opened:
        yield opened


def told(event_id: str, status: str, site: str = SITE) -> Any:
    body = json.dumps({"molecule_id": site, "event_id": event_id, "status": status}).encode()
    return new(body, kind="execution_response")


async def work(inbox: SqlInbox) -> None:
    async with inbox.lifespan():
        await catch_up(inbox)


async def test_reports_and_pushes_are_taken(inbox: SqlInbox, book: Journal, telemetry: Telemetry) -> None:
    slot = sent_earlier(book, [SITE])
    followed = follow(inbox, book, telemetry)
    for number in range(100):
        inbox.put(new(push_body(number))).result(30)
    inbox.put(told(slot.event_id, "completed")).result(30)
    await work(inbox)
    assert followed == Followed(reports=1, pushes=100)
    assert followed.total == 101
    assert telemetry.count() == 100
    assert book.summary(slot.event_id) == {State.COMPLETED: 1}
    assert inbox.count(state="done") == 101


async def test_what_belongs_to_nothing_or_contradicts_is_counted(
    inbox: SqlInbox, book: Journal, telemetry: Telemetry
) -> None:
    slot = sent_earlier(book, [SITE])
    followed = follow(inbox, book, telemetry)
    for status in ("completed", "rejected"):
        inbox.put(told(slot.event_id, status)).result(30)
        await work(inbox)
    inbox.put(told(slot.event_id, "completed", site="elsewhere")).result(30)
    await work(inbox)
    assert followed == Followed(reports=3, strangers=1, conflicts=1)


async def test_a_delivery_is_not_done_before_it_is_durable(
    inbox: SqlInbox, book: Journal, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the telemetry could not store waits in the inbox, and is handed out again."""
    followed = follow(inbox, book, telemetry)
    inbox.put(new(push_body())).result(30)

    def full(*_: object) -> None:
        raise StoreError("no room", reason="full")

    with monkeypatch.context() as broken:
        broken.setattr(telemetry, "add", full)
        async with inbox.lifespan():
            while not _failed(inbox):
                await catch_up(inbox)
    assert followed.total == 0
    assert telemetry.count() == 0
    assert inbox.requeue(state="waiting") == 1
    await work(inbox)
    assert followed.pushes == 1
    assert telemetry.count() == 1


def _failed(inbox: SqlInbox) -> bool:
    (one,) = inbox.find()
    return one.state == "waiting" and one.reason is not None


def test_an_inbox_is_followed_once(inbox: SqlInbox, book: Journal, telemetry: Telemetry) -> None:
    follow(inbox, book, telemetry)
    with pytest.raises(RuleError):
        follow(inbox, book, telemetry)


def test_those_who_put_at_once_share_a_commit(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first one is written, the others wait, and are written together."""
    sizes: list[int] = []
    all_wait, add = threading.Event(), telemetry.add

    def counted(pushes: Sequence[Any]) -> Any:
        assert all_wait.wait(30)
        sizes.append(len(pushes))
        return add(pushes)

    monkeypatch.setattr(telemetry, "add", counted)
    reading = DeviceReading(device_id="20000", metrics={"power_output": 1.0})
    pending = [
        telemetry.put(
            DataPush(molecule_id=SITE, timestamp=START + timedelta(seconds=number), devices=(reading,)), START
        )
        for number in range(200)
    ]
    all_wait.set()
    for one in pending:
        one.result(30)
    assert telemetry.count() == sum(sizes) == 200
    assert len(sizes) <= 2
