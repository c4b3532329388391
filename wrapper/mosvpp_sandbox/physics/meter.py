"""The meter between the house and the grid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from .device import Device, Metrics, rounded_kw
from .surroundings import Surroundings

__all__ = ["Meter"]


@dataclass(kw_only=True)
class Meter(Device):
    """It gives nothing, obeys nobody, and counts what flows between the house and the grid."""

    import_kw: float = 0.0
    imported_kwh: float = 0.0
    exported_kwh: float = 0.0
    voltage_v: float = 240.0
    frequency_hz: float = 50.0

    kind: ClassVar[str] = "meter"
    device_type: ClassVar[int] = 12
    abilities: ClassVar[tuple[str, ...]] = ("telemetry",)

    def measure(self, import_kw: float, begin: datetime, hours: float, around: Surroundings) -> None:
        """Count what flowed; positive comes from the grid, and lowers the voltage."""
        self.import_kw = import_kw
        self.imported_kwh += max(0.0, import_kw) * hours
        self.exported_kwh += max(0.0, -import_kw) * hours
        self.voltage_v = around.open_circuit_v(begin) - 0.4 * import_kw
        self.frequency_hz = around.frequency_hz(begin)

    def metrics(self) -> Metrics:
        """V and Hz, named as in the page's sample; then kW (positive: from the grid) and kWh."""
        return {
            "voltage": round(self.voltage_v, 1),
            "frequency": round(self.frequency_hz, 2),
            "power": rounded_kw(self.import_kw),
            "energy_imported": rounded_kw(self.imported_kwh),
            "energy_exported": rounded_kw(self.exported_kwh),
        }
