"""The devices of a site, as device synchronization reports them."""

from __future__ import annotations

from collections.abc import Iterator

from mosvpp_api.models.device_type import DeviceType

from ._answers import Answer
from ._values import Value

__all__ = ["Device", "DeviceList", "DeviceType"]


class Device(Value, frozen=True, kw_only=True):
    """One device of a site.

    A type code that is not documented becomes `DeviceType.UNKNOWN_<code>`. `capabilities` is None where
    Molecule lists none, which means that they are unknown (devices.capabilities_absent).
    """

    device_id: str
    device_type: DeviceType
    name: str | None = None
    capabilities: tuple[str, ...] | None = None

    def can(self, capability: str) -> bool | None:
        """Whether the device lists that capability; None when its capabilities are unknown."""
        return None if self.capabilities is None else capability in self.capabilities


class DeviceList(Value, frozen=True, kw_only=True, tag_field="kind", tag="device_list"):
    """All devices of a site, in Molecule's order: iterate, or ask `get` for one. `raw` is the answer."""

    molecule_id: str
    devices: tuple[Device, ...]
    raw: Answer

    def __iter__(self) -> Iterator[Device]:
        return iter(self.devices)

    def __len__(self) -> int:
        return len(self.devices)

    def __bool__(self) -> bool:
        return True

    def get(self, device_id: str) -> Device | None:
        """The device with that id, or None."""
        return next((device for device in self.devices if device.device_id == device_id), None)
