"""Ids are compared as values and kept as text (evidence ids.compare_as_values)."""

from __future__ import annotations

import re
from functools import lru_cache
from uuid import UUID, uuid4

from .errors import RuleError

__all__ = ["id_key", "id_text", "new_id"]

_CANONICAL = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch

_LONGEST_UUID = 45  # with urn:uuid: in front; longer texts, which anybody may send, are not kept in memory


def new_id() -> str:
    """A new UUID4 as text."""
    return str(uuid4())


def id_key(text: str | UUID) -> str:
    """What two spellings of one id have in common; a text that is no UUID stands for itself."""
    if isinstance(text, UUID):
        return text.hex
    return _key_of(text) if len(text) <= _LONGEST_UUID else text


@lru_cache(maxsize=10_000)
def _key_of(text: str) -> str:
    if _CANONICAL(text):
        return text.replace("-", "").lower()
    try:
        return UUID(text).hex  # in braces, or without hyphens
    except ValueError:
        return text


def id_text(value: object, *, path: str) -> str:
    """The caller's spelling of a UUID, unchanged; a `RuleError` for anything else."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and _CANONICAL(value):
        return value
    msg = f"{value!r} is no UUID; write it like 8a7da4d3-5ad6-42f6-bcad-6194bbd2f68d, or leave it out"
    raise RuleError(msg, path=path, rule="format", evidence=("dispatch.event_id",))
