"""What the numbers of a data push mean: unit and sign of each metric, and who says so.

Molecule documents neither (unknown.metric_units). A partner who knows declares it:

    metrics = Metrics({"power_output": Metric(unit="kW", positive="out")})

Without that, a few names carry what the samples suggest, marked as inferred; a name that is in neither has no
unit, and nothing is computed from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from mosvpp._values import Value
from mosvpp.errors import RuleError

__all__ = ["INFERRED", "Metric", "Metrics"]


class Metric(Value, frozen=True, kw_only=True):
    """One metric.

    `unit` is a text such as `kW`, `percent` or `degC`; a power is one only with `w`, `kW` or `MW`. `positive`
    says which way a positive power flows, seen from the device: `out` of it (a battery that discharges) or
    `in` (a load). `basis` is `declared` by the partner, or `inferred` from the samples.
    """

    unit: str | None = None
    positive: Literal["out", "in"] | None = None
    basis: Literal["declared", "inferred"] = "declared"

    @property
    def kilowatts(self) -> float | None:
        """What one of this unit is in kW; None where it is no power."""
        return {"w": 0.001, "kW": 1.0, "MW": 1000.0}.get(self.unit or "")


def _inferred(unit: str, positive: Literal["out", "in"] | None = None) -> Metric:
    return Metric(unit=unit, positive=positive, basis="inferred")


INFERRED: Mapping[str, Metric] = {
    "frequency": _inferred("Hz"),
    "power_output": _inferred("kW", "out"),
    "state_of_charge": _inferred("percent"),
    "temperature": _inferred("degC"),
    "voltage": _inferred("V"),
}
"""What the samples suggest for the names in them; nobody outside Molecule knows (unknown.metric_units)."""


class Metrics(Mapping[str, Metric]):
    """The metrics that are known by name. What is declared goes before what is inferred.

    `infer=False` leaves out everything that was not declared. Raises `RuleError` for a declaration that is
    none.
    """

    def __init__(self, declared: Mapping[str, Metric] | None = None, *, infer: bool = True) -> None:
        for name, metric in (declared or {}).items():
            if not isinstance(metric, Metric):
                msg = f'{metric!r} is no Metric; write Metric(unit="kW", positive="out")'
                raise RuleError(msg, path=f"metrics.{name}", rule="type", evidence=("unknown.metric_units",))
        said = {
            name: msgspec.structs.replace(metric, basis="declared")
            for name, metric in (declared or {}).items()
        }
        self._known: dict[str, Metric] = {**(INFERRED if infer else {}), **said}

    def __getitem__(self, name: str) -> Metric:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"Metrics({self._known!r})"
