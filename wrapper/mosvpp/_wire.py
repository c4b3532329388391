"""The one place where our values and MosVPP's wire form meet, through the generated models.

Outgoing: values become generated models, which become JSON. Two things are set afterwards, since the generated code
writes them otherwise: an id goes out in the caller's spelling, and a time with Z.
Incoming: replies are read by the generated models, after keys in another case (`eventSlots`) were brought to ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast
from uuid import UUID

import attrs

from mosvpp_api import models
from mosvpp_api.api.devices import sync_devices
from mosvpp_api.api.dispatch import submit_dispatch
from mosvpp_api.api.site_commands import submit_site_command
from mosvpp_api.models.event_type import EventType
from mosvpp_api.types import Unset

from .commands import DeviceCommand
from .models import Device, DeviceType
from .slots import EventSlot
from .times import to_wire
from .units import Power, kW

__all__ = [
    "DEVICE_SYNC",
    "DISPATCH",
    "SITE_COMMAND",
    "Reply",
    "device_call",
    "dispatch_call",
    "read_command_reply",
    "read_devices",
    "read_dispatch_reply",
    "site_command_call",
]

DEVICE_SYNC, DISPATCH, SITE_COMMAND = "sync_devices", "submit_dispatch", "submit_site_command"

_COMMANDS: dict[str, Any] = {
    "charge": models.ChargeCommand,
    "discharge": models.DischargeCommand,
    "shed": models.ShedCommand,
    "off": models.OffCommand,
    "on": models.OnCommand,
    "restore": models.RestoreCommand,
}


def device_call(molecule_id: str) -> dict[str, Any]:
    """Method and URL of a device synchronization."""
    return sync_devices._get_kwargs(molecule_id)


def dispatch_call(molecule_id: str, slots: Iterable[EventSlot], mode: models.DispatchMode) -> dict[str, Any]:
    """Method, URL and JSON body of a dispatch request."""
    sent = list(slots)
    request = models.DispatchRequest(mode=mode, event_slots=[_event(slot) for slot in sent])
    call = submit_dispatch._get_kwargs(molecule_id, body=request)
    for event, slot in zip(call["json"]["event_slots"], sent, strict=True):
        event.update(event_id=slot.event_id, start_time=to_wire(slot.start), end_time=to_wire(slot.end))
    return call


def _event(slot: EventSlot) -> models.DispatchEvent:
    power = slot.power if slot.power is not None else 0 * kW
    return models.DispatchEvent(
        event_id=cast("UUID", slot.event_id),  # to_dict() writes its text; there is no need to parse it
        start_time=slot.start,
        end_time=slot.end,
        event_type=slot.event_type,
        event_quantity=power.value,
        event_unit=models.PowerUnit(power.unit),
        priority=slot.priority,
        mandatory=slot.mandatory,
        cancelled=slot.cancelled,
    )


def site_command_call(
    molecule_id: str, commands: Iterable[DeviceCommand], *, scmd_id: str, seconds: int
) -> dict[str, Any]:
    """Method, URL and JSON body of a site command."""
    request = models.SiteCommandRequest(
        scmd_type="deviceControl",
        scmd_id=cast("UUID", scmd_id),
        scmd_secs=seconds,
        scmd_devices=[_command(command) for command in commands],
    )
    return submit_site_command._get_kwargs(molecule_id, body=request)


def _command(command: DeviceCommand) -> Any:
    power = {} if command.power is None else _cmd_power(command.power)
    return _COMMANDS[command.action](device_id=command.device_id, cmd_type=command.action, **power)


def _cmd_power(power: Power) -> dict[str, Any]:
    return {"cmd_quantity": power.value, "cmd_unit": models.PowerUnit(power.unit)}


class Reply:
    """A receipt as it was read: what it says as a whole, and by item id.

    `unknown_fields` are the JSON paths of fields that the specification does not have.
    """

    def __init__(self, read: Any, items: Iterable[tuple[Any, Any]], unknown_fields: list[str]) -> None:
        self.molecule_id = _text(read.molecule_id)
        self.mode = _text(getattr(read, "mode", None))
        self.status = _text(read.status)
        self.message = _text(read.message)
        self.items = [(_text(item_id) or "", _text(item.status), _text(item.message)) for item_id, item in items]
        self.unknown_fields = unknown_fields


def read_dispatch_reply(data: Any) -> Reply:
    """Read the receipt of a dispatch request. Raises ValueError, TypeError, KeyError or AttributeError."""
    folded, unknown = _folded(data, models.DispatchReply, "$", {"event_slots": models.DispatchReplySlot})
    read = models.DispatchReply.from_dict(folded)
    return Reply(read, ((slot.event_id, slot) for slot in _list(read.event_slots)), unknown)


def read_command_reply(data: Any) -> Reply:
    """Read the receipt of a site command. Raises ValueError, TypeError, KeyError or AttributeError."""
    folded, unknown = _folded(data, models.SiteCommandReply, "$", {"scmd_devices": models.SiteCommandReplyDevice})
    read = models.SiteCommandReply.from_dict(folded)
    return Reply(read, ((device.device_id, device) for device in _list(read.scmd_devices)), unknown)


def read_devices(data: Any) -> tuple[str, tuple[Device, ...], list[str]]:
    """Read a device synchronization: site, devices, paths of unknown fields. Raises like `read_dispatch_reply`."""
    folded, unknown = _folded(data, models.DeviceSyncReply, "$", {"devices": models.SyncedDevice})
    read = models.DeviceSyncReply.from_dict(folded)
    return _required(read.molecule_id), tuple(_device(device) for device in read.devices), unknown


def _device(read: models.SyncedDevice) -> Device:
    capabilities = None if isinstance(read.capabilities, Unset) or read.capabilities is None else read.capabilities
    if capabilities is not None and not (
        isinstance(capabilities, list) and all(isinstance(word, str) for word in capabilities)
    ):
        msg = "capabilities is no list of texts"
        raise TypeError(msg)
    return Device(
        device_id=_required(read.device_id),
        device_type=DeviceType(read.device_type),
        name=_text(read.name),
        capabilities=None if capabilities is None else tuple(capabilities),
    )


def _text(value: Any) -> str | None:
    """A text that may be missing or null. Raises TypeError for anything else."""
    if value is None or isinstance(value, Unset):
        return None
    return _required(value)


def _required(value: Any) -> str:
    if not isinstance(value, str):
        msg = f"{value!r} is no text"
        raise TypeError(msg)
    return value


def _list(value: Any) -> list[Any]:
    return [] if isinstance(value, Unset) else value


def _folded(
    data: Any, model: type, path: str, nested: dict[str, type] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Bring the keys of an object to the spelling of the model; also the paths of those that it does not have."""
    if not isinstance(data, dict):
        msg = f"{path} is no object"
        raise TypeError(msg)
    known = _field_names(model)
    result: dict[str, Any] = {}
    unknown: list[str] = []
    for key, value in data.items():
        name = key if key in known.values() else known.get(_fold(key), key)
        if name in known.values():
            result.setdefault(name, value)
        else:
            unknown.append(f"{path}.{key}")
    for name, inner in (nested or {}).items():
        if isinstance(result.get(name), list):
            pairs = [_folded(item, inner, f"{path}.{name}[{index}]") for index, item in enumerate(result[name])]
            result[name] = [item for item, _ in pairs]
            unknown += [line for _, lines in pairs for line in lines]
    return result, unknown


def _fold(key: str) -> str:
    return key.replace("_", "").lower()


def _field_names(model: type) -> dict[str, str]:
    """The fields of a generated model by their folded names."""
    names = _FIELDS.get(model)
    if names is None:
        names = _FIELDS[model] = {_fold(name): name for name in _public_fields(model)}
    return names


_FIELDS: dict[type, dict[str, str]] = {}


def _public_fields(model: type) -> Iterator[str]:
    return (field.name for field in attrs.fields(model) if field.name != "additional_properties")
