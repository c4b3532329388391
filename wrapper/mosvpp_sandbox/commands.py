"""The site commands of one site: what each device was told, until when, and how often a command was executed.

What becomes of a repeated `scmd_id`, of a device that a running event uses, and of a device once
`scmd_secs` have passed is not documented: see `choices`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mosvpp.ids import id_key
from mosvpp.times import to_wire

from .events import Verdict
from .physics.device import Order

__all__ = ["Command", "CommandTable", "DeviceCommand", "RepeatedCommandError"]


class RepeatedCommandError(Exception):
    """A site command with that scmd_id was taken before (errors.conflict: our reading)."""


@dataclass
class DeviceCommand:
    """What one device was told; `state` is running, done, restored, replaced or rejected."""

    device_id: str
    cmd_type: str
    power_kw: float | None
    order: Order | None
    state: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """How the control interface shows it."""
        return {
            "device_id": self.device_id,
            "cmd_type": self.cmd_type,
            "power_kw": self.power_kw,
            "state": self.state,
            "message": self.message,
        }


@dataclass
class Command:
    """One site command; `executions` counts how often devices were told."""

    scmd_id: str
    asked_at: datetime
    seconds: int
    until: datetime
    executions: int = 0
    devices: list[DeviceCommand] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Whether a device still follows it."""
        states = {device.state for device in self.devices}
        return "running" if "running" in states else "rejected" if states == {"rejected"} else "done"

    def as_json(self) -> dict[str, Any]:
        """How the control interface shows it."""
        return {
            "scmd_id": self.scmd_id,
            "state": self.state,
            "asked_at": to_wire(self.asked_at),
            "until": to_wire(self.until),
            "scmd_secs": self.seconds,
            "executions": self.executions,
            "devices": [device.as_json() for device in self.devices],
        }

    def verdicts(self) -> list[Verdict]:
        """What the receipt said of each device."""
        return [
            Verdict("rejected" if one.state == "rejected" else "accepted", one.message)
            for one in self.devices
        ]


class CommandTable:
    """All commands of a site."""

    def __init__(self, key: Callable[[str], str] = id_key) -> None:
        self._commands: dict[str, Command] = {}
        self._holding: dict[str, tuple[Command, DeviceCommand]] = {}
        self._key = key

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands.values())

    def get(self, scmd_id: str) -> Command | None:
        """A command by its id."""
        return self._commands.get(self._key(scmd_id))

    def add(self, command: Command) -> None:
        """Put in a command; where it is running, its devices are held by it."""
        self._commands[self._key(command.scmd_id)] = command
        for device in command.devices:
            if device.state == "running":
                self._end(device.device_id, "replaced")
                self._holding[device.device_id] = (command, device)

    def restore(self, device_id: str) -> None:
        """Let go of a device."""
        self._end(device_id, "restored")

    def expire(self, now: datetime, *, is_held: bool) -> list[Command]:
        """Let go of devices whose time is over, unless they stay as they are; returns the commands."""
        over = [(name, command) for name, (command, _) in self._holding.items() if command.until <= now]
        for name, _ in over:
            if not is_held:
                self._end(name, "done")
        return [command for _, command in over if not is_held]

    def next_at(self, now: datetime) -> datetime | None:
        """When the next one ends; those that are held beyond their time do not count."""
        times = (command.until for command, _ in self._holding.values() if command.until > now)
        return min(times, default=None)

    def orders(self) -> dict[str, Order]:
        """What devices are told at present."""
        return {name: device.order for name, (_, device) in self._holding.items() if device.order is not None}

    def _end(self, device_id: str, state: str) -> None:
        held = self._holding.pop(device_id, None)
        if held is not None:
            held[1].state = state
