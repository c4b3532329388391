"""A second opinion on bodies: Python's `jsonschema`, the `x-rules` in plain Python, a strict reader of JSON.

It shares no code with the SDK and none with the sandbox, so that they cannot agree on the same mistake.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import rfc3339_validator  # noqa: F401  without it jsonschema would not check date-time, and would not say so
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from reading import read_yaml

SPEC = Path(__file__).resolve().parent.parent / "spec"
DOCUMENTS: dict[str, Any] = {
    path.name: read_yaml(path)
    for path in (SPEC / name for name in ("openapi.yaml", "asyncapi.yaml", "lifecycle.arazzo.yaml"))
}
LEDGER: dict[str, Any] = read_yaml(SPEC / "evidence.yaml")
# What a partner calls, by operationId.
CALLS: dict[str, Any] = {
    operation["operationId"]: operation
    for item in DOCUMENTS["openapi.yaml"]["paths"].values()
    for method, operation in item.items()
    if method != "parameters"
}
REQUESTS = {
    "submit_dispatch": "openapi.yaml#/components/schemas/DispatchRequest",
    "submit_site_command": "openapi.yaml#/components/schemas/SiteCommandRequest",
}
# Deeper than anything meaningful, and less deep than what any reader should accept.
TOO_DEEP = 1000


class Fault(NamedTuple):
    """A rule that a body breaks, and where; `property` names a missing or an extra field."""

    rule: str
    path: str
    property: str | None = None


def resolve(reference: str, document: str = "openapi.yaml") -> Any:
    """The node that a `$ref` means, as the very object of the parsed document."""
    file, _, pointer = reference.partition("#")
    node = DOCUMENTS[file.removeprefix("./") or document]
    for step in pointer.split("/")[1:]:
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


@cache
def _validator(schema: str) -> Draft202012Validator:
    resources = [
        ((SPEC / name).as_uri(), DRAFT202012.create_resource(node)) for name, node in DOCUMENTS.items()
    ]
    registry: Registry[Any] = Registry().with_resources(resources)
    file, _, pointer = schema.partition("#")
    reference = {"$ref": f"{(SPEC / file).as_uri()}#{pointer}"}
    return Draft202012Validator(
        reference, registry=registry, format_checker=FormatChecker(["date-time", "uuid"])
    )


def errors(schema: str, value: Any) -> list[ValidationError]:
    """What jsonschema says; of `oneOf`, what the branch for the given cmd_type says."""
    return [inner for error in _validator(schema).iter_errors(value) for inner in _of_branch(error)]


def _of_branch(error: ValidationError) -> list[ValidationError]:
    mapping = error.schema["discriminator"]["mapping"] if error.validator == "oneOf" else {}
    word = error.instance.get("cmd_type") if isinstance(error.instance, dict) else None
    if not isinstance(word, str) or word not in mapping:
        return [error]
    branch = error.validator_value.index({"$ref": mapping[word]})
    return [inner for inner in error.context or [] if inner.schema_path[0] == branch]


def _faults_of(error: ValidationError) -> set[Fault]:
    rule, path = str(error.validator), error.json_path
    if rule == "required":
        return {Fault(rule, path, name) for name in error.validator_value if name not in error.instance}
    if rule == "additionalProperties":
        return {Fault(rule, path, name) for name in error.instance if name not in error.schema["properties"]}
    if rule == "oneOf":
        return _faults_of_no_branch(error)
    return {Fault(rule, path)}


def _faults_of_no_branch(error: ValidationError) -> set[Fault]:
    """What all branches have in common; the constants of their cmd_types are together an enumeration."""
    said: dict[int, set[Fault]] = {}
    for inner in error.context or []:
        said.setdefault(int(inner.schema_path[0]), set()).update(_faults_of(inner))
    common = set.intersection(*said.values())
    return {fault._replace(rule="enum") if fault.rule == "const" else fault for fault in common}


def schema_faults(schema: str, value: Any) -> set[Fault]:
    """Every keyword that the value breaks; empty means valid."""
    return {fault for error in errors(schema, value) for fault in _faults_of(error)}


def request_faults(operation: str, value: Any) -> set[Fault]:
    """Every rule that the body of a request breaks: of the schema, and if it keeps that, the `x-rules`."""
    return schema_faults(REQUESTS[operation], value) or {
        Fault(name, path) for name, broken_at in RULES[operation].items() for path in broken_at(value)
    }


def _end_after_start(body: Any) -> Iterator[str]:
    for index, slot in enumerate(body["event_slots"]):
        start, end = (datetime.fromisoformat(slot[name]) for name in ("start_time", "end_time"))
        if not start < end:
            yield f"$.event_slots[{index}].end_time"


def _power_above_zero(body: Any) -> Iterator[str]:
    for index, slot in enumerate(body["event_slots"]):
        if slot["event_type"] != "restore" and not slot["event_quantity"] > 0:
            yield f"$.event_slots[{index}].event_quantity"


def _unique_event_ids(body: Any) -> Iterator[str]:
    ids = [UUID(slot["event_id"]) for slot in body["event_slots"]]
    yield from (f"$.event_slots[{index}].event_id" for index, one in enumerate(ids) if one in ids[:index])


def _unique_device_ids(body: Any) -> Iterator[str]:
    ids = [device["device_id"] for device in body["scmd_devices"]]
    yield from (f"$.scmd_devices[{index}].device_id" for index, one in enumerate(ids) if one in ids[:index])


RULES: dict[str, dict[str, Callable[[Any], Iterator[str]]]] = {
    "submit_dispatch": {
        "end_after_start": _end_after_start,
        "power_above_zero": _power_above_zero,
        "unique_event_ids": _unique_event_ids,
    },
    "submit_site_command": {"unique_device_ids": _unique_device_ids},
}


class _UnreadableError(ValueError):
    pass


def _number(text: str) -> float:
    if abs(float(text)) == float("inf"):
        raise _UnreadableError("not_finite")
    return float(text)


def _whole_number(text: str) -> int:
    _number(text)
    return int(text)


def _constant(text: str) -> float:
    raise _UnreadableError("not_finite")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise _UnreadableError("duplicate_keys")
    return dict(pairs)


def _read(raw: bytes) -> None:
    text = raw.decode("utf-8")
    if not text.strip():
        raise _UnreadableError("empty")
    depth = deepest = 0
    for mark in re.sub(r'"(?:[^"\\]|\\.)*"', "", text):
        depth += (mark in "[{") - (mark in "]}")
        deepest = max(deepest, depth)
    if deepest > TOO_DEEP:
        raise _UnreadableError("too_deep")
    hooks: dict[str, Any] = {"parse_float": _number, "parse_int": _whole_number, "parse_constant": _constant}
    value = json.loads(text, object_pairs_hook=_object, **hooks)
    json.dumps(value, ensure_ascii=False).encode("utf-8")


def unreadable(raw: bytes) -> str | None:
    """Why these bytes are no acceptable JSON, in a word; None where they are."""
    try:
        _read(raw)
    except _UnreadableError as error:
        return str(error)
    except UnicodeDecodeError:
        return "invalid_utf8"
    except UnicodeEncodeError:
        return "lone_surrogate"
    except json.JSONDecodeError:
        return "not_json"
    return None
