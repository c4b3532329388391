# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from enum import IntEnum
from typing import Self


class DeviceType(IntEnum):
    """Codes as the API documents them; a code that is not listed becomes a member called `UNKNOWN_<code>`."""

    UNKNOWN = 0
    NO_CONTROL = 1
    BATTERY_INVERTER = 10
    PV_INVERTER = 11
    METER = 12
    THERMOSTAT = 13
    ON_OFF_SWITCH = 14
    ZIGBEE_SWITCH = 30
    ZIGBEE_THERMOSTAT = 31
    GPIO_INPUT = 40
    GPIO_OUTPUT = 41

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if type(value) is not int:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}" if value >= 0 else f"UNKNOWN_MINUS_{-value}"
        member._value_ = value
        return member
