# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="RestoreCommand")


@_attrs_define
class RestoreCommand:
    """Go back to normal operation.

    Attributes:
        device_id (str): The device, as named by device synchronization.
        cmd_type (Literal['restore']): Always `restore`.
    """

    device_id: str
    cmd_type: Literal["restore"]

    def to_dict(self) -> dict[str, Any]:
        device_id = self.device_id

        cmd_type = self.cmd_type

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "device_id": device_id,
                "cmd_type": cmd_type,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        device_id = d.pop("device_id")

        cmd_type = cast(Literal["restore"], d.pop("cmd_type"))
        if cmd_type != "restore":
            raise ValueError(f"cmd_type must match const 'restore', got '{cmd_type}'")

        restore_command = cls(
            device_id=device_id,
            cmd_type=cmd_type,
        )

        return restore_command
