"""Reads JSON, and refuses what readers disagree about. Shares no code with the SDK's reader, on purpose."""

from __future__ import annotations

import json
import re
from math import isinf
from typing import Any

__all__ = ["NotJsonError", "read"]

DEEPEST = 64

_MARK = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)


class NotJsonError(ValueError):
    """The bytes are no acceptable JSON; the message is for the sender."""


def read(raw: bytes) -> Any:
    """The value that the bytes stand for. Raises `NotJsonError` unless they are exactly one JSON value."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJsonError(f"The body is not UTF-8 (byte {error.start}).") from None
    _refuse_too_deep(raw)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_number,
            parse_int=_whole_number,
        )
    except json.JSONDecodeError as error:
        raise NotJsonError(f"The body is not JSON: {error}.") from None
    if "\\u" in text:
        _refuse_lone_surrogates(value)
    return value


def _refuse_too_deep(raw: bytes) -> None:
    """In one pass, mark by mark: an expression for whole texts can take the square of their length."""
    if raw.count(b"[") + raw.count(b"{") <= DEEPEST:
        return
    depth, in_text = 0, False
    for mark in _MARK.finditer(raw):
        found = mark[0]
        if found == b'"':
            in_text = not in_text
        elif not in_text:
            depth += (found in b"[{") - (found in b"]}")
            if depth > DEEPEST:
                raise NotJsonError(f"The body is nested more than {DEEPEST} levels deep.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NotJsonError(f"The field {name!r} occurs twice in one object.")
        found[name] = value
    return found


def _constant(text: str) -> float:
    raise NotJsonError(f"{text} is not JSON.")


def _number(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise NotJsonError("A number is too large.")
    return number


def _whole_number(text: str) -> int:
    _number(text)  # first, since int() takes its time over many digits
    return int(text)


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotJsonError("A text holds half of a surrogate pair.") from None
