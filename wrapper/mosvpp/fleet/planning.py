"""Making a plan: everything that can be found out before anything is sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

from mosvpp import _wire, rules
from mosvpp._calls import site_of
from mosvpp.errors import RuleError
from mosvpp.slots import EventSlot
from mosvpp.units import Power
from mosvpp_api.models.dispatch_mode import DispatchMode

from . import _plan_checks
from ._plan_checks import Findings, Limits
from .journal import Journal
from .plans import Plan
from .sites import SiteRegistry

__all__ = ["DEFAULT_RATE", "plan_dispatch"]

DEFAULT_RATE = 100.0
"""Requests a second. What Molecule allows is not known (unknown.limits)."""


def plan_dispatch(
    molecule_ids: Iterable[str],
    slot: EventSlot | Mapping[str, EventSlot],
    *,
    mode: Literal["test", "live"],
    now: datetime,
    registry: SiteRegistry | None = None,
    journal: Journal | None = None,
    rate: float = DEFAULT_RATE,
    lead: timedelta = timedelta(0),
    site_ceiling: Power | None = None,
    total_ceiling: Power | None = None,
    allow_live: bool = False,
    update: bool = False,
    accept: Collection[str] = (),
) -> Plan:
    """Plan an event for many sites, and check it; nothing is sent, and nothing is written.

    `slot` is the event for all sites, or one for each site by its id; with the same `event_id` they are one
    event, of which each site has its share. `registry` knows devices and ratings, `journal` what was sent
    before. Sending at `rate` requests a second must be done `lead` before each start. The ceilings bound the
    power of one site, and of all sites together by type of event. `allow_live` says that you mean a live
    plan, `update` that what was sent before shall be sent again, changed or not.

    What the checks find stands in `plan.findings`; a plan with errors is not executed. Errors whose codes are
    in `accept` become warnings, except `arming`, `started`, `cancelled`, `finished`, `other_mode` and
    `sent_before`.

    Raises `RuleError` for what is no event, no site, a site that is given twice, or a rate of zero.
    """
    wanted = _assigned(molecule_ids, slot)
    _check_bodies({id(one): one for one in wanted.values()}.values(), mode)
    if not rate > 0:
        raise RuleError(f"{rate!r} is no rate; give requests a second", path="rate", rule="range")
    order = sorted(wanted, key=lambda molecule_id: wanted[molecule_id].start)
    found = Findings(accept)
    limits = Limits(rate, lead, site_ceiling, total_ceiling)
    _plan_checks.arming(found, mode, allow_live=allow_live)
    _plan_checks.time(found, order, wanted, limits, now)
    _plan_checks.power(found, wanted, limits, mode)
    _plan_checks.sites(found, wanted, registry)
    if journal is not None:
        _plan_checks.history(found, wanted, journal, DispatchMode(mode), update=update)
    slots = {id(one): one for one in wanted.values()}
    return Plan(
        mode=DispatchMode(mode),
        molecule_ids=tuple(order),
        slots=tuple(slots.values()) if len(slots) == 1 else tuple(wanted[one] for one in order),
        made_at=now,
        rate=rate,
        lead=lead,
        findings=found.all(),
        update=update,
    )


def _assigned(molecule_ids: Iterable[str], slot: EventSlot | Mapping[str, EventSlot]) -> dict[str, EventSlot]:
    """The event of each site."""
    wanted: dict[str, EventSlot] = {}
    seen: set[str] = set()
    for molecule_id in molecule_ids:
        one = slot if isinstance(slot, EventSlot) else slot.get(site_of(molecule_id))
        if not isinstance(one, EventSlot):
            raise RuleError(f"there is no event for {molecule_id}", path="slot", rule="required")
        if one.cancelled:
            msg = "a plan is for what shall happen; to cancel use fleet.cancel(event_id)"
            raise RuleError(msg, path="slot", rule="cancelled")
        if site_of(molecule_id).lower() in seen:
            raise RuleError(f"{molecule_id} is there twice", path="molecule_ids", rule="unique")
        seen.add(molecule_id.lower())
        wanted[molecule_id] = one
    if not wanted:
        raise RuleError("there is no site to dispatch to", path="molecule_ids", rule="required")
    if not isinstance(slot, EventSlot) and len(slot) > len(wanted):
        left = next(iter(slot.keys() - wanted.keys()))
        raise RuleError(f"there is an event for {left}, which is not listed", path="slot", rule="required")
    return wanted


def _check_bodies(slots: Iterable[EventSlot], mode: str) -> None:
    if mode not in ("test", "live"):
        msg = f"{mode!r} is no mode; say mode='test' or mode='live'"
        raise RuleError(msg, path="mode", rule="enum", evidence=("dispatch.mode",))
    for slot in slots:
        rules.check("DispatchRequest", _wire.dispatch_call("any", [slot], DispatchMode(mode))["json"])
