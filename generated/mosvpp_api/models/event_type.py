# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from enum import StrEnum


class EventType(StrEnum):
    CHARGE = "charge"
    DISCHARGE = "discharge"
    RESTORE = "restore"
    SHED = "shed"

    def __str__(self) -> str:
        return str(self.value)
