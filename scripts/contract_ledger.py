"""What changed beside the messages: the evidence ledger, and the lifecycle workflow."""

from collections.abc import Iterator
from typing import Any

from contract_changes import Change
from contract_diff import Contract, Json
from contract_places import code, listed
from versions import Impact


def changes_beside(old: Contract, new: Contract) -> list[Change]:
    """Every change in evidence.yaml and lifecycle.arazzo.yaml."""
    return [*_ledger(old.documents["evidence.yaml"], new.documents["evidence.yaml"]), *_lifecycle(old, new)]


def _ledger(old: Json, new: Json) -> Iterator[Change]:
    """No program reads the ledger, so nothing here breaks one; but partners want to know what became sure."""
    before = {fact["id"]: fact for fact in old["facts"]}
    after = {fact["id"]: fact for fact in new["facts"]}
    if came := sorted(after.keys() - before.keys()):
        yield Change(Impact.PATCH, f"The ledger has new entries: {listed(came)}.")
    if gone := sorted(before.keys() - after.keys()):
        yield Change(Impact.PATCH, f"The ledger no longer has {listed(gone)}.")
    both = sorted(before.keys() & after.keys())
    for name in both:
        was, now = before[name]["status"], after[name]["status"]
        if was != now:
            yield Change(Impact.PATCH, f"{code(name)} is now {now}, was {was}.")
    reworded = [name for name in both if {**before[name], "status": ""} != {**after[name], "status": ""}]
    if reworded:
        yield Change(Impact.PATCH, f"The ledger has other words for {listed(reworded)}.")


def _lifecycle(old: Contract, new: Contract) -> Iterator[Change]:
    """A workflow is run by its name, with its inputs; its outputs are read by their names."""
    before, after = (_interface(side.documents["lifecycle.arazzo.yaml"]) for side in (old, new))
    if gone := sorted(before - after):
        yield Change(
            Impact.MAJOR, f"The lifecycle no longer has {listed(gone)}: breaking for those who run it."
        )
    came = sorted(after - before)
    if demands := [name for name in came if name.startswith("required input")]:
        yield Change(
            Impact.MAJOR, f"The lifecycle asks for {listed(demands)}: breaking for those who run it."
        )
    if more := [name for name in came if name not in demands]:
        yield Change(Impact.MINOR, f"The lifecycle now has {listed(more)}.")
    if not gone and not came and _without_version(old) != _without_version(new):
        yield Change(
            Impact.PATCH, "The lifecycle workflow was changed; its steps, inputs and outputs are the same."
        )


def _interface(document: Json) -> set[str]:
    names = set()
    for workflow in document["workflows"]:
        inputs = workflow.get("inputs", {})
        required = inputs.get("required", [])
        names |= {
            f"workflow {workflow['workflowId']}",
            *(f"step {step['stepId']}" for step in workflow["steps"]),
            *(f"output {name}" for name in workflow.get("outputs", {})),
            *(f"{'required ' * (name in required)}input {name}" for name in inputs.get("properties", {})),
        }
    return names


def _without_version(contract: Contract) -> Any:
    document = contract.documents["lifecycle.arazzo.yaml"]
    return {**document, "info": {**document["info"], "version": ""}}
