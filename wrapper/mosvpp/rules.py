"""Whether a request body may leave: the JSON Schema of the specification, and rules no schema can say.

Bodies are checked in their wire form, so that what is checked is what is sent; the sandbox checks what it
receives with the same two. The rules' statements and evidence stand in `x-rules` of spec/openapi.yaml, their
code stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from ._contract import json_path, schema_faults, x_rules
from .errors import RuleError
from .ids import id_key

__all__ = ["check", "faults"]

_Path = list[str | int]


def check(schema: str, body: Any) -> None:
    """Raise the first fault of a request body as `RuleError`; `schema` is its name in spec/openapi.yaml."""
    found = faults(schema, body)
    if found:
        raise found[0]


def faults(schema: str, body: Any) -> list[RuleError]:
    """All faults of a request body: those of the schema, and only when there are none, those of the rules."""
    return schema_faults(schema, body) or list(_CHECKS[schema](body))


def _fault(schema: str, rule: str, path: _Path, found: str) -> RuleError:
    stated = x_rules(schema)[rule]
    message = f"{found}. {stated['statement']}"
    return RuleError(message, path=json_path(path), rule=rule, evidence=tuple(stated["x-evidence"]))


def _dispatch_request(body: dict[str, Any]) -> Iterator[RuleError]:
    slots = body["event_slots"]
    for index, slot in enumerate(slots):
        yield from _dispatch_event(slot, index)
    for index, first in _repeated(id_key(slot["event_id"]) for slot in slots):
        found = f"{slots[index]['event_id']} is already event {first} of this request"
        yield _fault("DispatchRequest", "unique_event_ids", ["event_slots", index, "event_id"], found)


def _dispatch_event(slot: dict[str, Any], index: int) -> Iterator[RuleError]:
    start, end = slot["start_time"], slot["end_time"]
    try:
        in_order = datetime.fromisoformat(start) < datetime.fromisoformat(end)
    except ValueError:  # what RFC 3339 allows and no calendar here holds: a leap second, the year 0
        in_order = False
    if not in_order:
        found = f"it ends at {end} and starts at {start}"
        yield _fault("DispatchEvent", "end_after_start", ["event_slots", index, "end_time"], found)
    if not slot["event_quantity"] and slot["event_type"] != "restore":
        found = f"a {slot['event_type']} of zero is not clear: hold, stop, maximum? To go back use restore"
        yield _fault("DispatchEvent", "power_above_zero", ["event_slots", index, "event_quantity"], found)


def _site_command_request(body: dict[str, Any]) -> Iterator[RuleError]:
    items = body["scmd_devices"]
    for index, first in _repeated(item["device_id"] for item in items):
        found = f"device {items[index]['device_id']} already has command {first} of this request"
        yield _fault("SiteCommandRequest", "unique_device_ids", ["scmd_devices", index, "device_id"], found)


def _repeated(keys: Iterator[str]) -> Iterator[tuple[int, int]]:
    """The positions of keys that occurred before, each with the position of the first occurrence."""
    seen: dict[str, int] = {}
    for index, key in enumerate(keys):
        first = seen.setdefault(key, index)
        if first != index:
            yield index, first


_CHECKS: dict[str, Callable[[Any], Iterator[RuleError]]] = {
    "DispatchRequest": _dispatch_request,
    "SiteCommandRequest": _site_command_request,
}
