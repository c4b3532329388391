"""Receipts: what Molecule said to a dispatch request or a site command, and how surely it is known.

Molecule documents that there is a receipt, not what it looks like (receipt.dispatch_shape). Only a decoded
acceptance counts as accepted; whatever else comes with a 2xx is an unknown outcome, never an exception
(behaviour.decoded_acceptance).
"""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from mosvpp_api.models.dispatch_mode import DispatchMode

from ._answers import Answer
from ._values import Value
from .commands import DeviceCommand
from .ids import id_key
from .slots import EventSlot
from .statuses import EventStatus

__all__ = ["Certainty", "CommandReceipt", "DispatchReceipt", "Outcome", "ReceiptItem"]


class Outcome(StrEnum):
    """What is known of a request after its answer."""

    ACCEPTED = "accepted"
    PARTIALLY_ACCEPTED = "partially_accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    """What an outcome rests on."""

    PER_ITEM = "per_item"
    """The receipt has a verdict for each item."""
    ENVELOPE = "envelope"
    """The receipt has a verdict for the request as a whole."""
    HTTP_STATUS_ONLY = "http_status_only"
    """There is a 2xx and nothing that could be read."""


class ReceiptItem(Value, frozen=True, kw_only=True):
    """The verdict on one event, or on the command to one device.

    `item_id` is the event id or device id as it was sent; `outcome` is never partially accepted;
    `status_text` is Molecule's own word, None where it gave none.
    """

    item_id: str
    outcome: Outcome
    status: EventStatus
    status_text: str | None = None
    message: str | None = None


class _Receipt(Value, frozen=True, kw_only=True):
    molecule_id: str
    outcome: Outcome
    certainty: Certainty
    items: tuple[ReceiptItem, ...]
    message: str | None
    raw: Answer
    revision: int = 0

    @property
    def is_accepted(self) -> bool:
        """Whether everything was accepted, as far as the receipt says."""
        return self.outcome is Outcome.ACCEPTED


class DispatchReceipt(_Receipt, frozen=True, kw_only=True, tag_field="kind", tag="dispatch_receipt"):
    """The receipt of a dispatch request; keep it (`to_json`) to be able to cancel from anywhere.

    `slots` are the events as they were sent, `mode` the mode they were sent in, `raw` the answer as it came,
    and `revision` the one of the request.
    """

    mode: DispatchMode
    slots: tuple[EventSlot, ...]

    def item(self, event_id: str | UUID) -> ReceiptItem:
        """The verdict on one event; ids are compared as values. Raises `KeyError`."""
        key = id_key(event_id)
        for item in self.items:
            if id_key(item.item_id) == key:
                return item
        raise KeyError(str(event_id))


class CommandReceipt(_Receipt, frozen=True, kw_only=True, tag_field="kind", tag="command_receipt"):
    """The receipt of a site command. It says that the command was taken, not that a device followed it.

    Whether there is ever another confirmation is not known (unknown.command_confirmation); look at the
    telemetry.
    """

    scmd_id: str
    duration_s: int
    commands: tuple[DeviceCommand, ...]

    def item(self, device_id: str) -> ReceiptItem:
        """The verdict on the command to one device. Raises `KeyError`."""
        for item in self.items:
            if item.item_id == device_id:
                return item
        raise KeyError(device_id)
