"""What Molecule sends, as the partner holds it: telemetry, reports on events, and what we do not know.

`mosvpp.webhooks.parse` makes these. They cannot be changed, go to JSON and back (`to_json`, `from_json`), and
keep the raw bytes. What they mean is as sure as the evidence: a data push is documented (push.body), the
shape of an execution response is inferred (execution.shape).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias
from uuid import UUID

import msgspec

from mosvpp_events import DeviceReading

from ._values import Value
from .errors import RuleError, shown
from .ids import id_key
from .statuses import EventStatus
from .units import Power

__all__ = [
    "DataPush",
    "Delivery",
    "DeviceReading",
    "DeviceResult",
    "ExecutionReport",
    "ExecutionResult",
    "UnknownDelivery",
]


class DataPush(Value, frozen=True, kw_only=True, tag_field="kind", tag="data_push"):
    """A snapshot of the metrics of a site's devices (push.body).

    `timestamp` is when it was generated, in UTC; `times_had_offset` is False when the text had neither Z nor
    an offset and was taken as UTC (times.reading). Each of `devices` has `device_id` and `metrics`, a dict of
    numbers and texts; their units and signs are not documented (unknown.metric_units). `unknown_fields` holds
    by its JSON path what the specification does not have, and metrics that are neither number nor text. `raw`
    is the body as it came.
    """

    kind: ClassVar[Literal["data_push"]] = "data_push"

    molecule_id: str
    timestamp: datetime
    devices: tuple[DeviceReading, ...]
    times_had_offset: bool = True
    unknown_fields: dict[str, Any] = msgspec.field(default_factory=dict)
    raw: bytes = b""

    def __repr__(self) -> str:
        return (
            f"DataPush(molecule_id={self.molecule_id!r}, timestamp={self.timestamp.isoformat()}, "
            f"devices=<{len(self.devices)}>, raw=<{len(self.raw)} bytes>)"
        )

    def metric(self, device_id: str, name: str) -> float | str | None:
        """The value of one metric, None where there is none; the last one where a device is listed twice."""
        found: float | str | None = None
        for device in self.devices:
            if device.device_id == device_id:
                found = device.metrics.get(name, found)
        return found


class _Executed(Value, frozen=True, kw_only=True):
    status: EventStatus
    status_text: str | None = None
    message: str | None = None
    executed_quantity: float | None = None
    executed_unit: str | None = None

    @property
    def executed_power(self) -> Power | None:
        """`executed_quantity` as a power, where its unit is exactly w, kW or MW and it is not negative.

        None for energy (kWh) and for any other unit: which of them is reported is not known
        (execution.executed_quantity).
        """
        if self.executed_quantity is None or self.executed_unit is None:
            return None
        try:
            return Power(self.executed_quantity, self.executed_unit)
        except RuleError:
            return None


class DeviceResult(_Executed, frozen=True, kw_only=True):
    """What one device contributed to an event."""

    device_id: str


class ExecutionResult(_Executed, frozen=True, kw_only=True):
    """What became of one event (execution.shape).

    `status` is our reading of `status_text`, Molecule's own word; a result without one takes the word of the
    whole response. `started_at` and `ended_at` are the actual times in UTC, where they were sent
    (execution.actual_times).
    """

    event_id: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    devices: tuple[DeviceResult, ...] = ()


class ExecutionReport(Value, frozen=True, kw_only=True, tag_field="kind", tag="execution_response"):
    """The results of one or more events, from either form of an execution response (execution.two_forms).

    `status`, `status_text` and `message` speak of the response as a whole; in the flat form, of its one
    event. `times_had_offset` is False when any time was taken as UTC for want of an offset. For
    `unknown_fields` and `raw` see `DataPush`.
    """

    kind: ClassVar[Literal["execution_response"]] = "execution_response"

    results: tuple[ExecutionResult, ...]
    molecule_id: str | None = None
    mode: str | None = None
    timestamp: datetime | None = None
    status: EventStatus = EventStatus.UNKNOWN
    status_text: str | None = None
    message: str | None = None
    times_had_offset: bool = True
    unknown_fields: dict[str, Any] = msgspec.field(default_factory=dict)
    raw: bytes = b""

    def __repr__(self) -> str:
        results = ", ".join(f"{shown(result.event_id)}: {result.status}" for result in self.results[:3])
        results += ", …" * (len(self.results) > 3)
        size = len(self.raw)
        return f"ExecutionReport(molecule_id={self.molecule_id!r}, results=<{results}>, raw=<{size} bytes>)"

    def result(self, event_id: str | UUID) -> ExecutionResult:
        """The result of one event; ids are compared as values. Raises `KeyError`.

        Where an event is listed twice, the last terminal result counts, or else the last one.
        """
        key = id_key(event_id)
        found = [result for result in self.results if id_key(result.event_id) == key]
        if not found:
            raise KeyError(str(event_id))
        return ([result for result in found if result.status.is_terminal] or found)[-1]


Reason: TypeAlias = Literal["not_an_object", "unrecognised", "ambiguous", "other_kind", "does_not_fit"]


class UnknownDelivery(Value, frozen=True, kw_only=True, tag_field="kind", tag="unknown"):
    """Acceptable JSON in a shape that we do not know, from a sender that proved who it is. Keep it.

    `reason` is a word to count by and `detail` a sentence with the JSON path: `not_an_object`; `unrecognised`
    (neither a push nor an execution response); `ambiguous` (both); `other_kind` (the other one than
    `expected`); `does_not_fit` (a field is missing or of another type). `json` is the decoded body, `raw` the
    body as it came.
    """

    kind: ClassVar[Literal["unknown"]] = "unknown"

    reason: Reason
    detail: str
    expected: Literal["data_push", "execution_response"] | None = None
    json: Any = None
    raw: bytes = b""

    def __repr__(self) -> str:
        return f"UnknownDelivery(reason={self.reason!r}, detail={self.detail!r}, raw=<{len(self.raw)} bytes>)"


Delivery: TypeAlias = DataPush | ExecutionReport | UnknownDelivery
