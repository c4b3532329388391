# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from enum import StrEnum


class PowerUnit(StrEnum):
    KW = "kW"
    MW = "MW"
    W = "w"

    def __str__(self) -> str:
        return str(self.value)
