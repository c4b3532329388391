"""What MosVPP leaves open is played as it is chosen, and every choice names its evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args, get_type_hints

import pytest

import verdicts
from mosvpp.times import to_wire
from mosvpp_sandbox import Choices, ManualClock, Sandbox
from mosvpp_sandbox.choices import CHOICES

from .conftest import due

NOON = datetime(2024, 1, 5, 12, 0, tzinfo=UTC)
ID = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
OTHER = "3C1E6F0A-9B52-4D7E-8A10-5F2C7D9E4B61"
BATTERY, RELAY = "20000", "21000"


class Story:
    """A sandbox that is not started, and its first site."""

    def __init__(self, **choices: Any) -> None:
        self.clock = ManualClock(NOON)
        self.vpp = Sandbox(clock=self.clock, choices=Choices(**choices))
        self.id = self.vpp.molecule_id

    def dispatch(self, event_id: str = ID, mode: str = "live", **fields: Any) -> str:
        slot = {
            "event_id": event_id,
            "start_time": to_wire(self.clock.now()),
            "end_time": to_wire(self.clock.now() + timedelta(hours=1)),
            "event_type": "discharge",
            "event_quantity": 2.0,
            "event_unit": "kW",
            "priority": 10,
            "mandatory": False,
            "cancelled": False,
            **fields,
        }
        receipt = self.vpp._world.dispatch(self.id, {"mode": mode, "event_slots": [slot]})
        return receipt["event_slots"][0]["status"]

    def command(self, scmd_id: str = OTHER, seconds: int = 600, cmd_type: str = "charge") -> dict[str, Any]:
        item = {"device_id": BATTERY, "cmd_type": cmd_type, "cmd_quantity": 1.0, "cmd_unit": "kW"}
        request = {"scmd_id": scmd_id, "scmd_secs": seconds, "scmd_devices": [item]}
        return self.vpp._world.command(self.id, request)["scmd_devices"][0]

    def power(self, **time: float) -> float:
        """What the battery gives after that time."""
        self.clock.advance(**time)
        return self.vpp.metrics()[BATTERY]["power_output"]

    def answers(self) -> list[dict[str, Any]]:
        return [one.body for one in due(self.vpp) if one.kind == "execution_response"]


def test_every_choice_is_explained_and_has_its_evidence() -> None:
    hints = get_type_hints(Choices)
    ledger = {fact["id"] for fact in verdicts.LEDGER["facts"]}
    for name, (evidence, variants) in CHOICES.items():
        assert evidence in ledger
        assert list(variants) == list(get_args(hints[name]))
        assert next(iter(variants)) == getattr(Choices(), name), "the first one is the default"
        assert all(variants.values())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ids": "numbers"}, "ids is one of values, text"),
        ({"opt_out": 1.5}, "share from 0 to 1"),
        ({"opt_out": True}, "share from 0 to 1"),
    ],
)
def test_what_is_no_variant_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Choices(**values)


def test_there_is_no_other_choice() -> None:
    with pytest.raises(ValueError, match="there is no choice 'colour'; there are after_command"):
        Choices().changed(colour="red")


# Test mode (unknown.test_mode_effect)


def test_a_test_event_is_rehearsed() -> None:
    story = Story(test_mode="rehearse")
    story.dispatch(mode="test")
    assert story.power(minutes=30) == 0
    story.clock.advance(hours=1)
    assert [body["status"] for body in story.answers()] == ["completed"]
    assert story.vpp.executions(story.id, ID) == 1


def test_a_test_event_is_only_acknowledged() -> None:
    story = Story(test_mode="acknowledge")
    assert story.dispatch(mode="test") == "accepted"
    assert story.power(hours=2) == 0
    assert story.answers() == []
    assert story.vpp.executions(story.id, ID) == 0


def test_an_acknowledged_test_event_can_still_be_updated_and_cancelled() -> None:
    story = Story(test_mode="acknowledge")
    story.dispatch(mode="test")
    assert story.dispatch(mode="test", event_quantity=3.0) == "accepted"
    assert story.dispatch(mode="test", cancelled=True) == "cancelled"
    assert story.answers() == []


def test_a_test_event_is_executed_like_a_live_one_and_competes_with_it() -> None:
    story = Story(test_mode="execute")
    story.dispatch(mode="test", priority=5)
    assert story.power(minutes=30) == 2.0
    story.dispatch(event_id=OTHER, priority=1, event_quantity=3.0)
    assert story.power(minutes=1) == 3.0
    assert [(body["mode"], body["status"]) for body in story.answers()] == [("test", "superseded")]


# A command to a device that follows an event


def test_a_command_outranks_the_event() -> None:
    story = Story(conflict="command_first")
    story.dispatch()
    assert story.command()["status"] == "accepted"
    assert story.power(minutes=5) == -1.0
    assert story.power(minutes=6) == 2.0


def test_the_event_outranks_a_command() -> None:
    story = Story(conflict="event_first")
    story.dispatch()
    assert story.command(seconds=4000)["status"] == "accepted"
    assert story.power(minutes=5) == 2.0
    assert story.power(minutes=58) == -1.0, "the event is over, the command is not"


def test_a_command_is_refused_while_an_event_uses_the_device() -> None:
    story = Story(conflict="refuse")
    story.dispatch()
    verdict = story.command()
    assert (verdict["status"], verdict["message"]) == (
        "rejected",
        f"Battery Inverter 1 follows event {ID}.",
    )
    story.clock.advance(hours=1)
    assert story.command(ID)["status"] == "accepted"


# The same scmd_id again


def test_a_repeated_command_restarts() -> None:
    story = Story(repeated_command="restart")
    story.command()
    story.clock.advance(minutes=8)
    story.command(OTHER.lower())
    assert story.power(minutes=8) == -1.0
    assert story.power(minutes=3) == 0.0
    assert story.vpp.executions(story.id, OTHER) == 2


def test_a_repeated_command_is_ignored() -> None:
    story = Story(repeated_command="ignore")
    first = story.command()
    story.clock.advance(minutes=8)
    assert story.command(OTHER.lower()) == first
    assert story.power(minutes=3) == 0.0
    assert story.vpp.executions(story.id, OTHER) == 1


# How ids are compared: unknown.id_comparison


@pytest.mark.parametrize(("ids", "executions"), [("values", 1), ("text", 2)])
def test_ids_are_compared_as_chosen_and_executions_count_the_difference(ids: Any, executions: int) -> None:
    story = Story(ids=ids)
    story.dispatch(ID, priority=9)
    story.dispatch(ID.lower(), priority=8)
    assert story.vpp.executions(story.id, ID) == story.vpp.executions(story.id, ID.lower()) == executions


# After scmd_secs (unknown.after_scmd_secs)


@pytest.mark.parametrize(("after", "power"), [("normal", 0.0), ("hold", -1.0)])
def test_after_its_time_a_command_is_over_or_holds(after: Any, power: float) -> None:
    story = Story(after_command=after)
    story.command()
    assert story.power(minutes=5) == -1.0
    assert story.power(minutes=30) == power


def test_what_holds_ends_with_the_next_command() -> None:
    story = Story(after_command="hold")
    story.command()
    story.clock.advance(minutes=30)
    story.command(ID, cmd_type="restore")
    assert story.power(minutes=1) == 0.0


# Opting out (dispatch.mandatory)


def test_a_household_declines_what_is_not_mandatory() -> None:
    story = Story(opt_out=1.0)
    story.dispatch()
    story.dispatch(OTHER, mandatory=True, priority=50)
    assert story.power(minutes=1) == 2.0
    (declined,) = story.answers()
    assert (declined["status"], declined["event_slots"][0]["event_id"]) == ("opted_out", ID)
    assert (story.vpp.executions(story.id, ID), story.vpp.executions(story.id, OTHER)) == (0, 1)


def test_the_share_that_declines_is_about_the_one_that_was_asked_for() -> None:
    story = Story(opt_out=0.3)
    ids = [f"{number:08X}{ID[8:]}" for number in range(400)]
    for event_id in ids:
        story.dispatch(event_id)
    declined = sum(body["status"] == "opted_out" for body in story.answers())
    assert 80 < declined < 160


# Changing them


def test_choices_may_be_changed_on_the_way() -> None:
    story = Story()
    story.command()
    story.vpp.choices = story.vpp.choices.changed(repeated_command="ignore")
    assert story.command()["status"] == "accepted"
    assert story.vpp.choices.repeated_command == "ignore"
