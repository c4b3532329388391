"""Many sites: plan an event, dispatch it to all of them, and know what became of each (extra `fleet`).

    plan = plan_dispatch(sites, slot, mode="live", now=now, journal=journal, allow_live=True)
    print(plan)                                    # what would be sent, and what speaks against it
    with Fleet(journal, api_key, allow_live=True) as fleet:
        result = fleet.execute(plan)
        fleet.cancel(slot.event_id)

    planning   what is checked before anything is sent
    fleet      sending to many sites at once, cancelling, stopping
    journal    what was asked of which site, and what became of it
    states     the table of what follows from what

Nothing that may have been received is sent again by itself, except for a cancellation that was asked for.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("sqlalchemy") is None:
    raise ImportError(
        "a fleet needs SQLAlchemy, which comes with an extra: pip install 'mosvpp[fleet]'", name="sqlalchemy"
    )

from .dispatches import Dispatch
from .journal import Journal
from .planning import plan_dispatch
from .plans import Finding, Plan
from .sites import SiteFacts, SiteRegistry
from .states import State

__all__ = [
    "Dispatch",
    "Finding",
    "Journal",
    "Plan",
    "SiteFacts",
    "SiteRegistry",
    "State",
    "plan_dispatch",
]
