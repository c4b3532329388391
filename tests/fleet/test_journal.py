"""The journal: what it lets pass, what it remembers, and what it says of it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from journals import JournalFactory
from manual_clock import START, ManualClock
from mosvpp import discharge, kW
from mosvpp._answers import Answer
from mosvpp._calls import Calls
from mosvpp._failures import error_for
from mosvpp._revisions import Revisions
from mosvpp.auth import ApiKey
from mosvpp.errors import RuleError
from mosvpp.events import ExecutionReport, ExecutionResult
from mosvpp.fleet import Journal, State
from mosvpp.fleet._journal_rows import PLAN_PAGE, Note, Wanted
from mosvpp.fleet.entries import Answered, Sent
from mosvpp.retry import RetryPolicy
from mosvpp.slots import EventSlot
from mosvpp.statuses import EventStatus

SITE = "fecd0001c031e7e8"
SLOT = discharge(5 * kW, start=START + timedelta(hours=1), duration=timedelta(hours=1), priority=10)
REQUEST = Calls(
    key=ApiKey("fleet-test-key"),
    api_version="v1",
    allow_live=True,
    retry=RetryPolicy(),
    clock=ManualClock(),
    on_drift=None,
    statuses=None,
    revisions=Revisions(),
).prepare_dispatch(SITE, SLOT, "live")


def record(
    journal: Journal, *sites: str, slot: EventSlot = SLOT, plan: str = "p1", update: bool = False
) -> None:
    wanted = [Wanted(site, slot) for site in sites]
    for pending in journal.record(wanted, mode="live", plan=plan, update_sent=update):
        pending.result()


def number_of(journal: Journal, site: str = SITE) -> int:
    dispatch = journal.get(site, SLOT.event_id)
    assert dispatch is not None
    return dispatch.number


def sent(revision: int, *, cancels: bool = False) -> Sent:
    return Sent(at=START, revision=revision, cancels=cancels, body=REQUEST.body.decode())


def state_of(journal: Journal, site: str = SITE) -> State:
    dispatch = journal.get(site, SLOT.event_id)
    assert dispatch is not None
    return dispatch.state


def test_what_was_planned_is_there_after_a_restart(make_journal: JournalFactory) -> None:
    record(make_journal(), SITE)
    (again,) = make_journal().unsent("p1")
    assert (again.molecule_id, again.slot, again.mode) == (SITE, SLOT, "live")
    assert state_of(make_journal()) is State.PLANNED


def test_a_plan_may_be_recorded_twice(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    journal.begin(number_of(journal), sent(1)).result()
    record(journal, SITE, "other")
    assert [one.molecule_id for one in journal.unsent("p1")] == ["other"]
    assert state_of(journal) is State.SENT


def test_a_plan_that_is_called_off_while_it_is_recorded_is_not_executed(make_journal: JournalFactory) -> None:
    """Whoever stops it does not see what is recorded a moment later."""
    journal, other = make_journal(), make_journal()
    wanted = [Wanted(f"{number:016x}", SLOT) for number in range(2 * PLAN_PAGE + 100)]
    pages = journal.record(wanted, mode="live", plan="p1")
    next(pages).result()
    other.forbid(mode="live", is_open=True)
    next(pages).result()
    next(pages).result()
    with pytest.raises(RuleError, match="called off"):
        next(pages).result()
    for pending in journal.record(wanted, mode="live", plan="p1"):
        pending.result()  # whoever wants the rest says so again
    assert journal.unsent("p1")[0].molecule_id == f"{PLAN_PAGE:016x}"


def test_of_two_programs_one_sends(make_journal: JournalFactory) -> None:
    first, second = make_journal(), make_journal()
    record(first, SITE)
    number = number_of(first)
    assert first.begin(number, sent(1)).result() is None
    assert second.begin(number, sent(2)).result() == "taken"
    assert second.begin(number, sent(1)).result() == "taken"


def test_many_that_begin_at_once_are_let_through_once(make_journal: JournalFactory) -> None:
    journals = [make_journal(), make_journal()]
    record(journals[0], *(f"site{index}" for index in range(40)))
    numbers = [one.number for one in journals[0].unsent("p1")]
    begun: list[object] = []

    def send(journal: Journal, revision: int) -> None:
        pending = [journal.begin(number, sent(revision)) for number in numbers]
        begun.extend(one.result() for one in pending)

    threads = [
        threading.Thread(target=send, args=(journal, revision))
        for revision, journal in enumerate(journals * 2, start=1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert begun.count(None) == len(numbers)
    for site in journals[1].find(plan="p1"):
        assert sum(isinstance(entry, Sent) for entry in site.entries) == 1


def test_a_request_of_which_nothing_was_written_may_be_sent_again(make_journal: JournalFactory) -> None:
    first, second = make_journal(), make_journal()
    record(first, SITE)
    number = number_of(first)
    first.begin(number, sent(1)).result()
    first.note(Note(number, Answered(at=START, revision=1, verdict="not_sent"))).result()
    assert second.begin(number, sent(2)).result() is None


def test_a_repeat_of_the_same_request_may_leave(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    number = number_of(journal)
    assert journal.begin(number, sent(1)).result() is None
    assert journal.begin(number, sent(1)).result() is None


@pytest.mark.parametrize("revision", [1, 2, 9])
def test_a_late_repeat_never_undoes_a_cancellation(make_journal: JournalFactory, revision: int) -> None:
    """Not even one that bears a newer revision, as a program that knows nothing of the stop would make it."""
    first, second = make_journal(), make_journal()
    record(first, SITE)
    number = number_of(first)
    first.begin(number, sent(1)).result()
    assert second.begin(number, sent(2, cancels=True)).result() is None
    assert first.begin(number, sent(revision)).result() in ("newer", "cancelled")


def test_an_older_cancellation_does_not_leave_after_a_newer_one(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    number = number_of(journal)
    journal.begin(number, sent(3, cancels=True)).result()
    assert journal.begin(number, sent(2, cancels=True)).result() == "newer"
    assert journal.begin(number, sent(4, cancels=True)).result() is None


def test_what_is_forbidden_is_not_sent_any_more_by_anybody(make_journal: JournalFactory) -> None:
    first, second = make_journal(), make_journal()
    record(first, SITE, "other")
    sent_to, never = number_of(first), number_of(first, "other")
    first.begin(sent_to, sent(1)).result()
    second.forbid(event_id=SLOT.event_id)
    second.withdraw([one for one in second.find() if one.molecule_id == "other"])
    assert first.begin(never, sent(2)).result() == "cancelled"
    assert first.begin(sent_to, sent(1)).result() == "cancelled"
    assert (state_of(first), state_of(first, "other")) == (State.SENT, State.CANCELLED)


def test_a_cancelled_event_cannot_be_planned_again(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    journal.forbid(molecule_ids=[SITE])
    with pytest.raises(RuleError, match="new id"):
        record(journal, SITE, plan="p2", update=True)


def test_what_was_sent_is_planned_again_only_on_purpose(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    journal.begin(number_of(journal), sent(1)).result()
    with pytest.raises(RuleError, match="update=True"):
        record(journal, SITE, plan="p2")
    record(journal, SITE, plan="p2", slot=SLOT.replace(power=3 * kW), update=True)
    (again,) = journal.unsent("p2")
    assert again.slot.power == 3 * kW
    known = journal.get(SITE, SLOT.event_id)
    assert known is not None
    assert known.sent_slot == SLOT
    assert journal.begin(again.number, sent(2)).result() is None


def test_one_event_has_one_mode_at_a_site(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    pending = journal.record([Wanted(SITE.upper(), SLOT)], mode="test", plan="p2")
    with pytest.raises(RuleError, match="mode live"):
        next(pending).result()


def test_what_was_out_when_a_program_was_killed_is_unknown(
    make_journal: JournalFactory, clock: ManualClock
) -> None:
    journal = make_journal()
    record(journal, SITE)
    journal.begin(number_of(journal), sent(1)).result()

    def advice() -> str:
        (known,) = journal.find()
        return known.advice(clock.now())

    clock.advance(60)
    assert journal.close_interrupted() == 0
    assert "wait for its answer" in advice()
    clock.advance(61)
    assert "It may have been received" in advice()
    assert journal.close_interrupted(plan="another") == 0
    assert journal.close_interrupted() == 1
    assert journal.close_interrupted() == 0
    assert state_of(journal) is State.UNKNOWN


def test_what_was_out_is_unknown_in_time_though_its_cancellation_is_repeated(
    make_journal: JournalFactory, clock: ManualClock
) -> None:
    journal = make_journal()
    record(journal, SITE)
    number = number_of(journal)
    journal.begin(number, sent(1)).result()  # and the program is killed
    for revision in range(2, 16):  # a stop, every ten seconds
        cancellation = Sent(at=clock.now(), revision=revision, cancels=True, body=REQUEST.body.decode())
        journal.begin(number, cancellation).result()
        note = Note(number, Answered(at=clock.now(), revision=revision, verdict="accepted"))
        journal.note(note).result()
        journal.close_interrupted()
        clock.advance(10)
    dispatch = journal.get(SITE, SLOT.event_id)
    assert dispatch is not None
    assert dispatch.standing.is_stopped
    assert dispatch.state is State.CANCELLED


def test_what_is_said_beside_a_site_advises_no_programmer(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    answer = Answer(status=502, headers={}, body=b"<h1>Bad gateway</h1>", received_at=START)
    error = error_for(REQUEST, answer, 2, START, earlier=True)
    assert "client.resend" in str(error)
    journal.begin(number_of(journal), sent(1)).result()
    note = Note(number_of(journal), Answered(at=START, revision=1, verdict="unknown", message=str(error)))
    journal.note(note).result()
    dispatch = journal.get(SITE, SLOT.event_id)
    assert dispatch is not None
    assert dispatch.said == (
        "HTTP 502, so that it is not known whether it took effect. It says: <h1>Bad gateway</h1>"
    )


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        ({"status": 200, "certainty": "http_status_only"}, "HTTP 200, but the answer could not be read"),
        ({"status": 200, "said": "received"}, "“received”, which is neither yes nor no"),
        ({"status": 200, "message": "We try."}, "We try."),
    ],
)
def test_an_answer_that_is_no_clear_one_is_told(
    make_journal: JournalFactory, answered: dict[str, Any], words: str
) -> None:
    journal = make_journal()
    record(journal, SITE)
    journal.begin(number_of(journal), sent(1)).result()
    entry = msgspec.convert({"at": START, "revision": 1, "verdict": "unknown", **answered}, Answered)
    journal.note(Note(number_of(journal), entry)).result()
    dispatch = journal.get(SITE, SLOT.event_id)
    assert dispatch is not None
    assert dispatch.said == words


def report(status: EventStatus, *, site: str | None = SITE, event_id: str = SLOT.event_id) -> ExecutionReport:
    result = ExecutionResult(event_id=event_id, status=status, executed_quantity=4.8, executed_unit="kWh")
    return ExecutionReport(molecule_id=site, results=(result,), mode="live")


def test_a_report_tells_the_end_whatever_was_known_before(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    journal.begin(number_of(journal), sent(1)).result()
    told = report(EventStatus.COMPLETED, site=SITE.upper(), event_id=SLOT.event_id.upper())
    (dispatch,) = journal.apply(told).result().dispatches
    assert dispatch.state is State.COMPLETED
    assert state_of(journal) is State.COMPLETED


def test_a_report_that_comes_twice_is_one_entry(make_journal: JournalFactory, clock: ManualClock) -> None:
    journal = make_journal()
    record(journal, SITE)
    journal.begin(number_of(journal), sent(1)).result()
    for _ in range(3):
        journal.apply(report(EventStatus.COMPLETED)).result()
        clock.advance(10)
    dispatch = journal.get(SITE, SLOT.event_id)
    assert dispatch is not None
    assert len(dispatch.entries) == 2


def test_a_report_without_a_site_counts_where_only_one_can_be_meant(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    journal.begin(number_of(journal), sent(1)).result()
    assert journal.apply(report(EventStatus.IN_PROGRESS, site=None)).result().dispatches
    record(journal, "other")
    (stranger,) = journal.apply(report(EventStatus.COMPLETED, site=None)).result().strangers
    assert stranger.reason == "several_sites"


def test_a_report_on_something_else_belongs_to_nothing(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    other = "00000000-0000-4000-8000-000000000000"
    (stranger,) = journal.apply(report(EventStatus.COMPLETED, event_id=other)).result().strangers
    assert stranger == (SITE, other, "unknown_event")
    test_run = ExecutionReport(molecule_id=SITE, mode="test", results=report(EventStatus.COMPLETED).results)
    (stranger,) = journal.apply(test_run).result().strangers
    assert stranger.reason == "other_mode"


def test_what_should_have_been_reported_is_found(make_journal: JournalFactory, clock: ManualClock) -> None:
    journal = make_journal()
    record(journal, SITE, "done", "never")
    for site in (SITE, "done"):
        number = number_of(journal, site)
        journal.begin(number, sent(1)).result()
        journal.note(Note(number, Answered(at=START, revision=1, verdict="accepted"))).result()
    journal.apply(report(EventStatus.COMPLETED, site="done")).result()
    assert not list(journal.overdue(SLOT.end))
    late = SLOT.end + timedelta(minutes=15)
    (overdue,) = journal.overdue(late)
    assert overdue.molecule_id == SITE
    assert "telemetry" in overdue.advice(late)


def test_a_person_may_settle_what_nobody_reported(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    journal.begin(number_of(journal), sent(1)).result()
    with pytest.raises(RuleError, match="how it is known"):
        journal.resolve(SITE, SLOT.event_id, "completed", reason=" ")
    with pytest.raises(RuleError, match="no end"):
        journal.resolve(SITE, SLOT.event_id, "sent", reason="seen")
    with pytest.raises(KeyError):
        journal.resolve("nobody", SLOT.event_id, "failed", reason="seen")
    assert journal.resolve(SITE, SLOT.event_id, "completed", reason="meter").state is State.COMPLETED
    assert not list(journal.overdue(SLOT.end + timedelta(days=1)))


def test_what_is_seen_to_run_although_it_was_refused_is_a_conflict(make_journal: JournalFactory) -> None:
    journal = make_journal()
    record(journal, SITE)
    number = number_of(journal)
    journal.begin(number, sent(1)).result()
    journal.note(Note(number, Answered(at=START, revision=1, verdict="rejected"))).result()
    assert journal.observe(SITE, SLOT.event_id).state is State.CONFLICT
    assert [one.molecule_id for one in journal.conflicts()] == [SITE]


def test_many_sites_are_read_in_order_and_by_page(journal: Journal) -> None:
    sites = [f"site{index:05}" for index in range(1203)]
    record(journal, *sites)
    assert [one.molecule_id for one in journal.find(event_id=SLOT.event_id)] == sites
    assert [one.molecule_id for one in journal.find(molecule_ids=sites[600:1201])] == sites[600:1201]
    assert journal.summary(SLOT.event_id) == {State.PLANNED: 1203}


def test_a_body_tells_the_slot_that_was_sent(journal: Journal) -> None:
    record(journal, SITE)
    number = number_of(journal)
    journal.begin(number, sent(1)).result()
    dispatch = journal.get(SITE, SLOT.event_id)
    assert dispatch is not None
    assert dispatch.sent_slot == SLOT


def test_what_is_told_at_once_is_noted_in_the_order_in_which_it_was_told(journal: Journal) -> None:
    record(journal, SITE)
    number, held, release = number_of(journal), threading.Event(), threading.Event()

    def occupy(_: object) -> None:
        held.set()
        release.wait(20)

    busy = journal._do(occupy)
    held.wait(20)
    begun = journal.begin(number, sent(1))
    noted = journal.note(Note(number, Answered(at=START, revision=1, verdict="unknown")))
    release.set()
    busy.result()
    assert (begun.result(), noted.result()) == (None, None)
    assert state_of(journal) is State.UNKNOWN
