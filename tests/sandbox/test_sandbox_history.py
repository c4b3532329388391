"""The same seed and the same calls give the same bytes; another seed gives others."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from mosvpp import Client, commands, discharge, kW, shed
from mosvpp.errors import MosVPPError
from mosvpp.retry import RetryPolicy
from mosvpp_sandbox import Choices, Fault, ManualClock, Sandbox
from receiving import Receiver

NOON = datetime(2024, 1, 5, 12, 0, tzinfo=UTC)
ID = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
COMMAND = "3C1E6F0A-9B52-4D7E-8A10-5F2C7D9E4B61"
FAULTS = (
    Fault("duplicate", probability=0.1),
    Fault("malformed", probability=0.1),
    Fault("error_json", probability=0.3),
)


def lived(seed: int, step: timedelta = timedelta(minutes=20)) -> bytes:
    """Two hours at four sites, with everything that draws lots; the history."""
    clock = ManualClock(NOON)
    options: dict[str, Any] = {"choices": Choices(opt_out=0.5), "faults": FAULTS, "seed": seed, "sites": 4}
    with (
        Receiver() as receiver,
        Sandbox(clock=clock, data_push_url=receiver.url + "/data", **options) as vpp,
        Client(vpp.api_key, base_url=vpp.url, allow_live=True, retry=RetryPolicy(attempts=1)) as client,
    ):
        for number, site in enumerate(vpp.sites):
            slot = (discharge if number % 2 else shed)(
                1.5 * kW,
                start=NOON + timedelta(minutes=10 * number),
                duration=timedelta(hours=1),
                priority=9,
                event_id=f"{number:08X}{ID[8:]}",
            )
            with suppress(MosVPPError):  # a fault may have struck
                client.submit_dispatch(site, slot, mode="live")
        with suppress(MosVPPError):
            client.submit_site_command(
                vpp.molecule_id,
                commands.turn_off("21000"),
                duration=timedelta(minutes=5),
                scmd_id=COMMAND,
            )
        while clock.now() < NOON + timedelta(hours=2):
            clock.advance(step)
            vpp.flush()
        return vpp.history()


def test_the_same_seed_and_the_same_calls_give_the_same_bytes_however_time_is_cut() -> None:
    history = lived(1)
    assert lived(1) == history
    assert lived(1, timedelta(minutes=5)) == history


def test_another_seed_gives_another_history() -> None:
    assert lived(1) != lived(2)


def test_a_history_holds_what_was_asked_done_and_told() -> None:
    lines = [json.loads(line) for line in lived(1).splitlines()]
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    told = [line for line in lines if line.get("direction") == "sent"]
    asked = [line for line in lines if line.get("direction") == "received"]
    assert {line["operation"] for line in told} == {"receive_data_push", "receive_execution_response"}
    assert [line["operation"] for line in asked if line["status"] == 200]
    assert any(line["faults"] for line in told)
    assert any("event" in line for line in lines)
    assert b"sandbox-key" not in lived(1)
