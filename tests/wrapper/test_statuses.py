from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosvpp.errors import RuleError
from mosvpp.statuses import EventStatus, check_statuses, read_status, status_words

# Words of peers, as they write them.
WORDS = {
    "received": ["received", "RECEIVED", "acknowledged"],
    "accepted": ["accepted", "ACCEPTED", "PENDING", "scheduled", "ok", "OK"],
    "in_progress": [
        "started",
        "IN_PROGRESS",
        "in progress",
        "InProgress",
        "in-progress",
        "active",
        "executing",
    ],
    "completed": ["EXECUTED", "COMPLETED", "complete", "success", "succeeded", " Completed "],
    "partially_completed": ["partial", "partially_completed", "PartiallyCompleted"],
    "rejected": ["REJECTED", "invalid"],
    "failed": ["FAILED", "error", "timeout", "undelivered"],
    "cancelled": ["CANCELED", "CANCELLED", "deleted", "stopped"],
    "superseded": ["superseded"],
    "opted_out": ["OPT_OUT", "optedout", "opted-out"],
    "unknown": ["perhaps", "", None, "not accepted", "completedish", "done", "\u0131n progress"],
}
TERMINAL = {"completed", "partially_completed", "rejected", "failed", "cancelled", "superseded", "opted_out"}


@pytest.mark.parametrize(
    ("status", "word"), [(status, word) for status, words in WORDS.items() for word in words]
)
def test_words_of_peers_are_mapped_in_any_spelling(status: str, word: str | None) -> None:
    assert read_status(word) == status


def test_the_table_of_words_covers_every_state() -> None:
    assert set(WORDS) == set(EventStatus)


@pytest.mark.parametrize("status", EventStatus)
def test_every_state_knows_whether_something_may_follow(status: EventStatus) -> None:
    assert status.is_terminal is (status in TERMINAL)


@given(st.text())
def test_a_word_that_is_not_known_is_never_terminal(word: str) -> None:
    folded = word.strip().replace("_", "").replace("-", "").replace(" ", "").lower()
    assert (read_status(word) is EventStatus.UNKNOWN) == (folded not in status_words())
    assert not EventStatus.UNKNOWN.is_terminal


@pytest.mark.parametrize("word", ["DONE", "done", " Done", "d_o-n e"])
def test_the_partner_adds_words_in_any_spelling(word: str) -> None:
    assert read_status(word, {"Done": "completed"}) is EventStatus.COMPLETED


def test_the_word_of_the_partner_wins_over_ours() -> None:
    assert read_status("ok", {"OK": "completed"}) is EventStatus.COMPLETED
    assert read_status("pending", {"OK": "completed"}) is EventStatus.ACCEPTED


def test_the_list_of_words_is_a_copy() -> None:
    status_words().clear()
    assert read_status("ok") is EventStatus.ACCEPTED


@pytest.mark.parametrize(
    "more", [None, {}, {"DONE": "completed"}, {"DONE": EventStatus.FAILED, "": "unknown"}]
)
def test_words_that_can_be_added(more: Any) -> None:
    check_statuses(more)


@pytest.mark.parametrize(
    "more",
    [
        5,
        "DONE",
        [("DONE", "completed")],
        {"DONE": "finished"},
        {"DONE": None},
        {"DONE": []},
        {5: "completed"},
    ],
)
def test_words_that_cannot_be_added(more: Any) -> None:
    with pytest.raises(RuleError) as caught:
        check_statuses(more)
    assert caught.value.path == "statuses"
