"""What schemathesis is told of the rules that a schema cannot say: a valid request has to keep them, too.

Loaded by schemathesis by name. Requests that are meant to be invalid are left as they are.
"""

from __future__ import annotations

import uuid
from typing import Any

import schemathesis
from schemathesis import GenerationMode

_EVENTS = uuid.UUID("00000000-0000-4000-8000-000000000000")


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Make a request valid that is only valid by the schema."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if not isinstance(case.body, dict):
        return
    for number, event in enumerate(case.body.get("event_slots", [])):
        _keep_rules_of_an_event(event, number)
    devices = set()
    for number, command in enumerate(case.body.get("scmd_devices", [])):
        _keep_rules_of_a_command(command, number, devices)


def _keep_rules_of_an_event(event: dict[str, Any], number: int) -> None:
    # The end is later than the start, ids are unique, a shed of zero is not clear, restore sends 0 kW.
    event["event_id"] = str(uuid.UUID(int=_EVENTS.int + number + 1))
    event["start_time"], event["end_time"] = "2026-01-15T17:00:00Z", "2026-01-15T18:00:00Z"
    if event["event_type"] == "restore":
        event["event_quantity"], event["event_unit"] = 0, "kW"
    else:
        event["event_quantity"] = max(event["event_quantity"], 1)


def _keep_rules_of_a_command(command: dict[str, Any], number: int, devices: set[str]) -> None:
    if command["device_id"] in devices:
        command["device_id"] += f"-{number}"
    devices.add(command["device_id"])
    if "cmd_quantity" in command:
        command["cmd_quantity"] = max(command["cmd_quantity"], 1)
