"""What people type into the console's forms, as the requests that a partner would send.

Nothing is checked here that the sandbox checks itself: whoever sends nonsense is to see its answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from mosvpp.times import to_wire

__all__ = ["Fields", "cancel_body", "command_body", "dispatch_body"]

_WITH_POWER = {"charge", "discharge", "shed"}


class Fields:
    """The fields of a form. Raises `ValueError` with a sentence where a number is none."""

    def __init__(self, body: bytes) -> None:
        self._pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=500)

    def text(self, name: str, default: str = "") -> str:
        """The first field of that name, without white space around it."""
        return next((value.strip() for key, value in self._pairs if key == name), default) or default

    def texts(self, name: str) -> list[str]:
        """All fields of that name, such as those of boxes that were ticked."""
        return [value for key, value in self._pairs if key == name]

    def number(self, name: str, default: float | None = None) -> float:
        """A number; a field left empty has the default, if there is one."""
        text = self.text(name)
        if not text and default is not None:
            return default
        try:
            return float(text)
        except ValueError:
            msg = f"{name.replace('_', ' ')} is a number, not {text!r}"
            raise ValueError(msg) from None

    def optional(self, name: str) -> float | None:
        """A number, or None for a field left empty."""
        return self.number(name) if self.text(name) else None

    def names(self) -> set[str]:
        """Which fields there are."""
        return {key for key, _ in self._pairs}


def dispatch_body(fields: Fields, now: datetime) -> dict[str, Any]:
    """A dispatch request of one slot; `starts_in` and `lasts` are simulated minutes."""
    try:
        start = now + timedelta(minutes=fields.number("starts_in", 0))
        end = start + timedelta(minutes=fields.number("lasts"))
    except OverflowError:
        raise ValueError("that is more time than a calendar has") from None
    return {
        "mode": fields.text("mode"),
        "event_slots": [
            {
                "event_id": fields.text("event_id") or str(uuid4()),
                "start_time": to_wire(start),
                "end_time": to_wire(end),
                "event_type": fields.text("event_type"),
                "event_quantity": 0.0
                if fields.text("event_type") == "restore"
                else fields.number("event_quantity"),
                "event_unit": fields.text("event_unit"),
                "priority": _whole(fields.number("priority")),
                "mandatory": "mandatory" in fields.names(),
                "cancelled": False,
            }
        ],
    }


def cancel_body(event: Mapping[str, Any]) -> dict[str, Any]:
    """The same event once more, cancelled (dispatch.update_by_same_id: our reading)."""
    return {
        "mode": event["mode"],
        "event_slots": [
            {
                "event_id": event["event_id"],
                "start_time": event["start"],
                "end_time": event["end"],
                "event_type": event["event_type"],
                "event_quantity": event["power_kw"],
                "event_unit": "kW",
                "priority": event["priority"],
                "mandatory": event["mandatory"],
                "cancelled": True,
            }
        ],
    }


def command_body(fields: Fields) -> dict[str, Any]:
    """A site command: one type for every device that was ticked."""
    cmd_type = fields.text("cmd_type")
    power: dict[str, Any] = {}
    if cmd_type in _WITH_POWER:
        power = {"cmd_quantity": fields.number("cmd_quantity"), "cmd_unit": fields.text("cmd_unit")}
    return {
        "scmd_type": "deviceControl",
        "scmd_id": fields.text("scmd_id") or str(uuid4()),
        "scmd_secs": _whole(fields.number("scmd_secs")),
        "scmd_devices": [
            {"device_id": device_id, "cmd_type": cmd_type, **power} for device_id in fields.texts("device")
        ],
    }


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value
