"""A fleet against a sandbox in which everything goes wrong: in the end the journal tells the truth."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hostile_server import Connection, HostileServer
from mosvpp import discharge, kW
from mosvpp.events import ExecutionReport
from mosvpp.fleet import Journal, State, plan_dispatch
from mosvpp.fleet.fleet import Fleet
from mosvpp.retry import RetryPolicy
from mosvpp.signatures import SharedHeaders
from mosvpp.webhooks import parse
from mosvpp_sandbox import Fault, Sandbox
from mosvpp_sandbox.clock import ManualClock
from not_run import ALL

SITES, SEEDS = (1000, range(20)) if ALL else (100, range(2))
SECRET = "the-partners-own-secret"

FAULTS = [
    *(Fault(name, 0.06, operation="submit_dispatch") for name in ("reset", "drop", "truncated")),
    *(Fault(name, 0.06, operation="submit_dispatch") for name in ("error_json", "error_html", "error_empty")),
    Fault("hang", 0.02, operation="submit_dispatch"),
    Fault("unavailable", 0.1, operation="submit_dispatch", value=0.0),
    Fault("too_many_requests", 0.1, operation="submit_dispatch", value=0.0),
    Fault("duplicate", 0.3, operation="receive_execution_response"),
    Fault("delay", 0.3, operation="receive_execution_response"),
]


class Endpoint:
    """The partner's webhook: each report goes to the journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def serve(self, connection: Connection) -> None:
        while request := connection.read_request():
            head, _, body = request.partition(b"\r\n\r\n")
            headers = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
            told = parse(body, [(name, value) for name, value in headers], verifier=_VERIFIER)
            assert isinstance(told, ExecutionReport)
            self.journal.apply(told).result()
            connection.answer(b"")


_VERIFIER = SharedHeaders({"X-API-Key": SECRET})


@pytest.mark.parametrize("seed", SEEDS)
def test_the_journal_tells_the_truth_in_the_end(tmp_path: Path, seed: int) -> None:
    clock, lot = ManualClock(datetime.now(UTC)), random.Random(seed)
    start = clock.now() + timedelta(hours=1)
    slot = discharge(1 * kW, start=start, duration=timedelta(minutes=30), priority=10)
    with Journal(f"sqlite:///{tmp_path}/fleet.db") as journal:
        endpoint = Endpoint(journal)
        with (
            HostileServer(endpoint.serve) as server,
            Sandbox(
                sites=SITES,
                seed=seed,
                clock=clock,
                faults=FAULTS,
                execution_response_url=server.origin + "/done",
                headers={"X-API-Key": SECRET},
                push_every=timedelta(hours=12),
            ) as vpp,
        ):
            plan = plan_dispatch(vpp.sites, slot, mode="live", now=clock.now(), rate=1e6, allow_live=True)
            options = {"allow_live": True, "concurrency": 32, "timeout": 2.0}
            retry = RetryPolicy(attempts=3, first_delay=0, longest_delay=0, budget=1_000_000)
            with Fleet(journal, vpp.api_key, base_url=vpp.url, retry=retry, **options) as fleet:
                fleet.execute(plan)
                fleet.execute(plan)  # sends what was surely not sent, and nothing else
                for site in lot.sample(list(vpp.sites), SITES // 10):
                    fleet.cancel(slot.event_id, molecule_ids=[site])
            for _ in range(3):  # what is late comes when time goes on
                clock.advance(hours=3)
                vpp.flush(120)
            _compare(journal, vpp, slot.event_id)


def _compare(journal: Journal, vpp: Sandbox, event_id: str) -> None:
    """Every state is the twin's own, but where nothing was ever told: that is unknown, and not guessed."""
    counted: dict[State, int] = {}
    for dispatch in journal.find(event_id=event_id):
        counted[dispatch.state] = counted.get(dispatch.state, 0) + 1
        truth = [event.state.value for event in vpp.sites[dispatch.molecule_id].all_events()]
        assert vpp.executions(dispatch.molecule_id, event_id) <= 1
        if dispatch.state is State.UNKNOWN:
            assert truth in ([], ["cancelled"]), dispatch
        elif dispatch.state in (State.REJECTED, State.PLANNED):
            assert truth == [], dispatch
        else:
            assert truth == [dispatch.state.value], dispatch
    assert sum(counted.values()) == SITES
    assert counted[State.COMPLETED] > SITES / 4
    assert counted[State.UNKNOWN] >= 1
    assert counted[State.CANCELLED] >= 1
