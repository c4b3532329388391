"""Many sites: plan an event, dispatch it to all of them, and know what became of each (extra `fleet`).

    plan = plan_dispatch(sites, slot, mode="live", now=now, journal=journal, allow_live=True)
    print(plan)                                    # what would be sent, and what speaks against it
    with Fleet(journal, api_key, allow_live=True) as fleet:
        result = fleet.execute(plan)
        fleet.cancel(slot.event_id)
    follow(inbox, journal, telemetry)              # what Molecule tells, out of the receiver's inbox
    settled = settle_event(journal, telemetry, slot.event_id, gaps="zero", now=now)
    Path("event.html").write_text(to_html(settled), "utf-8")

    planning    what is checked before anything is sent; registry: devices and ratings of the sites
    fleet       sending to many sites at once, cancelling, stopping; results: what it tells
    journal     what was asked of which site, and what became of it
    states      the table of what follows from what
    following   from an inbox into the journal and the telemetry
    telemetry   every value of every metric; metrics: what it means; export: to Parquet, CSV, Arrow
    settling    kWh asked, reported and delivered; settlement_page: the same to look at

Nothing that may have been received is sent again by itself, except for a cancellation that was asked for.
"""

from __future__ import annotations

from importlib.util import find_spec

if _missing := [name for name in ("sqlalchemy", "aiohappyeyeballs") if find_spec(name) is None]:
    raise ImportError(
        f"a fleet needs {_missing[0]}, which comes with an extra: pip install 'mosvpp[fleet]'",
        name=_missing[0],
    )

from .dispatches import Dispatch
from .fleet import AsyncFleet, Fleet
from .following import Followed, follow
from .journal import Journal
from .metrics import Metric, Metrics
from .planning import plan_dispatch
from .plans import Finding, Plan
from .registry import DeviceChange, DeviceRegistry, SyncReport
from .results import Execution, SiteOutcome, Stopping
from .settlement import Settlement
from .settlement_page import to_html
from .settling import SettledEvent, settle_event
from .sites import SiteFacts, SiteRegistry
from .states import State
from .telemetry import Reading, Telemetry

__all__ = [
    "AsyncFleet",
    "DeviceChange",
    "DeviceRegistry",
    "Dispatch",
    "Execution",
    "Finding",
    "Fleet",
    "Followed",
    "Journal",
    "Metric",
    "Metrics",
    "Plan",
    "Reading",
    "SettledEvent",
    "Settlement",
    "SiteFacts",
    "SiteOutcome",
    "SiteRegistry",
    "State",
    "Stopping",
    "SyncReport",
    "Telemetry",
    "follow",
    "plan_dispatch",
    "settle_event",
    "to_html",
]
