"""What tests say about journals of a fleet, and what they put into them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from mosvpp import _wire, discharge, kW
from mosvpp.fleet import Journal
from mosvpp.fleet._journal_rows import Note, Wanted
from mosvpp.fleet.entries import Answered, Sent, Verdict
from mosvpp.slots import EventSlot
from mosvpp_api.models.dispatch_mode import DispatchMode

__all__ = ["JournalFactory", "sent_earlier"]

JournalFactory = Callable[[], Journal]
"""Makes journals of one store, as several programs have them."""


def sent_earlier(
    journal: Journal,
    molecule_ids: Sequence[str],
    *,
    verdict: Verdict = "unknown",
    ago: timedelta | None = None,
) -> EventSlot:
    """An event of 5 kW for an hour that began so long ago, three hours if nothing is said; it was sent."""
    start = datetime.now(UTC).replace(microsecond=0) - (ago or timedelta(hours=3))
    slot = discharge(5 * kW, start=start, duration=timedelta(hours=1), priority=10)
    wanted = [Wanted(molecule_id, slot) for molecule_id in molecule_ids]
    for pending in journal.record(wanted, mode="live", plan="p"):
        pending.result()
    for molecule_id in molecule_ids:
        dispatch = journal.get(molecule_id, slot.event_id)
        assert dispatch is not None
        body = _wire.dispatch_call(molecule_id, [slot], DispatchMode.LIVE)["json"]
        journal.begin(dispatch.number, Sent(at=start, revision=1, body=json.dumps(body))).result()
        answer = Answered(at=start, revision=1, verdict=verdict, message="no answer came")
        journal.note(Note(dispatch.number, answer)).result()
    return slot
