"""What the values of this package share: they cannot be changed, and go to JSON and back without a loss."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from .errors import RuleError
from .units import Power

__all__ = ["Value"]


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable value with a JSON form of our own (not the wire form)."""

    def to_json(self) -> str:
        """The value as JSON text, indented for people; `from_json` gives an equal value back."""
        return msgspec.json.format(msgspec.json.encode(self, enc_hook=_encode), indent=2).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote. Raises `RuleError` for anything else."""
        try:
            return msgspec.json.decode(text, type=cls, dec_hook=_decode)
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            msg = f"this is no {cls.__name__} as to_json() writes it: {error}"
            raise RuleError(msg, rule="json") from None


# msgspec asks these two for every type that it does not know, and Power is the only one.


def _encode(value: Power) -> str:
    return f"{value.value!r} {value.unit}"


def _decode(wanted: type[Power], value: Any) -> Power:
    number, _, unit = str(value).partition(" ")
    return wanted(float(number), unit)
