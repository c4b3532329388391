"""What cannot be read goes to the dead letters by itself, also where no worker is there."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from deliveries import InboxFactory, new, push_body
from mosvpp.receiver import SqlInbox, _following
from mosvpp.receiver._sorting import sorting

PATIENCE_S = 30


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_following, "_LOOK_EVERY_S", 0.01)


def wait_until(come: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not come():
        assert time.monotonic() < until
        time.sleep(0.01)


def dead(inbox: SqlInbox) -> dict[bytes, str | None]:
    return {one.body: one.reason for one in inbox.find(state="dead")}


def test_what_cannot_be_read_is_buried_with_its_reason_and_the_rest_waits(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    with sorting(inbox):
        for body in (b"{", b"NaN", b'{"a": 1}', b"[]", push_body()):
            inbox.put(new(body)).result(PATIENCE_S)
        wait_until(lambda: len(dead(inbox)) == 4)
    assert dead(inbox) == {
        b"{": "not_json",
        b"NaN": "not_finite",
        b'{"a": 1}': "does_not_fit",
        b"[]": "not_an_object",
    }
    assert [one.body for one in inbox.find(state="waiting")] == [push_body()]


def test_what_was_there_before_is_left_to_the_workers(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    inbox.put(new(b"{")).result(PATIENCE_S)
    with sorting(inbox):
        inbox.put(new(b"[")).result(PATIENCE_S)
        wait_until(lambda: bool(dead(inbox)))
    assert set(dead(inbox)) == {b"["}


def test_what_comes_at_the_very_end_is_sorted_too(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    with sorting(inbox):
        inbox.put(new(b"{")).result(PATIENCE_S)
    assert set(dead(inbox)) == {b"{"}


def test_what_a_worker_has_is_left_to_it(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    inbox.put(new(b"{")).result(PATIENCE_S)
    (stored,) = inbox.find()
    handed = iter(inbox.deliveries(wait=False))
    assert list(handed) == [], "the worker buries it"
    from mosvpp.receiver._verdicts import unreadable

    verdict = unreadable(stored)
    assert verdict is not None
    assert not inbox.bury(stored, verdict).result(PATIENCE_S)
