"""A site through time: events and commands act on the devices, and what is delivered is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import verdicts
from mosvpp.times import to_wire
from mosvpp_sandbox.site import Delivery, Site
from mosvpp_sandbox.site_specs import sample_site

MIDNIGHT = datetime(2024, 1, 5, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ID = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
OTHER = "3C1E6F0A-9B52-4D7E-8A10-5F2C7D9E4B61"
BATTERY, RELAY, METER, PV, ROOM = "20000", "21000", "22000", "23000", "24000"


def approx(value: float) -> Any:
    return pytest.approx(value, rel=1e-6)


class Story:
    """A site, and what it has sent so far; times are hours after midnight."""

    def __init__(self, seed: int = 0, push_every: timedelta = 24 * HOUR) -> None:
        self.site = Site("site", sample_site().plant(MIDNIGHT, seed), at=MIDNIGHT, push_every=push_every)
        self.sent: list[Delivery] = []
        self.commands = 0
        self.now = MIDNIGHT

    def until(self, hours: float) -> Story:
        self.now = MIDNIGHT + hours * HOUR
        self.site.advance(self.now)
        self.sent += self.site.take_deliveries()
        return self

    def dispatch(self, mode: str = "live", **fields: Any) -> dict[str, Any]:
        """One event, from 1 to 2 o'clock unless `start` and `end` (hours) are given; its verdict."""
        start, end = fields.pop("start", 1), fields.pop("end", 2)
        slot = {
            "event_id": ID,
            "start_time": to_wire(MIDNIGHT + start * HOUR),
            "end_time": to_wire(MIDNIGHT + end * HOUR),
            "event_type": "discharge",
            "event_quantity": 2.0,
            "event_unit": "kW",
            "priority": 10,
            "mandatory": False,
            "cancelled": False,
            **fields,
        }
        receipt = self.site.dispatch({"mode": mode, "event_slots": [slot]}, self.now)
        self.sent += self.site.take_deliveries()
        return receipt["event_slots"][0]

    def command(
        self, device_id: str, cmd_type: str, seconds: int = 900, scmd_id: str | None = None, **fields: Any
    ) -> dict[str, Any]:
        """A command to one device, with an id of its own unless one is given; its verdict."""
        item = {"device_id": device_id, "cmd_type": cmd_type, **fields}
        self.commands += 1
        request = {
            "scmd_id": scmd_id or f"{self.commands:08X}{ID[8:]}",
            "scmd_secs": seconds,
            "scmd_devices": [item],
        }
        receipt = self.site.command(request, self.now)
        self.sent += self.site.take_deliveries()
        return receipt["scmd_devices"][0]

    def results(self) -> list[dict[str, Any]]:
        bodies = [one.body for one in self.sent if one.kind == "execution_response"]
        assert all(len(body["event_slots"]) == 1 for body in bodies)
        return [{"mode": body["mode"], **body["event_slots"][0]} for body in bodies]

    def output(self, device_id: str) -> float:
        return self.site.plant.devices[device_id].output_kw

    def stored(self) -> float:
        return self.site.plant.devices[BATTERY].stored_kwh


# Events


def test_an_event_moves_the_battery_and_is_answered_with_what_was_delivered() -> None:
    story = Story()
    stored = story.stored()
    assert story.dispatch()["status"] == "accepted"
    story.until(1.5)
    assert story.output(BATTERY) == approx(2.0)
    assert story.results() == []
    story.until(2)
    assert story.results() == [
        {
            "mode": "live",
            "event_id": ID,
            "status": "completed",
            "message": "2 kW of 2 kW on average.",
            "start_time": "2024-01-05T01:00:00Z",
            "end_time": "2024-01-05T02:00:00Z",
            "executed_quantity": 2.0,
            "event_unit": "kW",
            "devices": [{"device_id": BATTERY, "executed_quantity": 2.0, "event_unit": "kW"}],
        }
    ]
    assert stored - story.stored() == approx(2.0 / 0.95)
    assert story.until(3).output(BATTERY) == 0


@pytest.mark.parametrize(("unit", "quantity"), [("w", 2000), ("kW", 2.0), ("MW", 0.002)])
def test_the_answer_is_in_the_unit_of_the_request(unit, quantity) -> None:
    story = Story()
    story.dispatch(event_quantity=quantity, event_unit=unit, event_type="charge")
    (result,) = story.until(2).results()
    assert (result["executed_quantity"], result["event_unit"]) == (quantity, unit)


def test_more_than_the_inverter_can_is_partially_completed() -> None:
    story = Story()
    story.dispatch(event_quantity=8)
    (result,) = story.until(2).results()
    assert (result["status"], result["executed_quantity"]) == ("partially_completed", 5.0)


def test_a_full_battery_fails_to_charge() -> None:
    story = Story()
    story.site.plant.devices[BATTERY].stored_kwh = 13.5
    story.dispatch(event_type="charge")
    (result,) = story.until(2).results()
    assert (result["status"], result["executed_quantity"]) == ("failed", 0.0)


def test_a_battery_that_runs_empty_delivers_what_it_has() -> None:
    """11.1375 - 1.35 = 9.7875 kWh, at 95 %, over three hours."""
    story = Story()
    story.dispatch(event_quantity=5, end=4)
    (result,) = story.until(4).results()
    assert result["executed_quantity"] == approx(9.7875 * 0.95 / 3)


def test_the_same_power_for_a_second_is_the_same_average() -> None:
    story = Story()
    story.dispatch(end=1 + 1 / 3600)
    (result,) = story.until(2).results()
    assert result["executed_quantity"] == approx(2.0)


def test_an_event_that_is_late_runs_for_the_rest() -> None:
    story = Story().until(1.25)
    story.dispatch()
    (result,) = story.until(2).results()
    assert (result["start_time"], result["executed_quantity"]) == ("2024-01-05T01:15:00Z", approx(2.0))


def test_shedding_reduces_the_heating_and_the_room_cools() -> None:
    story = Story().until(0.9)
    before, drawn = story.site.plant.devices[ROOM].temperature_c, -story.output(ROOM)
    story.dispatch(event_type="shed", event_quantity=0.5)
    story.until(1.5)
    assert story.output(ROOM) == pytest.approx(-(drawn - 0.5), abs=0.02)
    (result,) = story.until(2).results()
    assert result["executed_quantity"] == approx(0.5)
    assert story.site.plant.devices[ROOM].temperature_c < before - 0.3


def test_shedding_much_opens_the_relay() -> None:
    story = Story()
    story.dispatch(event_type="shed", event_quantity=1.9)
    assert story.until(1.5).site.plant.metrics()[RELAY]["relay_state"] == "open"
    (result,) = story.until(2).results()
    assert {device["device_id"] for device in result["devices"]} == {RELAY, ROOM}
    assert result["executed_quantity"] == approx(
        sum(device["executed_quantity"] for device in result["devices"])
    )
    assert story.site.plant.metrics()[RELAY] == {
        "relay_state": "closed",
        "last_switch_time": "2024-01-05T02:00:00Z",
    }


def test_an_update_of_a_running_shed_still_counts_against_what_was_drawn_before() -> None:
    story = Story()
    story.dispatch(event_type="shed", event_quantity=0.6)
    story.until(1.5)
    story.dispatch(event_type="shed", event_quantity=0.2)
    (result,) = story.until(2).results()
    assert result["executed_quantity"] == approx(0.4)


def test_an_update_of_a_running_event_takes_effect_at_once() -> None:
    """2 kW for a quarter of an hour, then 4 kW: 3.5 kW on average of the 4 that are asked for in the end."""
    story = Story()
    story.dispatch()
    story.until(1.25)
    story.dispatch(event_quantity=4.0)
    (result,) = story.until(2).results()
    assert (result["status"], result["executed_quantity"]) == ("partially_completed", approx(3.5))


def test_restore_lets_the_site_work_normally_and_outranks_what_is_less_urgent() -> None:
    story = Story()
    story.dispatch(event_id=OTHER, end=4, priority=50)
    story.dispatch(event_type="restore", event_quantity=0, start=2, end=3, priority=1)
    assert story.until(1.5).output(BATTERY) == approx(2.0)
    assert story.until(2.5).output(BATTERY) == 0
    superseded, restored = story.until(4).results()
    assert (superseded["status"], superseded["executed_quantity"]) == ("superseded", approx(2.0))
    assert superseded["end_time"] == "2024-01-05T02:00:00Z"
    assert (restored["status"], restored["executed_quantity"], restored["devices"]) == ("completed", 0.0, [])


def test_an_event_that_never_began_tells_no_quantity() -> None:
    story = Story()
    story.dispatch(priority=50)
    story.dispatch(event_id=OTHER, priority=1)
    superseded, completed = story.until(2).results()
    assert set(superseded) == {"mode", "event_id", "status", "message"}
    assert (superseded["event_id"], superseded["status"]) == (ID, "superseded")
    assert completed["status"] == "completed"


def test_cancelling_a_running_event_stops_the_battery_and_is_answered() -> None:
    story = Story()
    story.dispatch()
    story.until(1.25)
    assert story.dispatch(cancelled=True)["status"] == "cancelled"
    (result,) = story.results()
    assert (result["status"], result["end_time"]) == ("cancelled", "2024-01-05T01:15:00Z")
    assert result["executed_quantity"] == approx(2.0)
    stored = story.stored()
    assert story.until(2).stored() == stored
    assert len(story.results()) == 1


def test_an_event_that_is_cancelled_in_time_is_never_heard_of_again() -> None:
    story = Story()
    story.dispatch()
    assert story.dispatch(cancelled=True)["status"] == "cancelled"
    assert story.until(5).results() == []


def test_a_test_event_is_answered_and_moves_nothing() -> None:
    """Our choice: unknown.test_mode_effect."""
    story, undisturbed = Story(), Story().until(2)
    story.dispatch("test")
    story.until(1.5)
    assert story.output(BATTERY) == 0
    (result,) = story.until(2).results()
    assert (result["mode"], result["status"], result["executed_quantity"]) == ("test", "completed", 2.0)
    assert story.site.plant.metrics() == undisturbed.site.plant.metrics()


def test_test_and_live_do_not_know_each_other() -> None:
    story = Story()
    story.dispatch("test", event_quantity=1.0)
    story.dispatch("live", event_quantity=3.0)
    story.dispatch("test", event_id=OTHER, event_quantity=4.0, start=2, end=3)
    results = story.until(3).results()
    assert [(one["mode"], one["executed_quantity"]) for one in results] == [
        ("live", 3.0),
        ("test", 1.0),
        ("test", 4.0),
    ]


def test_test_events_back_to_back_go_on_with_the_same_rehearsal() -> None:
    """5 kW for two hours is more than the battery holds; the second hour finds it emptier."""
    story = Story()
    story.dispatch("test", event_quantity=5)
    story.dispatch("test", event_id=OTHER, event_quantity=5, start=2, end=3)
    first, second = story.until(3).results()
    assert first["executed_quantity"] == 5.0
    assert second["executed_quantity"] == approx(9.7875 * 0.95 - 5)


# Commands


@pytest.mark.parametrize(
    ("device_id", "cmd_type", "said"),
    [
        ("99999", "on", "no such device"),
        (METER, "off", "Grid Meter obeys no command"),
        (BATTERY, "off", "Battery Inverter 1 cannot off"),
        (RELAY, "charge", "Main Relay cannot charge"),
        (PV, "shed", "Roof Inverter cannot shed"),
    ],
)
def test_a_device_is_not_asked_for_what_it_cannot_do(device_id, cmd_type, said) -> None:
    verdict = Story().command(device_id, cmd_type, cmd_quantity=1, cmd_unit="kW")
    assert verdict["status"] == "rejected"
    assert said in verdict["message"]


def test_a_command_holds_for_its_seconds_and_then_the_device_is_back_to_normal() -> None:
    """Our choice: unknown.after_scmd_secs."""
    story = Story()
    assert story.command(BATTERY, "charge", cmd_quantity=1500, cmd_unit="w")["status"] == "accepted"
    story.until(0.25)
    assert story.output(BATTERY) == approx(-1.5)
    assert story.until(0.5).output(BATTERY) == 0
    assert story.stored() == approx(13.5 * 0.825 + 1.5 * 0.25 * 0.95)


def test_switching_off_and_on() -> None:
    story = Story().until(12)
    for device_id in (RELAY, PV, ROOM):
        story.command(device_id, "off")
    story.until(12.1)
    assert [story.output(device_id) for device_id in (RELAY, PV, ROOM)] == [0, 0, 0]
    for device_id in (RELAY, PV, ROOM):
        story.command(device_id, "on")
    story.until(12.2)
    assert all(story.output(device_id) for device_id in (RELAY, PV, ROOM))


def test_a_thermostat_sheds_against_what_it_draws_now() -> None:
    story = Story().until(1)
    drawn = -story.output(ROOM)
    story.command(ROOM, "shed", cmd_quantity=0.3, cmd_unit="kW")
    assert -story.until(1.2).output(ROOM) == approx(drawn - 0.3)
    story.command(ROOM, "shed", cmd_quantity=9, cmd_unit="MW")
    assert story.until(1.3).output(ROOM) == 0


@pytest.mark.parametrize("device_id", [BATTERY, RELAY, PV, ROOM])
def test_restore_ends_a_command_early(device_id) -> None:
    story, undisturbed = Story().until(12), Story().until(12.2)
    story.command(device_id, "charge" if device_id == BATTERY else "off", cmd_quantity=1, cmd_unit="kW")
    story.until(12.1)
    assert "back to normal" in story.command(device_id, "restore")["message"]
    story.until(12.2)
    assert story.output(device_id) == pytest.approx(undisturbed.output(device_id), abs=0.1)


def test_a_command_outranks_an_event_at_its_device_for_its_time() -> None:
    """Half an hour of charging with 1 kW leaves half an hour of the 2 kW that were asked for."""
    story = Story()
    story.dispatch()
    story.until(1)
    story.command(BATTERY, "charge", seconds=1800, cmd_quantity=1, cmd_unit="kW")
    assert story.until(1.4).output(BATTERY) == approx(-1.0)
    assert story.until(1.9).output(BATTERY) == approx(2.0)
    (result,) = story.until(2).results()
    assert (result["status"], result["executed_quantity"]) == ("partially_completed", approx(1.0))


def test_a_command_holds_in_a_rehearsal_too() -> None:
    story = Story()
    story.dispatch("test")
    story.command(BATTERY, "charge", seconds=7200, cmd_quantity=1, cmd_unit="kW")
    (result,) = story.until(2).results()
    assert (result["mode"], result["status"]) == ("test", "failed")


def test_a_command_for_ever_is_no_trouble() -> None:
    story = Story()
    story.command(RELAY, "off", seconds=10**40)
    assert story.until(48).output(RELAY) == 0


# Telling


def test_the_metrics_are_told_at_regular_times() -> None:
    story = Story(push_every=timedelta(minutes=10)).until(2)
    pushes = [one for one in story.sent if one.kind == "data_push"]
    assert [one.at for one in pushes] == [MIDNIGHT + (count + 1) * 10 * MINUTE for count in range(12)]
    for push in pushes:
        assert not verdicts.errors("asyncapi.yaml#/components/schemas/DataPushPayload", push.body)
        assert push.body["timestamp"] == to_wire(push.at)
        assert [device["device_id"] for device in push.body["devices"]] == [BATTERY, RELAY, METER, PV, ROOM]
    metrics = {device["device_id"]: device["metrics"] for device in pushes[0].body["devices"]}
    assert set(metrics[BATTERY]) == {"state_of_charge", "power_output", "temperature"}
    assert set(metrics[RELAY]) == {"relay_state", "last_switch_time"}
    assert {"voltage", "frequency"} <= set(metrics[METER])


def test_what_is_told_shows_what_happened() -> None:
    story = Story(push_every=timedelta(minutes=30))
    story.dispatch(event_quantity=5)
    story.until(3)
    charges = [
        device["metrics"]["state_of_charge"]
        for push in story.sent
        if push.kind == "data_push"
        for device in push.body["devices"]
        if device["device_id"] == BATTERY
    ]
    half_an_hour = 100 * 2.5 / 0.95 / 13.5
    expected = [82.5, 82.5, 82.5 - half_an_hour, 82.5 - 2 * half_an_hour, *[82.5 - 2 * half_an_hour] * 2]
    assert charges == pytest.approx(expected, abs=0.01)


def test_execution_responses_follow_the_specification() -> None:
    story = Story()
    story.dispatch()
    story.dispatch("test", event_type="shed")
    story.dispatch(event_id=OTHER, priority=99)
    story.until(2)
    assert len(story.sent) == 3
    for one in story.sent:
        assert not verdicts.errors("asyncapi.yaml#/components/schemas/ExecutionResponsePayload", one.body)


def test_pushes_are_at_least_a_second_apart() -> None:
    with pytest.raises(ValueError, match="at least a simulated second apart"):
        Story(push_every=timedelta(milliseconds=999))


def test_asking_for_the_metrics_changes_nothing() -> None:
    story, unasked = Story(), Story()
    for one in (story, unasked):
        one.dispatch()
    for seconds in range(1, 7000, 37):
        now = MIDNIGHT + timedelta(seconds=seconds)
        story.site.advance(now)
        told = story.site.metrics(now)
        assert set(told) == {BATTERY, RELAY, METER, PV, ROOM}
    assert story.until(3).results() == unasked.until(3).results()
    assert story.site.plant.metrics() == unasked.site.plant.metrics()


def test_the_metrics_of_this_moment_are_newer_than_the_last_full_minute() -> None:
    story = Story()
    story.dispatch(start=0)
    now = MIDNIGHT + timedelta(seconds=30)
    story.site.advance(now)
    assert story.site.metrics(now)[BATTERY]["state_of_charge"] == pytest.approx(
        82.5 - 100 * (2 / 120) / 0.95 / 13.5, abs=0.006
    )


# The same requests at the same times give the same history, however time is advanced

REQUESTS = [
    (0.1, lambda story: story.dispatch(event_quantity=5, end=3)),
    (0.5, lambda story: story.command(RELAY, "off")),
    (1.21, lambda story: story.dispatch("test", event_id=OTHER, event_type="shed", start=1.3, end=2.77)),
    (1.75, lambda story: story.command(BATTERY, "charge", 301, cmd_quantity=2.2, cmd_unit="kW")),
    (2.5, lambda story: story.dispatch(event_quantity=1, end=3.1)),
    (4.9, lambda story: story.dispatch(event_id=OTHER, start=4, end=6)),
]


def history(seed: int, stops: list[float]) -> tuple[list[Delivery], Any]:
    story = Story(seed, push_every=timedelta(seconds=97))
    times = sorted({*stops, *(at for at, _ in REQUESTS)})
    for at in [*times, 8.0]:
        story.until(at)
        for due, request in REQUESTS:
            if due == at:
                request(story)
    return story.sent, story.site.plant.metrics()


uncut = cache(lambda seed: history(seed, []))


@settings(max_examples=settings().max_examples // 4)
@given(st.integers(0, 2), st.lists(st.floats(0, 8), max_size=30))
def test_a_history_does_not_depend_on_how_time_is_cut(seed: int, stops: list[float]) -> None:
    assert history(seed, stops) == uncut(seed)


def test_another_seed_is_another_history() -> None:
    assert all(one != other for one, other in pairwise(map(uncut, range(3))))


# Time in which nobody was there


def test_a_long_absence_is_made_up_for_in_few_steps_and_without_pushes() -> None:
    """Three days: the event that fell into them ran, the meter counted, and what is told begins anew."""
    story = Story(push_every=MINUTE)
    story.dispatch(start=30.5, end=32)
    plant, steps = story.site.plant, 0
    step = plant.step

    def counted(begin: datetime, seconds: float) -> None:
        nonlocal steps
        steps += 1
        step(begin, seconds)

    plant.step = counted
    story.site.hurry(MIDNIGHT + 3 * 24 * HOUR)
    story.until(3 * 24)
    (result,) = story.results()
    assert (result["status"], result["executed_quantity"]) == ("completed", approx(2.0))
    assert len(story.sent) == 2, "the response, and the push of the present"
    assert steps < 3 * 24 * 4 + 70
    usual = Story().until(3 * 24).site.plant.devices[METER].imported_kwh - 3.0  # which the battery gave
    assert plant.devices[METER].imported_kwh == pytest.approx(usual, rel=0.02)
    before = len(story.sent)
    story.until(3 * 24 + 1)
    assert len(story.sent) == before + 60
