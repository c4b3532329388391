"""A JSON Schema as the rows of a table, with nested fields folded out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .sources import Sources

_NOT_SCHEMA = "x-evidence"


@dataclass(frozen=True)
class Field:
    """One row. `anchor` is made of names only, so that it stays when wording changes."""

    name: str
    anchor: str
    depth: int
    type: str
    schema: str | None  # the named schema that the type links to
    required: bool | None  # None for a row that heads a variant
    limits: list[str]
    description: str
    evidence: list[str]
    example: str | None


class Table:
    """Makes rows; one for each page, since anchors begin with what they belong to."""

    def __init__(self, sources: Sources, document: str) -> None:
        self._sources = sources
        self._document: dict[str, Any] = getattr(sources, document)

    def rows(self, schema: dict[str, Any], prefix: str) -> list[Field]:
        """The rows of an object, in the order of the document."""
        return self._object(self._resolved(schema)[1], prefix, 0, ())

    def row(self, name: str, schema: dict[str, Any], anchor: str, *, required: bool) -> Field:
        """A single row, for a parameter or a header."""
        return self._field(name, schema, anchor, 0, required=required)

    def _resolved(self, schema: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """A schema and the name it has, if any."""
        reference = schema.get("$ref")
        if reference is None:
            return None, schema
        name = reference.rsplit("/", 1)[1]
        return name, {**self._sources.schemas[name][1], **schema}

    def _object(self, schema: dict[str, Any], prefix: str, depth: int, above: tuple[str, ...]) -> list[Field]:
        rows = []
        for name, property_ in schema.get("properties", {}).items():
            anchor = f"{prefix}.{name}"
            required = name in schema.get("required", [])
            rows.append(self._field(name, property_, anchor, depth, required=required))
            rows += self._below(property_, anchor, depth + 1, above)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            described = {"description": "Each value.", _NOT_SCHEMA: schema.get(_NOT_SCHEMA, []), **extra}
            if "$ref" in extra:
                named = self._resolved(extra)[1]
                described |= {key: named[key] for key in ("description", _NOT_SCHEMA)}
            rows.append(self._field("(any name)", described, f"{prefix}.any", depth, required=False))
        return rows

    def _below(self, schema: dict[str, Any], anchor: str, depth: int, above: tuple[str, ...]) -> list[Field]:
        name, resolved = self._resolved(schema)
        if name in above:  # a schema inside itself would fold out for ever
            return []
        inside = (*above, name) if name else above
        if "items" in resolved:
            return self._below(resolved["items"], anchor, depth, inside)
        if "oneOf" in resolved:
            return self._variants(resolved, anchor, depth, inside)
        if "properties" in resolved or isinstance(resolved.get("additionalProperties"), dict):
            return self._object(resolved, anchor, depth, inside)
        return []

    def _variants(
        self, schema: dict[str, Any], anchor: str, depth: int, above: tuple[str, ...]
    ) -> list[Field]:
        by = schema["discriminator"]["propertyName"]
        rows = []
        for value, reference in schema["discriminator"]["mapping"].items():
            name, variant = self._resolved({"$ref": reference})
            rows.append(
                Field(
                    name=f"{by} = {value}",
                    anchor=f"{anchor}.{value}",
                    depth=depth,
                    type="object",
                    schema=name,
                    required=None,
                    limits=[],
                    description=variant["description"],
                    evidence=variant[_NOT_SCHEMA],
                    example=None,
                )
            )
            rows += self._object(variant, f"{anchor}.{value}", depth + 1, above)
        return rows

    def _field(self, name: str, schema: dict[str, Any], anchor: str, depth: int, *, required: bool) -> Field:
        named, resolved = self._resolved(schema)
        items = resolved.get("items")
        if items is not None:
            named = self._resolved(items)[0]
        examples = resolved.get("examples", [])
        simple = examples and not isinstance(examples[0], dict)
        return Field(
            name=name,
            anchor=anchor,
            depth=depth,
            type=self.type(resolved),
            schema=named,
            required=required,
            limits=_limits(resolved),
            description=resolved.get("description", ""),
            evidence=list(resolved.get(_NOT_SCHEMA, [])),
            example=json.dumps(examples[0], ensure_ascii=False) if simple else None,
        )

    def type(self, schema: dict[str, Any]) -> str:
        """The type in a few words, such as `string (uuid)` or `list of DispatchEvent`."""
        _, schema = self._resolved(schema)
        if "const" in schema:
            return json.dumps(schema["const"])
        if "oneOf" in schema:
            return "one of several objects"
        types = schema.get("type", "object")
        types = types if isinstance(types, list) else [types]
        words = [self._word(word, schema) for word in types if word != "null"]
        return " or ".join([*words, *(["null"] if "null" in types else [])])

    def _word(self, word: str, schema: dict[str, Any]) -> str:
        if word == "array":
            name, items = self._resolved(schema["items"])
            return f"list of {name or self.type(items)}"
        if "format" in schema:
            return f"{word} ({schema['format']})"
        return str(word)


def _limits(schema: dict[str, Any]) -> list[str]:
    limits = []
    if "enum" in schema:
        values = " · ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
        limits.append(f"{values}, and new ones" if schema.get("x-open-enum") else values)
    low, above, high = (schema.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    if low is not None and high is not None:
        limits.append(f"{low} to {high}")
    elif low is not None:
        limits.append(f"at least {low}")
    elif above is not None:
        limits.append(f"greater than {above}")
    if schema.get("minItems"):
        limits.append(f"at least {schema['minItems']} entry")
    if schema.get("minLength"):
        limits.append("not empty")
    if "pattern" in schema:
        limits.append(f"matches `{schema['pattern']}`")
    return limits
