"""All kinds of devices by name: how a device is read from data, and written as such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

import msgspec

from .battery import Battery
from .device import Device
from .loads import Appliance, Relay, Thermostat, ZigbeeSwitch, ZigbeeThermostat
from .meter import Meter
from .signals import GpioInput, GpioOutput, UnknownDevice
from .solar import PvInverter

__all__ = ["KINDS", "read_device", "written_device"]

# In the order of their type codes (devices.device_type): one for each of the eleven.
KINDS: Mapping[str, type[Device]] = {
    one.kind: one
    for one in (
        *(UnknownDevice, Appliance, Battery, PvInverter, Meter, Thermostat, Relay),
        *(ZigbeeSwitch, ZigbeeThermostat, GpioInput, GpioOutput),
    )
}


def read_device(data: Mapping[str, Any], at: datetime) -> Device:
    """A device from its `kind`, `device_id` and whatever of its fields is to differ from the default.

    Without `capabilities` it reports all that it can; with null it reports none, which means that they are
    unknown (devices.capabilities_absent). Raises `ValueError`.
    """
    values = dict(data)
    kind = KINDS.get(values.pop("kind", ""))
    name = f"device {data.get('device_id', '?')}"
    if kind is None:
        msg = f"{name}: kind is one of {', '.join(KINDS)}"
        raise ValueError(msg)
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(values) - known):
        msg = f"{name}: a {kind.kind} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}"
        raise ValueError(msg)
    values.setdefault("capabilities", list(kind.abilities))
    if issubclass(kind, Relay):
        values.setdefault("last_switch_at", at)
    try:
        return msgspec.convert(values, kind)
    except (msgspec.ValidationError, ValueError) as error:
        msg = f"{name}: {error}"
        raise ValueError(msg) from None


def written_device(device: Device) -> dict[str, Any]:
    """The device as `read_device` takes it, with all that has changed since."""
    written: dict[str, Any] = msgspec.to_builtins(device)
    return {"kind": device.kind, **written}
