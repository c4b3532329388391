# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

from ..models.event_type import EventType
from ..models.power_unit import PowerUnit

T = TypeVar("T", bound="DispatchEvent")


@_attrs_define
class DispatchEvent:
    """One event - what a site shall do, how much of it, and when.

    Attributes:
        event_id (UUID): The id that the partner gives to the event. The sample is in upper case, so the text goes out
            as the partner wrote it; ids are compared as values.
        start_time (datetime.datetime): When the event begins, in UTC.
        end_time (datetime.datetime): When the event ends, in UTC; later than start_time.
        event_type (EventType): What the site shall do: take energy in (`charge`), give energy out (`discharge`), use
            less (`shed`), or go back to normal (`restore`).
        event_quantity (float): How much power, as a magnitude in event_unit. Whether it is a setpoint, a net export or
            a change against a baseline is not known.
        event_unit (PowerUnit): The unit of a power, spelled exactly so. `w` is lower case; `mW` does not exist.
        priority (int): From 1 to 99; the lower number has the higher priority.
        mandatory (bool): Whether taking part is compulsory under the rules of the program.
        cancelled (bool): Whether the event has been cancelled.
    """

    event_id: UUID
    start_time: datetime.datetime
    end_time: datetime.datetime
    event_type: EventType
    event_quantity: float
    event_unit: PowerUnit
    priority: int
    mandatory: bool
    cancelled: bool

    def to_dict(self) -> dict[str, Any]:
        event_id = str(self.event_id)

        start_time = self.start_time.isoformat()

        end_time = self.end_time.isoformat()

        event_type = self.event_type.value

        event_quantity = self.event_quantity

        event_unit = self.event_unit.value

        priority = self.priority

        mandatory = self.mandatory

        cancelled = self.cancelled

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "event_id": event_id,
                "start_time": start_time,
                "end_time": end_time,
                "event_type": event_type,
                "event_quantity": event_quantity,
                "event_unit": event_unit,
                "priority": priority,
                "mandatory": mandatory,
                "cancelled": cancelled,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        event_id = UUID(d.pop("event_id"))

        start_time = datetime.datetime.fromisoformat(d.pop("start_time"))

        end_time = datetime.datetime.fromisoformat(d.pop("end_time"))

        event_type = EventType(d.pop("event_type"))

        event_quantity = d.pop("event_quantity")

        event_unit = PowerUnit(d.pop("event_unit"))

        priority = d.pop("priority")

        mandatory = d.pop("mandatory")

        cancelled = d.pop("cancelled")

        dispatch_event = cls(
            event_id=event_id,
            start_time=start_time,
            end_time=end_time,
            event_type=event_type,
            event_quantity=event_quantity,
            event_unit=event_unit,
            priority=priority,
            mandatory=mandatory,
            cancelled=cancelled,
        )

        return dispatch_event
