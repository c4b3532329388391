"""An event over all of its sites: journal, reports and telemetry together, and the page that shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from browsing import DESK, PHONE, TOO_WIDE, Watched, violations
from manual_clock import START, ManualClock
from mosvpp import discharge, kW
from mosvpp._calls import Calls
from mosvpp._revisions import Revisions
from mosvpp.auth import ApiKey
from mosvpp.errors import RuleError
from mosvpp.events import DataPush, ExecutionReport, ExecutionResult
from mosvpp.fleet import Journal, State
from mosvpp.fleet._journal_rows import Note, Wanted
from mosvpp.fleet.entries import Answered, Sent
from mosvpp.fleet.settlement_page import to_html
from mosvpp.fleet.settling import SettledEvent, settle_event
from mosvpp.fleet.telemetry import Telemetry
from mosvpp.retry import RetryPolicy
from mosvpp.statuses import EventStatus
from mosvpp_events.events import DeviceReading

MINUTE = timedelta(minutes=1)
SLOT = discharge(5 * kW, start=START, duration=timedelta(hours=1), priority=10)
AFTER = START + timedelta(hours=2)
"""Full power, half power, unknown and without telemetry, rejected, planned only."""
FULL, HALF, SILENT, REFUSED, NEVER = "full", "half<&>", "silent", "refused", "never"


def body(site: str) -> str:
    calls = Calls(
        key=ApiKey("fleet-test-key"),
        api_version="v1",
        allow_live=True,
        retry=RetryPolicy(),
        clock=ManualClock(),
        on_drift=None,
        statuses=None,
        revisions=Revisions(),
    )
    return calls.prepare_dispatch("fecd0001c031e7e8", SLOT, "live").body.decode()


def answer(journal: Journal, site: str, **more: object) -> None:
    dispatch = journal.get(site, SLOT.event_id)
    assert dispatch is not None
    journal.begin(dispatch.number, Sent(at=START, revision=1, body=body(site))).result()
    journal.note(Note(dispatch.number, Answered(at=START, revision=1, **more))).result()


@pytest.fixture
def settled(tmp_path: Path) -> Iterator[SettledEvent]:
    url = f"sqlite:///{tmp_path}/fleet.db"
    with Journal(url, clock=ManualClock()) as journal, Telemetry(url) as telemetry:
        wanted = [Wanted(site, SLOT) for site in (FULL, HALF, SILENT, REFUSED, NEVER)]
        for pending in journal.record(wanted, mode="live", plan="p"):
            pending.result()
        for site in (FULL, HALF):
            answer(journal, site, verdict="accepted", status=200)
            done = ExecutionResult(
                event_id=SLOT.event_id,
                status=EventStatus.COMPLETED,
                executed_quantity=5.0,
                executed_unit="kW",
            )
            journal.apply(ExecutionReport(molecule_id=site, results=(done,))).result()
            power = 5.0 if site == FULL else 2.5
            for minute in range(-1, 62):
                reading = DeviceReading(device_id="20000", metrics={"power_output": power})
                at = START + minute * MINUTE
                telemetry.add([(DataPush(molecule_id=site, timestamp=at, devices=(reading,)), at)])
        answer(journal, SILENT, verdict="unknown", message="no answer came (ReadTimeout)")
        answer(journal, REFUSED, verdict="rejected", status=422, message="<b>too much</b>")
        yield settle_event(journal, telemetry, SLOT.event_id, now=AFTER, gaps="zero")


def test_the_figures_are_those_of_the_sites(settled: SettledEvent) -> None:
    assert [case.molecule_id for case in settled.cases] == [FULL, HALF, SILENT, REFUSED], (
        "never sent, never asked"
    )
    assert settled.states == {State.COMPLETED: 2, State.UNKNOWN: 1, State.REJECTED: 1}
    assert (settled.asked_kwh, settled.delivered_kwh, settled.reported_kwh) == (20.0, 7.5, 10.0)
    assert settled.performance == 0.75, "of the two sites that can be compared"
    assert settled.coverage == 0.5
    assert settled.not_computable == {"there is no telemetry of this metric": 2}
    assert [case.molecule_id for case in settled.worst(1)] == [HALF]
    middle = settled.moments[60]
    assert (middle.asked_kw, middle.delivered_kw, middle.measured) == (20.0, 7.5, 2)
    said = {case.molecule_id: (case.said, case.advice) for case in settled.cases}
    assert said[SILENT][0] == "no answer came (ReadTimeout)"
    assert "telemetry" in said[SILENT][1]


def test_it_goes_to_json_and_back(settled: SettledEvent) -> None:
    assert SettledEvent.from_json(settled.to_json()) == settled


def test_an_event_that_was_never_sent_cannot_be_settled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fleet.db"
    with (
        Journal(url) as journal,
        Telemetry(url) as telemetry,
        pytest.raises(RuleError, match="knows no event"),
    ):
        settle_event(journal, telemetry, SLOT.event_id, now=AFTER, gaps="zero")


def test_the_page_escapes_and_asks_for_nothing(settled: SettledEvent) -> None:
    page = to_html(settled)
    assert "half&lt;&amp;&gt;" in page
    assert "<b>too much" not in page
    assert not re.findall(r"(?:src|href)\s*=|https?://|<script|@import|url\(", page)
    for words in ("7.5 kWh", "75.0 %", "10 kWh", "50.0 %", "unknown.metric_units"):
        assert words in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_and_fits_a_phone(
    settled: SettledEvent,
    chromium: Browser,
    scheme: Any,
    tmp_path: Path,
) -> None:
    (tmp_path / "page.html").write_text(to_html(settled), "utf-8")
    context = chromium.new_context(viewport=DESK, color_scheme=scheme, offline=True)
    watched = Watched(context)
    watched.page.goto((tmp_path / "page.html").as_uri())
    for size in (DESK, PHONE):
        watched.page.set_viewport_size(size)
        assert violations(watched.page) == []
        assert watched.page.evaluate(TOO_WIDE) <= 0
    assert watched.complaints == []
    context.close()
