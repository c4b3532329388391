# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
"""Contains all the data models used in inputs/outputs"""

from .charge_command import ChargeCommand
from .device_sync_reply import DeviceSyncReply
from .device_type import DeviceType
from .discharge_command import DischargeCommand
from .dispatch_event import DispatchEvent
from .dispatch_mode import DispatchMode
from .dispatch_reply import DispatchReply
from .dispatch_reply_slot import DispatchReplySlot
from .dispatch_request import DispatchRequest
from .event_type import EventType
from .off_command import OffCommand
from .on_command import OnCommand
from .power_unit import PowerUnit
from .problem import Problem
from .problem_errors import ProblemErrors
from .restore_command import RestoreCommand
from .shed_command import ShedCommand
from .site_command_reply import SiteCommandReply
from .site_command_reply_device import SiteCommandReplyDevice
from .site_command_request import SiteCommandRequest
from .synced_device import SyncedDevice

__all__ = (
    "ChargeCommand",
    "DeviceSyncReply",
    "DeviceType",
    "DischargeCommand",
    "DispatchEvent",
    "DispatchMode",
    "DispatchReply",
    "DispatchReplySlot",
    "DispatchRequest",
    "EventType",
    "OffCommand",
    "OnCommand",
    "PowerUnit",
    "Problem",
    "ProblemErrors",
    "RestoreCommand",
    "ShedCommand",
    "SiteCommandReply",
    "SiteCommandReplyDevice",
    "SiteCommandRequest",
    "SyncedDevice",
)
