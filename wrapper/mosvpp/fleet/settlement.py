"""What was asked of a site in an event, what Molecule reported, and what telemetry says was delivered.

Nothing is guessed: what cannot be computed says why, and every assumption that a figure rests on stands
beside it. Whether a quantity is a setpoint or a change against a baseline is not known
(unknown.quantity_meaning); without a baseline it is taken as a setpoint, and that is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import fsum
from typing import Any

from mosvpp._values import Value
from mosvpp.errors import RuleError
from mosvpp.events import ExecutionResult
from mosvpp.ids import id_key
from mosvpp.slots import EventSlot
from mosvpp.units import Power
from mosvpp_api.models.event_type import EventType

from .energy import GapPolicy, Sample, Span, common, integrate, measured
from .metrics import Metric

__all__ = ["MAX_GAP", "Settlement", "directed", "settle"]

MAX_GAP = timedelta(minutes=20)
"""Samples further apart leave a gap: a little more than the longest usual interval, 15 minutes."""

_HOUR = timedelta(hours=1)


class Settlement(Value, frozen=True, kw_only=True, tag_field="kind", tag="settlement"):
    """One event at one site, in kWh. None is what nobody said or what cannot be computed.

    `asked_kwh` is power times time, `counted_kwh` the part of it that `delivered_kwh` is compared with: less
    only where gaps are dropped. `reported_kwh` comes from the execution response where that states a power,
    `reported` is what it states. `delivered_kwh` is integrated from telemetry, positive in the direction that
    was asked for; `coverage` (0 to 1) is the part of the time in which every device was measured, and the
    baseline, where it is a series. `not_computable` says why there is no `delivered_kwh`.
    """

    molecule_id: str
    event_id: str
    event_type: str
    start: datetime
    end: datetime
    asked_kwh: float | None
    counted_kwh: float | None = None
    reported_kwh: float | None = None
    reported: str | None = None
    delivered_kwh: float | None = None
    coverage: float | None = None
    gaps: str
    not_computable: str | None = None
    assumptions: tuple[str, ...] = ()

    @property
    def performance(self) -> float | None:
        """Delivered over asked, 1 being all of it."""
        if self.delivered_kwh is None or not self.counted_kwh:
            return None
        return self.delivered_kwh / self.counted_kwh


def settle(
    molecule_id: str,
    slot: EventSlot,
    *,
    series: Mapping[str, Sequence[tuple[datetime, float]]],
    metric: Metric | None,
    result: ExecutionResult | None = None,
    baseline: Power | Sequence[Sample] | None = None,
    gaps: GapPolicy,
    max_gap: timedelta = MAX_GAP,
) -> Settlement:
    """Settle one event at one site.

    `series` holds for each device the values of one `metric`, in the order of time and best with one before
    the start and one behind the end. `baseline` is what the devices together would have given (discharge) or
    used (charge, shed) without the event; a `Power` is a constant. Raises `RuleError` for samples out of
    order, or a result of another event.
    """
    if result is not None and id_key(result.event_id) != id_key(slot.event_id):
        msg = f"the result is of event {result.event_id}, the slot is {slot.event_id}"
        raise RuleError(msg, path="result", rule="same_event")
    hours = (slot.end - slot.start) / _HOUR
    asked = None if slot.power is None else slot.power.kilowatts * hours
    said, reported, assumed = _reported(slot, result)
    problem = _obstacle(slot, series, metric, baseline)
    known: dict[str, Any] = {
        "molecule_id": molecule_id,
        "event_id": slot.event_id,
        "event_type": str(slot.event_type),
        "start": slot.start,
        "end": slot.end,
        "asked_kwh": asked,
        "reported": said,
        "reported_kwh": reported,
        "gaps": gaps,
    }
    if problem is not None or metric is None or asked is None:
        return Settlement(**known, not_computable=problem, assumptions=tuple(assumed))
    assumed += _assumptions(metric, baseline)
    delivered, counted, seen = _delivered(slot, series, metric, baseline, gaps, max_gap)
    window = slot.end - slot.start
    return Settlement(
        **known,
        delivered_kwh=delivered + 0.0,  # turns -0.0 into 0.0
        counted_kwh=asked * (counted / window),
        coverage=seen / window,
        assumptions=tuple(assumed),
    )


def directed(
    slot: EventSlot, series: Mapping[str, Sequence[tuple[datetime, float]]], metric: Metric
) -> dict[str, list[Sample]]:
    """The values as powers in the direction by which an event is judged; empty where they are no powers.

    Discharge is judged by what goes out; charging and shedding by what goes in, more of it or less than the
    baseline.
    """
    if metric.kilowatts is None or metric.positive is None:
        return {}
    wanted = "out" if slot.event_type == EventType.DISCHARGE else "in"
    sign = metric.kilowatts if metric.positive == wanted else -metric.kilowatts
    return {device: [Sample(at, value * sign) for at, value in values] for device, values in series.items()}


def _reported(slot: EventSlot, result: ExecutionResult | None) -> tuple[str | None, float | None, list[str]]:
    """What the execution response states, as text and in kWh, and what had to be assumed for it."""
    if result is None or result.executed_quantity is None:
        return None, None, []
    said = f"{result.executed_quantity:g} {result.executed_unit or '(no unit)'}"
    power = result.executed_power
    if power is None:
        return said, None, []
    start, end = result.started_at or slot.start, result.ended_at or slot.end
    assumed = ["the executed quantity is the mean power (execution.executed_quantity)"]
    if result.started_at is None or result.ended_at is None:
        assumed.append("executed from the start to the end that were asked for: no actual times were sent")
    if end < start:
        return said, None, []
    return said, power.kilowatts * ((end - start) / _HOUR), assumed


def _obstacle(
    slot: EventSlot,
    series: Mapping[str, Sequence[tuple[datetime, float]]],
    metric: Metric | None,
    baseline: Power | Sequence[Sample] | None,
) -> str | None:
    """Why what was delivered cannot be computed, if so."""
    if slot.power is None:
        return "restore asks for no quantity"
    if slot.event_type == EventType.SHED and baseline is None:
        return "shed needs a baseline: what the site would have used without the event"
    if metric is None or metric.kilowatts is None:
        return "the metric has no unit of power: declare it, as in Metric(unit='kW', positive='out')"
    if metric.positive is None:
        return "which way a positive value flows is not declared: Metric(…, positive='out')"
    if not any(series.values()):
        return "there is no telemetry of this metric"
    return None


def _assumptions(metric: Metric, baseline: Power | Sequence[Sample] | None) -> list[str]:
    assumed = []
    if metric.basis == "inferred":
        way = "out of" if metric.positive == "out" else "into"
        assumed.append(
            f"the metric is in {metric.unit}, positive {way} the device: inferred from samples "
            "(unknown.metric_units)"
        )
    if baseline is None:
        assumed.append(
            "the quantity is a setpoint, not a change against a baseline (unknown.quantity_meaning)"
        )
    return assumed


def _delivered(
    slot: EventSlot,
    series: Mapping[str, Sequence[tuple[datetime, float]]],
    metric: Metric,
    baseline: Power | Sequence[Sample] | None,
    gaps: GapPolicy,
    max_gap: timedelta,
) -> tuple[float, timedelta, timedelta]:
    """Energy in the direction of the event in kWh, the time that is spoken of, the time that was measured.

    Beside a baseline, or with `drop`, only the time counts in which everything was measured: a gap in a load
    that is to be shed must not pass for savings.
    """
    powers = list(directed(slot, series, metric).values())
    window = slot.end - slot.start
    everywhere: list[Span] = [(slot.start, slot.end)]
    series_of_usual = [] if baseline is None or isinstance(baseline, Power) else [baseline]
    for samples in (*powers, *series_of_usual):
        everywhere = common(everywhere, measured(samples, slot.start, slot.end, max_gap=max_gap))
    seen = sum((end - start for start, end in everywhere), timedelta(0))
    spans = everywhere
    if gaps == "hold" or (gaps == "zero" and baseline is None):
        spans = [(slot.start, slot.end)]

    def energy(samples: Sequence[Sample]) -> float:
        # Where only what was measured counts, there is no gap left for a policy.
        return fsum(
            integrate(samples, start, end, gaps=gaps, max_gap=max_gap).kilowatt_hours for start, end in spans
        )

    total = fsum(energy(samples) for samples in powers)
    counted = seen if gaps == "drop" else window
    if baseline is None:
        return total, counted, seen
    if isinstance(baseline, Power):
        usual = fsum(baseline.kilowatts * ((end - start) / _HOUR) for start, end in spans)
    else:
        usual = energy(baseline)
    return (usual - total if slot.event_type == EventType.SHED else total - usual), counted, seen
