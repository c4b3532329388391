"""What plans, events and sites of a fleet look like in 80 columns, and as objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mosvpp.fleet import Dispatch, Finding, Plan, State
from mosvpp.fleet.entries import Reported
from mosvpp.slots import EventSlot
from mosvpp.times import to_wire

from .tables import period_words, table
from .terminal import plain

__all__ = [
    "DOUBTFUL",
    "advice_lines",
    "advised",
    "command_words",
    "counts_text",
    "dispatch_object",
    "dispatches_table",
    "findings_lines",
    "plan_table",
    "several",
    "state_text",
]

DOUBTFUL = (State.CONFLICT, State.UNKNOWN, State.SENT)
"""States that somebody has to look at."""

_STYLES = {
    State.PLANNED: "dim",
    State.SENT: "yellow",
    State.CONFIRMED: "green",
    State.REJECTED: "red",
    State.UNKNOWN: "yellow",
    State.IN_PROGRESS: "cyan",
    State.COMPLETED: "green",
    State.PARTIALLY_COMPLETED: "yellow",
    State.FAILED: "red",
    State.CANCELLED: "dim",
    State.SUPERSEDED: "dim",
    State.OPTED_OUT: "dim",
    State.CONFLICT: "bold red",
}
_ORDER = {state: place for place, state in enumerate(State)}
_LONGEST_MESSAGE = 200

# What the SDK says to programmers, in the words of the command line.
_WORDS = {
    "say allow_live=True to mean it": "add --live to say that you mean it",
    "say update=True to send it again": "add --update to send it again",
    "with update=True": "with --update",
    "settle it with resolve()": "settle it with `mosvpp fleet resolve`",
    "then use resolve()": "then use `mosvpp fleet resolve`",
    "total_ceiling": "--total-ceiling",
    "execute its plan again": "run its plan again",
    "fleet.cancel(event_id)": "`mosvpp fleet cancel`",
}


def command_words(text: str) -> str:
    """A sentence of the SDK as the command line says it."""
    for python, command in _WORDS.items():
        text = text.replace(python, command)
    return text


def several(count: int, word: str) -> str:
    """`1 request`, `1,200 requests`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


# --- plans


def first_sites(molecule_ids: Sequence[str]) -> str:
    """`a, b, c and 14 more`."""
    shown = ", ".join(map(plain, molecule_ids[:3]))
    more = len(molecule_ids) - 3
    return f"{shown} and {more:,} more" if more > 0 else shown


def plan_table(plan: Plan) -> Table:
    """What would be sent, without what the checks found."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    is_live = plan.mode.value == "live"
    made.add_row("plan", Text(plan.hash[:16], style="bold"))
    made.add_row("mode", Text("live, moves real devices", style="bold yellow") if is_live else "test")
    made.add_row("sites", f"{len(plan):,}")
    seconds = plan.takes.total_seconds()
    made.add_row("sending", f"{seconds:,.1f} s at {plan.rate:g} requests a second")
    ids = {slot.event_id for slot in plan.slots}
    made.add_row(
        "event" if len(ids) == 1 else "events", next(iter(ids)) if len(ids) == 1 else f"{len(ids):,}"
    )
    starts, ends = [slot.start for slot in plan.slots], [slot.end for slot in plan.slots]
    made.add_row("time", period_words(min(starts), max(ends)))
    for event_type, power in plan.totals().items():
        made.add_row(event_type.value, f"{_kilowatts(power.kilowatts)} in total{_each(plan.slots)}")
    return made


def _each(slots: Sequence[EventSlot]) -> str:
    powers = sorted({slot.power for slot in slots if slot.power is not None}, key=lambda power: power.watts)
    if not powers:
        return ""
    return f", {powers[0]!r} each" if len(powers) == 1 else f", {powers[0]!r} to {powers[-1]!r}"


def _kilowatts(kilowatts: float) -> str:
    return f"{kilowatts / 1000:,.4g} MW" if kilowatts >= 1000 else f"{kilowatts:,.4g} kW"


def findings_lines(findings: Sequence[Finding]) -> Iterator[RenderableType]:
    """What the checks found, the sites that it concerns below it."""
    if not findings:
        yield Text("Nothing speaks against it.", style="green")
        return
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for one in findings:
        said = Text(plain(command_words(one.message)))
        said.append(f"  {one.code}", style="dim")
        if one.molecule_ids:
            count = several(len(one.molecule_ids), "site")
            said.append(f"\n{count}: {first_sites(one.molecule_ids)}", style="dim")
        made.add_row(Text(one.level, style="bold red" if one.level == "error" else "yellow"), said)
    yield made


# --- what is known


def state_text(state: State, words: str | None = None) -> Text:
    """A state in its colour."""
    return Text(words or state.value.replace("_", " "), style=_STYLES[state])


def counts_text(counts: Mapping[State, int]) -> Text:
    """`480 confirmed · 12 unknown`."""
    parts = [
        state_text(state, f"{counts[state]:,} {state.value.replace('_', ' ')}")
        for state in sorted(counts, key=_ORDER.__getitem__)
        if counts[state]
    ]
    return Text(" · ", style="dim").join(parts)


def dispatches_table(found: Iterable[Dispatch]) -> Table:
    """Sites with their state, and what was said last of each."""
    made = table("site", "state", "said last")
    made.columns[0].no_wrap = made.columns[1].no_wrap = True
    for one in found:
        made.add_row(plain(one.molecule_id), state_text(one.state), Text(_said(one) or "–", style="dim"))
    return made


def advised(one: Dispatch, now: datetime) -> str:
    """What can be done about it, or nothing."""
    return command_words(one.advice(now))


def advice_lines(found: Iterable[Dispatch], now: datetime) -> Iterator[RenderableType]:
    """What can be done, and for how many sites."""
    counts = Counter((one.state, advised(one, now)) for one in found)
    made = Table.grid(padding=(0, 2))
    made.add_column(justify="right", no_wrap=True)
    made.add_column(overflow="fold")
    for (state, advice), count in sorted(counts.items(), key=lambda item: _ORDER[item[0][0]]):
        if advice:
            made.add_row(state_text(state, f"{count:,} {state.value.replace('_', ' ')}"), advice)
    if made.row_count:
        yield made


def _said(one: Dispatch) -> str | None:
    said = None if one.said is None else plain(one.said)
    return said if said is None or len(said) <= _LONGEST_MESSAGE else said[: _LONGEST_MESSAGE - 1] + "…"


def dispatch_object(one: Dispatch, now: datetime) -> dict[str, Any]:
    """One event at one site, for programs."""
    slot = one.sent_slot or one.slot
    report = next((entry for entry in reversed(one.entries) if isinstance(entry, Reported)), None)
    return {
        "molecule_id": one.molecule_id,
        "event_id": one.event_id,
        "mode": one.mode.value,
        "state": one.state.value,
        "is_cancelled": one.is_cancelled,
        "event_type": slot.event_type.value,
        "power_kw": None if slot.power is None else slot.power.kilowatts,
        "start": to_wire(slot.start),
        "end": to_wire(slot.end),
        "sent_at": None if one.sent is None else one.sent.at.isoformat(),
        "said": _said(one),
        "executed_quantity": None if report is None else report.executed_quantity,
        "executed_unit": None if report is None else report.executed_unit,
        "advice": advised(one, now) or None,
    }
