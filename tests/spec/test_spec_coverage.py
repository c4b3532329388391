"""The examples leave no corner of the documents out; what is to be covered is computed from them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import corpus
import verdicts

ASYNCAPI = verdicts.DOCUMENTS["asyncapi.yaml"]
# Words of other platforms for what may become of an event, by what they mean.
WORDS = {
    "received": "RECEIVED acknowledged",
    "accepted": "ACCEPTED PENDING scheduled ok",
    "in_progress": "started IN_PROGRESS active executing",
    "completed": "EXECUTED COMPLETED complete success succeeded",
    "partially_completed": "partial",
    "rejected": "REJECTED invalid",
    "failed": "FAILED error timeout undelivered",
    "cancelled": "CANCELED CANCELLED deleted stopped",
    "superseded": "superseded",
    "opted_out": "OPT_OUT optedout",
}


def nodes() -> Iterator[tuple[str, Any]]:
    """Every schema below components/schemas, with its address; `$ref`s are not followed."""

    def below(address: str, node: Any) -> Iterator[tuple[str, Any]]:
        yield address, node
        for name, inner in node.get("properties", {}).items():
            yield from below(f"{address}/properties/{name}", inner)
        for name in ("items", "additionalProperties"):
            if isinstance(node.get(name), dict):
                yield from below(f"{address}/{name}", node[name])

    for document in ("openapi.yaml", "asyncapi.yaml"):
        for name, node in verdicts.DOCUMENTS[document]["components"]["schemas"].items():
            yield from below(f"{document}#/components/schemas/{name}", node)


def meets(document: str, node: Any, value: Any) -> Iterator[tuple[int, Any]]:
    """Every schema that a valid value meets, by identity, with the part of the value that meets it."""
    yield id(node), value
    if "$ref" in node:
        file = node["$ref"].partition("#")[0].removeprefix("./") or document
        yield from meets(file, verdicts.resolve(node["$ref"], document), value)
    if "oneOf" in node:
        chosen = node["discriminator"]["mapping"][value["cmd_type"]]
        yield from meets(document, next(one for one in node["oneOf"] if one["$ref"] == chosen), value)
    if isinstance(value, dict):
        for name, inner in value.items():
            schema = node.get("properties", {}).get(name, node.get("additionalProperties"))
            if isinstance(schema, dict):
                yield from meets(document, schema, inner)
    if isinstance(value, list) and "items" in node:
        for inner in value:
            yield from meets(document, node["items"], inner)


def seen_in(examples: list[corpus.Example]) -> dict[int, list[Any]]:
    """All values that the examples show to each schema."""
    seen: dict[int, list[Any]] = defaultdict(list)
    for example in examples:
        document = example.schema.partition("#")[0]
        for schema, value in meets(document, verdicts.resolve(example.schema), example.value):
            seen[schema].append(value)
    return seen


def missing_from(seen: dict[int, list[Any]], address: str, node: Any) -> Iterator[str]:
    """What the values seen leave out of a schema: a word, a type, a branch, a field present or absent."""
    values = seen[id(node)]
    if not values:
        yield f"{address} does not occur"
    types = node.get("type", [])
    for name in [types] if isinstance(types, str) else types:
        if not any(verdicts.Draft202012Validator({"type": name}).is_valid(value) for value in values):
            yield f"{address}: no {name}"
    words = [True, False] if types == "boolean" else node.get("enum", [])
    yield from (f"{address}: no {word!r}" for word in words if word not in values)
    if node.get("x-open-enum") and all(value in node["enum"] for value in values):
        yield f"{address}: no new value"
    yield from (f"{address}: no {one['$ref']}" for one in node.get("oneOf", []) if not seen[id(one)])
    if "properties" in node:
        objects = [value.keys() for value in values]
        yield from (f"{address}: {gap}" for gap in fields_missing_from(objects, node))


def fields_missing_from(objects: list[Any], node: Any) -> Iterator[str]:
    """Which fields are never there, or never absent, in the objects of which these are the keys."""
    for name in node["properties"]:
        if not any(name in keys for keys in objects):
            yield f"never with {name}"
        if name not in node.get("required", []) and all(name in keys for keys in objects):
            yield f"never without {name}"
    if "additionalProperties" not in node and not any(keys - node["properties"].keys() for keys in objects):
        yield "never with an unknown field"


def test_every_part_of_every_schema_occurs_in_an_example():
    seen = seen_in(list(corpus.EXAMPLES.values()))
    assert [
        f"{address}: {gap}" for address, node in nodes() for gap in missing_from(seen, address, node)
    ] == []


@pytest.mark.parametrize(
    "left_out", ["submit_dispatch.request.every_event_type", "sync_devices.reply.new_device_type"]
)
def test_a_gap_is_noticed(left_out):
    seen = seen_in([example for example in corpus.EXAMPLES.values() if example.name != left_out])
    assert [gap for address, node in nodes() for gap in missing_from(seen, address, node)]


def test_every_response_of_every_call_occurs_in_an_example():
    have = {
        (example.operation, status)
        for example in corpus.EXAMPLES.values()
        for status in (str(example.status), f"{str(example.status)[0]}XX")
    }
    wanted = {(name, status) for name, call in verdicts.CALLS.items() for status in call["responses"]}
    assert wanted <= have


def test_every_operation_and_message_occurs_in_an_example():
    events = {example.schema for example in corpus.select(message="event")}
    assert events == {
        "asyncapi.yaml" + message["payload"]["$ref"]
        for message in ASYNCAPI["components"]["messages"].values()
    }
    assert {(one.operation, one.kind) for one in corpus.INVALID.values()} == {
        ("submit_dispatch", "refused"),
        ("submit_site_command", "refused"),
        *(
            (operation, kind)
            for operation in ASYNCAPI["operations"]
            for kind in ("unreadable", "unknown_shape")
        ),
    }


def test_every_class_of_status_words_occurs_and_a_word_of_no_class():
    words = {
        slot.get("status")
        for example in corpus.select("receive_execution_response")
        for slot in example.value.get("event_slots", [example.value])
    }
    known = {word for line in WORDS.values() for word in line.split()}
    assert known <= words
    assert {word.casefold() for word in words if word} - {word.casefold() for word in (*known, *WORDS)}


def test_every_way_of_writing_a_time_occurs():
    texts = " ".join(example.raw.decode() for example in corpus.EXAMPLES.values())
    for way in (
        r"\d\dZ\"",
        r"\d\d[+]00:00\"",
        r"\d\d[+]01:00\"",
        r"\d\d-05:00\"",
        r"\d\d\.\d{7}Z\"",
        r"T\d\d:\d\d:\d\d\"",
    ):
        assert re.search(way, texts), way


class Constraint(NamedTuple):
    """One thing that a request can do wrong; `command` is the cmd_type for which the rule holds."""

    rule: str
    path: str
    property: str | None = None
    command: str | None = None


COMMANDS = verdicts.resolve("#/components/schemas/SiteCommandItem")["discriminator"]["mapping"]
SIMPLE = (
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "minItems",
    "minLength",
    "pattern",
    "format",
)
STRUCTURE = {
    "properties",
    "items",
    "oneOf",
    "discriminator",
    "required",
    "additionalProperties",
    "type",
    "$ref",
}
PROSE = {"description", "examples", "x-evidence", "x-rules", "x-enum-varnames"}


def constraints(node: Any, path: str = "$", command: str | None = None) -> Iterator[Constraint]:
    """Every constraint of a request's schema; a keyword that this function does not know is an error."""
    assert set(node) <= {*SIMPLE, *STRUCTURE, *PROSE}, f"{path}: this test does not know one of {set(node)}"
    yield from (Constraint(rule, path, None, command) for rule in SIMPLE if rule in node)
    yield from (Constraint("required", path, name, command) for name in node.get("required", []))
    yield from (Constraint(rule["id"], "") for rule in node.get("x-rules", []))
    # A value of another type is of course none of the words; one fault is enough for both.
    if "type" in node and not {"enum", "const"} & set(node):
        yield Constraint("type", path, None, command)
    if node.get("additionalProperties") is False:
        yield Constraint("additionalProperties", path, None, command)
    if "$ref" in node:
        yield from constraints(verdicts.resolve(node["$ref"]), path, command)
    for name, inner in node.get("properties", {}).items():
        yield from constraints(inner, f"{path}.{name}", command)
    if "items" in node:
        yield from constraints(node["items"], f"{path}[]", command)
    if "oneOf" in node:
        yield from constraints_of_branches(node, path)


def constraints_of_branches(node: Any, path: str) -> Iterator[Constraint]:
    """What all branches ask alike, and what each one asks of an item with its word."""
    word_name = node["discriminator"]["propertyName"]
    yield from (
        Constraint("type", path),
        Constraint("required", path, word_name),
        Constraint("enum", f"{path}.{word_name}"),
    )
    in_common = {("type", path, None), ("required", path, word_name), ("const", f"{path}.{word_name}", None)}
    for word, reference in node["discriminator"]["mapping"].items():
        inner = constraints(verdicts.resolve(reference), path, word)
        yield from (one for one in inner if one[:3] not in in_common)


def broken_by(example: corpus.InvalidExample) -> Iterator[Constraint]:
    path = re.sub(r"\[\d+\]", "[]", example.path or "")
    index = re.match(r"\$\.scmd_devices\[(\d+)\]", example.path or "")
    item = example.value["scmd_devices"][int(index[1])] if index else None
    word = item.get("cmd_type") if isinstance(item, dict) else None
    command = word if word in COMMANDS else None
    for rule in (example.rule, *example.also):
        if rule in verdicts.RULES[example.operation]:
            yield Constraint(rule, "")
        else:
            yield Constraint(rule, path, example.property if rule == "required" else None, command)


@pytest.mark.parametrize("operation", verdicts.REQUESTS)
def test_every_constraint_of_a_request_is_broken_by_an_invalid_example(operation):
    wanted = set(constraints(verdicts.resolve(verdicts.REQUESTS[operation])))
    broken = {one for example in corpus.invalid("refused", operation) for one in broken_by(example)}
    assert wanted - broken == set()
    assert {one for one in broken - wanted if one.rule != "type"} == set()


def test_the_rules_written_here_are_the_rules_of_the_documents():
    written = {name for rules in verdicts.RULES.values() for name in rules}
    stated = {rule["id"] for _, node in nodes() for rule in node.get("x-rules", [])}
    assert written == stated


def test_every_keyword_of_a_webhook_is_broken_by_an_unknown_shape():
    broken = {one.rule for one in corpus.invalid("unknown_shape")}
    keywords = {key for address, node in nodes() if address.startswith("asyncapi") for key in node}
    assert broken == keywords - {*PROSE, *(STRUCTURE - {"required", "type"})}
