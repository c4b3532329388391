# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.charge_command import ChargeCommand
    from ..models.discharge_command import DischargeCommand
    from ..models.off_command import OffCommand
    from ..models.on_command import OnCommand
    from ..models.restore_command import RestoreCommand
    from ..models.shed_command import ShedCommand


T = TypeVar("T", bound="SiteCommandRequest")


@_attrs_define
class SiteCommandRequest:
    """The body of a site command.

    Attributes:
        scmd_type (Literal['deviceControl']): Always `deviceControl`. The page's type column calls it a guid, although
            the value is this constant.
        scmd_id (UUID): The id that the partner gives to the command.
        scmd_secs (int): How long the command holds for all its devices, in seconds. What a device does afterwards is
            not known.
        scmd_devices (list[ChargeCommand | DischargeCommand | OffCommand | OnCommand | RestoreCommand | ShedCommand]):
            One command for each device.
    """

    scmd_type: Literal["deviceControl"]
    scmd_id: UUID
    scmd_secs: int
    scmd_devices: list[
        ChargeCommand | DischargeCommand | OffCommand | OnCommand | RestoreCommand | ShedCommand
    ]

    def to_dict(self) -> dict[str, Any]:
        from ..models.charge_command import ChargeCommand  # noqa: PLC0415
        from ..models.discharge_command import DischargeCommand  # noqa: PLC0415
        from ..models.off_command import OffCommand  # noqa: PLC0415
        from ..models.on_command import OnCommand  # noqa: PLC0415
        from ..models.shed_command import ShedCommand  # noqa: PLC0415

        scmd_type = self.scmd_type

        scmd_id = str(self.scmd_id)

        scmd_secs = self.scmd_secs

        scmd_devices = []
        for scmd_devices_item_data in self.scmd_devices:
            scmd_devices_item: dict[str, Any]
            if isinstance(scmd_devices_item_data, ChargeCommand):
                scmd_devices_item = scmd_devices_item_data.to_dict()
            elif isinstance(scmd_devices_item_data, DischargeCommand):
                scmd_devices_item = scmd_devices_item_data.to_dict()
            elif isinstance(scmd_devices_item_data, ShedCommand):
                scmd_devices_item = scmd_devices_item_data.to_dict()
            elif isinstance(scmd_devices_item_data, OffCommand):
                scmd_devices_item = scmd_devices_item_data.to_dict()
            elif isinstance(scmd_devices_item_data, OnCommand):
                scmd_devices_item = scmd_devices_item_data.to_dict()
            else:
                scmd_devices_item = scmd_devices_item_data.to_dict()

            scmd_devices.append(scmd_devices_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "scmd_type": scmd_type,
                "scmd_id": scmd_id,
                "scmd_secs": scmd_secs,
                "scmd_devices": scmd_devices,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.charge_command import ChargeCommand  # noqa: PLC0415
        from ..models.discharge_command import DischargeCommand  # noqa: PLC0415
        from ..models.off_command import OffCommand  # noqa: PLC0415
        from ..models.on_command import OnCommand  # noqa: PLC0415
        from ..models.restore_command import RestoreCommand  # noqa: PLC0415
        from ..models.shed_command import ShedCommand  # noqa: PLC0415

        d = dict(src_dict)
        scmd_type = cast(Literal["deviceControl"], d.pop("scmd_type"))
        if scmd_type != "deviceControl":
            raise ValueError(f"scmd_type must match const 'deviceControl', got '{scmd_type}'")

        scmd_id = UUID(d.pop("scmd_id"))

        scmd_secs = d.pop("scmd_secs")

        scmd_devices = []
        _scmd_devices = d.pop("scmd_devices")
        for scmd_devices_item_data in _scmd_devices:

            def _parse_scmd_devices_item(
                data: object,
            ) -> ChargeCommand | DischargeCommand | OffCommand | OnCommand | RestoreCommand | ShedCommand:
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_site_command_item_type_0 = ChargeCommand.from_dict(data)

                    return componentsschemas_site_command_item_type_0
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_site_command_item_type_1 = DischargeCommand.from_dict(data)

                    return componentsschemas_site_command_item_type_1
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_site_command_item_type_2 = ShedCommand.from_dict(data)

                    return componentsschemas_site_command_item_type_2
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_site_command_item_type_3 = OffCommand.from_dict(data)

                    return componentsschemas_site_command_item_type_3
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_site_command_item_type_4 = OnCommand.from_dict(data)

                    return componentsschemas_site_command_item_type_4
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_site_command_item_type_5 = RestoreCommand.from_dict(data)

                return componentsschemas_site_command_item_type_5

            scmd_devices_item = _parse_scmd_devices_item(scmd_devices_item_data)

            scmd_devices.append(scmd_devices_item)

        site_command_request = cls(
            scmd_type=scmd_type,
            scmd_id=scmd_id,
            scmd_secs=scmd_secs,
            scmd_devices=scmd_devices,
        )

        return site_command_request
