"""The partner's side of MosVPP, the virtual power plant platform of Molecule Systems.

Call Molecule with `Client` or `AsyncClient`, build what to send with `discharge`, `charge`, `shed`, `restore`
and `mosvpp.commands`, and read what Molecule sends with `mosvpp.webhooks.parse`. All errors are in
`mosvpp.errors`.

Names are loaded when they are first used: httpx only with a client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import commands, errors, signatures, webhooks
    from ._answers import Answer
    from ._contract import CONTRACT_VERSION
    from ._requests import Request
    from .client import AsyncClient, Client
    from .commands import DeviceCommand
    from .drift import Drift
    from .events import DataPush, ExecutionReport, ExecutionResult, UnknownDelivery
    from .models import Device, DeviceList, DeviceType
    from .receipts import Certainty, CommandReceipt, DispatchReceipt, Outcome, ReceiptItem
    from .retry import RetryPolicy
    from .slots import EventSlot, charge, discharge, restore, shed
    from .statuses import EventStatus
    from .timeouts import Timeout
    from .times import slot_time
    from .units import MW, Power, kW, w

# Where each public name lives.
_HOMES = {
    "Answer": "_answers",
    "AsyncClient": "client",
    "CONTRACT_VERSION": "_contract",
    "Certainty": "receipts",
    "Client": "client",
    "CommandReceipt": "receipts",
    "DataPush": "events",
    "Device": "models",
    "DeviceCommand": "commands",
    "DeviceList": "models",
    "DeviceType": "models",
    "DispatchReceipt": "receipts",
    "Drift": "drift",
    "EventSlot": "slots",
    "EventStatus": "statuses",
    "ExecutionReport": "events",
    "ExecutionResult": "events",
    "MW": "units",
    "Outcome": "receipts",
    "Power": "units",
    "ReceiptItem": "receipts",
    "Request": "_requests",
    "RetryPolicy": "retry",
    "Timeout": "timeouts",
    "UnknownDelivery": "events",
    "charge": "slots",
    "discharge": "slots",
    "kW": "units",
    "restore": "slots",
    "shed": "slots",
    "slot_time": "times",
    "w": "units",
}
_MODULES = frozenset({"commands", "errors", "signatures", "webhooks"})

__all__ = [
    "CONTRACT_VERSION",
    "MW",
    "Answer",
    "AsyncClient",
    "Certainty",
    "Client",
    "CommandReceipt",
    "DataPush",
    "Device",
    "DeviceCommand",
    "DeviceList",
    "DeviceType",
    "DispatchReceipt",
    "Drift",
    "EventSlot",
    "EventStatus",
    "ExecutionReport",
    "ExecutionResult",
    "Outcome",
    "Power",
    "ReceiptItem",
    "Request",
    "RetryPolicy",
    "Timeout",
    "UnknownDelivery",
    "charge",
    "commands",
    "discharge",
    "errors",
    "kW",
    "restore",
    "shed",
    "signatures",
    "slot_time",
    "w",
    "webhooks",
]


if not TYPE_CHECKING:  # type checkers know the names from above, and so find misspelt ones

    def __getattr__(name: str) -> object:
        """Load a public name from its home, once."""
        if name in _MODULES:
            value: object = import_module(f".{name}", __name__)
        elif name in _HOMES:
            value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        else:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
