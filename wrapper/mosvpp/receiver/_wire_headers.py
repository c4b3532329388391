"""Headers as a server hands them over: pairs of bytes, names in lower case; nothing is converted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from mosvpp.errors import AuthenticationError
from mosvpp.signatures import Headers

__all__ = ["Pairs", "WireHeaders"]

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
        return self.values(name.lower().encode("latin-1", "replace"))

    def one(self, name: str) -> bytes:
        """The value of a header that must be there exactly once. Raises `AuthenticationError`."""
        key = name.encode("latin-1", "replace")
        if not self.is_repeated and key in self.first:
            return self.first[key]
        values = self.values(key)
        if len(values) == 1:
            return values[0]
        if values:
            raise AuthenticationError(f"the header {name} was sent more than once", reason="repeated_header")
        raise AuthenticationError(f"the header {name} is missing", reason="missing_header")

    def values(self, name: bytes) -> list[bytes]:
        """The same as `all`, for a name in lower case."""
        if self.is_repeated:
            return [value for given, value in self._pairs if given == name]
        value = self.first.get(name)
        return [] if value is None else [value]
