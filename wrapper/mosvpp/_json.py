"""JSON as it must be before anyone looks for a meaning in it (behaviour.json_only).

Readers of JSON differ in what they let pass: the last of two equal keys, NaN, half a character, a number that
becomes infinite. Each is refused here, so that no two readers can see different things in one delivery.
"""

from __future__ import annotations

import json
import re
from math import isinf
from typing import Any, NoReturn

import msgspec

from .errors import PayloadError

__all__ = ["MAX_DEPTH", "decode_strictly", "has_keys"]

MAX_DEPTH = 64

_decode = msgspec.json.Decoder().decode
_SPACED_QUOTES = (b'" ', b'"\n', b'"\r', b'"\t')
_LARGEST = 2**1023  # of whole numbers that are not worth a closer look

# An unterminated string runs to the end, so that no text makes this slower than linear.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def decode_strictly(body: bytes) -> Any:
    """The value of a JSON text, or a `PayloadError` with one of these reasons.

    `empty`, `invalid_utf8`, `too_deep` (more than 64 levels), `duplicate_keys`, `lone_surrogate`,
    `not_finite` (NaN, Infinity, or a number that no double can hold), `not_json`. A byte order mark is passed
    over: .NET writes one at times.
    """
    is_too_deep = _is_too_deep(body)
    if not is_too_deep:  # or else a decoder could run out of its thread's stack
        try:
            value = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # below it is said what is wrong with it
        else:
            # What msgspec lets pass: a key that comes twice, a whole number that is larger than any double.
            if has_keys(body, _count_keys(value)):
                return value
    if not body.strip():
        raise PayloadError("the body is empty", reason="empty")
    text = _text(body)
    if is_too_deep:
        raise PayloadError(f"the body is nested deeper than {MAX_DEPTH} levels", reason="too_deep")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise PayloadError(f"the body is no JSON: {error.msg} at character {error.pos}") from None
    if _SURROGATE.search(text):
        _check_surrogates(value)
    return value


def has_keys(body: bytes, count: int) -> bool:
    """Whether it is certain that a JSON text has so many keys; a key that comes twice counts twice.

    A key ends in `":` unless white space stands before the colon, and in a text these two make more of them.
    """
    # To find two bytes is much quicker than to ask whether they are in there.
    return body.count(b'":') == count and all(body.find(end) < 0 for end in _SPACED_QUOTES)


def _count_keys(value: Any) -> int:
    """How many keys there are in a value, or -1 where there is a number to be looked at closely."""
    kind = type(value)
    if kind is int:
        return 0 if -_LARGEST <= value <= _LARGEST else -1
    if kind is not dict and kind is not list:
        return 0
    total = 0
    items = value
    if kind is dict:
        total, items = len(value), value.values()
    for item in items:
        if type(item) is not str:
            count = _count_keys(item)
            if count < 0:
                return -1
            total += count
    return total


def _text(body: bytes) -> str:
    encoding = json.detect_encoding(body)
    if not encoding.startswith("utf-8"):
        raise PayloadError(f"the body is {encoding.upper()}, JSON is sent as UTF-8", reason="invalid_utf8")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PayloadError(f"the body is no UTF-8, at byte {error.start}", reason="invalid_utf8") from None


def _is_too_deep(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    # Without a backslash, every second piece between quotes is a string.
    bare = _STRING.sub(b"", body) if 92 in body else b"".join(body.split(b'"')[::2])
    depth = 0
    for byte in bare.translate(None, _NOT_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _check_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise PayloadError(
            "a text holds half a character (a lone surrogate)", reason="lone_surrogate"
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise PayloadError("an object has one key twice", reason="duplicate_keys")
    return result


def _constant(name: str) -> NoReturn:
    raise PayloadError(f"{name} is not JSON", reason="not_finite")


def _float(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise PayloadError("a number is too large for any reader", reason="not_finite")
    return number


def _int(text: str) -> int:
    _float(text)
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant
)
