"""generated/ is exactly what spec/ says, and every way of drifting from it is caught and named."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import generation
import regenerate

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tools make of spec/ now."""
    folder = tmp_path_factory.mktemp("fresh") / "generated"
    folder.mkdir()
    generation.generate(regenerate.ROOT, folder)
    return folder


@pytest.fixture
def copy(fresh: Path, tmp_path: Path) -> Path:
    """A copy of the fresh folder, to be spoilt."""
    return shutil.copytree(fresh, tmp_path / "generated")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the script on a copy of spec/ and generated/ in which one text was replaced by another."""

    def run(file: str, old: str, new: str, *arguments: str) -> tuple[int, str]:
        for name in ("spec", "generated", generation.TEMPLATES):
            shutil.copytree(regenerate.ROOT / name, tmp_path / name, dirs_exist_ok=True)
        shutil.copy(regenerate.ROOT / "CHANGELOG.md", tmp_path)
        path = tmp_path / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")
        monkeypatch.setattr("sys.argv", ["regenerate.py", *arguments])
        status = regenerate.main(tmp_path)
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def test_the_folder_is_what_the_specification_says(fresh: Path) -> None:
    assert regenerate.differences(fresh, regenerate.ROOT / "generated") == []


def test_deleting_the_folder_and_running_restores_it_bit_by_bit(
    fresh: Path, run: Run, tmp_path: Path
) -> None:
    status, _ = run("generated/README.md", "# generated/", "# spoilt")
    assert status == 0
    assert regenerate.differences(fresh, tmp_path / "generated") == []


def test_a_hand_edit_is_named(fresh: Path, copy: Path) -> None:
    path = copy / "mosvpp_api" / "types.py"
    path.write_text(path.read_text("utf-8") + "# a thought\n", "utf-8")
    assert regenerate.differences(fresh, copy) == ["differs: generated/mosvpp_api/types.py"]


def test_a_file_that_nothing_generates_is_named(fresh: Path, copy: Path) -> None:
    (copy / "mosvpp_api" / "old_model.py").touch()
    assert regenerate.differences(fresh, copy) == ["not generated: generated/mosvpp_api/old_model.py"]


def test_a_missing_file_is_named(fresh: Path, copy: Path) -> None:
    (copy / "mosvpp_events" / "events.py").unlink()
    assert regenerate.differences(fresh, copy) == ["missing: generated/mosvpp_events/events.py"]


def test_a_changed_description_is_drift_that_names_the_file_and_the_remedy(run: Run) -> None:
    status, said = run(
        "spec/openapi.yaml", "The site that was asked for.", "The site in question.", "--check"
    )
    assert status == 1
    assert "differs: generated/mosvpp_api/models/device_sync_reply.py" in said
    assert "python3 scripts/regenerate.py" in said


def test_a_changed_maximum_is_drift_although_no_python_changes(run: Run) -> None:
    status, said = run("spec/openapi.yaml", "maximum: 99", "maximum: 98", "--check")
    assert status == 1
    assert "differs: generated/mosvpp_api/openapi.json" in said


@pytest.mark.parametrize(
    ("file", "old"),
    [
        ("spec/openapi.yaml", "#/components/schemas/PowerUnit"),
        ("spec/asyncapi.yaml", "#/components/schemas/DeviceReading"),
    ],
)
def test_a_dangling_reference_stops_everything(run: Run, file: str, old: str) -> None:
    status, said = run(file, f'"{old}"', f'"{old}s"', "--check")
    assert status == 2
    assert f"{old}s" in said
    assert "Nothing was written" in said


def test_a_fault_that_only_the_linter_sees_stops_everything(run: Run) -> None:
    status, said = run(
        "spec/openapi.yaml", "operationId: sync_devices", "operationId: submit_dispatch", "--check"
    )
    assert status == 2
    assert "Lint failed" in said


def test_an_unknown_evidence_id_stops_everything(run: Run) -> None:
    status, said = run("spec/asyncapi.yaml", "push.timestamp", "push.timestmap", "--check")
    assert status == 2
    assert "push.timestmap" in said


def test_each_file_says_where_it_comes_from_and_how_to_make_it(fresh: Path) -> None:
    files = list(fresh.rglob("*.py"))
    assert files
    for path in files:
        document = generation.DOCUMENTS[path.relative_to(fresh).parts[0]]
        first = path.read_text("utf-8").splitlines()[0]
        assert f"spec/{document}.yaml" in first
        assert generation.COMMAND in first


def test_provenance_lists_every_file(fresh: Path) -> None:
    listed = json.loads((fresh / "provenance.json").read_text("utf-8"))["files"]
    assert listed == sorted(generation.files_of(fresh))


def test_no_class_has_two_homes(fresh: Path) -> None:
    def classes(package: str) -> set[str]:
        modules = [ast.parse(path.read_text("utf-8")) for path in (fresh / package).rglob("*.py")]
        return {
            node.name for module in modules for node in ast.walk(module) if isinstance(node, ast.ClassDef)
        }

    assert classes("mosvpp_api")
    assert classes("mosvpp_events")
    assert not classes("mosvpp_api") & classes("mosvpp_events")


def test_no_reference_leaves_the_bundled_documents(fresh: Path) -> None:
    for package, document in generation.DOCUMENTS.items():
        text = (fresh / package / f"{document}.json").read_text("utf-8")
        references = [line for line in text.splitlines() if '"$ref"' in line]
        assert references
        assert all('"#/' in line for line in references)
