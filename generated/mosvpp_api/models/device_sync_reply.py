# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.synced_device import SyncedDevice


T = TypeVar("T", bound="DeviceSyncReply")


@_attrs_define
class DeviceSyncReply:
    """The devices of a site.

    Attributes:
        molecule_id (str): The site that was asked for.
        devices (list[SyncedDevice]): Every device that Molecule knows at the site; may be empty.
    """

    molecule_id: str
    devices: list[SyncedDevice]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        molecule_id = self.molecule_id

        devices = []
        for devices_item_data in self.devices:
            devices_item = devices_item_data.to_dict()
            devices.append(devices_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "molecule_id": molecule_id,
                "devices": devices,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.synced_device import SyncedDevice  # noqa: PLC0415

        d = dict(src_dict)
        molecule_id = d.pop("molecule_id")

        devices = []
        _devices = d.pop("devices")
        for devices_item_data in _devices:
            devices_item = SyncedDevice.from_dict(devices_item_data)

            devices.append(devices_item)

        device_sync_reply = cls(
            molecule_id=molecule_id,
            devices=devices,
        )

        device_sync_reply.additional_properties = d
        return device_sync_reply

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
