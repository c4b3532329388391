"""One dispatch, its report and a refusal in every shape that MosVPP may have, with either client."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from mosvpp import AsyncClient, Certainty, Client, EventStatus, Outcome, commands, discharge, kW, webhooks
from mosvpp.errors import RejectedError
from mosvpp.events import DataPush, ExecutionReport, UnknownDelivery
from mosvpp.signatures import SharedHeaders
from mosvpp_sandbox import ManualClock, Sandbox
from mosvpp_sandbox.profiles import PROFILES
from receiving import Receiver

EVENING = datetime(2024, 1, 5, 18, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRETS = {"X-API-Key": "partner-secret"}


class Expected(NamedTuple):
    """What the SDK makes of the shapes: the receipts' outcome and certainty, whether a report can be read."""

    outcome: Outcome = Outcome.ACCEPTED
    certainty: Certainty = Certainty.PER_ITEM
    is_report: bool = True


EXPECTED = {
    "inferred": Expected(),
    "flat": Expected(certainty=Certainty.ENVELOPE),
    "http_only": Expected(Outcome.UNKNOWN, Certainty.HTTP_STATUS_ONLY),
    "aspnet_problem": Expected(),
    "camel_case": Expected(),
    "nested": Expected(Outcome.UNKNOWN, Certainty.HTTP_STATUS_ONLY, is_report=False),
    "html_errors": Expected(),
}


def test_nothing_is_left_out() -> None:
    assert set(EXPECTED) == set(PROFILES)


def seen_by_client(vpp: Sandbox, slot: Any) -> tuple[Any, Any, RejectedError, int]:
    """The two receipts, a refusal, and how many devices there are."""
    with Client(vpp.api_key, base_url=vpp.url, allow_live=True) as client:
        devices = client.sync_devices(vpp.molecule_id)
        receipt = client.submit_dispatch(vpp.molecule_id, slot, mode="live")
        order = commands.turn_off("21000")
        command = client.submit_site_command(vpp.molecule_id, order, duration=HOUR)
        with pytest.raises(RejectedError) as refused:
            client.sync_devices("nowhere")
    return receipt, command, refused.value, len(devices)


def seen_by_async_client(vpp: Sandbox, slot: Any) -> tuple[Any, Any, RejectedError, int]:
    async def ask() -> tuple[Any, Any, RejectedError, int]:
        async with AsyncClient(vpp.api_key, base_url=vpp.url, allow_live=True) as client:
            devices = await client.sync_devices(vpp.molecule_id)
            receipt = await client.submit_dispatch(vpp.molecule_id, slot, mode="live")
            order = commands.turn_off("21000")
            command = await client.submit_site_command(vpp.molecule_id, order, duration=HOUR)
            with pytest.raises(RejectedError) as refused:
                await client.sync_devices("nowhere")
        return receipt, command, refused.value, len(devices)

    return asyncio.run(ask())


@pytest.mark.parametrize("seen", [seen_by_client, seen_by_async_client])
@pytest.mark.parametrize("name", EXPECTED)
def test_a_partner_is_ready_for_this_shape(name: str, seen: Any) -> None:
    expected, clock = EXPECTED[name], ManualClock(EVENING)
    with Receiver() as receiver:
        options = {"data_push_url": receiver.url + "/data", "execution_response_url": receiver.url + "/done"}
        with Sandbox(clock=clock, profile=name, headers=SECRETS, push_every=HOUR, **options) as vpp:
            slot = discharge(3 * kW, start=EVENING, duration=HOUR, priority=10)
            receipt, command, refused, count = seen(vpp, slot)
            clock.advance(hours=1)
            vpp.flush()
            assert vpp.executions(vpp.molecule_id, slot.event_id) == 1
        (pushed,), (reported,) = receiver.at("/data"), receiver.at("/done")

    assert count == 5, "device lists are documented, whatever the rest looks like"
    for answer in (receipt, command):
        assert (answer.outcome, answer.certainty) == (expected.outcome, expected.certainty)
    assert refused.status == 404
    assert isinstance(_read(pushed, "data_push"), DataPush)
    report = _read(reported, "execution_response")
    if expected.is_report:
        assert isinstance(report, ExecutionReport)
        result = report.result(slot.event_id)
        assert result.status is EventStatus.COMPLETED
        assert result.executed_power is not None
        assert result.executed_power.kilowatts == 3.0
        assert result.ended_at == EVENING + HOUR
    else:
        assert isinstance(report, UnknownDelivery)
        assert slot.event_id.encode() in report.raw


def _read(one: Any, kind: Any) -> Any:
    return webhooks.parse(one.body, one.headers, verifier=SharedHeaders(SECRETS), expect=kind)
