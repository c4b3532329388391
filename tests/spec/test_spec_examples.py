"""Every example is valid or invalid, and for exactly the reason that is given."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest

import corpus
import verdicts
from verdicts import Fault

ASYNCAPI = verdicts.DOCUMENTS["asyncapi.yaml"]
every_example = pytest.mark.parametrize("example", corpus.EXAMPLES.values(), ids=lambda example: example.name)
every_refused = pytest.mark.parametrize(
    "example", corpus.invalid("refused"), ids=lambda example: example.name
)


def response_of(operation: str, status: int) -> Any:
    """The response that the document gives for a status: its own, or the one of its class."""
    responses = verdicts.CALLS[operation]["responses"]
    response = responses.get(str(status)) or responses[f"{status // 100}XX"]
    return verdicts.resolve(response["$ref"]) if "$ref" in response else response


def schemas_of(operation: str, message: str, status: int | None = None) -> set[str]:
    """The schemas that the documents allow for a message of an operation."""
    if message == "event":
        messages = [
            verdicts.resolve(verdicts.resolve(reference["$ref"], "asyncapi.yaml")["$ref"], "asyncapi.yaml")
            for reference in ASYNCAPI["operations"][operation]["messages"]
        ]
        return {"asyncapi.yaml" + message["payload"]["$ref"] for message in messages}
    if message == "request":
        content = verdicts.CALLS[operation]["requestBody"]["content"]["application/json"]
    else:
        assert status is not None
        media = "application/json" if message == "reply" else "application/problem+json"
        content = response_of(operation, status)["content"][media]
    return {"openapi.yaml" + content["schema"]["$ref"]}


@every_example
def test_names_the_schema_of_its_message(example):
    assert example.schema in schemas_of(example.operation, example.message, example.status)


@every_example
def test_has_a_status_exactly_where_it_is_an_answer(example):
    assert (example.status is not None) == (example.message in {"reply", "problem"})
    if example.message == "problem":
        assert example.value.get("status") in {None, example.status}
        named = response_of(example.operation, example.status).get("headers", {})
        assert set(example.headers) <= set(named)


@every_example
def test_is_valid_but_for_what_is_tolerated(example):
    found = {fault.path: fault.rule for fault in verdicts.schema_faults(example.schema, example.value)}
    assert found == example.tolerated


@every_example
def test_is_acceptable_json(example):
    assert verdicts.unreadable(example.raw) is None


@pytest.mark.parametrize("example", corpus.select(message="request"), ids=lambda example: example.name)
def test_request_keeps_the_rules_that_a_schema_cannot_say(example):
    assert verdicts.request_faults(example.operation, example.value) == set()


@pytest.mark.parametrize(
    "example", [one for one in corpus.EXAMPLES.values() if one.tolerated], ids=lambda example: example.name
)
def test_tolerates_only_new_values_and_times_without_offset_in_what_arrives(example):
    assert example.message in {"reply", "event"}
    for error in verdicts.errors(example.schema, example.value):
        if error.validator == "enum":
            assert error.schema["x-open-enum"] is True
        else:
            assert error.schema["format"] == "date-time"
            assert datetime.fromisoformat(error.instance).utcoffset() is None


@pytest.mark.parametrize(
    "example", [one for one in corpus.EXAMPLES.values() if one.page], ids=lambda example: example.name
)
def test_page_example_says_which_values_are_ours(example):
    assert example.page in verdicts.LEDGER["pages"]
    for path in example.filled_in:
        node = example.value
        for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
            node = node[name or int(index)]


@every_refused
def test_request_is_refused_for_exactly_the_given_reason(example):
    rules = {example.rule, *example.also}
    expected = {Fault(rule, example.path, example.property) for rule in rules}
    assert verdicts.request_faults(example.operation, example.value) == expected


@pytest.mark.parametrize("example", corpus.invalid("unreadable"), ids=lambda example: example.name)
def test_bytes_are_unreadable_for_exactly_the_given_reason(example):
    assert verdicts.unreadable(example.raw) == example.rule
    assert example.path is None


@pytest.mark.parametrize("example", corpus.invalid("unknown_shape"), ids=lambda example: example.name)
def test_delivery_has_an_unknown_shape_for_exactly_the_given_reason(example):
    assert verdicts.unreadable(example.raw) is None
    schemas = schemas_of(example.operation, example.message)
    assert example.schema in schemas
    assert all(verdicts.schema_faults(schema, example.value) for schema in schemas)
    found = verdicts.schema_faults(example.schema, example.value)
    assert Fault(example.rule, example.path, example.property) in found
    # Of a delivery in which nothing is as expected, the reason names the first field that is missing.
    assert {(fault.rule, fault.path) for fault in found} == {(example.rule, example.path)}


def evidence_at(example: corpus.InvalidExample) -> set[str]:
    """The ids that the documents give for the rule that an invalid example breaks."""
    if example.kind == "unreadable":
        return {"behaviour.json_only"}
    found = verdicts.errors(example.schema or verdicts.REQUESTS[example.operation], example.value)
    if found:
        return {one for error in found for one in error.schema["x-evidence"]}
    schemas = verdicts.DOCUMENTS["openapi.yaml"]["components"]["schemas"].values()
    rules = {rule["id"]: rule for schema in schemas for rule in schema.get("x-rules", [])}
    return set(rules[example.rule]["x-evidence"])


@pytest.mark.parametrize("example", corpus.INVALID.values(), ids=lambda example: example.name)
def test_reason_names_evidence_of_the_rule_that_is_broken(example):
    assert example.evidence
    assert set(example.evidence) <= evidence_at(example)


def test_every_file_is_listed_and_every_listed_file_exists():
    listed = {one.file for one in (*corpus.EXAMPLES.values(), *corpus.INVALID.values())}
    present = {path for path in corpus.FOLDER.rglob("*") if path.is_file() and path.suffix != ".yaml"}
    assert listed == present


def test_every_name_begins_with_an_operation_and_a_message_of_it():
    messages = {name: {"request", "reply", "problem"} for name in verdicts.CALLS} | {
        name: {"event"} for name in ASYNCAPI["operations"]
    }
    for name in (*corpus.EXAMPLES, *corpus.INVALID):
        operation, message, case = name.split(".")
        assert message in messages[operation], name
        assert re.fullmatch(r"[a-z0-9_]+", case), name


def test_the_page_sample_of_a_data_push_has_its_343_bytes():
    assert len(corpus.EXAMPLES["receive_data_push.event.page_sample"].raw) == 343
