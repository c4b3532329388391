"""Commands to single devices, as frozen values. They act at once.

No test mode is documented for them (command.no_test_mode).

>>> wanted = [discharge("20000", 5 * kW), turn_off("21000")]
>>> client.submit_site_command(site, wanted, duration=timedelta(minutes=15))
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from ._values import Value
from .errors import RuleError
from .units import Power, power_of

__all__ = ["Action", "DeviceCommand", "charge", "discharge", "restore", "shed", "turn_off", "turn_on"]

Action: TypeAlias = Literal["charge", "discharge", "shed", "off", "on", "restore"]
_POWER_BASED = frozenset({"charge", "discharge", "shed"})


class DeviceCommand(Value, frozen=True, kw_only=True, tag_field="kind", tag="device_command"):
    """One command to one device. Build it with the functions of this module.

    `power` is present for charge, discharge and shed (command.power_based), and absent for the others.
    """

    device_id: str
    action: Action
    power: Power | None = None

    def __post_init__(self) -> None:
        if not _is_sendable(self.device_id):
            msg = f"{self.device_id!r} is no device id; it is a text such as '20000', as device sync lists it"
            raise RuleError(msg, path="device_id", rule="type", evidence=("command.device_id",))
        if self.action not in get_args(Action):
            msg = f"{self.action!r} is no command; use one of {', '.join(get_args(Action))}"
            raise RuleError(msg, path="action", rule="enum", evidence=("command.cmd_type",))
        if self.action in _POWER_BASED:
            power_of(self.power, path="power")
        elif self.power is not None:
            msg = f"{self.action} takes no power"
            raise RuleError(msg, path="power", rule="state_based", evidence=("command.state_no_quantity",))


def _is_sendable(value: object) -> bool:
    """Whether it is a text that holds something, and no half of a character (a lone surrogate)."""
    return isinstance(value, str) and value != "" and value == value.encode(errors="ignore").decode()


def charge(device_id: str, power: Power) -> DeviceCommand:
    """Take energy in with that power."""
    return DeviceCommand(device_id=device_id, action="charge", power=power)


def discharge(device_id: str, power: Power) -> DeviceCommand:
    """Give energy out with that power."""
    return DeviceCommand(device_id=device_id, action="discharge", power=power)


def shed(device_id: str, power: Power) -> DeviceCommand:
    """Use less by that power."""
    return DeviceCommand(device_id=device_id, action="shed", power=power)


def turn_on(device_id: str) -> DeviceCommand:
    """Switch on, or close a relay."""
    return DeviceCommand(device_id=device_id, action="on")


def turn_off(device_id: str) -> DeviceCommand:
    """Switch off, or open a relay."""
    return DeviceCommand(device_id=device_id, action="off")


def restore(device_id: str) -> DeviceCommand:
    """Go back to normal operation."""
    return DeviceCommand(device_id=device_id, action="restore")
