"""Ids are compared as values and kept as text (evidence ids.compare_as_values)."""

from __future__ import annotations

from uuid import UUID, uuid4

from .errors import RuleError

__all__ = ["id_key", "id_text", "new_id"]


def new_id() -> str:
    """A new UUID4 as text."""
    return str(uuid4())


def id_key(text: str | UUID) -> str:
    """What two spellings of one id have in common; a text that is no UUID stands for itself."""
    try:
        return UUID(text).hex if isinstance(text, str) else text.hex
    except ValueError:
        return str(text)


def id_text(value: object, *, path: str) -> str:
    """The caller's spelling of a UUID, unchanged; a `RuleError` for anything else."""
    if isinstance(value, UUID):
        return str(value)
    try:
        if isinstance(value, str) and len(value) == 36 and UUID(value):  # no braces, no urn:, with its hyphens
            return value
    except ValueError:
        pass
    msg = f"{value!r} is no UUID; write it like 8a7da4d3-5ad6-42f6-bcad-6194bbd2f68d, or leave it out for a new one"
    raise RuleError(msg, path=path, rule="format", evidence=("dispatch.event_id",))
