# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast

from attrs import define as _attrs_define

from ..models.power_unit import PowerUnit

T = TypeVar("T", bound="DischargeCommand")


@_attrs_define
class DischargeCommand:
    """Give energy out with a given power.

    Attributes:
        device_id (str): The device, as named by device synchronization.
        cmd_type (Literal['discharge']): Always `discharge`.
        cmd_quantity (float): How much power, as a magnitude in cmd_unit; the direction is in cmd_type.
        cmd_unit (PowerUnit): The unit of a power, spelled exactly so. `w` is lower case; `mW` does not exist.
    """

    device_id: str
    cmd_type: Literal["discharge"]
    cmd_quantity: float
    cmd_unit: PowerUnit

    def to_dict(self) -> dict[str, Any]:
        device_id = self.device_id

        cmd_type = self.cmd_type

        cmd_quantity = self.cmd_quantity

        cmd_unit = self.cmd_unit.value

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "device_id": device_id,
                "cmd_type": cmd_type,
                "cmd_quantity": cmd_quantity,
                "cmd_unit": cmd_unit,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        device_id = d.pop("device_id")

        cmd_type = cast(Literal["discharge"], d.pop("cmd_type"))
        if cmd_type != "discharge":
            raise ValueError(f"cmd_type must match const 'discharge', got '{cmd_type}'")

        cmd_quantity = d.pop("cmd_quantity")

        cmd_unit = PowerUnit(d.pop("cmd_unit"))

        discharge_command = cls(
            device_id=device_id,
            cmd_type=cmd_type,
            cmd_quantity=cmd_quantity,
            cmd_unit=cmd_unit,
        )

        return discharge_command
