"""From an answer with a 2xx to a receipt or a device list: what is certain, and what is not.

A receipt that cannot be read, or that contradicts itself, is a receipt with the outcome unknown. Surprises go
to `drift`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from mosvpp_api.models.dispatch_mode import DispatchMode

from . import _wire
from ._answers import Answer
from ._requests import Request
from .ids import id_key
from .models import DeviceList
from .receipts import Certainty, CommandReceipt, DispatchReceipt, Outcome, ReceiptItem
from .statuses import EventStatus, read_status

__all__ = ["read_command_receipt", "read_device_list", "read_dispatch_receipt"]

OnFound: TypeAlias = Callable[[Any, str, str, str], None]  # kind, operation, path, detail
Statuses: TypeAlias = Mapping[str, str] | None

_S = EventStatus
_YES = frozenset({_S.ACCEPTED, _S.IN_PROGRESS, _S.COMPLETED})  # "received" and "partial" are no clear yes
_NO = frozenset({_S.REJECTED, _S.FAILED, _S.CANCELLED, _S.SUPERSEDED, _S.OPTED_OUT})
# To a request to cancel, "cancelled" is a yes, and "completed" is no answer: it does not say that the stop
# was heard.
_YES_TO_CANCEL = frozenset({_S.ACCEPTED, _S.CANCELLED})
_NO_TO_CANCEL = frozenset({_S.REJECTED, _S.FAILED})


def read_device_list(molecule_id: str, answer: Answer, drift: OnFound) -> DeviceList | None:
    """The devices of a site, or None when the body is no device list, or that of another site."""
    try:
        site, devices, unknown = _wire.read_devices(answer.json())
    except _wire.UNREADABLE:
        return None
    for path in unknown:
        drift("unknown_field", _wire.DEVICE_SYNC, path, path.rpartition(".")[2])
    for index, device in enumerate(devices):
        if device.device_type.name.startswith("UNKNOWN_"):
            path = f"$.devices[{index}].device_type"
            drift("unknown_word", _wire.DEVICE_SYNC, path, str(device.device_type.value))
    if site.lower() != molecule_id.lower():
        drift("unexpected_shape", _wire.DEVICE_SYNC, "$.molecule_id", f"asked for {molecule_id}, got {site}")
        return None
    return DeviceList(molecule_id=site, devices=devices, raw=answer)


def read_dispatch_receipt(
    request: Request, answer: Answer, statuses: Statuses, drift: OnFound
) -> DispatchReceipt:
    """What Molecule said to a dispatch request."""
    mode = request.mode or DispatchMode.TEST
    expected = {"molecule_id": request.molecule_id, "mode": mode.value}
    reply = _reply(_wire.DISPATCH, _wire.read_dispatch_reply, answer, expected, drift)
    cancelled = {id_key(slot.event_id) for slot in request.slots if slot.cancelled}
    verdict = _Verdict(_wire.DISPATCH, reply, statuses, drift, id_key, cancelled)
    outcome, certainty, items = verdict.on(request.ids)
    return DispatchReceipt(
        molecule_id=request.molecule_id,
        mode=mode,
        slots=request.slots,
        outcome=outcome,
        certainty=certainty,
        items=items,
        message=reply.message if reply else None,
        raw=answer,
        revision=request.revision,
    )


def read_command_receipt(
    request: Request, answer: Answer, statuses: Statuses, drift: OnFound
) -> CommandReceipt:
    """What Molecule said to a site command."""
    expected = {"molecule_id": request.molecule_id, "scmd_id": request.ids[0]}
    reply = _reply(_wire.SITE_COMMAND, _wire.read_command_reply, answer, expected, drift)
    verdict = _Verdict(_wire.SITE_COMMAND, reply, statuses, drift, str, set())
    outcome, certainty, items = verdict.on([command.device_id for command in request.commands])
    return CommandReceipt(
        molecule_id=request.molecule_id,
        scmd_id=request.ids[0],
        duration_s=request.duration_s or 0,
        commands=request.commands,
        outcome=outcome,
        certainty=certainty,
        items=items,
        message=reply.message if reply else None,
        raw=answer,
        revision=request.revision,
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
    except _wire.UNREADABLE as error:
        found = "no JSON object" if data is None else str(error)
        drift("unexpected_shape", operation, "$", f"the receipt cannot be read: {found}")
        return None
    for path in reply.unknown_fields:
        drift("unknown_field", operation, path, path.rpartition(".")[2])
    for name, sent in expected.items():
        said = getattr(reply, name)
        if said is not None and id_key(said).lower() != id_key(sent).lower():
            drift(
                "unexpected_shape",
                operation,
                f"$.{name}",
                f"the receipt speaks of {said}, the request of {sent}",
            )
            return None
    return reply


class _Verdict:
    """Puts together what a receipt says of its items and as a whole."""

    def __init__(
        self,
        operation: str,
        reply: _wire.Reply | None,
        statuses: Statuses,
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
        self._words: dict[str | None, EventStatus] = {None: EventStatus.UNKNOWN}

    def on(self, sent: Sequence[str]) -> tuple[Outcome, Certainty, tuple[ReceiptItem, ...]]:
        """The verdict on the items that were sent."""
        text = self._reply.status if self._reply else None
        whole = self._status(text, "$.status")
        said = self._said()
        if said:
            return self._by_item(sent, said, whole)
        return self._as_a_whole(sent, whole, text)

    def _as_a_whole(
        self, sent: Sequence[str], whole: EventStatus, text: str | None
    ) -> tuple[Outcome, Certainty, tuple[ReceiptItem, ...]]:
        """The word for all counts for every item, or where items are named, for those."""
        listed = self._reply.items if self._reply else []
        named = {self._key(item_id) for item_id, _, _ in listed if item_id is not None}
        items = []
        for item_id in sent:
            key = self._key(item_id)
            status = whole if not named or key in named else EventStatus.UNKNOWN
            items.append(self._item(item_id, key, status, text, None))
        certainty = Certainty.HTTP_STATUS_ONLY if whole is EventStatus.UNKNOWN else Certainty.ENVELOPE
        return _together(items), certainty, tuple(items)

    def _said(self) -> dict[str, tuple[str | None, str | None]]:
        """Status and message by item; empty when no item has a word of its own."""
        said: dict[str, tuple[str | None, str | None]] = {}
        if self._reply is None or not any(status for _, status, _ in self._reply.items):
            return said
        for item_id, status, message in self._reply.items:
            key = "" if item_id is None else self._key(item_id)
            if said.setdefault(key, (status, message))[0] != status:
                self._strange("$", f"two verdicts on {item_id}: {said[key][0]} and {status}")
                said[key] = (None, None)
        return said

    def _by_item(
        self, sent: Sequence[str], said: dict[str, tuple[str | None, str | None]], whole: EventStatus
    ) -> tuple[Outcome, Certainty, tuple[ReceiptItem, ...]]:
        items = []
        for item_id in sent:
            key = self._key(item_id)
            text, message = said.pop(key, (None, None))
            items.append(self._item(item_id, key, self._status(text, "$"), text, message))
        for stranger in said:
            self._strange("$", f"a verdict on {stranger or 'nothing named'}, which was not sent")
        outcome = _together(items)
        says_no = _NO_TO_CANCEL if self._cancelled else _NO
        if whole in says_no and outcome is Outcome.ACCEPTED:
            self._strange("$.status", f"{whole} as a whole, {outcome} by item")
            outcome = Outcome.UNKNOWN
        certain = any(item.status is not EventStatus.UNKNOWN for item in items)
        return outcome, Certainty.PER_ITEM if certain else Certainty.HTTP_STATUS_ONLY, tuple(items)

    def _item(
        self, item_id: str, key: str, status: EventStatus, text: str | None, message: str | None
    ) -> ReceiptItem:
        cancels = key in self._cancelled
        if status in (_YES_TO_CANCEL if cancels else _YES):
            outcome = Outcome.ACCEPTED
        elif status in (_NO_TO_CANCEL if cancels else _NO):
            outcome = Outcome.REJECTED
        else:
            outcome = Outcome.UNKNOWN
        return ReceiptItem(item_id=item_id, outcome=outcome, status=status, status_text=text, message=message)

    def _status(self, text: str | None, path: str) -> EventStatus:
        status = self._words.get(text)
        if status is None:
            status = self._words[text] = read_status(text, self._statuses)
            if text and status is EventStatus.UNKNOWN:
                self._drift("unknown_word", self._operation, path, text)
        return status

    def _strange(self, path: str, detail: str) -> None:
        self._drift("unexpected_shape", self._operation, path, detail)


def _together(items: Sequence[ReceiptItem]) -> Outcome:
    """The outcome of a request from those of its items."""
    outcomes = {item.outcome for item in items}
    if len(outcomes) == 1:
        return outcomes.pop()
    return Outcome.UNKNOWN if Outcome.UNKNOWN in outcomes else Outcome.PARTIALLY_ACCEPTED
