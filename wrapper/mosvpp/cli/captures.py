"""Captured webhooks: the bytes of the body, and the headers in the forms in which tools show them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mosvpp.errors import RuleError

from .arguments import Secret, read_file, read_secret

__all__ = ["read_body", "read_headers", "read_shared_headers"]

# A name is a token of HTTP, which holds neither : nor =, so that both can stand between name and value.
_PAIR = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*[:=](.*)", re.DOTALL)
_REQUEST_LINE = re.compile(r"[A-Z]+ \S+( HTTP/[\d.]+)?")


def read_body(path: Path) -> bytes:
    """The bytes of a file, or of stdin for `-`."""
    return sys.stdin.buffer.read() if str(path) == "-" else read_file(path, "FILE")


def read_headers(lines: list[str], path: Path | None) -> list[tuple[str, str]]:
    """Headers from `-H` and from a file: lines as HTTP has them, or JSON (an object, or a list of pairs)."""
    found = [_pair(line, "-H") for line in lines]
    if path is not None:
        text = read_file(path, "--headers").decode("latin-1")  # as HTTP servers read headers
        found += _from_json(text) if text.lstrip()[:1] in {"{", "["} else _from_lines(text)
    return found


def _from_lines(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines()):
        if not line.strip() or (number == 0 and _REQUEST_LINE.fullmatch(line.strip())):
            continue
        yield _pair(line, "--headers")


def _pair(line: str, option: str) -> tuple[str, str]:
    found = _PAIR.fullmatch(line.strip())
    if found is None:  # the line may hold a secret, so it is not repeated
        msg = "a header is written as NAME=VALUE or 'Name: value'"
        raise RuleError(msg, path=option, rule="header")
    return found[1], found[2].strip(" \t")


def _from_json(text: str) -> Iterator[tuple[str, str]]:
    try:
        data: Any = json.loads(text.encode("latin-1"))
    except (ValueError, RecursionError):
        raise RuleError("the file of headers is no JSON", path="--headers", rule="json") from None
    for item in data.items() if isinstance(data, dict) else data:
        match item:
            case (str(name), str(value)):
                yield name, value
            case (str(name), [*values]) if all(isinstance(value, str) for value in values):
                yield from ((name, value) for value in values)
            case _:
                msg = 'headers in JSON are {"Name": "value"} or [["Name", "value"]]'
                raise RuleError(msg, path="--headers", rule="json")


def read_shared_headers(given: list[str]) -> dict[str, list[Secret]]:
    """The headers that the partner configured, each with its secrets."""
    found: dict[str, list[Secret]] = {}
    for text in given:
        name, _, secret = text.partition("=")
        if not name or not secret:
            msg = "write NAME=SECRET, NAME=@FILE or NAME=env:VARIABLE"
            raise RuleError(msg, path="--shared-header", rule="header")
        found.setdefault(name, []).append(read_secret(secret, "--shared-header"))
    return found
