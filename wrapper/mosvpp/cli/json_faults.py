"""Where in a body a fault of its JSON is, for people: the SDK itself only needs to know that there is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import isinf

from mosvpp._json import MAX_DEPTH
from mosvpp.errors import PayloadError

__all__ = ["place_of"]

_TOKEN = re.compile(
    r'(?P<text>"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z))'
    r"|(?P<constant>-?Infinity|NaN)|(?P<number>-?\d[\d.eE+-]*+)|(?P<mark>[{}\[\]:,])",
    re.DOTALL,
)
_COLON = re.compile(r"\s*:")
_POSITION = re.compile(r"at (character|byte) (\d+)")


def place_of(error: PayloadError, body: bytes) -> str:
    """`line 3, column 7: …"power": -->NaN}`, or nothing where the fault has no place."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    named = _POSITION.search(str(error))
    if named is None:
        position = next(_positions(text, error.reason), None)
    elif named[1] == "byte":
        position = len(body[: int(named[2])].decode("utf-8", "replace"))
    else:
        position = int(named[2])
    if position is None:
        return ""
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    before, after = text[max(0, position - 30) : position], text[position : position + 20]
    dots = "…" if position > 30 else ""
    return f"line {line}, column {column}: {dots}{before}-->{after}"


def _positions(text: str, reason: str) -> Iterator[int]:
    """Where a fault of that kind is; a walk over the tokens, since the text may be broken elsewhere too."""
    keys: list[set[str]] = []  # of the objects and lists that are open
    for token in _TOKEN.finditer(text):
        kind, found, at = token.lastgroup, token[0], token.start()
        if found in "{[":
            keys.append(set())
            if reason == "too_deep" and len(keys) > MAX_DEPTH:
                yield at
        elif found in "}]":
            del keys[-1:]
        elif kind == "text":
            value = _text(found)
            if reason == "lone_surrogate" and any("\ud800" <= char <= "\udfff" for char in value):
                yield at
            if keys and _COLON.match(text, token.end()):
                if reason == "duplicate_keys" and value in keys[-1]:
                    yield at
                keys[-1].add(value)
        elif reason == "not_finite" and (kind == "constant" or _is_too_large(found)):
            yield at


def _text(token: str) -> str:
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token


def _is_too_large(token: str) -> bool:
    try:
        return isinf(float(token))
    except ValueError:
        return False
