"""Ids are compared as values and kept as text (evidence ids.compare_as_values)."""

from __future__ import annotations

import re
from functools import lru_cache
from uuid import UUID, uuid4

from .errors import RuleError, shown

__all__ = ["id_key", "id_text", "new_id"]

_FORM = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_CANONICAL = re.compile(_FORM).fullmatch
# UUID() itself takes much more, such as 0x, underscores and spaces.
_OTHER_FORM = re.compile(rf"urn:uuid:({_FORM})|\{{({_FORM})\}}|([0-9a-fA-F]{{32}})").fullmatch

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
    other = _OTHER_FORM(text)
    return other[other.lastindex or 0].replace("-", "").lower() if other else text


def id_text(value: object, *, path: str) -> str:
    """The caller's spelling of a UUID, unchanged; a `RuleError` for anything else."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and _CANONICAL(value):
        return value
    msg = f"{shown(value)} is no UUID; write it like 8a7da4d3-5ad6-42f6-bcad-6194bbd2f68d, or leave it out"
    raise RuleError(msg, path=path, rule="format", evidence=("dispatch.event_id",))
