"""From an answer with a 2xx to a receipt or a device list: what is certain, and what is not.

A receipt that cannot be read is a receipt with the outcome unknown. Surprises go to `drift`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from mosvpp_api.models.dispatch_mode import DispatchMode

from . import _wire
from ._answers import Answer
from .commands import DeviceCommand
from .ids import id_key
from .models import DeviceList
from .receipts import Certainty, CommandReceipt, DispatchReceipt, Outcome, ReceiptItem
from .slots import EventSlot
from .statuses import EventStatus, read_status

__all__ = ["read_command_receipt", "read_device_list", "read_dispatch_receipt"]

OnFound: TypeAlias = Callable[[Any, str, str, str], None]  # kind, operation, path, detail

_UNREADABLE = (TypeError, ValueError, KeyError, AttributeError)

_S = EventStatus
_YES = frozenset({_S.ACCEPTED, _S.IN_PROGRESS, _S.COMPLETED, _S.PARTIALLY_COMPLETED})
_NO = frozenset({_S.REJECTED, _S.FAILED, _S.CANCELLED, _S.SUPERSEDED, _S.OPTED_OUT})
# To a request to cancel, "cancelled" is a yes, and "completed" is no answer: it does not say that the stop was heard.
_YES_TO_CANCEL = frozenset({_S.ACCEPTED, _S.CANCELLED})
_NO_TO_CANCEL = frozenset({_S.REJECTED, _S.FAILED})


def read_device_list(molecule_id: str, answer: Answer, drift: OnFound) -> DeviceList | None:
    """The devices of a site, or None when the body is no device list."""
    try:
        site, devices, unknown = _wire.read_devices(answer.json())
    except _UNREADABLE:
        return None
    for path in unknown:
        drift("unknown_field", _wire.DEVICE_SYNC, path, path.rpartition(".")[2])
    for index, device in enumerate(devices):
        if device.device_type.name.startswith("UNKNOWN_"):
            path = f"$.devices[{index}].device_type"
            drift("unknown_word", _wire.DEVICE_SYNC, path, str(device.device_type.value))
    if site.lower() != molecule_id.lower():
        drift("unexpected_shape", _wire.DEVICE_SYNC, "$.molecule_id", f"asked for {molecule_id}, got {site}")
    return DeviceList(molecule_id=site, devices=devices, raw=answer)


def read_dispatch_receipt(
    molecule_id: str,
    mode: DispatchMode,
    slots: Sequence[EventSlot],
    answer: Answer,
    statuses: Mapping[str, str] | None,
    drift: OnFound,
) -> DispatchReceipt:
    """What Molecule said to a dispatch request."""
    expected = {"molecule_id": molecule_id, "mode": mode.value}
    reply = _reply(_wire.DISPATCH, _wire.read_dispatch_reply, answer, expected, drift)
    cancelled = {id_key(slot.event_id) for slot in slots if slot.cancelled}
    verdict = _Verdict(_wire.DISPATCH, reply, statuses, drift, id_key, cancelled)
    outcome, certainty, items = verdict.on([slot.event_id for slot in slots])
    return DispatchReceipt(
        molecule_id=molecule_id,
        mode=mode,
        slots=tuple(slots),
        outcome=outcome,
        certainty=certainty,
        items=items,
        message=reply.message if reply else None,
        raw=answer,
    )


def read_command_receipt(
    molecule_id: str,
    scmd_id: str,
    duration_s: int,
    commands: Sequence[DeviceCommand],
    answer: Answer,
    statuses: Mapping[str, str] | None,
    drift: OnFound,
) -> CommandReceipt:
    """What Molecule said to a site command."""
    reply = _reply(_wire.SITE_COMMAND, _wire.read_command_reply, answer, {"molecule_id": molecule_id}, drift)
    verdict = _Verdict(_wire.SITE_COMMAND, reply, statuses, drift, str, set())
    outcome, certainty, items = verdict.on([command.device_id for command in commands])
    return CommandReceipt(
        molecule_id=molecule_id,
        scmd_id=scmd_id,
        duration_s=duration_s,
        commands=tuple(commands),
        outcome=outcome,
        certainty=certainty,
        items=items,
        message=reply.message if reply else None,
        raw=answer,
    )


def _reply(
    operation: str,
    read: Callable[[Any], _wire.Reply],
    answer: Answer,
    expected: Mapping[str, str],
    drift: OnFound,
) -> _wire.Reply | None:
    """The receipt, or None when the body is none, or speaks of something else than the request."""
    data = answer.json()
    try:
        reply = read(data)
    except _UNREADABLE as error:
        found = "no JSON object" if data is None else str(error)
        drift("unexpected_shape", operation, "$", f"the receipt cannot be read: {found}")
        return None
    for path in reply.unknown_fields:
        drift("unknown_field", operation, path, path.rpartition(".")[2])
    for name, sent in expected.items():
        said = getattr(reply, name)
        if said is not None and said.lower() != sent.lower():
            drift("unexpected_shape", operation, f"$.{name}", f"the receipt speaks of {said}, the request of {sent}")
            return None
    return reply


class _Verdict:
    """Puts together what a receipt says of its items and as a whole."""

    def __init__(
        self,
        operation: str,
        reply: _wire.Reply | None,
        statuses: Mapping[str, str] | None,
        drift: OnFound,
        key: Callable[[str], str],
        cancelled: set[str],
    ) -> None:
        self._operation = operation
        self._reply = reply
        self._statuses = statuses
        self._drift = drift
        self._key = key
        self._cancelled = cancelled

    def on(self, sent: Sequence[str]) -> tuple[Outcome, Certainty, tuple[ReceiptItem, ...]]:
        """The verdict on the items that were sent."""
        reply = self._reply
        whole = self._status(reply.status if reply else None, "$.status")
        if reply is not None and reply.items:
            said = {self._key(item_id): (status, message) for item_id, status, message in reply.items}
            keys = [self._key(item_id) for item_id in sent]
            for stranger in said.keys() - set(keys):
                self._drift("unexpected_shape", self._operation, "$", f"a verdict on {stranger}, which was not sent")
            items = tuple(
                self._item(item_id, self._status(text, "$"), text, message)
                for item_id, (text, message) in zip(sent, (said.get(key, (None, None)) for key in keys), strict=True)
            )
            certainty = Certainty.PER_ITEM
        else:
            items = tuple(self._item(item_id, whole, reply.status if reply else None, None) for item_id in sent)
            certainty = Certainty.ENVELOPE if whole is not EventStatus.UNKNOWN else Certainty.HTTP_STATUS_ONLY
        outcome = _together({item.outcome for item in items})
        if whole in (EventStatus.REJECTED, EventStatus.FAILED) and outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN):
            if reply is not None and reply.items:
                self._drift("unexpected_shape", self._operation, "$.status", f"{whole} as a whole, {outcome} by item")
            outcome = Outcome.UNKNOWN
        return outcome, certainty, items

    def _item(self, item_id: str, status: EventStatus, text: str | None, message: str | None) -> ReceiptItem:
        cancels = self._key(item_id) in self._cancelled
        if status in (_YES_TO_CANCEL if cancels else _YES):
            outcome = Outcome.ACCEPTED
        elif status in (_NO_TO_CANCEL if cancels else _NO):
            outcome = Outcome.REJECTED
        else:
            outcome = Outcome.UNKNOWN
        return ReceiptItem(item_id=item_id, outcome=outcome, status=status, status_text=text, message=message)

    def _status(self, text: str | None, path: str) -> EventStatus:
        status = read_status(text, self._statuses)
        if text and status is EventStatus.UNKNOWN:
            self._drift("unknown_word", self._operation, path, text)
        return status


def _together(outcomes: set[Outcome]) -> Outcome:
    """The outcome of a request from those of its items."""
    if len(outcomes) == 1:
        return next(iter(outcomes))
    return Outcome.UNKNOWN if Outcome.UNKNOWN in outcomes else Outcome.PARTIALLY_ACCEPTED
