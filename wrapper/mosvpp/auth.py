"""The partner's key (evidence transport.api_key), kept out of sight."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

from .errors import RuleError

__all__ = ["ENVIRONMENT_VARIABLE", "HEADER", "ApiKey"]

HEADER = "X-API-Key"
ENVIRONMENT_VARIABLE = "MOSVPP_API_KEY"


class ApiKey:
    """A key, or a function that fetches it for each attempt, so that a rotated key is used without a restart."""

    __slots__ = ("_read",)

    def __init__(self, source: str | Callable[[], str] | None) -> None:
        """Take the key from `source`, or from the environment variable MOSVPP_API_KEY. Raises `RuleError`."""
        if source is None:
            source = os.environ.get(ENVIRONMENT_VARIABLE)
        if source is None:
            msg = f"no key: give api_key=…, or set the environment variable {ENVIRONMENT_VARIABLE}"
            raise RuleError(msg, path="api_key", rule="required", evidence=("transport.api_key",))
        if callable(source):
            self._read = source
        else:
            checked = _checked(source)
            self._read = lambda: checked

    def reveal(self) -> str:
        """The key itself. Raises `RuleError` when the function that fetches it fails or returns no key."""
        try:
            key = self._read()
        except Exception as error:  # whatever the partner's function raises; its text may hold the secret
            name = type(error).__name__
        else:
            return _checked(key)
        msg = f"the function given as api_key raised {name}; nothing was sent"
        raise RuleError(msg, path="api_key", rule="callable")

    def __repr__(self) -> str:
        return "ApiKey(…)"

    def __reduce__(self) -> NoReturn:
        msg = "a key is not pickled; give it to the other process through its environment"
        raise TypeError(msg)


def _checked(key: object) -> str:
    """A key that fits into a header. The message never repeats it."""
    if isinstance(key, str) and key and key.isascii() and key.isprintable() and key == key.strip():
        return key
    msg = "the key must be a text of printable ASCII characters, without white space at its ends (a line break at the end of a file?)"
    raise RuleError(msg, path="api_key", rule="format", evidence=("transport.api_key",))
