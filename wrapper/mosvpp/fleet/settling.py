"""Settle an event over all of its sites: out of the journal, what Molecule reported, and telemetry.

settled = settle_event(journal, telemetry, event_id, gaps="zero", now=now)
settled.asked_kwh, settled.delivered_kwh, settled.worst(10)
Path("event.html").write_text(to_html(settled))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import fsum
from typing import TypeAlias
from uuid import UUID

import msgspec

from mosvpp._values import Value
from mosvpp.errors import RuleError
from mosvpp.events import ExecutionResult
from mosvpp.slots import EventSlot
from mosvpp.units import Power
from mosvpp_api.models.event_type import EventType

from .dispatches import Dispatch
from .energy import GapPolicy, Sample, power_at
from .entries import Reported
from .journal import Journal
from .settlement import MAX_GAP, Settlement, directed, settle
from .states import State
from .telemetry import Telemetry

__all__ = ["Case", "Moment", "SettledEvent", "settle_event"]

Baselines: TypeAlias = Mapping[str, Power | Sequence[Sample]]

_MOMENTS = 120


class Case(Value, frozen=True, kw_only=True):
    """One site: what is known of the event there, and the figures.

    `said` is what Molecule, or a failing attempt, said last in words; `advice` what can be done.
    """

    molecule_id: str
    state: State
    said: str | None = None
    advice: str = ""
    settlement: Settlement


class Moment(Value, frozen=True, kw_only=True):
    """All sites together at an instant, in kW. `measured` is for how many of them the power is known."""

    at: datetime
    asked_kw: float
    delivered_kw: float | None
    measured: int


class SettledEvent(Value, frozen=True, kw_only=True, tag_field="kind", tag="settled_event"):
    """One event over all of its sites. `metric` and `basis` say what telemetry it rests on."""

    event_id: str
    event_type: str
    mode: str
    start: datetime
    end: datetime
    settled_at: datetime
    metric: str
    unit: str | None
    basis: str | None
    gaps: str
    max_gap_s: float
    cases: tuple[Case, ...]
    moments: tuple[Moment, ...]

    @property
    def states(self) -> Counter[State]:
        """How many sites are in which state."""
        return Counter(case.state for case in self.cases)

    @property
    def asked_kwh(self) -> float:
        """What was asked of all sites that the event was ever sent to."""
        return fsum(one.asked_kwh or 0.0 for one in self._settlements())

    @property
    def reported_kwh(self) -> float | None:
        """What Molecule reported as power, over the sites of which it did; None where it did of none."""
        return _sum(one.reported_kwh for one in self._settlements())

    @property
    def delivered_kwh(self) -> float | None:
        """What telemetry says, over the sites where it can be computed; None where it can be nowhere."""
        return _sum(one.delivered_kwh for one in self._settlements())

    @property
    def counted_kwh(self) -> float:
        """What was asked where something can be compared with it."""
        return fsum(one.counted_kwh or 0.0 for one in self._settlements())

    @property
    def performance(self) -> float | None:
        """Delivered over asked, 1 being all of it, over the sites where it can be computed."""
        return (
            None
            if self.delivered_kwh is None or not self.counted_kwh
            else self.delivered_kwh / self.counted_kwh
        )

    @property
    def coverage(self) -> float:
        """The part of all sites' time that was measured, 0 to 1."""
        several = [case.settlement.coverage or 0.0 for case in self.cases]
        return fsum(several) / len(several) if several else 0.0

    @property
    def assumptions(self) -> Counter[str]:
        """What the figures rest on, and for how many sites."""
        return Counter(text for one in self._settlements() for text in one.assumptions)

    @property
    def not_computable(self) -> Counter[str]:
        """Why nothing could be computed, and for how many sites."""
        return Counter(one.not_computable for one in self._settlements() if one.not_computable)

    def worst(self, count: int) -> list[Case]:
        """The sites that delivered least of what was asked, the worst first."""
        known = [case for case in self.cases if case.settlement.performance is not None]
        return sorted(known, key=lambda case: case.settlement.performance or 0.0)[:count]

    def _settlements(self) -> Iterator[Settlement]:
        return (case.settlement for case in self.cases)


def settle_event(
    journal: Journal,
    telemetry: Telemetry,
    event_id: str | UUID,
    *,
    now: datetime,
    metric: str = "power_output",
    baselines: Baselines | None = None,
    devices: Mapping[str, Collection[str]] | None = None,
    gaps: GapPolicy,
    max_gap: timedelta = MAX_GAP,
) -> SettledEvent:
    """Settle an event at every site that it was sent to.

    `metric` names the power in the telemetry, and the telemetry's own `metrics` say its unit and sign.
    `baselines` holds by molecule_id what `mosvpp.fleet.settlement.settle` takes. `devices` says by
    molecule_id which devices count, and none do of a site that is missing; without it, every device counts
    that sends the metric, a solar inverter beside a battery too. Raises `RuleError` for an event that was
    never sent, `StoreError` when a store fails.
    """
    known = telemetry.metric(metric)
    cases, powers, first = list[Case](), list[_Powers](), None
    for dispatch in journal.find(event_id=event_id):
        slot = dispatch.sent_slot
        if slot is None:
            continue
        first = first or dispatch
        site = dispatch.molecule_id
        series = telemetry.series(site, metric, slot.start, slot.end)
        if devices is not None:
            counted = devices.get(site, ())
            series = {device: found for device, found in series.items() if device in counted}
        baseline = (baselines or {}).get(site)
        settled = settle(
            site,
            slot,
            series=series,
            metric=known,
            result=_result(dispatch),
            baseline=baseline,
            gaps=gaps,
            max_gap=max_gap,
        )
        case = Case(
            molecule_id=site,
            state=dispatch.state,
            said=dispatch.said,
            advice=dispatch.advice(now),
            settlement=settled,
        )
        cases.append(case)
        if settled.delivered_kwh is None or known is None:
            powers.append(_Powers(slot, None, None))
        else:
            powers.append(_Powers(slot, list(directed(slot, series, known).values()), baseline))
    if first is None:
        msg = f"the journal knows no event {event_id} that was sent"
        raise RuleError(msg, path="event_id", rule="known_event")
    start = min(case.settlement.start for case in cases)
    end = max(case.settlement.end for case in cases)
    return SettledEvent(
        event_id=first.event_id,
        event_type=cases[0].settlement.event_type,
        mode=str(first.mode),
        start=start,
        end=end,
        settled_at=now,
        metric=metric,
        unit=known.unit if known else None,
        basis=known.basis if known else None,
        gaps=gaps,
        max_gap_s=max_gap.total_seconds(),
        cases=tuple(cases),
        moments=tuple(_moments(powers, start, end, max_gap)),
    )


def _sum(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return fsum(known) if known else None


def _result(dispatch: Dispatch) -> ExecutionResult | None:
    """What was reported last, as Molecule's own words."""
    reports = [entry for entry in dispatch.entries if isinstance(entry, Reported)]
    if not reports:
        return None
    last = next((one for one in reversed(reports) if one.executed_quantity is not None), reports[-1])
    return ExecutionResult(
        event_id=dispatch.event_id,
        status=last.status,
        status_text=last.status_text,
        message=last.message,
        started_at=last.started_at,
        ended_at=last.ended_at,
        executed_quantity=last.executed_quantity,
        executed_unit=last.executed_unit,
    )


class _Powers(msgspec.Struct, frozen=True):
    """What is needed of a site to draw it; `devices` is None where nothing can be computed."""

    slot: EventSlot
    devices: list[list[Sample]] | None
    baseline: Power | Sequence[Sample] | None

    def asked(self, at: datetime) -> float:
        power = self.slot.power
        return power.kilowatts if power is not None and self.slot.start <= at <= self.slot.end else 0.0

    def delivered(self, at: datetime, max_gap: timedelta) -> float | None:
        if self.devices is None or not self.slot.start <= at <= self.slot.end:
            return None
        now = [power_at(samples, at, max_gap=max_gap) for samples in self.devices]
        if any(power is None for power in now):
            return None
        total = fsum(power for power in now if power is not None)
        if self.baseline is None:
            return total
        usual: float | None
        if isinstance(self.baseline, Power):
            usual = self.baseline.kilowatts
        else:
            usual = power_at(self.baseline, at, max_gap=max_gap)
        if usual is None:
            return None
        return usual - total if self.slot.event_type == EventType.SHED else total - usual


def _moments(
    sites: Sequence[_Powers], start: datetime, end: datetime, max_gap: timedelta
) -> Iterator[Moment]:
    """A sum at so many instants from the start to the end."""
    for number in range(_MOMENTS + 1):
        at = start + (end - start) * number / _MOMENTS
        found = [power for site in sites if (power := site.delivered(at, max_gap)) is not None]
        yield Moment(
            at=at,
            asked_kw=fsum(site.asked(at) for site in sites),
            delivered_kw=fsum(found) if found else None,
            measured=len(found),
        )
