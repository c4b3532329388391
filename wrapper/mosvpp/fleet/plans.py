"""A dispatch to many sites, as it would go out: checked, printable, and with a hash to hold on to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec

from mosvpp._values import Value
from mosvpp.errors import RuleError
from mosvpp.slots import EventSlot
from mosvpp.times import to_wire
from mosvpp.units import Power, kW
from mosvpp_api.models.dispatch_mode import DispatchMode
from mosvpp_api.models.event_type import EventType

from ._journal_rows import Wanted

__all__ = ["Finding", "Plan"]

Level: TypeAlias = Literal["error", "warning"]


class Finding(Value, frozen=True, kw_only=True):
    """Something that a check found. A plan with an error is not executed.

    `code` is a word to count by (and to accept, see `plan_dispatch`), `molecule_ids` the sites that it
    concerns, empty where it concerns the plan as a whole.
    """

    level: Level
    code: str
    message: str
    molecule_ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(self.molecule_ids[:3])
        more = len(self.molecule_ids) - 3
        where = f" ({shown}{f' and {more} more' if more > 0 else ''})" if shown else ""
        return f"{self.level}: {self.message}{where} [{self.code}]"


class Plan(Value, frozen=True, kw_only=True, tag_field="kind", tag="fleet_plan"):
    """A dispatch to many sites. Make it with `plan_dispatch`.

    `molecule_ids` are in the order of sending; each site has the slot at its place in `slots`, or the only
    one. `rate` is in requests a second; nothing is sent later than `lead` before its start. `made_at` is when
    it was checked. `update` allows what was sent before
    to be sent again.
    """

    mode: DispatchMode
    molecule_ids: tuple[str, ...]
    slots: tuple[EventSlot, ...]
    made_at: datetime
    rate: float
    lead: timedelta = timedelta(0)
    findings: tuple[Finding, ...] = ()
    update: bool = False
    hash: str = ""

    def __post_init__(self) -> None:
        made = self._digest()
        if self.hash not in ("", made):
            msg = "this plan was changed after it was made; plan it anew"
            raise RuleError(msg, path="plan", rule="hash")
        msgspec.structs.force_setattr(self, "hash", made)

    def __repr__(self) -> str:
        return f"Plan({self.hash[:16]}, {self.mode.value}, {len(self):,} sites, {len(self.errors)} errors)"

    def __len__(self) -> int:
        return len(self.molecule_ids)

    def __iter__(self) -> Iterator[Wanted]:
        """Each site with the event that it is to get."""
        if len(self.slots) == 1:
            (slot,) = self.slots
            return (Wanted(molecule_id, slot) for molecule_id in self.molecule_ids)
        return map(Wanted, self.molecule_ids, self.slots)

    def _digest(self) -> str:
        """A hash over what would be sent, and nothing else."""
        digest = hashlib.sha256(f"{self.mode.value} {self.update}\n".encode())
        texts: dict[int, bytes] = {}
        for molecule_id, slot in self:
            text = texts.get(id(slot))
            if text is None:
                text = texts[id(slot)] = msgspec.json.format(slot.to_json().encode(), indent=-1)
            digest.update(molecule_id.encode() + b" " + text + b"\n")
        return digest.hexdigest()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What forbids to execute it."""
        return tuple(one for one in self.findings if one.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What should be looked at before it is executed."""
        return tuple(one for one in self.findings if one.level == "warning")

    @property
    def is_executable(self) -> bool:
        """Whether no check forbids it."""
        return not self.errors

    @property
    def takes(self) -> timedelta:
        """How long sending takes at the planned rate, if nothing is slower."""
        return timedelta(seconds=len(self) / self.rate)

    def totals(self) -> Mapping[EventType, Power]:
        """The power of all sites together, by the type of event."""
        sums: dict[EventType, float] = {}
        for _, slot in self:
            watts = slot.power.watts if slot.power is not None else 0.0
            sums[slot.event_type] = sums.get(slot.event_type, 0.0) + watts
        return {event_type: watts / 1000 * kW for event_type, watts in sums.items()}

    def __str__(self) -> str:
        """A table for people."""
        rows = [
            ("plan", self.hash[:16]),
            ("mode", f"{self.mode.value}{' (moves real devices)' if self.mode == DispatchMode.LIVE else ''}"),
            ("sites", f"{len(self):,}"),
            ("sending", f"{self.takes.total_seconds():,.1f} s at {self.rate:g} requests a second"),
            *self._event_rows(),
        ]
        lines = [f"{name:<9} {value}" for name, value in rows]
        lines += ["", *map(str, self.findings)] if self.findings else ["", "Nothing speaks against it."]
        return "\n".join(lines)

    def _event_rows(self) -> Iterator[tuple[str, str]]:
        events = {slot.event_id for slot in self.slots}
        yield "events", next(iter(events)) if len(events) == 1 else f"{len(events):,} different ones"
        starts, ends = [slot.start for slot in self.slots], [slot.end for slot in self.slots]
        yield "start", _span(min(starts), max(starts))
        yield "end", _span(min(ends), max(ends))
        for event_type, power in self.totals().items():
            yield event_type.value, f"{power} in total"


def _span(first: datetime, last: datetime) -> str:
    return to_wire(first) if first == last else f"{to_wire(first)} to {to_wire(last)}"
