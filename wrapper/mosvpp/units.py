"""Power as a type, so that a bare number is never mistaken for one.

    >>> 5 * kW
    5 kW
    >>> (250 * w).kilowatts
    0.25

The unit is kept as given, since MosVPP takes exactly `w`, `kW` and `MW` (evidence units.power_unit). Powers
compare by size, whatever their units. A power has no direction and so is never negative: charge or discharge
says which way.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import total_ordering
from math import isfinite
from typing import Any, ClassVar, NoReturn

from .errors import RuleError, shown

__all__ = ["MW", "Power", "kW", "power_of", "w"]

_EXPONENTS = {"w": 0, "kW": 3, "MW": 6}
_ALWAYS_FITS = 1e300

# What a program sets in decimal.getcontext() (digits, traps) must not change what is sent.
_ARITHMETIC = Context(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])


@total_ordering
class Power:
    """A power: a number that is not negative, and one of the units `w`, `kW`, `MW`. Immutable.

    Write `5 * kW` rather than calling this. Raises `RuleError` for a negative number, NaN, infinity, more
    watts than a float holds, anything that is no number, and any other unit.
    """

    __slots__ = ("_unit", "_value")
    __match_args__: ClassVar = ("value", "unit")

    _value: float
    _unit: str

    def __init__(self, value: float | Decimal, unit: str) -> None:
        object.__setattr__(self, "_value", _number(value))
        object.__setattr__(self, "_unit", _known_unit(unit))
        if self._value > _ALWAYS_FITS and not isfinite(self.watts):
            msg = f"{self} is more watts than a number can hold"
            raise RuleError(msg, path="value", rule="finite", evidence=("behaviour.json_only",))

    @property
    def value(self) -> float:
        """The number in `unit`."""
        return self._value

    @property
    def unit(self) -> str:
        """The unit as MosVPP spells it: `w`, `kW` or `MW`."""
        return self._unit

    @property
    def watts(self) -> float:
        """The power in watts."""
        return float(self._exact())

    @property
    def kilowatts(self) -> float:
        """The power in kilowatts."""
        return float(self._exact(-3))

    @property
    def megawatts(self) -> float:
        """The power in megawatts."""
        return float(self._exact(-6))

    def _exact(self, shift: int = 0) -> Decimal:
        # The shortest text of a float, moved by a power of ten: 0.1 kW is 100 w, without a rounding error.
        return _ARITHMETIC.scaleb(Decimal(repr(self._value)), _EXPONENTS[self._unit] + shift)

    def __mul__(self, factor: float | Decimal) -> Power:
        if isinstance(factor, Power):
            return NotImplemented
        number = _ARITHMETIC.multiply(Decimal(repr(self._value)), Decimal(repr(_number(factor))))
        return Power(float(number), self._unit)

    __rmul__ = __mul__

    def __add__(self, other: Power) -> Power:
        if not isinstance(other, Power):
            return NotImplemented
        shift = -_EXPONENTS[self._unit]
        return Power(float(_ARITHMETIC.add(self._exact(shift), other._exact(shift))), self._unit)

    def __eq__(self, other: object) -> bool:
        return self._exact() == other._exact() if isinstance(other, Power) else NotImplemented

    def __lt__(self, other: Power) -> bool:
        if not isinstance(other, Power):
            return NotImplemented
        return self._exact() < other._exact()

    def __hash__(self) -> int:
        return hash(self._exact())

    def __repr__(self) -> str:
        short = f"{self._value:g}"
        return f"{short if float(short) == self._value else self._value} {self._unit}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Power, (self._value, self._unit)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        msg = f"a Power cannot be changed (tried to set {name})"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        msg = f"a Power cannot be changed (tried to delete {name})"
        raise AttributeError(msg)


def _number(value: float | Decimal) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        msg = f"a power is made of a number and a unit, as in 5 * kW; {shown(value)} is no number"
        raise RuleError(msg, path="value", rule="type")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    except ValueError:  # a signalling NaN
        number = float("nan")
    if not isfinite(number):
        msg = f"{shown(value)} is not a finite number"
        raise RuleError(msg, path="value", rule="finite", evidence=("behaviour.json_only",))
    if number < 0:
        msg = (
            f"a power is a magnitude, and {shown(value)} is negative: the direction is in charge or discharge"
        )
        raise RuleError(msg, path="value", rule="minimum", evidence=("dispatch.no_negative",))
    return number + 0.0  # turns -0.0 into 0.0


def _known_unit(unit: object) -> str:
    if isinstance(unit, str) and unit in _EXPONENTS:
        return unit
    hint = " (mW and mw would be milliwatts, 10⁹ apart from MW)" if unit in ("mW", "mw") else ""
    msg = f"{shown(unit)} is no unit of power here; use w, kW or MW, spelled exactly so{hint}"
    raise RuleError(msg, path="unit", rule="enum", evidence=("units.spelling",))


def power_of(value: object, *, path: str) -> Power:
    """Insist on a `Power`; the error for a bare number says how to write one."""
    if isinstance(value, Power):
        return value
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 5
    msg = f"{shown(value)} is no power: give it a unit, as in {shown(number)} * kW"
    raise RuleError(msg, path=path, rule="type", evidence=("units.power_unit",))


w: Power = Power(1, "w")
kW: Power = Power(1, "kW")  # noqa: N816  the unit's own spelling
MW = Power(1, "MW")
