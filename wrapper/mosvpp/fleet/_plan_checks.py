"""What a plan is checked for. Each check adds what it finds; a finding that many sites share is one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from statistics import median
from typing import NamedTuple

from mosvpp.ids import id_key
from mosvpp.models import Device
from mosvpp.slots import EventSlot
from mosvpp.times import to_wire
from mosvpp.units import Power, kW
from mosvpp_api.models.dispatch_mode import DispatchMode
from mosvpp_api.models.event_type import EventType

from ._journal_rows import site_key
from .dispatches import Dispatch
from .journal import Journal
from .plans import Finding, Level
from .sites import SiteRegistry
from .states import State

__all__ = ["Findings", "Limits", "arming", "history", "power", "sites", "time"]

_PAGE = 500
_SLIP = 300.0  # powers so far apart differ by a prefix (w, kW, MW) rather than by intention
_ALWAYS_ERRORS = frozenset({"arming", "started", "cancelled", "finished", "other_mode", "sent_before"})


class Limits(NamedTuple):
    """What the caller allows."""

    rate: float
    lead: timedelta
    site_ceiling: Power | None
    total_ceiling: Power | None


class Findings:
    """Collects findings. `accepted` are codes of errors that the caller knows about."""

    def __init__(self, accepted: Collection[str]) -> None:
        self._accepted = frozenset(accepted) - _ALWAYS_ERRORS
        self._found: dict[tuple[Level, str], tuple[str, list[str]]] = {}

    def add(self, level: Level, code: str, message: str, molecule_id: str | None = None) -> None:
        """Note a finding. Of several sites with the same code the first one's message is shown."""
        if code in self._accepted:
            level = "warning"
        _, concerned = self._found.setdefault((level, code), (message, []))
        if molecule_id is not None:
            concerned.append(molecule_id)

    def all(self) -> tuple[Finding, ...]:
        """Everything that was found, errors first."""
        found = (
            Finding(level=level, code=code, message=message, molecule_ids=tuple(concerned))
            for (level, code), (message, concerned) in self._found.items()
        )
        return tuple(sorted(found, key=lambda one: one.level))


def arming(found: Findings, mode: str, *, allow_live: bool) -> None:
    """A live plan must be meant."""
    if mode == "live" and not allow_live:
        found.add("error", "arming", "live dispatch moves real devices: say allow_live=True to mean it")


def time(
    found: Findings, order: Sequence[str], wanted: Mapping[str, EventSlot], limits: Limits, now: datetime
) -> None:
    """Everything must be sent before it starts; `order` is the order of sending."""
    for place, molecule_id in enumerate(order, start=1):
        start = wanted[molecule_id].start
        done = now + timedelta(seconds=place / limits.rate)
        if start <= now:
            found.add("error", "started", f"it starts at {to_wire(start)}, which has passed", molecule_id)
        elif done + limits.lead > start:
            msg = (
                f"at {limits.rate:g} requests a second it would be sent at {to_wire(done)}, too late for its "
                f"start at {to_wire(start)}"
            )
            found.add(
                "error", "lead_time", msg + (f" less {limits.lead}" if limits.lead else ""), molecule_id
            )


def power(found: Findings, wanted: Mapping[str, EventSlot], limits: Limits, mode: str) -> None:
    """No site, and not all of them together, may be asked for more than the caller allows."""
    if mode == "live" and limits.total_ceiling is None:
        found.add("warning", "no_ceiling", "there is no total_ceiling that would stop too much power")
    totals: dict[EventType, float] = {}
    usual = median(slot.power.watts for slot in wanted.values() if slot.power) if _powers(wanted) else 0.0
    for molecule_id, slot in wanted.items():
        if slot.power is None:
            continue
        totals[slot.event_type] = totals.get(slot.event_type, 0.0) + slot.power.watts
        if limits.site_ceiling is not None and slot.power > limits.site_ceiling:
            msg = f"{slot.power} is above the ceiling for a site, {limits.site_ceiling}"
            found.add("error", "site_ceiling", msg, molecule_id)
        if slot.power.watts >= _SLIP * usual or slot.power.watts * _SLIP <= usual:
            msg = f"{slot.power}, where half of the sites get {usual / 1000 * kW} or less: w, kW or MW?"
            found.add("error", "unit_slip", msg, molecule_id)
    for event_type, watts in totals.items():
        if limits.total_ceiling is not None and watts > limits.total_ceiling.watts:
            msg = f"{event_type.value} of {watts / 1000 * kW} in total is above {limits.total_ceiling}"
            found.add("error", "total_ceiling", msg)


def _powers(wanted: Mapping[str, EventSlot]) -> bool:
    return any(slot.power is not None for slot in wanted.values())


# --- what a registry knows


def sites(found: Findings, wanted: Mapping[str, EventSlot], registry: SiteRegistry | None) -> None:
    """A site must have a device for the event, and the rating for its power."""
    if registry is None:
        found.add("warning", "no_registry", "devices and ratings of the sites are not known here")
        return
    for several in _pages(wanted):
        facts = registry.facts(several)
        for molecule_id in several:
            known, slot = facts.get(molecule_id), wanted[molecule_id]
            if known is None or known.devices is None:
                msg = "its devices were never synchronized"
                found.add("warning", "never_synchronized", msg, molecule_id)
            else:
                _capability(found, molecule_id, slot, known.devices)
            if known is not None and known.rating is not None and slot.power is not None:
                _rating(found, molecule_id, slot.power, known.rating)


def _capability(found: Findings, molecule_id: str, slot: EventSlot, devices: Sequence[Device]) -> None:
    event_type = slot.event_type.value
    if slot.event_type is EventType.RESTORE:
        return
    said = [device.can(event_type) for device in devices]
    if True in said:
        return
    if None in said:
        msg = f"whether a device can {event_type} is not known: capabilities are not listed for each"
        found.add("warning", "capability_unknown", msg, molecule_id)
        return
    names = ", ".join(device.device_id for device in devices[:3]) or "no device"
    found.add("error", "capability", f"{names}: listed without {event_type}", molecule_id)


def _rating(found: Findings, molecule_id: str, asked: Power, rating: Power) -> None:
    factor = asked.watts / rating.watts if rating.watts else float("inf")
    if factor >= _SLIP:
        msg = f"{asked} for a site rated {rating}: w, kW or MW?"
        found.add("error", "unit_slip", msg, molecule_id)
    elif factor > 1:
        found.add("error", "rating", f"{asked} is above the rating of the site, {rating}", molecule_id)
    elif factor * _SLIP <= 1:
        msg = f"{asked} for a site rated {rating}: w, kW or MW?"
        found.add("warning", "unit_slip", msg, molecule_id)


# --- what a journal knows


def history(
    found: Findings,
    wanted: Mapping[str, EventSlot],
    journal: Journal,
    mode: DispatchMode,
    *,
    update: bool,
) -> None:
    """What was sent before must not be sent again unawares, nor meet another event at the same site."""
    first = min(slot.start for slot in wanted.values())
    last = max(slot.end for slot in wanted.values())
    names = {site_key(molecule_id): molecule_id for molecule_id in wanted}
    for known in journal.known((slot.event_id, molecule_id) for molecule_id, slot in wanted.items()):
        _same_event(found, names[site_key(known.molecule_id)], known, mode, update=update)
    around = timedelta(seconds=1)
    for known in journal.find(molecule_ids=wanted, ends_after=first - around, starts_before=last + around):
        molecule_id = names[site_key(known.molecule_id)]
        if id_key(known.event_id) != id_key(wanted[molecule_id].event_id):
            _other_event(found, molecule_id, wanted[molecule_id], known)


def _same_event(
    found: Findings, molecule_id: str, known: Dispatch, mode: DispatchMode, *, update: bool
) -> None:
    if known.mode != mode:
        found.add("error", "other_mode", f"the event went to it in mode {known.mode.value}", molecule_id)
    elif known.is_cancelled or known.state is State.CANCELLED:
        msg = "the event was cancelled there, and stays so: give it a new id"
        found.add("error", "cancelled", msg, molecule_id)
    elif known.state.is_final and known.state is not State.REJECTED:
        msg = f"the event is {known.state.value} there: give it a new id"
        found.add("error", "finished", msg, molecule_id)
    elif known.state is not State.PLANNED and not update:
        msg = f"the event was sent to it, and is {known.state.value}: say update=True to send it again"
        found.add("error", "sent_before", msg, molecule_id)
    elif known.state is not State.PLANNED:
        msg = f"the event is {known.state.value} there, and would be sent again"
        found.add("warning", "sent_again", msg, molecule_id)


def _other_event(found: Findings, molecule_id: str, slot: EventSlot, known: Dispatch) -> None:
    other = known.sent_slot or known.slot
    is_planned = known.state is State.PLANNED and not known.is_cancelled
    if not (known.state.may_run or is_planned) or known.standing.is_stopped:
        return
    about = f"{other.event_type.value} event {known.event_id} ({known.state.value}, {known.mode.value}"
    about += f", priority {other.priority}{', mandatory' if other.mandatory else ''})"
    if slot.start == other.end or slot.end == other.start:
        if slot.event_type is not other.event_type:
            msg = f"it meets {about} without a pause between them"
            found.add("warning", "back_to_back", msg, molecule_id)
    elif slot.start < other.end and other.start < slot.end:
        wins = slot.priority < other.priority and not other.mandatory
        msg = f"it overlaps with {about}"
        msg += "; which of them a site follows is not known" if wins else ", which does not rank below it"
        found.add("warning" if wins else "error", "overlap", msg, molecule_id)


def _pages(wanted: Mapping[str, EventSlot]) -> Iterator[list[str]]:
    left = iter(wanted)
    while several := list(islice(left, _PAGE)):
        yield several
