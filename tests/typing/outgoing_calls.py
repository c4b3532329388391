"""Only type-checked, never run: an ignore without need is an error, so each marks a mistake that is found.

mypy runs strictly over this file; pyright too, with the line below.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type
from uuid import UUID

import httpx

import mosvpp
from mosvpp import (
    Answer,
    AsyncClient,
    Certainty,
    Client,
    CommandReceipt,
    Device,
    DeviceCommand,
    DeviceList,
    DeviceType,
    DispatchReceipt,
    Drift,
    EventSlot,
    EventStatus,
    Outcome,
    Power,
    ReceiptItem,
    Request,
    RetryPolicy,
    Timeout,
    charge,
    commands,
    discharge,
    errors,
    kW,
    restore,
    shed,
    slot_time,
    w,
)
from mosvpp.clock import Clock, SystemClock

SITE = "fecd0001c031e7e8"
START = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def on_drift(drift: Drift) -> None:
    assert_type(drift.path, str)


def right_use(key: str) -> None:
    clock: Clock = SystemClock()
    Client()
    with Client(
        lambda: key,
        base_url="https://localhost",
        api_version="v2",
        allow_live=True,
        timeout=7.5,
        retry=RetryPolicy(attempts=2, first_delay=0.1, longest_delay=1, longest_retry_after=5, budget=3),
        proxy="http://localhost:3128",
        trust_env=True,
        ssl_context=ssl.create_default_context(),
        transport=httpx.HTTPTransport(),
        clock=clock,
        on_drift=on_drift,
        statuses={"DONE": "completed"},
    ) as client:
        slot = discharge(5 * kW, start=START, duration=HOUR, priority=10)
        assert_type(slot, EventSlot)
        others = [
            charge(0.5 * kW, start=START, end=START + HOUR, priority=1, mandatory=True),
            shed(
                100 * w, start=slot_time("2030-01-01 03:30", tz="Europe/Berlin"), duration=HOUR, priority=99
            ),
            restore(start=START, duration=HOUR, priority=1, event_id=UUID(int=1)),
        ]
        receipt = client.submit_dispatch(SITE, slot, mode="test")
        assert_type(receipt, DispatchReceipt)
        client.submit_dispatch(SITE, [slot, *others], mode="live")
        client.submit_dispatch(SITE, (slot,), mode="live")
        assert_type(client.cancel_dispatch(receipt), DispatchReceipt)
        assert_type(client.resend(receipt).outcome, Outcome)
        assert_type(receipt.outcome, Outcome)
        assert_type(receipt.certainty, Certainty)
        assert_type(receipt.items, tuple[ReceiptItem, ...])
        assert_type(receipt.item(UUID(int=1)).status, EventStatus)
        assert_type(receipt.raw, Answer)
        assert_type(DispatchReceipt.from_json(receipt.to_json()), DispatchReceipt)
        assert_type(slot.replace(power=3 * kW), EventSlot)
        assert_type(slot.cancel(), EventSlot)
        wanted: Sequence[DeviceCommand] = [commands.turn_off("1"), commands.shed("2", 1 * kW)]
        command = client.submit_site_command(SITE, wanted, duration=HOUR, scmd_id=UUID(int=2))
        assert_type(command, CommandReceipt)
        client.submit_site_command(SITE, commands.turn_on("1"), duration=HOUR)
        devices = client.sync_devices(SITE)
        assert_type(devices, DeviceList)
        for device in devices:
            assert_type(device, Device)
            assert_type(device.device_type, DeviceType)
            assert_type(device.can("charge"), bool | None)
    assert_type(2 * kW * 0.5, Power)


def right_use_of_errors(client: Client) -> None:
    try:
        client.sync_devices(SITE)
    except errors.OutcomeUnknownError as error:
        assert_type(error.ids, tuple[str, ...])
        assert_type(error.request, Request)
        assert_type(client.resend(error.request), DispatchReceipt | CommandReceipt)
        assert_type(client.cancel_dispatch(error.request), DispatchReceipt)
    except errors.RejectedError as error:
        assert_type(error.status, int | None)
        assert_type(error.problem, dict[str, Any] | None)
        assert_type(error.retry_after, float | None)
    except errors.RuleError as error:
        assert_type(error.evidence, tuple[str, ...])
    except errors.MosVPPError:
        pass


async def right_use_without_blocking(slot: EventSlot) -> None:
    async with AsyncClient("key", timeout=Timeout(total=10), transport=httpx.AsyncHTTPTransport()) as client:
        assert_type(await client.sync_devices(SITE), DeviceList)
        receipt = await client.submit_dispatch(SITE, slot, mode="test")
        assert_type(receipt, DispatchReceipt)
        assert_type(await client.cancel_dispatch(receipt), DispatchReceipt)
        command = await client.submit_site_command(SITE, commands.turn_on("1"), duration=HOUR)
        assert_type(command, CommandReceipt)


def use(value: object) -> None:
    """Take any value."""


def wrong_use(client: Client, asynchronous: AsyncClient, slot: EventSlot, receipt: DispatchReceipt) -> None:
    discharge(5, start=START, duration=HOUR, priority=1)  # type: ignore[arg-type]
    discharge("5 kW", start=START, duration=HOUR, priority=1)  # type: ignore[arg-type]
    discharge(5 * kW, start=START, duration=HOUR)  # type: ignore[call-arg]
    discharge(5 * kW, duration=HOUR, priority=1)  # type: ignore[call-arg]
    discharge(5 * kW, start="2030-01-01", duration=HOUR, priority=1)  # type: ignore[arg-type]
    discharge(5 * kW, start=START, duration=3600, priority=1)  # type: ignore[arg-type]
    discharge(5 * kW, START, duration=HOUR, priority=1)  # type: ignore[call-arg]
    discharge(5 * kW, start=START, duration=HOUR, priority="high")  # type: ignore[arg-type]
    restore(power=5 * kW, start=START, duration=HOUR, priority=1)  # type: ignore[call-arg]
    kW * kW  # type: ignore[operator]
    kW + 5  # type: ignore[operator]
    use(kW < 5)  # type: ignore[operator]
    slot.replace(power=3)  # type: ignore[arg-type]
    slot.replace(event_id="another")  # type: ignore[call-arg]
    slot.priority = 2  # type: ignore[misc]
    commands.discharge("1", 5)  # type: ignore[arg-type]
    commands.discharge("1")  # type: ignore[call-arg]
    commands.turn_off("1", 5 * kW)  # type: ignore[call-arg]
    commands.turn_off(1)  # type: ignore[arg-type]
    client.submit_dispatch(SITE, slot)  # type: ignore[call-arg]
    client.submit_dispatch(SITE, slot, mode="drill")  # type: ignore[arg-type]
    client.submit_dispatch(SITE, slot, "test")  # type: ignore[call-arg]
    client.submit_dispatch(SITE, commands.turn_off("1"), mode="test")  # type: ignore[arg-type]
    client.submit_site_command(SITE, commands.turn_off("1"))  # type: ignore[call-arg]
    client.submit_site_command(SITE, commands.turn_off("1"), duration=900)  # type: ignore[arg-type]
    client.submit_site_command(SITE, slot, duration=HOUR)  # type: ignore[arg-type]
    client.cancel_dispatch(slot)  # type: ignore[arg-type]
    client.resend(slot)  # type: ignore[arg-type]
    receipt.outcome = Outcome.ACCEPTED  # type: ignore[misc]
    Client(b"key")  # type: ignore[arg-type]
    Client("key", transport=httpx.AsyncHTTPTransport())  # type: ignore[arg-type]
    AsyncClient("key", transport=httpx.HTTPTransport())  # type: ignore[arg-type]
    Client("key", "https://localhost")  # type: ignore[call-arg]
    Client("key", on_drift=5)  # type: ignore[arg-type]
    use(asynchronous.sync_devices(SITE).devices)  # type: ignore[attr-defined]
    with asynchronous:  # type: ignore[attr-defined]
        pass
    use(mosvpp.no_such_name)  # type: ignore[attr-defined]
