# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.dispatch_mode import DispatchMode

if TYPE_CHECKING:
    from ..models.dispatch_event import DispatchEvent


T = TypeVar("T", bound="DispatchRequest")


@_attrs_define
class DispatchRequest:
    """The body of a dispatch request.

    Attributes:
        mode (DispatchMode): `test` or `live`. Whether `test` moves any hardware, and whether it yields an execution
            response, is not known.
        event_slots (list[DispatchEvent]): The events. How many fit into one request is not said.
    """

    mode: DispatchMode
    event_slots: list[DispatchEvent]

    def to_dict(self) -> dict[str, Any]:
        mode = self.mode.value

        event_slots = []
        for event_slots_item_data in self.event_slots:
            event_slots_item = event_slots_item_data.to_dict()
            event_slots.append(event_slots_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "mode": mode,
                "event_slots": event_slots,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.dispatch_event import DispatchEvent  # noqa: PLC0415

        d = dict(src_dict)
        mode = DispatchMode(d.pop("mode"))

        event_slots = []
        _event_slots = d.pop("event_slots")
        for event_slots_item_data in _event_slots:
            event_slots_item = DispatchEvent.from_dict(event_slots_item_data)

            event_slots.append(event_slots_item)

        dispatch_request = cls(
            mode=mode,
            event_slots=event_slots,
        )

        return dispatch_request
