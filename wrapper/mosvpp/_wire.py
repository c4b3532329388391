"""The one place where our values and MosVPP's wire form meet, through the generated models.

Outgoing: values become generated models, which become JSON. Two things are set afterwards, since the
generated code writes them otherwise: an id goes out in the caller's spelling, and a time with Z. Incoming:
replies are read by the generated models, after keys in another case (`eventSlots`) were brought to ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, cast
from uuid import UUID

import attrs

from mosvpp_api import models
from mosvpp_api.api.devices import sync_devices
from mosvpp_api.api.dispatch import submit_dispatch
from mosvpp_api.api.site_commands import submit_site_command
from mosvpp_api.types import Unset

from .commands import DeviceCommand
from .models import Device
from .slots import EventSlot
from .units import Power, kW

__all__ = [
    "DEVICE_SYNC",
    "DISPATCH",
    "SITE_COMMAND",
    "UNREADABLE",
    "Reply",
    "device_call",
    "dispatch_call",
    "read_command_reply",
    "read_devices",
    "read_dispatch_reply",
    "site_command_call",
]

DEVICE_SYNC, DISPATCH, SITE_COMMAND = "sync_devices", "submit_dispatch", "submit_site_command"

UNREADABLE = (TypeError, ValueError, KeyError, AttributeError)
"""What reading raises when a body has another shape."""

_UNITS = {unit.value: unit for unit in models.PowerUnit}
_COMMANDS: dict[str, Any] = {
    "charge": models.ChargeCommand,
    "discharge": models.DischargeCommand,
    "shed": models.ShedCommand,
    "off": models.OffCommand,
    "on": models.OnCommand,
    "restore": models.RestoreCommand,
}
_NO_POWER = 0 * kW


def device_call(molecule_id: str) -> dict[str, Any]:
    """Method and URL of a device synchronization."""
    return sync_devices._get_kwargs(molecule_id)


def dispatch_call(molecule_id: str, slots: Iterable[EventSlot], mode: models.DispatchMode) -> dict[str, Any]:
    """Method, URL and JSON body of a dispatch request."""
    request = models.DispatchRequest(mode=mode, event_slots=[_event(slot) for slot in slots])
    call = submit_dispatch._get_kwargs(molecule_id, body=request)
    for event in call["json"]["event_slots"]:
        event["start_time"], event["end_time"] = _with_z(event["start_time"]), _with_z(event["end_time"])
    return call


def _with_z(utc: str) -> str:
    """`2024-01-05T00:00:00Z`, as the page's samples have it."""
    return utc.removesuffix("+00:00") + "Z"


def _event(slot: EventSlot) -> models.DispatchEvent:
    power = slot.power if slot.power is not None else _NO_POWER
    return models.DispatchEvent(
        event_id=cast("UUID", slot.event_id),  # to_dict() writes its text; there is no need to parse it
        start_time=slot.start,
        end_time=slot.end,
        event_type=slot.event_type,
        event_quantity=power.value,
        event_unit=_UNITS[power.unit],
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
    return {"cmd_quantity": power.value, "cmd_unit": _UNITS[power.unit]}


class Reply:
    """A receipt as it was read: what it says as a whole, and by item id.

    `unknown_fields` are the JSON paths of fields that the specification does not have.
    """

    def __init__(self, read: Any, items: Iterable[tuple[Any, Any]], unknown_fields: list[str]) -> None:
        self.molecule_id = _text(read.molecule_id)
        self.mode = _text(getattr(read, "mode", None))
        self.scmd_id = _text(getattr(read, "scmd_id", None))
        self.status = _text(read.status)
        self.message = _text(read.message)
        self.items = [(_text(item_id), _text(item.status), _text(item.message)) for item_id, item in items]
        self.unknown_fields = unknown_fields


def read_dispatch_reply(data: Any) -> Reply:
    """Read the receipt of a dispatch request. Raises `UNREADABLE`."""
    known, unknown = _in_our_spelling(
        data, models.DispatchReply, "$", {"event_slots": models.DispatchReplySlot}
    )
    read = models.DispatchReply.from_dict(known)
    return Reply(read, ((slot.event_id, slot) for slot in read.event_slots or ()), unknown)


def read_command_reply(data: Any) -> Reply:
    """Read the receipt of a site command. Raises `UNREADABLE`."""
    known, unknown = _in_our_spelling(
        data, models.SiteCommandReply, "$", {"scmd_devices": models.SiteCommandReplyDevice}
    )
    read = models.SiteCommandReply.from_dict(known)
    return Reply(read, ((device.device_id, device) for device in read.scmd_devices or ()), unknown)


def read_devices(data: Any) -> tuple[str, tuple[Device, ...], list[str]]:
    """Read a device synchronization: site, devices, paths of unknown fields. Raises `UNREADABLE`."""
    known, unknown = _in_our_spelling(data, models.DeviceSyncReply, "$", {"devices": models.SyncedDevice})
    for device in known["devices"]:
        _insist_on_code(device["device_type"])
    read = models.DeviceSyncReply.from_dict(known)
    return _required(read.molecule_id), tuple(_device(device) for device in read.devices), unknown


def _insist_on_code(value: Any) -> None:
    """Any number that can be kept; to Python, true and false would be 1 and 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) >= 2**53:
        raise TypeError(f"{value!r:.80} is no device_type")


def _device(read: models.SyncedDevice) -> Device:
    return Device(
        device_id=_required(read.device_id),
        device_type=read.device_type,
        name=_text(read.name),
        capabilities=_texts(read.capabilities),
    )


def _texts(value: Any) -> tuple[str, ...] | None:
    """A list of texts that may be missing or null."""
    if value is None or isinstance(value, Unset):
        return None
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.80} is no list")
    return tuple(_required(item) for item in value)


def _text(value: Any) -> str | None:
    """A text that may be missing or null. Raises TypeError for anything else."""
    if isinstance(value, str):
        return value
    return None if value is None or isinstance(value, Unset) else _required(value)


def _required(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"{value!r:.80} is no text")


def _in_our_spelling(
    data: Any, model: type, path: str, lists: dict[str, type] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """An object with its keys as the model spells them, and the paths of those that the model does not have.

    `lists` are the fields that hold objects of another model. Where a key comes in two spellings, ours
    counts.
    """
    if not isinstance(data, dict):
        raise TypeError(f"{path} is no object")
    ours = _field_names(model)
    known, unknown = data, []
    if not data.keys() <= ours.keys():
        by_folded = {_folded(name): name for name in ours}
        known = {key: value for key, value in data.items() if key in ours}
        for key in data:
            name = key if key in ours else by_folded.get(_folded(key))
            if name is None:
                unknown.append(f"{path}.{key}")
            elif name in known and known[name] != data[key]:
                raise ValueError(f"{path}.{name} is there twice, and says two things")
            elif name != key:
                known[name] = data[key]
    for name, inner in (lists or {}).items():
        if name in known:
            items, more = _list_in_our_spelling(known[name], inner, f"{path}.{name}")
            known = {**known, name: items}
            unknown += more
    return known, unknown


def _list_in_our_spelling(data: Any, model: type, path: str) -> tuple[list[dict[str, Any]], list[str]]:
    if not isinstance(data, list):
        raise TypeError(f"{path} is no list")
    ours = _field_names(model).keys()
    if all(isinstance(item, dict) and item.keys() <= ours for item in data):
        return data, []
    pairs = [_in_our_spelling(item, model, f"{path}[{index}]") for index, item in enumerate(data)]
    return [item for item, _ in pairs], [line for _, unknown in pairs for line in unknown]


def _folded(key: str) -> str:
    return key.replace("_", "").lower()


@cache
def _field_names(model: type) -> dict[str, None]:
    """The names of the fields of a generated model."""
    return {field.name: None for field in attrs.fields(model) if field.name != "additional_properties"}
