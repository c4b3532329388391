"""What is known of an event at a site, entry by entry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosvpp.fleet.entries import Answered, Entry, Observed, Reported, Resolved, Sent, Withdrawn
from mosvpp.fleet.states import TABLE, Standing, State, step
from mosvpp.statuses import EventStatus

AT = datetime(2024, 1, 5, tzinfo=UTC)


def after(*entries: Entry) -> Standing:
    standing = Standing()
    for entry in entries:
        standing = step(standing, entry)
    return standing


def sent(revision: int = 1, *, cancels: bool = False, attempt: int = 1) -> Sent:
    return Sent(at=AT, revision=revision, cancels=cancels, attempt=attempt)


def answered(verdict: str, revision: int = 1) -> Answered:
    return Answered(at=AT, revision=revision, verdict=verdict)


def reported(status: EventStatus, at: datetime | None = None) -> Reported:
    return Reported(at=AT, status=status, reported_at=at)


def test_the_table_says_for_every_state_what_every_happening_leads_to() -> None:
    for happening, column in TABLE.items():
        assert set(column) == set(State), happening
        for cell in column.values():
            assert cell in {".", "before"} | set(State)


def test_a_conflict_is_left_by_nothing_that_arrives() -> None:
    assert {column[State.CONFLICT] for column in TABLE.values()} == {"."}


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        ("accepted", State.CONFIRMED),
        ("rejected", State.REJECTED),
        ("unknown", State.UNKNOWN),
        ("not_sent", State.PLANNED),
        ("refused_for_now", State.SENT),
    ],
)
def test_what_the_first_request_comes_to(verdict: str, state: State) -> None:
    assert after(sent()).state is State.SENT
    assert after(sent(), answered(verdict)).state is state


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        ("accepted", State.CANCELLED),
        ("rejected", State.CONFIRMED),
        ("unknown", State.UNKNOWN),
        ("not_sent", State.CONFIRMED),
    ],
)
def test_what_a_cancellation_comes_to(verdict: str, state: State) -> None:
    standing = after(sent(), answered("accepted"), sent(2, cancels=True), answered(verdict, 2))
    assert standing.state is state
    assert standing.is_stopped == (verdict == "accepted")


def test_a_refused_change_leaves_what_was_confirmed() -> None:
    standing = after(sent(), answered("accepted"), sent(2), answered("rejected", 2))
    assert standing.state is State.CONFIRMED


def test_a_cancellation_that_crosses_the_event_itself_proves_nothing() -> None:
    """Which of the two arrived first cannot be known: only a cancellation that leaves later is sure."""
    crossing = (sent(), sent(2, cancels=True), answered("accepted", 2), answered("accepted", 1))
    assert after(*crossing).state is State.UNKNOWN
    assert not after(*crossing).is_stopped
    again = after(*crossing, sent(3, cancels=True), answered("accepted", 3))
    assert again.state is State.CANCELLED
    assert again.is_stopped


def test_a_request_that_was_never_written_crosses_nothing() -> None:
    standing = after(sent(), sent(2, cancels=True), answered("not_sent", 1), answered("accepted", 2))
    assert standing.state is State.CANCELLED


def test_an_answer_to_an_older_request_says_what_a_refused_cancellation_leaves() -> None:
    standing = after(sent(), sent(2, cancels=True), answered("accepted", 1), answered("rejected", 2))
    assert standing.state is State.CONFIRMED


def test_a_request_that_is_sent_again_stays_the_same_request() -> None:
    standing = after(sent(), answered("refused_for_now"), sent(attempt=2))
    assert (standing.state, standing.out) == (State.SENT, frozenset({1}))
    assert not standing.crossed


@pytest.mark.parametrize(
    "status",
    [
        EventStatus.COMPLETED,
        EventStatus.FAILED,
        EventStatus.SUPERSEDED,
        EventStatus.OPTED_OUT,
        EventStatus.REJECTED,
    ],
)
def test_what_was_cancelled_by_us_and_ended_otherwise_by_them_is_a_conflict(status: EventStatus) -> None:
    stop = (sent(), answered("accepted"), sent(2, cancels=True), answered("accepted", 2))
    assert after(*stop, reported(status)).state is State.CONFLICT


def test_what_was_stopped_may_have_run_in_part() -> None:
    stop = (sent(), answered("accepted"), sent(2, cancels=True), answered("accepted", 2))
    standing = after(*stop, reported(EventStatus.PARTIALLY_COMPLETED))
    assert standing.state is State.PARTIALLY_COMPLETED


@pytest.mark.parametrize("status", list(EventStatus))
def test_a_report_on_what_was_never_sent_is_a_conflict(status: EventStatus) -> None:
    silent = {EventStatus.RECEIVED, EventStatus.UNKNOWN}
    expected = State.PLANNED if status in silent else State.CONFLICT
    assert after(reported(status)).state is expected


def test_a_rejected_event_that_runs_all_the_same_is_a_conflict() -> None:
    rejected = (sent(), answered("rejected"))
    assert after(*rejected, reported(EventStatus.IN_PROGRESS)).state is State.CONFLICT
    assert after(*rejected, Observed(at=AT, source="telemetry")).state is State.CONFLICT


def test_a_late_message_on_progress_does_not_undo_an_end() -> None:
    ended = (sent(), answered("accepted"), reported(EventStatus.COMPLETED))
    assert after(*ended, reported(EventStatus.IN_PROGRESS)).state is State.COMPLETED


def test_progress_after_a_cancellation_is_a_conflict_only_where_it_is_known_to_be_later() -> None:
    stop = (sent(), answered("accepted"), sent(2, cancels=True), answered("accepted", 2))
    for at in (None, AT - timedelta(minutes=1), AT + timedelta(seconds=5)):
        assert after(*stop, reported(EventStatus.IN_PROGRESS, at)).state is State.CANCELLED
    late = after(*stop, reported(EventStatus.IN_PROGRESS, AT + timedelta(seconds=6)))
    assert late.state is State.CONFLICT
    assert not late.is_stopped


def test_an_acceptance_by_report_resolves_a_first_request_and_says_nothing_of_a_change() -> None:
    unknown = (sent(), answered("unknown"))
    assert after(*unknown, reported(EventStatus.ACCEPTED)).state is State.CONFIRMED
    change = (sent(), answered("accepted"), sent(2), answered("unknown", 2))
    assert after(*change, reported(EventStatus.ACCEPTED)).state is State.UNKNOWN


def test_a_person_may_say_what_became_of_a_conflict() -> None:
    standing = after(reported(EventStatus.COMPLETED), Resolved(at=AT, state="completed", reason="called"))
    assert standing.state is State.COMPLETED


def test_what_is_withdrawn_before_it_is_sent_is_cancelled() -> None:
    assert after(Withdrawn(at=AT)).state is State.CANCELLED


_words = st.sampled_from([status for status in EventStatus if status is not EventStatus.ACCEPTED])
_verdicts = st.sampled_from(["accepted", "unknown"])


@given(_verdicts, st.lists(_words, max_size=3), st.booleans())
def test_in_which_order_reports_and_receipts_arrive_does_not_matter(
    verdict: str, words: list[EventStatus], stopped: bool
) -> None:
    """Deliveries are late, doubled and out of order; what is known in the end is the same."""
    requests: list[Entry] = [sent()]
    late: list[Entry] = [answered(verdict), *map(reported, words), *map(reported, words[:1])]
    if stopped:
        requests += [answered(verdict), sent(2, cancels=True)]
        late[0] = answered("accepted", 2)
    ends = {after(*requests, *order).state for order in permutations(late)}
    assert len(ends) == 1, ends


def test_the_answer_to_an_older_cancellation_is_not_taken_for_that_to_the_event() -> None:
    standing = after(sent(), sent(2, cancels=True), sent(3, cancels=True), answered("rejected", 2))
    assert standing.before is not State.REJECTED
    ended = [answered("accepted", 1), answered("rejected", 3)]
    for order in permutations(ended):
        state = standing
        for entry in order:
            state = step(state, entry)
        assert state.state is State.CONFIRMED


def test_nothing_is_stopped_for_certain_while_the_event_itself_may_still_arrive() -> None:
    crossing = (sent(), sent(2, cancels=True), reported(EventStatus.CANCELLED))
    assert after(*crossing).state is State.CANCELLED
    assert not after(*crossing).is_stopped
    assert after(*crossing, answered("accepted", 1)).is_stopped
