"""A fleet against the twin with faults: nothing runs twice, and the journal says what the twin did.

The plain run has 100 sites and 2 seeds, the whole one 1,000 sites and 20 seeds.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from mosvpp import discharge, kW
from mosvpp.fleet import Dispatch, Fleet, Journal, State, Telemetry, follow, plan_dispatch
from mosvpp.receiver import SqlInbox, asgi
from mosvpp.retry import RetryPolicy
from mosvpp.signatures import SharedHeaders
from mosvpp_sandbox import Fault, ManualClock, Sandbox
from not_run import ALL

SITES, SEEDS = (1000, range(20)) if ALL else (100, range(2))
PATIENCE_S = 120  # only a failing test waits so long
SECRET = {"X-API-Key": "partner-secret"}
AT_ONCE = RetryPolicy(attempts=3, first_delay=0, longest_delay=0, budget=10_000)


def faults() -> list[Fault]:
    """What goes wrong, and how often."""
    return [
        Fault("drop", probability=0.1, operation="submit_dispatch"),
        Fault("hang", probability=0.04, operation="submit_dispatch"),
        Fault("unavailable", probability=0.25, value=0, operation="submit_dispatch"),
        Fault("error_json", probability=0.03, operation="submit_dispatch"),
        Fault("truncated", probability=0.03, operation="submit_dispatch"),
        Fault("duplicate", probability=0.3),
        Fault("delay", probability=0.2, value=900),
        Fault("reorder", probability=0.1, operation="receive_data_push"),
    ]


@dataclass
class Partner:
    """What the partner runs, and the twin in front of it."""

    vpp: Sandbox
    inbox: SqlInbox
    journal: Journal
    telemetry: Telemetry

    @property
    def sites(self) -> list[str]:
        return list(self.vpp.sites)

    def fleet(self) -> Fleet:
        return Fleet(
            self.journal,
            self.vpp.api_key,
            base_url=self.vpp.url,
            allow_live=True,
            concurrency=50,
            timeout=1.0,
            retry=AT_ONCE,
        )

    def let_pass(self, minutes: int) -> None:
        """Let simulated time pass, and wait until all that was sent then is taken in."""
        for _ in range(minutes // 15):
            self.vpp.clock.advance(minutes=15)
            self.vpp.flush(PATIENCE_S)
        until = time.monotonic() + PATIENCE_S
        while any(left.unfinished for left in self.inbox.backlog().values()):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert not any(left.dead for left in self.inbox.backlog().values())


@contextmanager
def serving(inbox: SqlInbox) -> Iterator[str]:
    app = Starlette(lifespan=inbox.lifespan)
    app.mount("/mosvpp", asgi(inbox, verifier=SharedHeaders(SECRET)))
    config = uvicorn.Config(app, port=0, log_config=None, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mosvpp"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(params=SEEDS)
def partner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Partner]:
    store = f"sqlite:///{tmp_path}/fleet.db"
    inbox, journal, telemetry = SqlInbox(f"sqlite:///{tmp_path}/inbox.db"), Journal(store), Telemetry(store)
    follow(inbox, journal, telemetry)
    with ExitStack() as stack:
        url = stack.enter_context(serving(inbox))
        vpp = Sandbox(
            sites=SITES,
            seed=request.param,
            clock=ManualClock(datetime.now(UTC)),
            push_every=timedelta(minutes=15),
            data_push_url=f"{url}/data-push",
            execution_response_url=f"{url}/execution-response",
            headers=SECRET,
            faults=faults(),
        )
        for opened in (journal, telemetry, vpp):
            stack.enter_context(opened)
        yield Partner(vpp, inbox, journal, telemetry)


def truth(partner: Partner, dispatch: Dispatch) -> str | None:
    """What the twin did with the event: its state there, or None where it never heard of it."""
    found = partner.vpp.control.events(dispatch.molecule_id)
    return next((one["state"] for one in found if one["event_id"] == dispatch.event_id), None)


def test_the_journal_says_what_the_twin_did(partner: Partner) -> None:
    """Whatever is lost on the way: nothing runs twice, and nothing is said that is not so."""
    slot = discharge(
        2 * kW, start=partner.vpp.now() + timedelta(hours=1), duration=timedelta(minutes=30), priority=10
    )
    plan = plan_dispatch(partner.sites, slot, mode="live", now=partner.vpp.now(), rate=1e6, allow_live=True)
    with partner.fleet() as fleet:
        first = fleet.execute(plan).counts
        again = fleet.execute(plan).counts
        assert first.total() == SITES
        assert set(first) <= {"accepted", "rejected", "unknown"}
        assert first["unknown"] > 0
        assert not again
        # Only what the twin said to have done nothing went out again.
        taken = Counter(
            one["molecule_id"]
            for one in partner.vpp.control.exchanges(operation="submit_dispatch", limit=2 * SITES)
            if one["status"] != 503
        )
        assert set(taken.values()) == {1}

        called_off = partner.sites[::5]
        fleet.cancel(slot.event_id, molecule_ids=called_off)
    partner.let_pass(120)

    counts: Counter[str] = Counter()
    for dispatch in partner.journal.find(event_id=slot.event_id):
        done, state = truth(partner, dispatch), dispatch.state
        assert partner.vpp.executions(dispatch.molecule_id, slot.event_id) <= 1
        if state is State.UNKNOWN:
            # Nothing told of it: it never arrived, or was called off before it began.
            assert done in (None, "cancelled"), dispatch
        elif state is State.REJECTED:
            assert done is None, dispatch
        else:
            assert state.value == done, dispatch
        counts[state.value] += 1
    assert counts.total() == SITES
    assert counts["unknown"] < first["unknown"], "reports have settled what was dropped after it was done"
    assert counts["completed"] > 0
    overdue = {one.molecule_id for one in partner.journal.overdue(partner.vpp.now())}
    unknown = {one.molecule_id for one in partner.journal.find(is_open=True) if one.state is State.UNKNOWN}
    assert overdue == unknown
    assert not list(partner.journal.conflicts())
