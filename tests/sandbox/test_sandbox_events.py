"""The state table of events: what a request does to an event that is not known, waiting, running or over."""

from __future__ import annotations

import gc
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mosvpp_sandbox.events import Event, EventTable, State, Verdict

NOON = datetime(2024, 1, 5, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ID = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
OTHER = "3C1E6F0A-9B52-4D7E-8A10-5F2C7D9E4B61"


def slot(
    event_id: str = ID, start: datetime = NOON + HOUR, hours: float = 1, **fields: Any
) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "start_time": start.isoformat(),
        "end_time": (start + hours * HOUR).isoformat(),
        "event_type": "discharge",
        "event_quantity": 5.0,
        "event_unit": "kW",
        "priority": 10,
        "mandatory": False,
        "cancelled": False,
        **fields,
    }


def take(table: EventTable, slot: dict[str, Any], now: datetime) -> Verdict:
    return table.take(slot, now)[0]


def ended_at(table: EventTable, now: datetime) -> list[Event]:
    """Let the time come; those that ended."""
    return [event for event in table.turn(now) if not event.state.is_open]


def known(table: EventTable, event_id: str = ID) -> Event:
    event = table.get(event_id)
    assert event is not None
    return event


def table_with(state: State) -> EventTable:
    """A table that knows the event in that state, at `NOON`."""
    table = EventTable()
    earlier = NOON - 3 * HOUR
    ends = {State.ACCEPTED: 9, State.IN_PROGRESS: 9}.get(state, 2)
    table.take(slot(start=NOON + HOUR if state is State.ACCEPTED else earlier, hours=ends), earlier)
    table.turn(earlier)
    delivered = {State.COMPLETED: 5.0, State.PARTIALLY_COMPLETED: 1.0}.get(state, 0.0)
    known(table).count({"20000": delivered}, 7200)
    if state is State.CANCELLED:
        table.take(slot(cancelled=True), earlier)
    if state is State.OPTED_OUT:
        return _declined()
    if state is State.SUPERSEDED:
        table.take(slot(OTHER, start=earlier, hours=1, priority=1), earlier)
    table.turn(earlier)
    table.turn(earlier + 2 * HOUR)
    assert known(table).state is state
    return table


def _declined() -> EventTable:
    table = EventTable(declines=lambda event: not event.mandatory)
    table.take(slot(start=NOON - HOUR), NOON - HOUR)
    table.turn(NOON - HOUR)
    return table


OVER = [state for state in State if not state.is_open]


def test_a_new_event_is_scheduled() -> None:
    table = EventTable()
    assert take(table, slot(), NOON).status == "accepted"
    assert known(table).state is State.ACCEPTED
    assert table.next_at() == NOON + HOUR
    assert table.running is None


def test_an_id_means_the_same_event_in_any_spelling() -> None:
    table = EventTable()
    take(table, slot(ID.upper()), NOON)
    take(table, slot(ID.lower(), event_quantity=3.0), NOON)
    assert [event.power_kw for event in table] == [3.0]
    assert known(table).event_id == ID.lower()


def test_an_event_whose_end_has_passed_is_rejected() -> None:
    table = EventTable()
    verdict = take(table, slot(start=NOON - HOUR, hours=1), NOON)
    assert verdict.status == "rejected"
    assert "already ended: it is 2024-01-05T12:00:00Z now" in verdict.message
    assert table.get(ID) is None


def test_an_event_whose_start_has_passed_runs_for_the_rest_of_its_time() -> None:
    table = EventTable()
    assert take(table, slot(start=NOON - HOUR, hours=2), NOON).status == "accepted"
    table.turn(NOON)
    assert known(table).began_at == NOON
    assert table.next_at() == NOON + HOUR


def test_an_event_begins_and_ends_at_its_times() -> None:
    table = EventTable()
    take(table, slot(), NOON)
    assert ended_at(table, NOON + HOUR - timedelta(microseconds=1)) == []
    assert table.running is None
    assert ended_at(table, NOON + HOUR) == []
    assert table.running is known(table)
    assert table.next_at() == NOON + 2 * HOUR
    assert ended_at(table, NOON + 2 * HOUR) == [known(table)]
    assert known(table).ended_at == NOON + 2 * HOUR
    assert table.next_at() is None


@pytest.mark.parametrize(
    ("asked_kw", "delivered_kw", "state", "said"),
    [
        (5.0, 5.0, State.COMPLETED, "5 kW of 5 kW"),
        (5.0, 4.75, State.COMPLETED, "4.75 kW of 5 kW"),
        (5.0, 4.74, State.PARTIALLY_COMPLETED, "4.74 kW of 5 kW"),
        (5.0, 0.0, State.FAILED, "nothing"),
    ],
)
def test_what_was_delivered_decides_how_an_event_ends(asked_kw, delivered_kw, state, said) -> None:
    table = EventTable()
    take(table, slot(start=NOON, event_quantity=asked_kw), NOON)
    table.turn(NOON)
    known(table).count({"20000": delivered_kw}, 3600)
    (ended,) = ended_at(table, NOON + HOUR)
    assert ended.state is state
    assert said in ended.message


def test_a_restore_event_has_nothing_to_deliver() -> None:
    table = EventTable()
    take(table, slot(start=NOON, event_type="restore", event_quantity=0), NOON)
    table.turn(NOON)
    (ended,) = ended_at(table, NOON + HOUR)
    assert ended.state is State.COMPLETED


def test_the_average_is_over_the_time_that_the_event_really_ran() -> None:
    """3 kW for half an hour and 1 kW for a quarter: 1.75 kWh in three quarters of an hour."""
    table = EventTable()
    take(table, slot(), NOON)
    event = known(table)
    assert event.average_kw() == {}
    event.count({"20000": 3.0}, 1800)
    event.count({"20000": 1.0}, 900)
    assert event.average_kw() == {"20000": pytest.approx(1.75 / 0.75)}


@pytest.mark.parametrize("unit", ["w", "kW", "MW"])
def test_every_unit_is_understood(unit) -> None:
    table = EventTable()
    take(table, slot(event_quantity=2, event_unit=unit), NOON)
    assert known(table).power_kw == {"w": 0.002, "kW": 2.0, "MW": 2000.0}[unit]


# The same id again


def test_a_waiting_event_is_updated() -> None:
    table = table_with(State.ACCEPTED)
    verdict = take(table, slot(start=NOON + 3 * HOUR, event_quantity=2.0, event_type="charge"), NOON)
    assert (verdict.status, verdict.message) == ("accepted", "The event was updated.")
    assert (known(table).power_kw, known(table).event_type) == (2.0, "charge")
    assert table.next_at() == NOON + 3 * HOUR
    assert len(list(table)) == 1


def test_a_waiting_event_cannot_be_moved_into_the_past() -> None:
    table = table_with(State.ACCEPTED)
    assert take(table, slot(start=NOON - 2 * HOUR), NOON).status == "rejected"
    assert known(table).start == NOON + HOUR


def test_a_running_event_is_updated_while_it_runs() -> None:
    table = table_with(State.IN_PROGRESS)
    verdict = take(table, slot(start=NOON - 3 * HOUR, hours=4, event_quantity=2.0), NOON)
    assert verdict.message == "The running event was updated."
    table.turn(NOON)
    assert table.running is known(table)
    assert known(table).power_kw == 2.0
    assert known(table).began_at == NOON - 3 * HOUR
    assert table.next_at() == NOON + HOUR


def test_a_running_event_that_now_ends_in_the_past_ends_at_once() -> None:
    table = table_with(State.IN_PROGRESS)
    assert take(table, slot(start=NOON - 3 * HOUR, hours=1), NOON).status == "accepted"
    assert ended_at(table, NOON) == [known(table)]
    assert known(table).ended_at == NOON


def test_a_running_event_that_now_starts_later_waits_again() -> None:
    table = table_with(State.IN_PROGRESS)
    take(table, slot(start=NOON + HOUR), NOON)
    table.turn(NOON)
    assert table.running is None
    table.turn(NOON + HOUR)
    assert table.running is known(table)
    assert known(table).began_at == NOON - 3 * HOUR


@pytest.mark.parametrize("state", OVER)
def test_an_event_that_is_over_is_not_changed_any_more(state) -> None:
    """A late repetition of the original must not bring a cancelled event back."""
    table = table_with(state)
    verdict = take(table, slot(), NOON)
    assert verdict.status == "rejected"
    assert state.value in verdict.message
    assert known(table).state is state
    assert table.next_at() is None


# Cancelling


@pytest.mark.parametrize("state", [State.ACCEPTED, State.IN_PROGRESS])
def test_an_open_event_is_cancelled_for_good(state) -> None:
    table = table_with(state)
    assert take(table, slot(cancelled=True), NOON).status == "cancelled"
    assert known(table).state is State.CANCELLED
    assert known(table).ended_at == NOON
    assert table.running is None
    assert ended_at(table, NOON + 9 * HOUR) == []


def test_cancelling_twice_is_no_error() -> None:
    table = table_with(State.CANCELLED)
    assert take(table, slot(cancelled=True), NOON).status == "cancelled"


@pytest.mark.parametrize("state", [state for state in OVER if state is not State.CANCELLED])
def test_what_is_over_cannot_be_cancelled(state) -> None:
    table = table_with(state)
    assert take(table, slot(cancelled=True), NOON).status == "rejected"
    assert known(table).state is state


def test_a_cancellation_that_overtook_its_event_still_counts() -> None:
    table = EventTable()
    verdict = take(table, slot(cancelled=True), NOON)
    assert verdict.status == "cancelled"
    assert "No such event was known" in verdict.message
    assert take(table, slot(), NOON).status == "rejected"
    assert ended_at(table, NOON + HOUR) == []
    assert table.running is None


# Two at a time


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [(10, 20, ID), (20, 10, OTHER), (10, 10, OTHER)],
    ids=["lower number", "lower number, newer", "tie: newer"],
)
def test_one_of_two_events_that_begin_together_wins(first, second, winner) -> None:
    table = EventTable()
    take(table, slot(ID, start=NOON, priority=first), NOON)
    take(table, slot(OTHER, start=NOON, priority=second), NOON)
    (loser,) = ended_at(table, NOON)
    assert table.running is known(table, winner)
    assert loser.state is State.SUPERSEDED
    assert loser.began_at is None
    assert f"Event {winner} outranks it" in loser.message


def test_an_update_makes_an_event_the_newer_one() -> None:
    table = EventTable()
    for event_id in (ID, OTHER, ID):
        take(table, slot(event_id, start=NOON), NOON)
    table.turn(NOON)
    assert table.running is known(table, ID)


def test_a_running_event_gives_way_to_a_higher_priority_and_does_not_come_back() -> None:
    table = EventTable()
    take(table, slot(ID, start=NOON, hours=4, priority=50), NOON)
    take(table, slot(OTHER, start=NOON + HOUR, hours=1, priority=1), NOON)
    assert ended_at(table, NOON) == []
    assert ended_at(table, NOON + HOUR) == [known(table, ID)]
    assert known(table, ID).state is State.SUPERSEDED
    assert table.running is known(table, OTHER)
    assert ended_at(table, NOON + 2 * HOUR) == [known(table, OTHER)]
    assert table.running is None


def test_an_event_that_ends_as_the_next_one_begins_does_not_compete_with_it() -> None:
    table = EventTable()
    take(table, slot(ID, start=NOON, priority=1), NOON)
    take(table, slot(OTHER, start=NOON + HOUR, priority=99), NOON)
    table.turn(NOON)
    table.turn(NOON + HOUR)
    assert table.running is known(table, OTHER)


def test_a_request_takes_time_in_proportion_to_its_events() -> None:
    """Eight times as much takes eight times as long; were it the square, it would take 64 times."""

    def seconds(count: int) -> float:
        table = EventTable()
        slots = [slot(f"{number:08X}-5AD6-42F6-BCAD-6194BBD2F68D") for number in range(count)]
        gc.collect()
        begin = time.process_time()
        for one in slots:
            assert table.running is None
            take(table, one, NOON)
        return time.process_time() - begin

    assert seconds(4_000) < 25 * min(seconds(500) for _ in range(3))
