"""A fleet against a gateway whose sites behave in every way: what is sent, and what is known of it then."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from gateways import Gateway, serving
from hostile_server import HostileServer, free_port
from mosvpp import Client, discharge, kW
from mosvpp.errors import RuleError, StoreError
from mosvpp.fleet import Journal, Plan, State, plan_dispatch
from mosvpp.fleet.entries import Answered, Sent
from mosvpp.fleet.fleet import AsyncFleet, Fleet
from mosvpp.fleet.results import SiteOutcome
from mosvpp.retry import RetryPolicy
from mosvpp.slots import EventSlot

pytestmark = pytest.mark.anyio

KEY = "a-key-for-the-fleet"
START = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
AT_ONCE = RetryPolicy(first_delay=0, longest_delay=0, budget=1000)


def an_event(start: datetime = START) -> EventSlot:
    return discharge(5 * kW, start=start, duration=timedelta(hours=1), priority=10)


def sites(number: int) -> list[str]:
    return [f"{index:016x}" for index in range(number)]


def plan_of(molecule_ids: list[str], slot: EventSlot, *, mode: str = "live", update: bool = False) -> Plan:
    return plan_dispatch(
        molecule_ids, slot, mode=mode, now=datetime.now(UTC), rate=1e6, allow_live=True, update=update
    )


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def server(gateway: Gateway) -> Iterator[HostileServer]:
    with serving(gateway) as running:
        yield running


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/fleet.db"


@pytest.fixture
def book(url: str) -> Iterator[Journal]:
    with Journal(url) as journal:
        yield journal


def make_fleet(book: Journal, server: HostileServer, **options: object) -> AsyncFleet:
    arguments = {"allow_live": True, "concurrency": 8, "timeout": 5.0, "retry": AT_ONCE, **options}
    return AsyncFleet(book, KEY, base_url=server.origin, **arguments)


async def execute(book: Journal, server: HostileServer, plan: Plan, **options: object) -> dict[str, int]:
    async with make_fleet(book, server, **options) as fleet:
        return dict((await fleet.execute(plan)).counts)


def state_of(book: Journal, site: str, slot: EventSlot) -> State:
    dispatch = book.get(site, slot.event_id)
    assert dispatch is not None
    return dispatch.state


async def test_every_site_gets_the_event_once(book: Journal, gateway: Gateway, server: HostileServer) -> None:
    slot, wanted = an_event(), sites(40)
    assert await execute(book, server, plan_of(wanted, slot)) == {"accepted": 40}
    assert sorted(site for site, _ in gateway.received) == wanted
    assert book.summary(slot.event_id) == {State.CONFIRMED: 40}
    assert server.connections <= 8


async def test_it_sends_what_the_client_sends(book: Journal, gateway: Gateway, server: HostileServer) -> None:
    slot, site = an_event(), sites(1)[0]
    await execute(book, server, plan_of([site], slot))
    with Client(KEY, base_url=server.origin, allow_live=True) as client:
        await asyncio.to_thread(client.submit_dispatch, site, slot, mode="live")

    first, second = server.requests
    assert sorted(first.splitlines()) == sorted(second.splitlines())


@pytest.mark.parametrize(
    ("act", "verdict", "state"),
    [
        ("reject", "rejected", State.REJECTED),
        ("refuse", "rejected", State.REJECTED),
        ("unclear", "unknown", State.UNKNOWN),
        ("broken", "unknown", State.UNKNOWN),
        ("moved", "unknown", State.UNKNOWN),
        ("drop", "unknown", State.UNKNOWN),
        ("hang", "unknown", State.UNKNOWN),
        ("busy", "rejected", State.REJECTED),
    ],
)
async def test_what_a_request_comes_to(
    book: Journal, gateway: Gateway, server: HostileServer, act: str, verdict: str, state: State
) -> None:
    slot, (bad, good) = an_event(), sites(2)
    gateway.acts[bad] = [act]
    counts = await execute(book, server, plan_of([bad, good], slot), timeout=3 if act == "hang" else 30)
    assert counts == {verdict: 1, "accepted": 1}
    assert state_of(book, bad, slot) is state
    assert len(gateway.of(bad)) == (3 if act == "busy" else 1)


async def test_nothing_that_may_have_been_received_is_sent_again(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted = an_event(), sites(12)
    for index, act in enumerate(["unclear", "broken", "drop", "hang", "reject", "refuse"]):
        gateway.acts[wanted[index]] = [act]
    plan = plan_of(wanted, slot)
    await execute(book, server, plan, timeout=3)
    before = list(gateway.received)
    assert await execute(book, server, plan) == {}
    assert await execute(book, server, plan_of(wanted, slot)) == {}
    assert gateway.received == before
    assert len(before) == len(wanted)


async def test_what_was_sent_before_is_sent_again_on_purpose(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted = an_event(), sites(3)
    gateway.acts[wanted[0]] = ["drop", "accept"]
    await execute(book, server, plan_of(wanted, slot))
    again = plan_of(wanted[:1], slot, update=True)
    assert await execute(book, server, again) == {"accepted": 1}
    assert await execute(book, server, again) == {}
    assert state_of(book, wanted[0], slot) is State.CONFIRMED


async def test_a_server_that_says_that_it_did_nothing_is_asked_again(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    slot, site = an_event(), sites(1)[0]
    gateway.acts[site] = ["busy", "accept"]
    assert await execute(book, server, plan_of([site], slot)) == {"accepted": 1}
    dispatch = book.get(site, slot.event_id)
    assert dispatch is not None
    told = [type(entry) for entry in dispatch.entries]
    assert told == [Sent, Answered, Sent, Answered]
    assert [entry.attempt for entry in dispatch.entries if isinstance(entry, Sent)] == [1, 2]


async def test_where_nobody_listens_nothing_was_sent(book: Journal) -> None:
    slot, wanted = an_event(), sites(3)
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with AsyncFleet(book, KEY, base_url=nowhere, allow_live=True, retry=AT_ONCE) as fleet:
        assert (await fleet.execute(plan_of(wanted, slot))).counts == {"not_sent": 3}
    assert book.summary(slot.event_id) == {State.PLANNED: 3}
    assert len(book.unsent(plan_of(wanted, slot).hash)) == 3


async def test_a_request_is_in_the_journal_before_it_leaves(
    book: Journal, url: str, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted, seen = an_event(), sites(20), []
    with Journal(url) as other:
        gateway.on_request = lambda site, _: seen.append(state_of(other, site, slot))
        await execute(book, server, plan_of(wanted, slot))
    assert seen == [State.SENT] * 20


async def test_an_outcome_is_in_the_journal_before_it_is_told(
    book: Journal, url: str, server: HostileServer
) -> None:
    slot, told = an_event(), []
    with Journal(url) as other:

        def note(outcome: SiteOutcome) -> None:
            told.append((outcome.verdict, state_of(other, outcome.molecule_id, slot)))

        async with make_fleet(book, server) as fleet:
            await fleet.execute(plan_of(sites(20), slot), on_outcome=note)
    assert told == [("accepted", State.CONFIRMED)] * 20


async def test_a_run_that_is_cancelled_goes_on_where_it_ended(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted = an_event(), sites(30)
    gateway.acts.update({site: ["hang"] for site in wanted[10:18]})
    all_hang = threading.Event()

    def look(_: str, __: object) -> None:
        if set(wanted[10:18]) <= {site for site, _ in gateway.received}:
            all_hang.set()

    gateway.on_request = look
    plan = plan_of(wanted, slot)
    async with make_fleet(book, server, timeout=60.0) as fleet:
        task = asyncio.create_task(fleet.execute(plan))
        await asyncio.to_thread(all_hang.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        summary = book.summary(slot.event_id)
        assert summary[State.SENT] == 0
        assert summary[State.UNKNOWN] >= 8
        assert summary[State.PLANNED] >= 1
        await fleet.execute(plan)
    assert book.summary(slot.event_id)[State.PLANNED] == 0
    assert all(len(gateway.of(site)) == 1 for site in wanted)


async def test_a_journal_that_fails_ends_the_run_and_nothing_more_leaves(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted = an_event(), sites(60)
    full = (
        "CREATE TRIGGER no_room BEFORE INSERT ON mosvpp_entries "
        "WHEN (SELECT count(*) FROM mosvpp_entries) >= 30 "
        "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    with book._database.write() as connection:
        connection.exec_driver_sql(full)
    with pytest.raises(StoreError, match="full"):
        await execute(book, server, plan_of(wanted, slot))
    noted = [one.molecule_id for one in book.find(event_id=slot.event_id) if one.sent is not None]
    assert {site for site, _ in gateway.received} <= set(noted)
    assert len(noted) < len(wanted)


async def test_two_programs_with_one_plan_send_it_once(
    book: Journal, url: str, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted = an_event(), sites(60)
    with Journal(url) as other:
        plan = plan_of(wanted, slot)
        found = await asyncio.gather(execute(book, server, plan), execute(other, server, plan))
    assert sum(one.get("accepted", 0) for one in found) == 60
    assert sorted(site for site, _ in gateway.received) == wanted


async def test_what_would_come_too_late_is_left_out(book: Journal, server: HostileServer) -> None:
    slot = an_event(datetime.now(UTC) + timedelta(hours=1))
    plan = plan_dispatch(
        sites(3), slot, mode="live", now=datetime.now(UTC), allow_live=True, lead=timedelta(minutes=59)
    )
    late = plan_dispatch(
        sites(3),
        slot,
        mode="live",
        now=datetime.now(UTC) - timedelta(hours=1),
        allow_live=True,
        lead=timedelta(minutes=61),
    )
    assert await execute(book, server, late) == {"too_late": 3}
    assert await execute(book, server, plan) == {"accepted": 3}


async def test_a_plan_is_executed_only_as_it_was_approved(book: Journal, server: HostileServer) -> None:
    slot, wanted = an_event(), sites(3)
    plan = plan_of(wanted, slot)
    async with make_fleet(book, server) as fleet:
        with pytest.raises(RuleError, match="was approved"):
            await fleet.execute(plan, plan_hash=plan_of(wanted[:2], slot).hash)
        unarmed = plan_dispatch(wanted, slot, mode="live", now=datetime.now(UTC))
        with pytest.raises(RuleError, match="arming"):
            await fleet.execute(unarmed)
    async with make_fleet(book, server, allow_live=False) as fleet:
        with pytest.raises(RuleError, match="allow_live"):
            await fleet.execute(plan)
    assert not server.requests
    assert not list(book.find())


async def test_a_key_that_cannot_be_fetched_leaves_everything_unsent(
    book: Journal, server: HostileServer
) -> None:
    slot = an_event()

    def fetch() -> str:
        raise OSError("no vault")

    async with AsyncFleet(book, fetch, base_url=server.origin, allow_live=True) as fleet:
        execution = await fleet.execute(plan_of(sites(3), slot))
    assert execution.counts == {"not_sent": 3}
    assert not execution.is_complete
    assert book.summary() == {State.PLANNED: 3}
    assert not server.requests


async def test_what_the_caller_raises_ends_the_run_with_all_noted(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted = an_event(), sites(40)

    def fail(outcome: SiteOutcome) -> None:
        raise ZeroDivisionError

    async with make_fleet(book, server) as fleet:
        with pytest.raises(ZeroDivisionError):
            await fleet.execute(plan_of(wanted, slot), on_outcome=fail)
    summary = book.summary()
    assert summary[State.SENT] == 0
    assert summary[State.PLANNED] >= 1
    received = [site for site, _ in gateway.received]
    known = {one.molecule_id: one.state for one in book.find(event_id=slot.event_id)}
    confirmed = {site for site, state in known.items() if state is State.CONFIRMED}
    unknown = {site for site, state in known.items() if state is State.UNKNOWN}
    assert len(received) == len(set(received))
    # What was on its way when the run ended may not have been read at the other end: unknown says so.
    assert confirmed <= set(received) <= confirmed | unknown


async def test_a_cancellation_goes_where_the_event_went_in_its_mode(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted = an_event(), sites(6)
    gateway.acts.update(
        {wanted[0]: ["reject"], wanted[1]: ["drop", "accept"], wanted[2]: ["accept", "reject"]}
    )
    await execute(book, server, plan_of(wanted, slot, mode="test"))
    async with make_fleet(book, server) as fleet:
        execution = await fleet.cancel(slot.event_id.upper())
        assert execution.counts == {"accepted": 4, "rejected": 1}
    assert book.summary() == {State.REJECTED: 1, State.CANCELLED: 4, State.CONFIRMED: 1}
    assert len(gateway.of(wanted[0])) == 1
    for site in wanted[1:]:
        first, second = gateway.of(site)
        assert second == first | {"cancelled": True}
        assert second["mode"] == "test"


async def test_a_cancellation_at_some_sites_leaves_the_others(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted = an_event(), sites(4)
    await execute(book, server, plan_of(wanted, slot))
    async with make_fleet(book, server) as fleet:
        await fleet.cancel(slot.event_id, molecule_ids=wanted[:1])
        with pytest.raises(RuleError, match="knows nothing"):
            await fleet.cancel(an_event().event_id)
    assert book.summary() == {State.CANCELLED: 1, State.CONFIRMED: 3}


async def test_what_was_cancelled_before_it_was_sent_is_never_sent(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted = an_event(), sites(5)
    plan = plan_of(wanted, slot)
    for recorded in book.record(plan, mode="live", plan=plan.hash):
        recorded.result()
    async with make_fleet(book, server) as fleet:
        assert (await fleet.cancel(slot.event_id)).counts == {}
        assert (await fleet.execute(plan)).counts == {}
    assert book.summary() == {State.CANCELLED: 5}
    assert not server.requests


async def test_a_stop_gets_through_although_half_of_the_sites_fail(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    """Sent again after whatever it came to, until each site confirms."""
    slot, wanted = an_event(), sites(20)
    await execute(book, server, plan_of(wanted, slot))
    failures = ["drop", "broken", "unclear", "busy", "refuse", "reject", "hang", "moved", "drop", "broken"]
    for site, act in zip(wanted[::2], failures, strict=True):
        gateway.acts[site] = [act, act, "accept"]
    async with make_fleet(book, server, timeout=3) as fleet:
        stopping = await fleet.stop()
    assert stopping.is_complete
    assert (stopping.stopped, stopping.requests) == (20, 40)
    assert book.summary() == {State.CANCELLED: 20}
    for site in wanted:
        assert [event["cancelled"] for event in gateway.of(site)][1:].count(False) == 0


async def test_a_stop_lists_what_it_could_not_confirm(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    slot, wanted = an_event(), sites(4)
    await execute(book, server, plan_of(wanted, slot))
    gateway.acts[wanted[1]] = ["broken"]
    async with make_fleet(book, server) as fleet:
        stopping = await fleet.stop(until=datetime.now(UTC) + timedelta(seconds=5))
    assert stopping.not_confirmed == ((wanted[1], slot.event_id),)
    assert len(gateway.of(wanted[1])) >= 3
    assert state_of(book, wanted[1], slot) is State.UNKNOWN
    assert "NOT confirmed stopped: 1" in str(stopping)


async def test_a_stop_is_for_live_events_that_are_not_over(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    test_event, live_event, wanted = an_event(), an_event(), sites(2)
    await execute(book, server, plan_of(wanted, test_event, mode="test"))
    await execute(book, server, plan_of(wanted, live_event))
    async with make_fleet(book, server) as fleet:
        assert (await fleet.stop(molecule_ids=wanted[:1])).stopped == 1
        assert (await fleet.stop()).stopped == 1
        assert (await fleet.stop()).requests == 0
    assert book.summary(test_event.event_id) == {State.CONFIRMED: 2}
    assert book.summary(live_event.event_id) == {State.CANCELLED: 2}


async def test_a_stop_finds_what_is_live_behind_pages_of_what_is_not(
    book: Journal, gateway: Gateway, server: HostileServer
) -> None:
    """A courier that finds nothing to stop in a page looks into the next one."""
    never, live, (last,) = an_event(), an_event(), sites(1)
    plan = plan_of(sites(1100), never)
    for recorded in book.record(plan, mode="live", plan=plan.hash):
        recorded.result()
    await execute(book, server, plan_of([last], live))
    async with make_fleet(book, server, concurrency=1) as fleet:
        stopping = await fleet.stop()
    assert (stopping.stopped, stopping.withdrawn) == (1, 1100)
    assert book.summary() == {State.CANCELLED: 1101}


async def test_a_stop_ends_a_run_of_another_program(
    book: Journal, url: str, gateway: Gateway, server: HostileServer
) -> None:
    """Nothing of the event leaves after the stop began, and what crossed it is cancelled once more."""
    slot, wanted = an_event(), sites(80)
    begun, stopped = threading.Event(), threading.Event()

    def hold_after_twenty(_: str, event: dict[str, object]) -> None:
        if event["cancelled"]:
            stopped.set()
        elif len(gateway.received) > 20:
            begun.set()
            stopped.wait(20)

    gateway.on_request = hold_after_twenty
    with Journal(url) as other:
        run = asyncio.create_task(execute(book, server, plan_of(wanted, slot)))
        await asyncio.to_thread(begun.wait)
        async with make_fleet(other, server) as fleet:
            stopping = await fleet.stop()
        counts = await run
    assert stopping.is_complete
    assert set(counts) <= {"accepted", "cancelled", "not_sent"}
    assert sum(counts.values()) == 80
    assert counts["cancelled"] >= 1
    assert book.summary(slot.event_id) == {State.CANCELLED: 80}
    for site in wanted:
        events = [event["cancelled"] for event in gateway.of(site)]
        assert not events or events[-1]


async def test_a_stop_that_crosses_the_event_is_repeated_until_it_is_sure(
    book: Journal, url: str, gateway: Gateway, server: HostileServer
) -> None:
    slot, (site,) = an_event(), sites(1)
    arrived = threading.Event()

    def hold_first(_: str, event: dict[str, object]) -> None:
        if not event["cancelled"]:
            arrived.set()
            released.wait(20)
        elif len(gateway.of(site)) > 2:
            released.set()

    released = threading.Event()
    gateway.on_request = hold_first
    with Journal(url) as other:
        run = asyncio.create_task(execute(book, server, plan_of([site], slot)))
        await asyncio.to_thread(arrived.wait)
        async with make_fleet(other, server) as fleet:
            stopping = await fleet.stop()
        await run
    assert stopping.is_complete
    assert stopping.requests >= 3
    assert state_of(book, site, slot) is State.CANCELLED


def test_the_blocking_fleet_does_the_same(book: Journal, gateway: Gateway, server: HostileServer) -> None:
    slot, wanted = an_event(), sites(5)
    with Fleet(book, KEY, base_url=server.origin, allow_live=True) as fleet:
        execution = fleet.execute(plan_of(wanted, slot))
        assert execution.is_complete
        assert "accepted" in str(execution)
        assert fleet.cancel(slot.event_id, molecule_ids=wanted[:2]).counts == {"accepted": 2}
        assert fleet.stop().stopped == 3
    assert book.summary() == {State.CANCELLED: 5}


def test_a_fleet_belongs_to_one_event_loop(book: Journal, server: HostileServer) -> None:
    fleet = make_fleet(book, server)

    async def use() -> None:
        async with fleet:
            await fleet.execute(plan_of(sites(1), an_event()))

    asyncio.run(use())
    with pytest.raises(RuleError, match="another event loop"):
        asyncio.run(fleet.stop())


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"concurrency": True}, {"timeout": 120.0}])
def test_arguments_that_make_no_sense_are_refused(
    book: Journal, server: HostileServer, options: dict[str, object]
) -> None:
    with pytest.raises(RuleError):
        make_fleet(book, server, **options)


async def test_it_speaks_tls_and_trusts_only_whom_it_should(book: Journal, gateway: Gateway) -> None:
    authority, slot, wanted = trustme.CA(), an_event(), sites(3)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    with HostileServer(gateway.serve, tls=context) as server:
        plan = plan_of(wanted, slot)
        assert await execute(book, server, plan) == {"not_sent": 3}
        authority.configure_trust(trusting)
        assert await execute(book, server, plan, ssl_context=trusting) == {"accepted": 3}
