# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.site_command_reply_device import SiteCommandReplyDevice


T = TypeVar("T", bound="SiteCommandReply")


@_attrs_define
class SiteCommandReply:
    """The receipt of a site command as we expect it. Only its existence is documented: no field is required here, and a
    reader keeps the raw body.

        Attributes:
            molecule_id (None | str | Unset): The site that the receipt speaks of.
            scmd_id (None | str | Unset): The id from the request.
            timestamp (datetime.datetime | None | Unset): When the receipt was made.
            status (None | str | Unset): The verdict on the command as a whole. An open set of words.
            message (None | str | Unset): A sentence for people.
            scmd_devices (list[SiteCommandReplyDevice] | Unset): A verdict for each device.
    """

    molecule_id: None | str | Unset = UNSET
    scmd_id: None | str | Unset = UNSET
    timestamp: datetime.datetime | None | Unset = UNSET
    status: None | str | Unset = UNSET
    message: None | str | Unset = UNSET
    scmd_devices: list[SiteCommandReplyDevice] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        molecule_id: None | str | Unset
        if isinstance(self.molecule_id, Unset):
            molecule_id = UNSET
        else:
            molecule_id = self.molecule_id

        scmd_id: None | str | Unset
        if isinstance(self.scmd_id, Unset):
            scmd_id = UNSET
        else:
            scmd_id = self.scmd_id

        timestamp: None | str | Unset
        if isinstance(self.timestamp, Unset):
            timestamp = UNSET
        elif isinstance(self.timestamp, datetime.datetime):
            timestamp = self.timestamp.isoformat()
        else:
            timestamp = self.timestamp

        status: None | str | Unset
        if isinstance(self.status, Unset):
            status = UNSET
        else:
            status = self.status

        message: None | str | Unset
        if isinstance(self.message, Unset):
            message = UNSET
        else:
            message = self.message

        scmd_devices: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.scmd_devices, Unset):
            scmd_devices = []
            for scmd_devices_item_data in self.scmd_devices:
                scmd_devices_item = scmd_devices_item_data.to_dict()
                scmd_devices.append(scmd_devices_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if molecule_id is not UNSET:
            field_dict["molecule_id"] = molecule_id
        if scmd_id is not UNSET:
            field_dict["scmd_id"] = scmd_id
        if timestamp is not UNSET:
            field_dict["timestamp"] = timestamp
        if status is not UNSET:
            field_dict["status"] = status
        if message is not UNSET:
            field_dict["message"] = message
        if scmd_devices is not UNSET:
            field_dict["scmd_devices"] = scmd_devices

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.site_command_reply_device import SiteCommandReplyDevice  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_molecule_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        molecule_id = _parse_molecule_id(d.pop("molecule_id", UNSET))

        def _parse_scmd_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        scmd_id = _parse_scmd_id(d.pop("scmd_id", UNSET))

        def _parse_timestamp(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                timestamp_type_0 = datetime.datetime.fromisoformat(data)

                return timestamp_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        timestamp = _parse_timestamp(d.pop("timestamp", UNSET))

        def _parse_status(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        status = _parse_status(d.pop("status", UNSET))

        def _parse_message(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        message = _parse_message(d.pop("message", UNSET))

        _scmd_devices = d.pop("scmd_devices", UNSET)
        scmd_devices: list[SiteCommandReplyDevice] | Unset = UNSET
        if _scmd_devices is not UNSET:
            scmd_devices = []
            for scmd_devices_item_data in _scmd_devices:
                scmd_devices_item = SiteCommandReplyDevice.from_dict(scmd_devices_item_data)

                scmd_devices.append(scmd_devices_item)

        site_command_reply = cls(
            molecule_id=molecule_id,
            scmd_id=scmd_id,
            timestamp=timestamp,
            status=status,
            message=message,
            scmd_devices=scmd_devices,
        )

        site_command_reply.additional_properties = d
        return site_command_reply

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
