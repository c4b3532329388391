"""How long one attempt may take."""

from __future__ import annotations

import msgspec

from .errors import RuleError

__all__ = ["Timeout"]

_LONGEST = 24 * 60 * 60


class Timeout(msgspec.Struct, frozen=True):
    """Limits of one attempt, in seconds.

    `total` is a deadline over everything, from making the connection to the last byte of the answer, which a
    dripping server cannot stretch; the others limit a single step: making a connection, waiting for the next
    bytes to arrive or to leave, and waiting for a free connection. Only looking up the name of a host cannot
    be cut short by `Client`.
    """

    total: float = 30.0
    connect: float = 5.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 5.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                raise RuleError(f"{seconds!r} is no number of seconds", path=f"timeout.{name}", rule="type")
            if not 0 < seconds <= _LONGEST:
                msg = f"{seconds!r} is no time-out: give seconds, above 0 and at most a day"
                raise RuleError(msg, path=f"timeout.{name}", rule="range")

    @classmethod
    def of(cls, given: float | Timeout) -> Timeout:
        """A plain number is the total deadline of one attempt."""
        return given if isinstance(given, Timeout) else cls(total=given)
