"""Every statement of the documents names entries of the ledger, and only such as are there."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from reading import read_nodes, read_yaml

DOCUMENTS = ["openapi.yaml", "asyncapi.yaml", "lifecycle.arazzo.yaml"]
# JSON Pointers of what has to say on what it rests. A `$ref` says it where it leads, a property says it here.
_METHODS = "(get|put|post|delete|patch)"
_STATEMENTS = re.compile(
    "|".join(
        [
            "/info",
            "/servers/[^/]+(/variables/[^/]+)?",
            "/components/(schemas|securitySchemes|parameters|headers|responses|messages|examples)/[^/]+",
            "/components/schemas/.+/properties/[^/]+",
            "/components/schemas/[^/]+/x-rules/[^/]+",
            f"/paths/[^/]+/{_METHODS}(/responses/[^/]+)?",
            f"/paths/[^/]+(/{_METHODS})?/parameters/[^/]+",
            "/(channels|operations)/[^/]+",
            "/workflows/[^/]+(/(steps|x-lifecycle)/[^/]+)?",
        ]
    )
)
_BODIES = {"value", "payload", "example"}  # what stands below is no statement of ours


def faults(spec: Path) -> list[str]:
    """A line for each, with its file, line and column; mostly none."""
    ledger = read_yaml(spec / "evidence.yaml")
    known = {fact["id"] for fact in ledger["facts"]}
    return [
        line
        for name in DOCUMENTS
        for line in _faults(f"{spec.name}/{name}", read_nodes(spec / name), "", known)
    ]


def _faults(file: str, node: yaml.Node | None, pointer: str, known: set[str]) -> Iterator[str]:
    if isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            yield from _faults(file, entry, f"{pointer}/{index}", known)
    if not isinstance(node, yaml.MappingNode):
        return
    inside = {key.value: value for key, value in node.value}
    ids = inside.get("x-evidence")
    if ids is not None:
        for one in ids.value:
            if one.value not in known:
                yield f"{_place(file, one, pointer)}: spec/evidence.yaml has no entry {one.value!r}"
    is_reference = "$ref" in inside and "/properties/" not in pointer
    if _STATEMENTS.fullmatch(pointer) and not is_reference and (ids is None or not ids.value):
        yield f"{_place(file, node, pointer)}: no x-evidence, so nobody can tell how surely this is known"
    for key, value in inside.items():
        if key not in _BODIES and not (key == "examples" and isinstance(value, yaml.SequenceNode)):
            yield from _faults(file, value, f"{pointer}/{key.replace('/', '~1')}", known)


def _place(file: str, node: yaml.Node, pointer: str) -> str:
    mark = node.start_mark
    return f"{file}:{mark.line + 1}:{mark.column + 1} at #{pointer}"
