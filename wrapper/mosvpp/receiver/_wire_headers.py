"""Headers as a server hands them over: pairs of bytes, names in lower case; nothing is converted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from mosvpp.errors import AuthenticationError
from mosvpp.signatures import Headers

__all__ = ["Pairs", "WireHeaders", "wire_name"]

Pairs: TypeAlias = Sequence[tuple[bytes, bytes]]


class WireHeaders(Headers):
    """The headers of one request, for the receiver and for verifiers alike."""

    __slots__ = ("_pairs", "first", "is_repeated")

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs
        self.first: dict[bytes, bytes] = dict(pairs)
        """By name; of those that were sent more than once, the last."""
        self.is_repeated: bool = len(self.first) != len(pairs)
        """Whether any was sent more than once."""

    def __repr__(self) -> str:
        return f"WireHeaders({', '.join(name.decode('latin-1') for name in self.first)})"

    def all(self, name: str) -> list[bytes]:
        """Every value that was sent with that name."""
        return self.values(wire_name(name))

    def one(self, name: str) -> bytes:
        """The value of a header that must be there exactly once. Raises `AuthenticationError`."""
        key = wire_name(name)
        if key not in self.first:
            raise AuthenticationError(f"the header {name} is missing", reason="missing_header")
        # Counted, not collected: what is kept here would be seen in the frame of the error.
        if self.is_repeated and sum(pair[0] == key for pair in self._pairs) > 1:
            raise AuthenticationError(f"the header {name} was sent more than once", reason="repeated_header")
        return self.first[key]

    def values(self, name: bytes) -> list[bytes]:
        """The same as `all`, for a name in lower case."""
        if self.is_repeated:
            return [value for given, value in self._pairs if given == name]
        value = self.first.get(name)
        return [] if value is None else [value]


def wire_name(name: str) -> bytes:
    """A name as it is compared: in lower case, of ASCII letters only, as names are."""
    return name.encode("latin-1", "replace").lower()
