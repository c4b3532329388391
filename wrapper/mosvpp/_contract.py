"""The specification itself, as shipped beside the generated code: what a request may look like, and why.

The JSON Schema of the document is checked by jsonschema-rs. A fault is told with its JSON path, the keyword
that it breaks, and the evidence ids that stand nearest to that keyword in the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from .errors import RuleError

__all__ = [
    "CONTRACT_VERSION",
    "document",
    "evidence_at",
    "json_path",
    "schema_faults",
    "server_path",
    "x_rules",
]


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document that the generated code was made from."""
    text = files("mosvpp_api").joinpath("openapi.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Any])


CONTRACT_VERSION: str = document()["info"]["version"]
"""The version of the specification that this was generated from; CHANGELOG.md tells what changed."""


def server_path(api_version: str) -> str:
    """The path in front of every operation, for example `/v1/api/gateway`."""
    url: str = document()["servers"][0]["url"]
    return url.replace("{origin}", "").replace("{api_version}", api_version)


@cache
def _validator(schema: str) -> Any:
    import jsonschema_rs

    reference = {"$ref": f"#/components/schemas/{schema}", "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(reference, validate_formats=True)


def schema_faults(schema: str, body: Any) -> list[RuleError]:
    """Everything in which `body` departs from the named schema, as errors; mostly nothing."""
    validator = _validator(schema)
    try:
        if validator.is_valid(body):
            return []
        found = list(validator.iter_errors(body))
    except (ValueError, RecursionError) as error:  # half a character, bytes, an endless depth, …
        msg = f"this cannot be written as JSON: {error}"
        return [RuleError(msg, rule="json", evidence=("behaviour.json_only",))]
    return [error for fault in found for error in _told(fault)]


def _told(error: Any) -> Iterator[RuleError]:
    """For a oneOf, what the branch for the given cmd_type says; without one, what all branches say."""
    if error.kind.name != "oneOf":
        yield _fault(error)
        return
    branches: list[list[Any]] = error.kind.context
    fitting = [branch for branch in branches if not any(_is_wrong_type(fault) for fault in branch)]
    said = [{what for fault in branch for what in _said(fault)} for branch in fitting or branches]
    common = set.intersection(*said)
    telling = min(fitting or branches, key=len)
    yield from (_fault(fault) for fault in telling if len(said) == 1 or common.intersection(_said(fault)))


def _said(fault: Any) -> list[tuple[str, ...]]:
    """What a fault says, so that it can be compared between branches."""
    kind, path = fault.kind, json_path(fault.instance_path)
    if kind.name == "additionalProperties":
        return [(kind.name, path, name) for name in kind.unexpected]
    return [(kind.name, path, kind.property if kind.name == "required" else "")]


def _is_wrong_type(fault: Any) -> bool:
    return bool(fault.kind.name == "const" and fault.instance_path[-1:] == ["cmd_type"])


def _fault(error: Any) -> RuleError:
    message, keyword, evidence = error.message, error.kind.name, evidence_at(error.schema_path)
    if _is_wrong_type(error):
        command = document()["components"]["schemas"]["SiteCommandItem"]
        message = f"{error.instance!r} is none of: {', '.join(command['discriminator']['mapping'])}"
        keyword, evidence = "enum", (*evidence, *command["x-evidence"])
    elif about := _description(error.schema_path):
        message = f"{message}. {about}"
    return RuleError(message, path=json_path(error.instance_path), rule=keyword, evidence=evidence)


def _nodes(schema_path: Sequence[str | int]) -> list[dict[str, Any]]:
    """The objects of the document on the way to a keyword, nearest first."""
    node: Any = document()
    nodes = []
    for step in schema_path:
        node = node[step]
        if isinstance(node, dict):
            nodes.append(node)
    return nodes[::-1]


def evidence_at(schema_path: Sequence[str | int]) -> tuple[str, ...]:
    """The evidence ids of the nearest object on the way to `schema_path` that has some."""
    return next((tuple(node["x-evidence"]) for node in _nodes(schema_path) if "x-evidence" in node), ())


def _description(schema_path: Sequence[str | int]) -> str:
    return next((str(node["description"]) for node in _nodes(schema_path) if "description" in node), "")


def json_path(steps: Sequence[str | int]) -> str:
    """`["event_slots", 0, "priority"]` as `$.event_slots[0].priority`."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


@cache
def x_rules(schema: str) -> dict[str, dict[str, Any]]:
    """The rules that the document states for a schema beyond what JSON Schema can say, by their ids."""
    return {rule["id"]: rule for rule in document()["components"]["schemas"][schema].get("x-rules", [])}
