"""A change of the specification is told, needs the right version, and with it everything is green again."""

# ruff: noqa: E501  texts of the specification, and sentences

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import _setup
import contract
import regenerate
import release
import spec_evidence
from versions import Version

Run = Callable[..., tuple[int, str]]


class Planted(NamedTuple):
    file: str
    old: str
    new: str
    needs: str
    sentence: str
    stale: tuple[str, ...]


API_JSON, PROVENANCE = "generated/mosvpp_api/openapi.json", "generated/provenance.json"
EVENTS = ("generated/mosvpp_events/asyncapi.json", "generated/mosvpp_events/events.py")
MODELS = "generated/mosvpp_api/models"
NOTE = """        note:
          type: string
          description: A word about it.
          examples: [Thank you.]
          x-evidence: [api.version_label]
"""
DISPATCH = "generated/mosvpp_api/api/dispatch"

PLANTED = {
    "an optional field": Planted(
        "spec/openapi.yaml",
        "        mandatory:\n",
        f"{NOTE}        mandatory:\n",
        "1.1.0",
        "`note` of `submit_dispatch` is new.",
        (f"differs: {MODELS}/dispatch_event.py", f"differs: {API_JSON}"),
    ),
    "one more value in a request": Planted(
        "spec/openapi.yaml",
        "enum: [charge, discharge, shed, restore]\n      x-enum-varnames: [CHARGE, DISCHARGE, SHED, RESTORE]",
        "enum: [charge, discharge, shed, restore, hold]\n"
        "      x-enum-varnames: [CHARGE, DISCHARGE, SHED, RESTORE, HOLD]",
        "1.1.0",
        "`event_type` of `submit_dispatch` now also takes `hold`.",
        (f"differs: {MODELS}/event_type.py", f"differs: {API_JSON}"),
    ),
    "a field gone from a webhook": Planted(
        "spec/asyncapi.yaml",
        "        event_unit:\n"
        '          type: [string, "null"]\n'
        "          description: The unit of executed_quantity. Any word is kept; only w, kW and MW are read as power.\n"
        "          x-evidence: [execution.executed_unit, units.power_unit]\n"
        "          examples: [kW]\n",
        "",
        "2.0.0",
        "`event_slots[].event_unit` (ExecutionResponse) of `receive_execution_response` was removed: "
        "breaking for receivers.",
        tuple(f"differs: {file}" for file in EVENTS),
    ),
    "a field of a request now required": Planted(
        "spec/openapi.yaml",
        "  /{molecule_id}/sitecmd:\n    parameters:\n",
        "  /{molecule_id}/sitecmd:\n    parameters:\n"
        "      - {name: why, in: query, required: true, description: The reason., example: x,"
        " x-evidence: [api.version_label], schema: {type: string}}\n",
        "2.0.0",
        "`why` of `submit_site_command` is new and required: breaking for senders.",
        ("differs: generated/mosvpp_api/api/site_commands/submit_site_command.py", f"differs: {API_JSON}"),
    ),
    "a tighter limit": Planted(
        "spec/openapi.yaml",
        "maximum: 99",
        "maximum: 98",
        "2.0.0",
        "`priority` of `submit_dispatch` now allows at most 98, was 99: breaking for senders.",
        (f"differs: {API_JSON}",),
    ),
    "another operationId": Planted(
        "spec/openapi.yaml",
        "operationId: submit_dispatch",
        "operationId: send_dispatch",
        "2.0.0",
        "The operation `submit_dispatch` is now called `send_dispatch`: breaking for everybody who uses its name.",
        (
            f"differs: {API_JSON}",
            f"missing: {DISPATCH}/send_dispatch.py",
            f"not generated: {DISPATCH}/submit_dispatch.py",
        ),
    ),
    "other words": Planted(
        "spec/openapi.yaml",
        "The site that was asked for.",
        "The site in question.",
        "1.0.1",
        "The description of `molecule_id` in the reply of `sync_devices` was changed.",
        (f"differs: {MODELS}/device_sync_reply.py", f"differs: {API_JSON}"),
    ),
    "one more value in a reply": Planted(
        "spec/openapi.yaml",
        "enum: [0, 1, 10, 11, 12, 13, 14, 30, 31, 40, 41]\n      x-enum-varnames:\n",
        "enum: [50, 0, 1, 10, 11, 12, 13, 14, 30, 31, 40, 41]\n      x-enum-varnames:\n        - HEAT_PUMP\n",
        "1.1.0",
        "`device_type` in the reply of `sync_devices` may now also be `50`: not breaking, the set is open "
        "(`x-open-enum`), so receivers keep any value.",
        (f"differs: {MODELS}/device_type.py", f"differs: {API_JSON}"),
    ),
}


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run regenerate.py in the copy, whose present documents are recorded as 1.0.0."""
    release.baseline(project)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["regenerate.py", *arguments])
        capsys.readouterr()
        status = regenerate.main(project)
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def test_a_field_of_a_body_that_was_optional_may_not_become_required_unnoticed(
    edit: Callable[..., None], project: Path
) -> None:
    edit("spec/openapi.yaml", "        mandatory:\n", f"{NOTE}        mandatory:\n")
    release.baseline(project)
    edit("spec/openapi.yaml", "        - mandatory\n", "        - mandatory\n        - note\n")
    comparison = contract.compare(project / "spec", _setup.node_tools().redocly)
    (change,) = comparison.changes
    assert change.sentence == "`note` of `submit_dispatch` is now required: breaking for senders."
    assert str(comparison.needed) == "2.0.0"


@pytest.mark.parametrize("name", PLANTED)
def test_each_edit_is_told_and_needs_its_version(
    run: Run, edit: Callable[..., None], project: Path, name: str
) -> None:
    planted = PLANTED[name]
    edit(planted.file, planted.old, planted.new)
    comparison = contract.compare(project / "spec", _setup.node_tools().redocly)
    assert str(comparison.needed) == planted.needs
    (fault,) = contract.version_faults(comparison)
    assert planted.sentence in fault
    assert f"asks for version {planted.needs} or higher, but info.version is 1.0.0" in fault
    assert "python3 scripts/regenerate.py --bump" in fault


def test_check_names_every_stale_file_and_after_a_bump_everything_is_green(
    run: Run, edit: Callable[..., None], project: Path, tmp_path: Path
) -> None:
    for planted in PLANTED.values():
        edit(planted.file, planted.old, planted.new)
    status, said = run("--check")
    assert status == 1
    named = {
        line for line in said.splitlines() if line.startswith(("differs:", "missing:", "not generated:"))
    }
    for planted in PLANTED.values():
        assert named >= {*planted.stale, f"differs: {PROVENANCE}"}
        assert (
            planted.sentence.replace("submit_dispatch", "send_dispatch", 1) in said
            or planted.sentence in said
        )

    status, said = run("--bump", "--notes", str(tmp_path / "notes.md"))
    assert status == 0, said
    assert (tmp_path / "notes.md").read_text("utf-8") in (project / "CHANGELOG.md").read_text("utf-8")
    assert all(line in said for line in named)
    for document in ("openapi.yaml", "asyncapi.yaml", "lifecycle.arazzo.yaml"):
        assert "\n  version: 2.0.0\n" in (project / "spec" / document).read_text("utf-8")
    assert '"contract_version": "2.0.0"' in (project / PROVENANCE).read_text("utf-8")
    assert "The first version, 2.0.0." in (project / "CHANGELOG.md").read_text("utf-8")

    status, said = run("--check")
    assert status == 0, said


def test_after_a_release_the_notes_tell_the_changes(
    run: Run, edit: Callable[..., None], project: Path
) -> None:
    (project / "spec/released/python-api.json").write_text('{"version": "0.1.0", "names": {}}', "utf-8")
    edit("spec/openapi.yaml", "maximum: 99", "maximum: 100")
    edit("spec/openapi.yaml", "The site that was asked for.", "The site in question.")
    contract.bump(project / "spec", Version(1, 1, 0))
    comparison = contract.compare(project / "spec", _setup.node_tools().redocly)
    assert contract.version_faults(comparison) == []
    assert contract.notes(comparison) == (
        "Version 1.1.0, after 1.0.0.\n\n"
        "- **Compatible:** `priority` of `submit_dispatch` now allows at most 100, was 99.\n"
        "- **Wording:** The description of `molecule_id` in the reply of `sync_devices` was changed."
    )


def test_the_documents_carry_one_version(run: Run, edit: Callable[..., None], project: Path) -> None:
    edit("spec/asyncapi.yaml", "version: 1.0.0", "version: 1.1.0")
    comparison = contract.compare(project / "spec", _setup.node_tools().redocly)
    (fault,) = contract.version_faults(comparison)
    assert "info.version has to be the same in all documents" in fault
    assert "1.1.0 in spec/asyncapi.yaml" in fault


def test_an_unquoted_comma_stops_at_the_linter_with_line_and_column(
    run: Run, edit: Callable[..., None], project: Path
) -> None:
    faulty = "        note: {type: string, description: What, and why, x-evidence: [api.version_label]}\n"
    edit("spec/openapi.yaml", "        mandatory:\n", f"{faulty}        mandatory:\n")
    line = (project / "spec/openapi.yaml").read_text("utf-8").partition(faulty)[0].count("\n") + 1
    status, said = run("--check")
    assert status == 2
    assert re.search(rf"openapi\.yaml:{line}:\d+", said), said
    assert "and why" in said
    assert "Nothing was written" in said
    assert "ignore-file" not in said  # what the linter says beside its findings would only mislead


def test_a_field_that_does_not_say_how_surely_it_is_known_stops_with_line_and_column(
    run: Run, edit: Callable[..., None], project: Path
) -> None:
    silent = "".join(line for line in NOTE.splitlines(keepends=True) if "x-evidence" not in line)
    edit("spec/openapi.yaml", "        mandatory:\n", f"{silent}        mandatory:\n")
    line = (project / "spec/openapi.yaml").read_text("utf-8").partition(silent)[0].count("\n") + 2
    status, said = run("--bump")
    assert status == 2
    assert (
        f"spec/openapi.yaml:{line}:11 at #/components/schemas/DispatchEvent/properties/note: no x-evi" in said
    )
    assert "Nothing was written" in said


def test_an_unknown_entry_of_the_ledger_stops_with_line_and_column(
    run: Run, edit: Callable[..., None]
) -> None:
    edit("spec/asyncapi.yaml", "x-evidence: [push.timestamp", "x-evidence: [push.timestmap")
    status, said = run("--check")
    assert status == 2
    assert re.search(r"spec/asyncapi\.yaml:\d+:\d+ at #/\S+: .* has no entry 'push.timestmap'", said), said


def test_nothing_that_has_evidence_today_may_lose_it(project: Path) -> None:
    """All of it is taken away at once: each place is named, and no other one."""
    places = set()

    def strip(node: Any, pointer: str) -> Any:
        if isinstance(node, dict):
            if "x-evidence" in node:
                places.add(pointer)
            return {
                key: strip(value, f"{pointer}/{str(key).replace('/', '~1')}")
                for key, value in node.items()
                if key != "x-evidence"
            }
        if isinstance(node, list):
            return [strip(value, f"{pointer}/{index}") for index, value in enumerate(node)]
        return node

    for name in spec_evidence.DOCUMENTS:
        path = project / "spec" / name
        stripped = strip(yaml.safe_load(path.read_text("utf-8")), f"spec/{name}#")
        path.write_text(yaml.safe_dump(stripped), "utf-8")
    found = {
        re.sub(r":\d+:\d+ at #(\S+):.*", r"#\1", line) for line in spec_evidence.faults(project / "spec")
    }
    assert found == places


def test_without_a_record_there_is_nothing_to_compare_with(project: Path) -> None:
    comparison = contract.compare(project / "spec", ["not needed"])
    assert comparison.base is None
    assert contract.version_faults(comparison) == []
