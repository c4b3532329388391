"""The documents are complete, agree with one another, and show only examples that are valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

import corpus
import verdicts

OPENAPI, ASYNCAPI, LIFECYCLE = verdicts.DOCUMENTS.values()
CALLS = ["sync_devices", "submit_dispatch", "submit_site_command"]
WEBHOOKS = ["receive_execution_response", "receive_data_push"]
SIX = ["sync_devices", "submit_dispatch", "receipt", *WEBHOOKS, "submit_site_command"]
README = (verdicts.SPEC / "README.md").read_text("utf-8")
WORKFLOW = LIFECYCLE["workflows"][0]


def schemas() -> Iterator[tuple[str, Any]]:
    """Every named schema and every property, by its reference."""
    for document in ("openapi.yaml", "asyncapi.yaml"):
        for name, schema in verdicts.DOCUMENTS[document]["components"]["schemas"].items():
            address = f"{document}#/components/schemas/{name}"
            yield address, schema
            for field, node in schema.get("properties", {}).items():
                assert "properties" not in node, (
                    f"{address}: give the object inside {field} a name of its own"
                )
                yield f"{address}/properties/{field}", node


SCHEMAS = dict(schemas())
PROPERTIES = {address: node for address, node in SCHEMAS.items() if "/properties/" in address}


def test_the_five_operations_have_the_five_names():
    operations = [
        item[method] for item in OPENAPI["paths"].values() for method in item if method != "parameters"
    ]
    assert {operation["operationId"] for operation in operations} == set(CALLS)
    assert list(ASYNCAPI["operations"]) == WEBHOOKS
    assert {operation["action"] for operation in ASYNCAPI["operations"].values()} == {"receive"}


def test_the_documents_carry_one_version():
    assert len({document["info"]["version"] for document in verdicts.DOCUMENTS.values()}) == 1


@pytest.mark.parametrize("address", SCHEMAS)
def test_schema_is_described_in_sentences(address):
    assert re.match(r"[A-Z0-9`].*\.$", SCHEMAS[address]["description"], re.DOTALL)


@pytest.mark.parametrize("address", PROPERTIES)
def test_property_shows_an_example_or_refers_to_a_schema(address):
    node = PROPERTIES[address]
    assert node.get("examples") or "$ref" in node or "$ref" in node.get("items", {})


@pytest.mark.parametrize("address", SCHEMAS)
def test_names_and_descriptions_of_an_enumeration_match_its_values(address):
    node = SCHEMAS[address]
    lists = [node[key] for key in ("enum", "x-enum-varnames", "x-enum-descriptions") if key in node]
    assert len({len(one) for one in lists}) <= 1
    assert ("enum" in node) == ("x-enum-varnames" in node)


def shown() -> Iterator[Any]:
    """Every example that stands inside a document, with the schema for which it stands."""
    for address, node in SCHEMAS.items():
        for number, value in enumerate(node.get("examples", [])):
            yield pytest.param(address, value, id=f"{address} {number}")
    for kind in ("parameters", "headers"):
        for name, node in OPENAPI["components"][kind].items():
            address = f"openapi.yaml#/components/{kind}/{name}/schema"
            yield pytest.param(address, node["example"], id=f"{kind} {name}")
    for call in verdicts.CALLS.values():
        bodies = [call.get("requestBody", {}), *call["responses"].values()]
        for media in (media for body in bodies for media in body.get("content", {}).values()):
            for name, example in media["examples"].items():
                schema = "openapi.yaml" + media["schema"]["$ref"]
                yield pytest.param(schema, verdicts.resolve(example["$ref"])["value"], id=f"{schema} {name}")


@pytest.mark.parametrize(("schema", "value"), list(shown()))
def test_example_inside_a_document_is_valid(schema, value):
    assert verdicts.schema_faults(schema, value) == set()


@pytest.mark.parametrize("name", OPENAPI["components"]["examples"])
def test_body_inside_the_document_is_that_of_an_example_file(name):
    """What the reference shows, the tests prove and the sandbox measures itself by is one and the same."""
    value = OPENAPI["components"]["examples"][name]["value"]
    assert value in [example.value for example in corpus.EXAMPLES.values()]


def test_the_workflow_lists_the_six_steps_in_order():
    assert [one["name"] for one in WORKFLOW["x-lifecycle"]] == SIX
    assert all(one["title"] and one["description"] for one in WORKFLOW["x-lifecycle"])


@pytest.mark.parametrize("entry", WORKFLOW["x-lifecycle"], ids=lambda entry: entry["name"])
def test_lifecycle_entry_is_a_step_an_answer_or_a_webhook(entry):
    steps = [step["stepId"] for step in WORKFLOW["steps"]]
    kinds = {"step": steps, "receipt_of": steps, "x-webhook": list(ASYNCAPI["operations"])}
    (kind,) = kinds.keys() & entry.keys()
    assert entry[kind] in kinds[kind]
    assert entry["name"] == ("receipt" if kind == "receipt_of" else entry[kind])
    ends = ("partner", "molecule") if kind == "step" else ("molecule", "partner")
    assert (entry["from"], entry["to"]) == ends


def test_the_steps_are_the_calls_in_the_order_of_the_lifecycle():
    assert [step["operationId"] for step in WORKFLOW["steps"]] == CALLS
    assert [one["step"] for one in WORKFLOW["x-lifecycle"] if "step" in one] == CALLS
    assert all(step["stepId"] == step["operationId"] for step in WORKFLOW["steps"])


INPUTS = {
    "api_key": "key",
    "molecule_id": "fecd0001c031e7e8",
    "event_id": "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D",
    "start_time": "2024-01-05T00:00:00Z",
    "end_time": "2024-01-05T01:00:00Z",
    "scmd_id": "0F0B9F1C-7B1E-4F5B-9A53-5D1C2B6F3A10",
    "device_id": "20000",
}


def filled(node: Any) -> Any:
    """A payload of the workflow with its inputs in place."""
    if isinstance(node, dict):
        return {key: filled(inner) for key, inner in node.items()}
    if isinstance(node, list):
        return [filled(inner) for inner in node]
    return INPUTS[node.removeprefix("$inputs.")] if str(node).startswith("$inputs.") else node


def test_the_workflow_sends_valid_requests_and_never_goes_live():
    sent = {
        step["stepId"]: filled(step["requestBody"]["payload"])
        for step in WORKFLOW["steps"]
        if "requestBody" in step
    }
    assert set(sent) == set(verdicts.REQUESTS)
    assert [fault for name, body in sent.items() for fault in verdicts.request_faults(name, body)] == []
    assert sent["submit_dispatch"]["mode"] == "test"


def test_the_workflow_uses_every_input_that_it_asks_for():
    used = set(re.findall(r"\$inputs\.(\w+)", str(WORKFLOW["steps"])))
    assert used == set(INPUTS) == set(WORKFLOW["inputs"]["properties"]) == set(WORKFLOW["inputs"]["required"])


def x_keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (key for key in node if str(key).startswith("x-"))
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from x_keys(inner)


def test_the_readme_explains_every_x_key_and_no_other():
    explained = re.findall(
        r"^\| `(x-[a-z-]+)` \|", (verdicts.SPEC / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert set(explained) == {key for document in verdicts.DOCUMENTS.values() for key in x_keys(document)}
    assert len(set(explained)) == len(explained)


def test_the_readme_names_every_file_and_folder_beside_it():
    there = {path.name for path in verdicts.SPEC.iterdir() if path.name != "README.md"}
    assert [name for name in sorted(there) if f"`{name}" not in README] == []
