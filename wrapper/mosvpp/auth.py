"""The partner's key (evidence transport.api_key), kept out of sight."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable
from typing import NoReturn

from .errors import RuleError

__all__ = ["ENVIRONMENT_VARIABLE", "HEADER", "MASK", "ApiKey", "Key"]

HEADER = "X-API-Key"
ENVIRONMENT_VARIABLE = "MOSVPP_API_KEY"
MASK = "[removed]"

_TOO_SHORT = 8
"""A key of fewer characters is no secret, and cutting it out would tear apart texts that hold it by chance.
"""


class Key:
    """A key as one attempt sends it. It cuts itself out of what comes back, in the spellings servers use."""

    __slots__ = ("_bytes", "_marks", "_text", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._marks = max(re.findall("[0-9A-Za-z]*", value), key=len)  # what every spelling has in common
        pattern = "".join(map(_spellings, value)) if len(value) >= _TOO_SHORT else "(?!)"
        self._text = re.compile(pattern)
        self._bytes = re.compile(pattern.encode())

    def reveal(self) -> str:
        """The key itself, for the header."""
        return self._value

    def hide(self, text: str) -> str:
        """The text without the key."""
        return self._text.sub(MASK, text) if self._marks in text else text

    def hide_bytes(self, data: bytes) -> bytes:
        """The bytes without the key."""
        return self._bytes.sub(MASK.encode(), data) if self._marks.encode() in data else data

    def __repr__(self) -> str:
        return "Key(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled; give it to the other process through its environment")


def _spellings(character: str) -> str:
    """A pattern for one character: as it is, or escaped as JSON (.NET escapes +), HTML or a URL do it."""
    plain = re.escape(character)
    if character.isalnum():
        return plain
    code = ord(character)
    named = re.escape(html.escape(character))
    # The longest first: a backslash and a percent sign begin escapes, too.
    return rf"(?:\\u00(?i:{code:02x})|%(?i:{code:02x})|&#(?:x(?i:{code:x})|{code});|{named}|\\?{plain})"


class ApiKey:
    """A key, or a function that fetches it for each attempt: a rotated key is used without a restart."""

    __slots__ = ("_last", "_read")

    def __init__(self, source: str | Callable[[], str] | None) -> None:
        """Take the key from `source`, or from the variable MOSVPP_API_KEY. Raises `RuleError`."""
        if source is None:
            source = os.environ.get(ENVIRONMENT_VARIABLE)
        if source is None:
            msg = f"no key: give api_key=…, or set the environment variable {ENVIRONMENT_VARIABLE}"
            raise RuleError(msg, path="api_key", rule="required", evidence=("transport.api_key",))
        self._read: Callable[[], str] | None = source if callable(source) else None
        self._last = None if callable(source) else _key(source)
        if self._read is None and self._last is None:
            del source
            raise _no_key()

    def current(self) -> Key:
        """The key to send now. Raises `RuleError` when the function that fetches it fails or returns none."""
        if self._read is None:
            assert self._last is not None
            return self._last
        try:
            value = self._read()
        except Exception as error:  # noqa: BLE001  whatever the partner's function raises; it may hold the secret
            name = type(error).__name__
        else:
            if self._last is not None and self._last.reveal() == value:
                return self._last
            key = _key(value)
            del value
            if key is None:
                raise _no_key()
            self._last = key
            return key
        msg = f"the function given as api_key raised {name}"
        raise RuleError(msg, path="api_key", rule="callable")

    def __repr__(self) -> str:
        return "ApiKey(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled; give it to the other process through its environment")


def _key(value: object) -> Key | None:
    """A key that fits into a header, or None. It raises no error, whose frame would hold the value."""
    if (
        isinstance(value, str)
        and value
        and value.isascii()
        and value.isprintable()
        and value == value.strip()
    ):
        return Key(value)
    return None


def _no_key() -> RuleError:
    msg = "the key must be printable ASCII without white space at its ends (a line break from a file?)"
    return RuleError(msg, path="api_key", rule="format", evidence=("transport.api_key",))
