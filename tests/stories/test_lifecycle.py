"""The six steps of the lifecycle, and what may go another way, over real HTTP with either client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest

from mosvpp import (
    AsyncClient,
    Client,
    DataPush,
    DeviceType,
    DispatchReceipt,
    EventStatus,
    ExecutionReport,
    Outcome,
    charge,
    commands,
    discharge,
    kW,
    shed,
    w,
    webhooks,
)
from mosvpp.errors import AuthenticationError, RejectedError, RuleError
from mosvpp.signatures import SharedHeaders
from mosvpp_sandbox import ManualClock, Sandbox
from receiving import Receiver

EVENING = datetime(2024, 1, 5, 18, 0, tzinfo=UTC)
MINUTES = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DATA, EXECUTION = "/webhooks/data", "/webhooks/execution"
SECRETS = {"X-API-Key": "partner-secret", "X-Site-Group": "north"}


class Awaited:
    """An `AsyncClient` whose calls are awaited one by one: a story reads the same for both clients."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*arguments, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *arguments, **options: self._runner.run(method(*arguments, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


class Setting:
    """A partner with a client and two endpoints, the sandbox, and a clock that is moved by hand."""

    def __init__(self, make_client: Any, stack: ExitStack) -> None:
        self.clock = ManualClock(EVENING)
        self.receiver = stack.enter_context(Receiver())
        self.vpp = stack.enter_context(
            Sandbox(
                api_key="molecule-key",
                data_push_url=self.receiver.url + DATA,
                execution_response_url=self.receiver.url + EXECUTION,
                headers=SECRETS,
                clock=self.clock,
                push_every=15 * MINUTES,
            )
        )
        self.site = self.vpp.molecule_id
        self.make_client = lambda key="molecule-key", **options: stack.enter_context(
            make_client(key, base_url=self.vpp.url, **{"allow_live": True, **options})
        )
        self.client = self.make_client()

    def wait(self, time: timedelta) -> None:
        self.clock.advance(time)
        self.vpp.flush()

    def pushes(self) -> list[DataPush]:
        verifier = SharedHeaders(SECRETS)
        read = [
            webhooks.parse(one.body, one.headers, verifier=verifier, expect="data_push")
            for one in self.receiver.at(DATA)
        ]
        assert all(isinstance(push, DataPush) for push in read)
        return read

    def reports(self) -> list[ExecutionReport]:
        verifier = SharedHeaders(SECRETS)
        read = [
            webhooks.parse(one.body, one.headers, verifier=verifier, expect="execution_response")
            for one in self.receiver.at(EXECUTION)
        ]
        assert all(isinstance(report, ExecutionReport) for report in read)
        return read


@pytest.fixture(params=[Client, Awaited], ids=["Client", "AsyncClient"])
def story(request: pytest.FixtureRequest) -> Iterator[Setting]:
    with ExitStack() as stack:
        yield Setting(request.param, stack)


def test_the_six_steps(story: Setting) -> None:
    client, site = story.client, story.site

    # 1. Device synchronization
    devices = client.sync_devices(site)
    battery = next(device for device in devices if device.device_type is DeviceType.BATTERY_INVERTER)
    relay = next(device for device in devices if device.device_type is DeviceType.ON_OFF_SWITCH)
    assert battery.can("discharge")

    # 2. Dispatch request, 3. Receipt
    slot = discharge(4 * kW, start=EVENING + 15 * MINUTES, duration=HOUR, priority=10)
    receipt = client.submit_dispatch(site, slot, mode="live")
    assert receipt.outcome is Outcome.ACCEPTED
    assert receipt.item(slot.event_id).status is EventStatus.ACCEPTED

    # 4. Execution response, once the event is over and not before
    story.wait(74 * MINUTES)
    assert story.reports() == []
    story.wait(1 * MINUTES)
    (report,) = story.reports()
    result = report.result(slot.event_id)
    assert result.status is EventStatus.COMPLETED
    assert result.executed_power == 4 * kW
    assert (result.started_at, result.ended_at) == (slot.start, slot.end)
    assert [device.device_id for device in result.devices] == [battery.device_id]

    # 5. Real-time data push: the battery tells the same story, 4 kWh at 95 % from a store of 13.5 kWh
    pushes = story.pushes()
    assert [push.timestamp for push in pushes] == [EVENING + count * 15 * MINUTES for count in range(1, 6)]
    charges = [push.metric(battery.device_id, "state_of_charge") for push in pushes]
    assert charges == pytest.approx([82.5 - part * 100 * 4 / 0.95 / 13.5 / 4 for part in range(5)], abs=0.01)

    # 6. Site command, which only the telemetry confirms
    orders = [commands.turn_off(relay.device_id), commands.charge(battery.device_id, 1500 * w)]
    answer = client.submit_site_command(site, orders, duration=20 * MINUTES)
    assert answer.is_accepted
    story.wait(15 * MINUTES)
    assert story.pushes()[-1].metric(relay.device_id, "relay_state") == "open"
    assert story.pushes()[-1].metric(battery.device_id, "power_output") == -1.5
    story.wait(15 * MINUTES)
    assert story.pushes()[-1].metric(relay.device_id, "relay_state") == "closed"
    assert story.pushes()[-1].metric(battery.device_id, "power_output") == 0


def test_a_test_dispatch_is_rehearsed_and_moves_nothing(story: Setting) -> None:
    slot = discharge(4 * kW, start=EVENING, duration=HOUR, priority=10)
    story.client.submit_dispatch(story.site, slot, mode="test")
    story.wait(HOUR)
    (report,) = story.reports()
    assert report.mode == "test"
    assert report.result(slot.event_id).executed_power == 4 * kW
    assert {push.metric("20000", "state_of_charge") for push in story.pushes()} == {82.5}


def test_a_receipt_from_a_file_stops_the_event_at_night(story: Setting) -> None:
    slot = discharge(2 * kW, start=EVENING, duration=9 * HOUR, priority=10)
    saved = story.client.submit_dispatch(story.site, slot, mode="live").to_json()
    story.wait(3 * HOUR)
    other_client = story.make_client()
    answer = other_client.cancel_dispatch(DispatchReceipt.from_json(saved))
    assert answer.is_accepted
    assert answer.item(slot.event_id).status is EventStatus.CANCELLED
    story.wait(HOUR)
    (report,) = story.reports()
    result = report.result(slot.event_id)
    assert (result.status, result.ended_at) == (EventStatus.CANCELLED, EVENING + 3 * HOUR)
    assert story.pushes()[-1].metric("20000", "power_output") == 0


def test_an_event_is_changed_on_its_way(story: Setting) -> None:
    """Two hours of 1 kW become one hour of 1 kW and one of 3."""
    slot = charge(1 * kW, start=EVENING, duration=2 * HOUR, priority=10)
    story.client.submit_dispatch(story.site, slot, mode="live")
    story.wait(HOUR)
    story.client.submit_dispatch(story.site, slot.replace(power=3 * kW), mode="live")
    assert story.vpp.metrics()["20000"]["state_of_charge"] == pytest.approx(82.5 + 95 / 13.5, abs=0.01)
    story.wait(HOUR)
    (report,) = story.reports()
    assert report.result(slot.event_id).status is EventStatus.PARTIALLY_COMPLETED


def test_the_more_urgent_event_wins(story: Setting) -> None:
    usual = shed(0.3 * kW, start=EVENING, duration=2 * HOUR, priority=50)
    urgent = discharge(5 * kW, start=EVENING + HOUR, duration=HOUR, priority=1, mandatory=True)
    receipt = story.client.submit_dispatch(story.site, [usual, urgent], mode="live")
    assert [item.outcome for item in receipt.items] == [Outcome.ACCEPTED] * 2
    story.wait(2 * HOUR)
    superseded, completed = story.reports()
    assert superseded.result(usual.event_id).status is EventStatus.SUPERSEDED
    assert superseded.result(usual.event_id).ended_at == urgent.start
    assert completed.result(urgent.event_id).executed_power == 5 * kW


def test_more_than_the_site_can_do_is_told_as_such(story: Setting) -> None:
    slot = discharge(50 * kW, start=EVENING, duration=HOUR, priority=10)
    story.client.submit_dispatch(story.site, slot, mode="live")
    story.wait(HOUR)
    (report,) = story.reports()
    result = report.result(slot.event_id)
    assert (result.status, result.executed_power) == (EventStatus.PARTIALLY_COMPLETED, 5 * kW)


def test_an_event_that_is_over_is_rejected(story: Setting) -> None:
    slot = discharge(5 * kW, start=EVENING - 2 * HOUR, duration=HOUR, priority=10)
    with pytest.raises(RejectedError) as caught:
        story.client.submit_dispatch(story.site, slot, mode="live")
    assert caught.value.receipt is not None
    assert "already ended" in (caught.value.receipt.item(slot.event_id).message or "")


def test_a_device_that_cannot_obey_is_told_apart_from_one_that_can(story: Setting) -> None:
    orders = [commands.turn_off("21000"), commands.turn_off("22000")]
    receipt = story.client.submit_site_command(story.site, orders, duration=HOUR)
    assert receipt.outcome is Outcome.PARTIALLY_ACCEPTED
    assert receipt.item("22000").outcome is Outcome.REJECTED


def test_a_wrong_key_and_a_wrong_site_are_refused(story: Setting) -> None:
    with pytest.raises(RejectedError) as unauthorized:
        story.make_client("stolen").sync_devices(story.site)
    with pytest.raises(RejectedError) as unknown:
        story.client.sync_devices("0000000000000000")
    assert (unauthorized.value.status, unknown.value.status) == (401, 404)


def test_an_unarmed_client_moves_nothing(story: Setting) -> None:
    careful = story.make_client(allow_live=False)
    slot = discharge(5 * kW, start=EVENING, duration=HOUR, priority=10)
    with pytest.raises(RuleError):
        careful.submit_dispatch(story.site, slot, mode="live")
    with pytest.raises(RuleError):
        careful.submit_site_command(story.site, commands.turn_off("21000"), duration=HOUR)
    assert story.vpp.answered == ()


def test_somebody_who_only_pretends_to_be_molecule_is_not_believed(story: Setting) -> None:
    story.wait(15 * MINUTES)
    (genuine,) = story.receiver.at(DATA)
    forged = {**dict(genuine.headers), "X-API-Key": "guessed"}
    with pytest.raises(AuthenticationError):
        webhooks.parse(genuine.body, forged, verifier=SharedHeaders(SECRETS))


def test_time_may_run_by_itself() -> None:
    """The whole way once more, at 3,600 times the speed of life and with no hand on the clock."""
    with (
        Receiver() as receiver,
        Sandbox(
            speed=3600,
            data_push_url=receiver.url + DATA,
            execution_response_url=receiver.url + EXECUTION,
            headers=SECRETS,
        ) as vpp,
        Client(vpp.api_key, base_url=vpp.url, allow_live=True) as client,
    ):
        slot = discharge(5 * kW, start=vpp.now() + 20 * MINUTES, duration=HOUR, priority=10)
        assert client.submit_dispatch(vpp.molecule_id, slot, mode="live").is_accepted
        (received,) = receiver.wait(EXECUTION)
        report = webhooks.parse(
            received.body,
            received.headers,
            verifier=SharedHeaders(SECRETS),
            expect="execution_response",
        )
        assert isinstance(report, ExecutionReport)
        assert report.result(slot.event_id).status is EventStatus.COMPLETED
        assert receiver.wait(DATA)
