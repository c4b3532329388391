"""How long one attempt may take."""

from __future__ import annotations

from math import isfinite

import msgspec

from .errors import RuleError

__all__ = ["Timeout"]


class Timeout(msgspec.Struct, frozen=True):
    """Limits of one attempt, in seconds.

    `total` is a deadline over everything, from the first byte of the connection to the last byte of the answer, which a
    dripping server cannot stretch; the others limit a single step: making a connection, waiting for the next bytes to
    arrive or to leave, and waiting for a free connection.
    """

    total: float = 30.0
    connect: float = 5.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 5.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds or not isfinite(seconds):
                msg = f"{seconds!r} is no time-out; give seconds above 0 (there is always a limit)"
                raise RuleError(msg, path=f"timeout.{name}", rule="timeout")

    @classmethod
    def of(cls, given: float | Timeout) -> Timeout:
        """A plain number is the total deadline of one attempt."""
        return given if isinstance(given, Timeout) else cls(total=given)
