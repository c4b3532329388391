"""From decoded JSON to a delivery, tolerantly: what can be understood is read, what surprises is kept.

Reality may differ from what we infer. So keys may come in another case (`eventSlots`, as ASP.NET writes
them), times in other spellings, and with fields that we do not know. One field in two spellings must say one
thing. What is left then must fit the specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from mosvpp_events import (
    DataPushPayload,
    DeviceReading,
    ExecutionDevice,
    ExecutionResponseFlatPayload,
    ExecutionResponsePayload,
    ExecutionSlot,
)

from .drift import Drift, DriftKind
from .errors import shown
from .events import (
    DataPush,
    Delivery,
    DeviceResult,
    ExecutionReport,
    ExecutionResult,
    Reason,
    UnknownDelivery,
)
from .statuses import EventStatus, read_status
from .times import read_instant

__all__ = ["Kind", "read_delivery"]

Kind: TypeAlias = Literal["data_push", "execution_response"]

_NAMES: dict[Kind, str] = {"data_push": "a data push", "execution_response": "an execution response"}

# Where one struct holds a list of another, and which fields are times. A test compares both with the types.
_NESTED: dict[type[msgspec.Struct], dict[str, type[msgspec.Struct]]] = {
    DataPushPayload: {"devices": DeviceReading},
    ExecutionResponsePayload: {"event_slots": ExecutionSlot},
    ExecutionResponseFlatPayload: {"devices": ExecutionDevice},
    ExecutionSlot: {"devices": ExecutionDevice},
}
_TIMES = frozenset({"timestamp", "start_time", "end_time"})

_BEYOND_MICROSECONDS = re.compile(r"(?<=[.,][0-9]{6})[0-9]+")

_T = TypeVar("_T")
_Payload = TypeVar("_Payload", bound=msgspec.Struct)


def read_delivery(
    value: Any, raw: bytes, *, expect: Kind | None, statuses: Mapping[str, str] | None
) -> tuple[Delivery, list[Drift]]:
    """What a body says, and what is surprising about it. Never raises, whatever JSON `value` is."""
    kind = expect
    try:
        kind = _kind_of(value, expect)
        reader = _Reader(kind, statuses)
        return (reader.push if kind == "data_push" else reader.report)(value, raw), reader.drifts
    except _Misfit as misfit:
        detail = str(misfit)
        unknown = UnknownDelivery(reason=misfit.reason, detail=detail, expected=expect, json=value, raw=raw)
        operation = f"receive_{kind}" if kind else "receive"
        return unknown, [Drift(kind="unexpected_shape", operation=operation, path="$", detail=detail)]


class _Misfit(Exception):  # noqa: N818  it never leaves this module
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


def _kind_of(value: Any, expect: Kind | None) -> Kind:
    if not isinstance(value, dict):
        raise _Misfit("not_an_object", f"the body is no object but {_type_of(value)}")
    fields = {_fold(key): field for key, field in value.items()}
    devices = fields.get("devices")
    has_metrics = isinstance(devices, list) and any(
        isinstance(device, dict) and any(_fold(key) == "metrics" for key in device) for device in devices
    )
    is_response = "eventslots" in fields or "eventid" in fields
    is_push = has_metrics or (not is_response and "devices" in fields and "timestamp" in fields)
    if expect:
        fits, fits_other = (is_push, is_response) if expect == "data_push" else (is_response, is_push)
        if fits_other and not fits:
            other = _NAMES["execution_response" if expect == "data_push" else "data_push"]
            raise _Misfit("other_kind", f"this looks like {other}; expected was {_NAMES[expect]}")
        return expect  # where it does not fit, the error then says so
    if is_push and is_response:
        raise _Misfit(
            "ambiguous", "there are metrics as in a data push, and events as in an execution response"
        )
    if not is_push and not is_response:
        raise _Misfit(
            "unrecognised", "there are neither metrics, as in a data push, nor event_slots or event_id"
        )
    return "data_push" if is_push else "execution_response"


class _Reader:
    """Reads one body, and gathers what is surprising about it."""

    def __init__(self, kind: Kind, statuses: Mapping[str, str] | None) -> None:
        self.drifts: list[Drift] = []
        self._operation = f"receive_{kind}"
        self._statuses = statuses
        self._unknown_fields: dict[str, Any] = {}
        self._times_had_offset = True

    def push(self, value: dict[str, Any], raw: bytes) -> DataPush:
        payload = self._payload(value, DataPushPayload)
        return DataPush(
            molecule_id=payload.molecule_id,
            timestamp=payload.timestamp,
            devices=tuple(payload.devices),
            times_had_offset=self._times_had_offset,
            unknown_fields=self._unknown_fields,
            raw=raw,
        )

    def report(self, value: dict[str, Any], raw: bytes) -> ExecutionReport:
        payload: ExecutionResponsePayload | ExecutionResponseFlatPayload
        if any(_fold(key) == "eventslots" for key in value):
            payload = self._payload(value, ExecutionResponsePayload)
            text = _given(payload.status) or None
            status = self._status(text, "$")
            slots = enumerate(payload.event_slots)
            results = [self._result(slot, f"$.event_slots[{index}]", text) for index, slot in slots]
        else:
            payload = self._payload(value, ExecutionResponseFlatPayload)
            results = [self._result(payload, "$", None)]
            text, status = results[0].status_text, results[0].status
        mode = _given(payload.mode)
        if mode not in (None, "test", "live"):
            self._note("unknown_word", "$.mode", mode)
        return ExecutionReport(
            results=tuple(results),
            molecule_id=_given(payload.molecule_id),
            mode=mode,
            timestamp=_given(payload.timestamp),
            status=status,
            status_text=text,
            message=_given(payload.message),
            times_had_offset=self._times_had_offset,
            unknown_fields=self._unknown_fields,
            raw=raw,
        )

    def _result(
        self, slot: ExecutionSlot | ExecutionResponseFlatPayload, path: str, inherited: str | None
    ) -> ExecutionResult:
        own = _given(slot.status) or None
        if own is None and inherited is None:
            self._note("unexpected_shape", path, "there is no status")
        devices = enumerate(_given(slot.devices) or ())
        result = ExecutionResult(
            event_id=slot.event_id,
            status=self._status(own, path) if own else read_status(inherited, self._statuses),
            status_text=own or inherited,
            message=_given(slot.message),
            started_at=_given(slot.start_time),
            ended_at=_given(slot.end_time),
            executed_quantity=_given(slot.executed_quantity),
            executed_unit=_given(slot.event_unit),
            devices=tuple(self._device(device, f"{path}.devices[{index}]") for index, device in devices),
        )
        self._check_power(result, path)
        return result

    def _device(self, device: ExecutionDevice, path: str) -> DeviceResult:
        text = _given(device.status) or None
        result = DeviceResult(
            device_id=device.device_id,
            status=self._status(text, path),
            status_text=text,
            message=_given(device.message),
            executed_quantity=_given(device.executed_quantity),
            executed_unit=_given(device.event_unit),
        )
        self._check_power(result, path)
        return result

    def _status(self, text: str | None, path: str) -> EventStatus:
        status = read_status(text, self._statuses)
        if text and status is EventStatus.UNKNOWN:
            self._note("unknown_word", f"{path}.status", text)
        return status

    def _check_power(self, result: ExecutionResult | DeviceResult, path: str) -> None:
        quantity, unit = result.executed_quantity, result.executed_unit
        if quantity is not None and quantity < 0:
            self._note("unexpected_shape", f"{path}.executed_quantity", "a negative quantity")
        elif quantity is not None and unit is not None and result.executed_power is None:
            self._note("unknown_word", f"{path}.event_unit", unit)

    def _note(self, kind: DriftKind, path: str, detail: str) -> None:
        self.drifts.append(Drift(kind=kind, operation=self._operation, path=path, detail=detail))

    def _payload(self, value: dict[str, Any], struct: type[_Payload]) -> _Payload:
        try:
            return msgspec.convert(self._prepared(value, struct, "$"), struct)
        except msgspec.ValidationError as error:
            raise _Misfit("does_not_fit", str(error)) from None

    def _prepared(self, value: Any, struct: type[msgspec.Struct], path: str) -> Any:
        """`value` with the field names of the specification, its times read, and without what is unknown."""
        if not isinstance(value, dict):
            return value
        known = {_fold(name): name for name in struct.__struct_fields__}
        read_from: dict[str, str] = {}
        prepared: dict[str, Any] = {}
        for key, item in value.items():
            name, at = known.get(_fold(key)), _at(path, key)
            chosen = read_from.setdefault(name, name if name in value else key) if name else None
            if name is None or chosen != key:
                if chosen is not None and not _is_same(item, value[chosen]):
                    raise _Misfit("does_not_fit", f"{chosen} and {key} differ, and are one field - at `{at}`")
                self._unknown_fields[at] = item
                self._note("unknown_field", at, key)
                continue
            if name != key:
                self._note("unexpected_shape", at, f"read as {name}")
            prepared[name] = self._field(item, name, _NESTED.get(struct, {}).get(name), at)
        return prepared

    def _field(self, item: Any, name: str, inner: type[msgspec.Struct] | None, path: str) -> Any:
        if inner is not None and isinstance(item, list):
            return [self._prepared(part, inner, f"{path}[{index}]") for index, part in enumerate(item)]
        if name in _TIMES and isinstance(item, str):
            return self._instant(item, path)
        if name == "metrics" and isinstance(item, dict):
            return self._metrics(item, path)
        return item

    def _instant(self, text: str, path: str) -> datetime:
        try:
            instant, had_offset = _instant(text)
        except (ValueError, OverflowError):
            raise _Misfit("does_not_fit", f"{shown(text, 40)} is no time - at `{path}`") from None
        if not had_offset:
            self._times_had_offset = False
            self._note("time_without_offset", path, text)
        return instant

    def _metrics(self, metrics: dict[str, Any], path: str) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in metrics.items():
            if isinstance(value, str | float | int) and not isinstance(value, bool):
                kept[name] = value
            else:
                self._unknown_fields[_at(path, name)] = value
                detail = f"a metric is a number or a text, this is {_type_of(value)}"
                self._note("unexpected_shape", _at(path, name), detail)
        return kept


def _instant(text: str) -> tuple[datetime, bool]:
    try:
        # As in the quick path of webhooks.py; but beyond microseconds msgspec rounds, where the rest cut off.
        instant = msgspec.convert(_BEYOND_MICROSECONDS.sub("", text), datetime)
    except msgspec.ValidationError:
        if ":" not in text:  # a date alone says no instant
            raise
        return read_instant(text)
    if instant.tzinfo is None:
        return instant.replace(tzinfo=UTC), False
    return instant.astimezone(UTC), True


def _fold(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def _is_same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{key!r}]"


def _given(value: _T | msgspec.UnsetType | None) -> _T | None:
    return None if isinstance(value, msgspec.UnsetType) else value


def _type_of(value: object) -> str:
    names = {
        "NoneType": "null",
        "bool": "true or false",
        "str": "a text",
        "list": "a list",
        "dict": "an object",
    }
    return names.get(type(value).__name__, "a number")
