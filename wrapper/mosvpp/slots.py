"""Events to dispatch, as frozen values: what a site shall do, with how much power, and when.

    >>> slot = discharge(5 * kW, start=start, duration=timedelta(hours=1), priority=10)
    >>> slot.replace(power=3 * kW)      # the same event, changed
    >>> slot.cancel()                   # the same event, cancelled

MosVPP calls an event in a request a slot. Posting the same id again updates the event (inferred:
dispatch.update_by_same_id); therefore both changes keep the id.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

import msgspec

from mosvpp_api.models.event_type import EventType

from ._values import Value
from .errors import RuleError
from .ids import id_text, new_id
from .times import to_instant
from .units import Power, power_of

__all__ = ["EventSlot", "charge", "discharge", "restore", "shed"]


class EventSlot(Value, frozen=True, kw_only=True, tag_field="kind", tag="event_slot"):
    """One event. Build it with `charge`, `discharge`, `shed` or `restore`.

    `event_id` is the caller's text, unchanged; `power` a magnitude (None for restore); `start` and `end` are
    UTC in whole seconds; `priority` is 1 to 99, and the lower number has the higher priority.
    """

    event_id: str
    event_type: EventType
    power: Power | None
    start: datetime
    end: datetime
    priority: int
    mandatory: bool = False
    cancelled: bool = False

    def __post_init__(self) -> None:
        change = msgspec.structs.force_setattr
        change(self, "event_id", id_text(self.event_id, path="event_id"))
        change(self, "event_type", _event_type(self.event_type))
        change(self, "start", to_instant(self.start, path="start"))
        change(self, "end", to_instant(self.end, path="end"))
        if self.event_type is not EventType.RESTORE:
            power_of(self.power, path="power")
        elif self.power is not None:
            msg = "restore takes no power: it goes back to normal"
            raise RuleError(msg, path="power", rule="restore", evidence=("dispatch.restore_quantity",))
        for name, kind in (("priority", int), ("mandatory", bool), ("cancelled", bool)):
            value = getattr(self, name)
            if type(value) is not kind:
                word = "a whole number" if kind is int else "True or False"
                msg = f"{value!r} is not {word}"
                raise RuleError(msg, path=name, rule="type", evidence=(f"dispatch.{name}",))

    def replace(
        self,
        *,
        power: Power | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        duration: timedelta | None = None,
        priority: int | None = None,
        mandatory: bool | None = None,
        cancelled: bool | None = None,
    ) -> Self:
        """The same event, changed: give what changes. A new `start` keeps the end. Raises `RuleError`."""
        begin = self.start if start is None else to_instant(start, path="start")
        if end is not None or duration is not None:
            end = _end(begin, end, duration)
        return type(self)(
            event_id=self.event_id,
            event_type=self.event_type,
            power=self.power if power is None else power,
            start=begin,
            end=self.end if end is None else end,
            priority=self.priority if priority is None else priority,
            mandatory=self.mandatory if mandatory is None else mandatory,
            cancelled=self.cancelled if cancelled is None else cancelled,
        )

    def cancel(self) -> Self:
        """The same event, cancelled. Nothing happens until it is submitted, in the mode of the original."""
        return self.replace(cancelled=True)


def charge(
    power: Power,
    *,
    start: datetime,
    end: datetime | None = None,
    duration: timedelta | None = None,
    priority: int,
    mandatory: bool = False,
    event_id: str | UUID | None = None,
) -> EventSlot:
    """Take energy in. See `discharge` for the arguments."""
    return _slot(EventType.CHARGE, power, start, end, duration, priority, mandatory, event_id)


def discharge(
    power: Power,
    *,
    start: datetime,
    end: datetime | None = None,
    duration: timedelta | None = None,
    priority: int,
    mandatory: bool = False,
    event_id: str | UUID | None = None,
) -> EventSlot:
    """Give energy out.

    `power` is a magnitude such as `5 * kW`; whether Molecule takes it as a setpoint, a net export or a change
    against a baseline is not known (unknown.quantity_meaning). `start` and `end` are aware datetimes
    (`slot_time` makes them from local time); give `end` or `duration`. `priority` has no default, since 1
    outranks everything. `event_id` is a new UUID4 unless given, and goes out as you spell it.

    Raises `RuleError` for a power without a unit, a naive time, both or neither of `end` and `duration`.
    """
    return _slot(EventType.DISCHARGE, power, start, end, duration, priority, mandatory, event_id)


def shed(
    power: Power,
    *,
    start: datetime,
    end: datetime | None = None,
    duration: timedelta | None = None,
    priority: int,
    mandatory: bool = False,
    event_id: str | UUID | None = None,
) -> EventSlot:
    """Use less. See `discharge` for the arguments."""
    return _slot(EventType.SHED, power, start, end, duration, priority, mandatory, event_id)


def restore(
    *,
    start: datetime,
    end: datetime | None = None,
    duration: timedelta | None = None,
    priority: int,
    mandatory: bool = False,
    event_id: str | UUID | None = None,
) -> EventSlot:
    """Go back to normal; it has no power and goes out with 0 kW (inferred: dispatch.restore_quantity)."""
    return _slot(EventType.RESTORE, None, start, end, duration, priority, mandatory, event_id)


def _slot(
    event_type: EventType,
    power: Power | None,
    start: datetime,
    end: datetime | None,
    duration: timedelta | None,
    priority: int,
    mandatory: bool,
    event_id: str | UUID | None,
) -> EventSlot:
    begin = to_instant(start, path="start")
    return EventSlot(
        event_id=new_id() if event_id is None else id_text(event_id, path="event_id"),
        event_type=event_type,
        power=power,
        start=begin,
        end=_end(begin, end, duration),
        priority=priority,
        mandatory=mandatory,
    )


def _event_type(word: str) -> EventType:
    try:
        return EventType(word)
    except ValueError:
        words = ", ".join(EventType)
    raise RuleError(
        f"{word!r} is none of {words}", path="event_type", rule="enum", evidence=("dispatch.event_type",)
    )


def _end(start: datetime, end: datetime | None, duration: timedelta | None) -> datetime:
    """The end of a slot, of which the caller gave either the instant or the distance from `start` (UTC)."""
    if (end is None) == (duration is None):
        raise RuleError("give end or duration, and only one of them", path="end", rule="end_or_duration")
    if end is not None:
        return to_instant(end, path="end")
    if not isinstance(duration, timedelta):
        raise RuleError(
            f"{duration!r} is no timedelta, as in timedelta(hours=1)", path="duration", rule="type"
        )
    try:
        return start + duration
    except OverflowError:
        msg = f"{duration} is too long: the event would end after the year 9999"
        raise RuleError(msg, path="duration", rule="range") from None
