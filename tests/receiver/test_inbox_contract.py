"""What every inbox does, whatever it stores in."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from deliveries import BEGINNING, SITE, InboxFactory, new, push_body, report_body
from manual_clock import START, ManualClock
from mosvpp import DataPush, ExecutionReport
from mosvpp.errors import RuleError, StoreError
from mosvpp.receiver import Inbox, Silence, SqlInbox, _quarantine
from mosvpp.receiver._queue import Claim, Verdict
from mosvpp.receiver.deliveries import Kind, StoredDelivery
from receiving import wait_until

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def put(inbox: Inbox, *bodies: bytes, kind: Kind = "data_push") -> list[bool]:
    pending = [inbox.put(new(body, kind=kind, at=inbox.clock.now())) for body in bodies]
    return [one.result(30) for one in pending]


def claim(
    inbox: Inbox, limit: int = 10, *, in_order: bool = False, kind: Kind = "data_push"
) -> list[StoredDelivery]:
    wanted = Claim(kind=kind, limit=limit, lease=MINUTE, worker="test", in_order=in_order)
    return inbox.claim(wanted).result(30)


def states(inbox: Inbox) -> list[str]:
    return [one.state for one in inbox.find()]


def timestamps(handed: list[StoredDelivery]) -> list[float]:
    assert all(one.body_at is not None for one in handed)
    return [(one.body_at - BEGINNING).total_seconds() for one in handed if one.body_at]


# Storing


def test_a_delivery_is_kept_as_it_came(inbox: SqlInbox) -> None:
    assert put(inbox, push_body(7)) == [True]
    (kept,) = inbox.find()
    assert kept.body == push_body(7)
    assert kept.headers == {"content-type": "application/json"}
    assert (kept.kind, kept.molecule_id, kept.state, kept.attempts) == ("data_push", SITE, "waiting", 0)
    assert kept.received_at == START
    assert kept.body_at == BEGINNING + timedelta(seconds=7)
    assert inbox.get(kept.key) == kept


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff\xfe",
        b"{",
        b"[" * 100_000,
        b'{"molecule_id": "a\\u0000b", "timestamp": "2024-01-05T00:00:00Z"}',
        b'{"molecule_id": "\\ud800", "timestamp": "99999-01-05"}',
        b'{"molecule_id": 7, "timestamp": 1e400}',
        b'{"timestamp": "0001-01-01T00:00:00+14:00"}',
        '{"molecule_id": "Umspannwerk Süd"}'.encode(),
    ],
    ids=["empty", "no text", "cut off", "deep", "NUL", "half a character", "numbers", "far past", "umlaut"],
)
def test_any_bytes_are_kept(inbox: SqlInbox, body: bytes) -> None:
    assert put(inbox, body, body) == [True, False]
    (kept,) = inbox.find()
    assert kept.body == body


def test_the_same_delivery_is_stored_once(inbox: SqlInbox) -> None:
    assert put(inbox, push_body(1)) == [True]
    assert put(inbox, push_body(1), push_body(2), push_body(1)) == [False, True, False]
    assert inbox.counters.stored == {"data_push": 2}
    assert inbox.counters.duplicates == {"data_push": 2}


def test_a_hundred_at_once_are_stored_once(inbox: SqlInbox) -> None:
    together = threading.Barrier(20)

    def send(_: int) -> int:
        together.wait()
        return sum(put(inbox, *[push_body(1)] * 5))

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(send, range(20))) == 1
    assert len(list(inbox.find())) == 1


def test_the_same_body_at_both_endpoints_is_two_deliveries(inbox: SqlInbox) -> None:
    assert put(inbox, push_body()) + put(inbox, push_body(), kind="execution_response") == [True, True]


def test_an_id_of_the_sender_decides_alone(inbox: SqlInbox) -> None:
    one = new(push_body(1), delivery_id=b"msg_1")
    same = new(push_body(2), delivery_id=b"msg_1")
    other = new(push_body(1), delivery_id=b"msg_2")
    long = new(push_body(1), delivery_id=b"x" * 5000)
    assert [inbox.put(each).result(30) for each in (one, same, other, long, long)] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_the_store_can_be_checked(inbox: SqlInbox) -> None:
    inbox.check().result(30)
    inbox.check().result(30)
    assert list(inbox.find()) == []


def test_after_closing_nothing_is_taken(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    inbox.close()
    inbox.close()
    with pytest.raises(StoreError):
        inbox._database.read().__enter__()


# Handing out


def test_what_is_due_is_handed_out_once_oldest_first(inbox: SqlInbox, clock: ManualClock) -> None:
    for number in (3, 1, 2):
        put(inbox, push_body(number))
        clock.advance(1)
    assert timestamps(claim(inbox, 2)) == [3, 1]
    assert timestamps(claim(inbox, 2)) == [2]
    assert claim(inbox) == []
    assert states(inbox) == ["leased"] * 3


def test_one_kind_at_a_time(inbox: SqlInbox) -> None:
    put(inbox, push_body())
    put(inbox, report_body(), kind="execution_response")
    assert [one.kind for one in claim(inbox, kind="execution_response")] == ["execution_response"]
    assert [one.kind for one in claim(inbox)] == ["data_push"]


def test_what_is_done_is_not_handed_out_again(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body())
    (handed,) = claim(inbox)
    assert inbox.finish(handed).result(30)
    clock.advance(3600)
    assert claim(inbox) == []
    (kept,) = inbox.find()
    assert (kept.state, kept.attempts, kept.finished_at, kept.due_at) == ("done", 1, START, None)


def test_what_a_dead_worker_held_comes_back(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body())
    (first,) = claim(inbox)
    clock.advance(59)
    assert claim(inbox) == []
    clock.advance(2)
    (second,) = claim(inbox)
    assert second.key == first.key
    assert second.attempts == 2


def test_a_worker_that_comes_back_too_late_changes_nothing(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body())
    (late,) = claim(inbox)
    clock.advance(61)
    (holder,) = claim(inbox)
    assert not inbox.finish(late).result(30)
    assert not inbox.settle(late, Verdict(state="dead", reason="late")).result(30)
    assert inbox.renew([late], MINUTE).result(30) == set()
    assert states(inbox) == ["leased"]
    assert inbox.finish(holder).result(30)
    assert not inbox.finish(holder).result(30)


def test_a_lease_can_be_lengthened(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body())
    (handed,) = claim(inbox)
    clock.advance(50)
    assert inbox.renew([handed], MINUTE).result(30) == {handed.seq}
    clock.advance(50)
    assert claim(inbox) == []
    clock.advance(11)
    assert len(claim(inbox)) == 1


def test_what_failed_comes_back_when_it_is_due(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body())
    (handed,) = claim(inbox)
    again = Verdict(state="waiting", due_at=START + MINUTE, reason="ValueError", traceback="a\0b\ud800")
    assert inbox.settle(handed, again).result(30)
    assert claim(inbox) == []
    (kept,) = inbox.find()
    assert (kept.state, kept.reason, kept.due_at) == ("waiting", "ValueError", START + MINUTE)
    assert kept.traceback is not None
    assert kept.traceback.startswith("a\\0b")
    clock.advance(60)
    (handed,) = claim(inbox)
    assert handed.attempts == 2


def test_what_was_not_tried_does_not_count(inbox: SqlInbox) -> None:
    put(inbox, push_body())
    (handed,) = claim(inbox)
    inbox.settle(handed, Verdict(state="waiting", due_at=START, counts=False)).result(30)
    (handed,) = claim(inbox)
    assert handed.attempts == 1


def test_two_workers_never_hold_the_same(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    put(inbox, *(push_body(number) for number in range(200)))

    def work(_: int) -> list[str]:
        mine: list[str] = []
        while handed := claim(inbox, 7):
            mine += [one.key for one in handed]
        return mine

    with ThreadPoolExecutor(4) as pool:
        keys = [key for some in pool.map(work, range(4)) for key in some]
    assert len(keys) == len(set(keys)) == 200


# Order


def test_in_order_a_site_has_one_delivery_in_hand(inbox: SqlInbox) -> None:
    put(inbox, push_body(1, "a"), push_body(2, "a"), push_body(3, "b"), push_body(4, "b"))
    first = claim(inbox, in_order=True)
    assert sorted(timestamps(first)) == [1, 3]
    assert claim(inbox, in_order=True) == []
    inbox.finish(next(one for one in first if one.molecule_id == "a")).result(30)
    assert timestamps(claim(inbox, in_order=True)) == [2]


def test_in_order_a_failure_holds_back_what_follows(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body(1))
    put(inbox, push_body(2))
    (first,) = claim(inbox, in_order=True)
    inbox.settle(first, Verdict(state="waiting", due_at=START + MINUTE, reason="x")).result(30)
    assert claim(inbox, in_order=True) == []
    clock.advance(60)
    (first,) = claim(inbox, in_order=True)
    assert timestamps([first]) == [1]
    inbox.settle(first, Verdict(state="dead", reason="x")).result(30)
    assert timestamps(claim(inbox, in_order=True)) == [2]


def test_deliveries_without_a_site_have_no_order(inbox: SqlInbox) -> None:
    put(inbox, b"1", b"2")
    assert len(claim(inbox, in_order=True)) == 2


def test_execution_responses_do_not_wait_for_pushes(inbox: SqlInbox) -> None:
    put(inbox, push_body())
    put(inbox, report_body(), kind="execution_response")
    assert len(claim(inbox, in_order=True, kind="execution_response")) == 1


# Looking


def test_deliveries_are_found_by_what_they_are(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body(1, "a"), push_body(2, "b"))
    clock.advance(60)
    put(inbox, report_body(), kind="execution_response")
    (handed,) = claim(inbox, 1)
    inbox.finish(handed).result(30)
    later = START + timedelta(seconds=30)
    assert [one.kind for one in inbox.find(kind="execution_response")] == ["execution_response"]
    assert [one.molecule_id for one in inbox.find(molecule_id="b")] == ["b"]
    assert [one.seq for one in inbox.find(state="done")] == [handed.seq]
    assert len(list(inbox.find(since=later))) == 1
    assert len(list(inbox.find(until=later))) == 2
    assert [one.seq for one in inbox.find(keys=[handed.key])] == [handed.seq]
    assert inbox.get("00") is None


def test_find_goes_page_by_page_in_either_direction(inbox: SqlInbox) -> None:
    put(inbox, *(push_body(number) for number in range(1201)))
    forward = [one.seq for one in inbox.find()]
    assert len(forward) == 1201
    assert forward == sorted(forward)
    assert [one.seq for one in inbox.find(newest_first=True)] == forward[::-1]
    assert [one.seq for one in inbox.find(limit=700)] == forward[:700]
    assert list(inbox.find(limit=0)) == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "push"},
        {"state": "lost"},
        {"keys": ["xyz"]},
        {"since": START.replace(tzinfo=None)},
        {"site": "a"},
    ],
    ids=str,
)
def test_a_filter_that_makes_no_sense_is_refused(inbox: SqlInbox, wanted: dict[str, object]) -> None:
    with pytest.raises(RuleError):
        inbox.find(**wanted)


def test_the_backlog_counts_by_kind(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body(1), push_body(2), push_body(3))
    one, two = claim(inbox, 2)
    inbox.finish(one).result(30)
    inbox.settle(two, Verdict(state="dead", reason="x")).result(30)
    backlog = inbox.backlog()
    assert (backlog["data_push"].unfinished, backlog["data_push"].dead) == (1, 1)
    assert backlog["data_push"].oldest_due_at == START
    assert (backlog["execution_response"].unfinished, backlog["execution_response"].oldest_due_at) == (
        0,
        None,
    )


# Tidying


def bury_one(inbox: SqlInbox) -> StoredDelivery:
    put(inbox, push_body())
    (handed,) = claim(inbox)
    inbox.settle(handed, Verdict(state="dead", reason="x", traceback="y")).result(30)
    return handed


def test_dead_letters_are_requeued(inbox: SqlInbox) -> None:
    dead = bury_one(inbox)
    assert claim(inbox) == []
    assert inbox.requeue() == 1
    (kept,) = inbox.find()
    assert (kept.state, kept.attempts, kept.reason, kept.traceback) == ("waiting", 0, None, None)
    (again,) = claim(inbox)
    assert (again.key, again.attempts) == (dead.key, 1)


def test_what_is_leased_is_not_requeued(inbox: SqlInbox) -> None:
    put(inbox, push_body(1), push_body(2))
    one, _ = claim(inbox)
    inbox.finish(one).result(30)
    assert inbox.requeue(kind="data_push") == 1
    assert states(inbox) == ["waiting", "leased"]


def test_many_are_requeued_page_by_page(inbox: SqlInbox) -> None:
    put(inbox, *(push_body(number) for number in range(1100)))
    assert inbox.requeue(state="waiting") == 1100


def test_purging_keeps_what_is_not_done_and_what_is_young(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body(1), push_body(2))
    (done,) = claim(inbox, 1)
    inbox.finish(done).result(30)
    clock.advance(10 * 86400)
    put(inbox, push_body(3))
    assert inbox.purge(older_than=9 * DAY) == 1
    assert timestamps(list(inbox.find())) == [2, 3]
    assert inbox.purge(older_than=9 * DAY) == 0


def test_a_repetition_is_recognised_for_seven_days_though_purged(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body(1))
    (done,) = claim(inbox)
    inbox.finish(done).result(30)
    clock.advance(7 * 86400 - 1)
    assert inbox.purge(older_than=timedelta(0)) == 1
    (kept,) = inbox.find()
    assert (kept.body, kept.headers, kept.state) == (b"", {}, "done")
    assert inbox.purge(older_than=timedelta(0)) == 0
    assert put(inbox, push_body(1), push_body(2)) == [False, True]
    assert inbox.requeue(state="done") == 0
    clock.advance(2)
    assert inbox.purge(older_than=timedelta(0)) == 1
    assert put(inbox, push_body(1)) == [True]


def test_what_nobody_handled_is_purged_on_request_only(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body(1), push_body(2))
    clock.advance(60)
    assert inbox.purge(older_than=timedelta(0)) == 0
    assert inbox.purge(older_than=timedelta(0), state="waiting") == 2
    assert [(one.state, one.reason, one.body) for one in inbox.find()] == [("dead", "purged", b"")] * 2
    assert claim(inbox) == []


def test_numbers_are_not_given_twice(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body(1), push_body(2))
    before = max(one.seq for one in inbox.find())
    clock.advance(8 * 86400)
    inbox.purge(older_than=DAY, state="waiting")
    put(inbox, push_body(3))
    assert max(one.seq for one in inbox.find()) > before


# Sites


def test_silent_sites_are_known(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body(1, "a"), push_body(2, "b"))
    put(inbox, report_body(molecule_id="never pushed"), kind="execution_response")
    clock.advance(600)
    put(inbox, push_body(3, "b"))
    assert [(site.molecule_id, site.last_push_at) for site in inbox.sites()] == [
        ("a", START),
        ("b", START + timedelta(minutes=10)),
    ]
    clock.advance(1)
    assert [site.molecule_id for site in inbox.silent(older_than=timedelta(minutes=5))] == ["a"]
    clock.advance(600)
    put(inbox, push_body(4, "a"))
    assert [site.molecule_id for site in inbox.silent(older_than=timedelta(minutes=5))] == ["b"]
    assert inbox.silence(older_than=timedelta(minutes=5)) == Silence(2, 1, START + timedelta(minutes=10))
    assert inbox.silence(older_than=DAY).silent == 0
    assert inbox.silence(older_than=timedelta.max).silent == 0


def test_a_purge_does_not_forget_when_a_site_pushed(inbox: SqlInbox, clock: ManualClock) -> None:
    put(inbox, push_body(1, "a"), push_body(2, "b"))
    clock.advance(8 * 86400)
    inbox.purge(older_than=DAY, state="waiting")
    assert [site.molecule_id for site in inbox.sites()] == ["a", "b"]


# The quarantine


def test_strangers_are_kept_aside_until_they_are_released(inbox: SqlInbox) -> None:
    inbox.quarantine("data_push", push_body(1), {"date": "x"}, reason="wrong_secret", delivery_id=b"id")
    inbox.quarantine("data_push", push_body(2), {}, reason="missing_header", delivery_id=None)
    inbox.check().result(30)
    claim(inbox)  # after it, for PostgreSQL has another thread for it
    assert list(inbox.find()) == []
    one, two = inbox.quarantined()
    assert (one.reason, one.headers, one.body, one.delivery_id) == (
        "wrong_secret",
        {"date": "x"},
        push_body(1),
        b"id",
    )
    assert inbox.release([one.seq]) == 1
    assert [left.seq for left in inbox.quarantined()] == [two.seq]
    assert [kept.body for kept in inbox.find()] == [push_body(1)]
    assert inbox.release([one.seq]) == 0
    assert inbox.counters.quarantined == 2


def test_a_stranger_cannot_make_the_genuine_delivery_a_repetition(inbox: SqlInbox) -> None:
    inbox.quarantine("data_push", push_body(1), {}, reason="wrong_secret", delivery_id=None)
    assert put(inbox, push_body(1)) == [True]


def test_the_quarantine_is_a_ring(make_inbox: InboxFactory) -> None:
    inbox = make_inbox(quarantine_size=3)
    for number in range(5):
        inbox.quarantine("data_push", push_body(number), {}, reason="wrong_secret", delivery_id=None)
    claim(inbox)
    assert [one.body for one in inbox.quarantined()] == [push_body(number) for number in (2, 3, 4)]


def test_more_strangers_than_a_page_are_shown_and_released_in_order(make_inbox: InboxFactory) -> None:
    bodies = [push_body(number) for number in range(250)]
    inbox = make_inbox()
    for body in bodies:
        inbox.quarantine("data_push", body, {}, reason="wrong_secret", delivery_id=None)
    claim(inbox)
    kept = list(inbox.quarantined())
    assert [one.body for one in kept] == bodies
    assert list(inbox.quarantined([kept[200].seq, 2**70, kept[3].seq, kept[3].seq])) == [kept[3], kept[200]]
    # More numbers than a statement may hold in either database.
    assert inbox.release(range(kept[-1].seq, kept[0].seq - 70_000, -1)) == 250
    assert [one.body for one in inbox.find()] == bodies
    assert list(inbox.quarantined()) == []


def test_the_number_of_a_stranger_is_not_given_to_another(inbox: SqlInbox) -> None:
    released = []
    for number in range(3):
        inbox.quarantine("data_push", push_body(number), {}, reason="wrong_secret", delivery_id=None)
        claim(inbox)
        (stranger,) = inbox.quarantined()
        released.append(stranger.seq)
        assert inbox.release(released) == 1
    assert released == sorted(set(released))


def test_a_crowd_of_strangers_keeps_nobody_out(make_inbox: InboxFactory) -> None:
    inbox = make_inbox(quarantine_size=300)
    lane, held = inbox._open_lanes().working, threading.Event()
    holding = inbox._do(lambda _: held.wait(30))
    large = b"x" * 256 * 1024
    for number in range(10_000):
        body = large if number < 5_000 else push_body(number)
        inbox.quarantine("data_push", body, {}, reason="wrong_secret", delivery_id=None)
    assert len(lane._waiting) <= 1
    assert sum(len(one.body) for one in inbox._ring._waiting) <= 300 * len(push_body(9_999))
    held.set()
    assert holding.result(30)
    claim(inbox)
    assert [one.body for one in inbox.quarantined()] == [push_body(number) for number in range(9_700, 10_000)]


def test_large_strangers_wait_in_little_memory(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    held = threading.Event()
    holding = inbox._do(lambda _: held.wait(30))
    for number in range(200):
        body = b"%d" % number + b" " * 256 * 1024
        inbox.quarantine("data_push", body, {}, reason="wrong_secret", delivery_id=None)
    assert sum(len(one.body) for one in inbox._ring._waiting) < 16 * 1024 * 1024
    held.set()
    assert holding.result(30)
    claim(inbox)
    kept = list(inbox.quarantined())
    assert len(kept) > 50
    assert kept[-1].body.startswith(b"199 ")


def test_strangers_are_kept_again_once_the_store_is_back(inbox: SqlInbox) -> None:
    def stranger(number: int) -> None:
        inbox.quarantine("data_push", push_body(number), {}, reason="wrong_secret", delivery_id=None)

    def away(_tasks: object) -> list[object]:
        raise StoreError("away", reason="unavailable")

    lane = inbox._open_lanes().working
    lane._max_waiting, usual = 0, lane._max_waiting  # a full queue refuses
    stranger(1)
    lane._max_waiting = usual
    lane._commit, commits = away, lane._commit
    stranger(2)
    with pytest.raises(StoreError):
        inbox._do(lambda _: None).result(30)
    lane._commit = commits
    stranger(3)
    claim(inbox)
    assert [one.body for one in inbox.quarantined()] == [push_body(number) for number in (1, 2, 3)]


def test_strangers_that_cannot_be_written_are_told_of_once_and_wait(
    inbox: SqlInbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("no space", reason="full")

    def stranger(number: int) -> None:
        inbox.quarantine("data_push", push_body(number), {}, reason="wrong_secret", delivery_id=None)
        fetching = inbox._ring._fetching
        assert fetching is not None
        wait_until(lambda: fetching.is_done)

    with monkeypatch.context() as patched:
        patched.setattr(_quarantine, "_keep", full)
        for number in (1, 2):
            stranger(number)
            wait_until(lambda: inbox._ring._waiting_bytes > 0)  # its thread puts them back a moment later
    assert [record.message for record in caplog.records] == [
        "what unrecognised senders sent could not be kept aside: no space"
    ]
    assert (list(inbox.quarantined()), inbox.counters.quarantined) == ([], 0)
    stranger(3)
    claim(inbox)
    assert [one.body for one in inbox.quarantined()] == [push_body(number) for number in (1, 2, 3)]
    assert inbox.counters.quarantined == 3


# Registering


def test_a_type_has_one_handler(inbox: SqlInbox) -> None:
    @inbox.handler(DataPush)
    def keep(push: DataPush, delivery: StoredDelivery) -> None: ...

    with pytest.raises(RuleError, match="already"):
        inbox.handler(DataPush)(keep)
    inbox.handler(ExecutionReport, attempts=3)(lambda *_: None)
    with pytest.raises(RuleError, match="dead letters"):
        inbox.handler(int)
    with pytest.raises(RuleError, match="HandOut has no patience"):
        inbox.handler(DataPush, patience=3)


def test_working_needs_a_handler(inbox: SqlInbox) -> None:
    with pytest.raises(RuleError, match="no handler"):
        inbox.work()
