"""What the guide prints is what the code says."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import verdicts
from mosvpp_sandbox import tables
from mosvpp_sandbox.events import Event
from mosvpp_sandbox.faults import CALL_FAULTS, PUSH_FAULTS
from mosvpp_sandbox.physics.kinds import KINDS
from mosvpp_sandbox.states import TRANSITIONS, State, may_become

GUIDE = (Path(__file__).parents[2] / "spec" / "docs" / "guides" / "sandbox.md").read_text("utf-8")


@pytest.mark.parametrize(
    "table",
    [
        tables.states(),
        tables.choices(),
        tables.profiles(),
        tables.faults(CALL_FAULTS),
        tables.faults(PUSH_FAULTS),
    ],
    ids=["states", "choices", "profiles", "faults of calls", "faults of pushes"],
)
def test_the_guide_prints_the_tables_of_the_code(table: str) -> None:
    assert table in GUIDE, "python -m mosvpp_sandbox.tables writes them"


def test_the_guide_names_every_kind_and_no_evidence_that_is_none() -> None:
    assert ", ".join(f"`{kind}`" for kind in KINDS) in re.sub(r",\n", ", ", GUIDE)
    ledger = {fact["id"] for fact in verdicts.LEDGER["facts"]}
    sections = {name.partition(".")[0] for name in ledger}
    named = {
        name for name in re.findall(r"`([a-z]+\.[a-z0-9_]+)`", GUIDE) if name.partition(".")[0] in sections
    }
    assert len(named) > 10
    assert named <= ledger


def test_the_table_of_states_is_the_only_way() -> None:
    steps = {(one.source, one.target) for one in TRANSITIONS}
    assert len(steps) == len(TRANSITIONS), "no step stands in it twice"
    for source in (None, *State):
        for target in State:
            if (source, target) in steps:
                assert may_become(source, target).target is target
            else:
                with pytest.raises(LookupError, match="no event goes from"):
                    may_become(source, target)


def test_every_state_is_reached_and_what_has_ended_stays_so() -> None:
    assert {one.target for one in TRANSITIONS} == set(State)
    assert {one.source for one in TRANSITIONS} == {None, State.ACCEPTED, State.IN_PROGRESS}
    assert all(not one.is_told or not one.target.is_open for one in TRANSITIONS)


def test_no_event_leaves_the_table() -> None:
    now = datetime(2024, 1, 5, tzinfo=UTC)
    event = Event("a", "live", "charge", 1.0, "kW", now, now, 1, False, 1, now)
    event.go(State.ACCEPTED, now, "")
    with pytest.raises(LookupError, match="no event goes from accepted to completed"):
        event.go(State.COMPLETED, now, "")
