"""The examples of spec/examples by name, for every test that needs a body as on the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from reading import read_yaml

FOLDER = Path(__file__).resolve().parent.parent / "spec" / "examples"


@dataclass(frozen=True)
class Body:
    """One file; `name` is `<operation>.<message>.<case>`."""

    name: str
    file: Path

    @property
    def operation(self) -> str:
        return self.name.split(".")[0]

    @property
    def message(self) -> str:
        return self.name.split(".")[1]

    @cached_property
    def raw(self) -> bytes:
        return self.file.read_bytes()

    @cached_property
    def value(self) -> Any:
        return json.loads(self.raw)


@dataclass(frozen=True)
class Example(Body):
    """A body that is valid; what the fields mean stands at the top of index.yaml."""

    schema: str
    shows: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    page: str | None = None
    filled_in: list[str] = field(default_factory=list)
    tolerated: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class InvalidExample(Body):
    """A body that is not; what the fields mean stands at the top of reasons.yaml."""

    kind: str
    rule: str
    evidence: list[str]
    because: str
    path: str | None = None
    property: str | None = None
    also: list[str] = field(default_factory=list)
    schema: str | None = None


def _read(listing: Path) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = read_yaml(listing)
    return entries


def _invalid_file(name: str, kind: str) -> Path:
    return FOLDER / "invalid" / f"{name}.{'bin' if kind == 'unreadable' else 'json'}"


EXAMPLES = {
    name: Example(name, FOLDER / f"{name}.json", **entry)
    for name, entry in _read(FOLDER / "index.yaml").items()
}
INVALID = {
    name: InvalidExample(name, _invalid_file(name, entry["kind"]), **entry)
    for name, entry in _read(FOLDER / "invalid" / "reasons.yaml").items()
}


def select(operation: str | None = None, message: str | None = None) -> list[Example]:
    """The valid examples of an operation, of a kind of message, or of both."""
    return [
        example
        for example in EXAMPLES.values()
        if operation in {None, example.operation} and message in {None, example.message}
    ]


def invalid(kind: str, operation: str | None = None) -> list[InvalidExample]:
    """The invalid examples of a kind (`refused`, `unreadable`, `unknown_shape`)."""
    return [
        example
        for example in INVALID.values()
        if kind == example.kind and operation in {None, example.operation}
    ]
