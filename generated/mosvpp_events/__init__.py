# Generated from spec/asyncapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
"""What Molecule sends to the partner, as msgspec Structs."""

from .events import (
    DataPushPayload,
    DeviceReading,
    ExecutionDevice,
    ExecutionResponseFlatPayload,
    ExecutionResponsePayload,
    ExecutionSlot,
    MetricValue,
)

__all__ = [
    "DataPushPayload",
    "DeviceReading",
    "ExecutionDevice",
    "ExecutionResponseFlatPayload",
    "ExecutionResponsePayload",
    "ExecutionSlot",
    "MetricValue",
]
