"""A release is made from a clean, checked tree, says what changed, and leaves everything green."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import _setup
import build
import changelog
import contract
import release
from contract_diff import read_contract
from versions import Version

Run = Callable[..., tuple[int, str]]
PASSES = [sys.executable, "-c", "pass"]


def git(root: Path, *arguments: str) -> str:
    who = [
        "-c",
        "user.name=A Person",
        "-c",
        "user.email=person@example.invalid",
        "-c",
        "commit.gpgsign=false",
    ]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "All of it")


@pytest.fixture
def repository(project: Path) -> Path:
    release.baseline(project)
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project)
    return project


@pytest.fixture
def run(repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run release.py in the repository, with one check that passes in place of the many."""
    monkeypatch.setattr(release, "CHECKS", [PASSES[1:]])

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["release.py", *arguments])
        status = release.main(repository)
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def test_a_dry_run_shows_what_it_would_write_and_writes_nothing(run: Run, repository: Path) -> None:
    status, said = run("0.1.0", "--dry-run")
    assert status == 0, said
    for file in (
        "CHANGELOG.md",
        "pyproject.toml",
        "spec/released/python-api.json",
        "spec/released/1.0.0/openapi.yaml",
    ):
        assert file in said
    assert git(repository, "status", "--porcelain") == ""


def test_the_first_release_and_the_next(run: Run, repository: Path) -> None:
    status, said = run("0.1.0")
    assert status == 0, said
    assert "git tag v0.1.0" in said
    history = (repository / "CHANGELOG.md").read_text("utf-8")
    assert changelog.release_notes(history, "0.1.0").startswith("### Contract\n\nThe first version, 1.0.0.")
    assert "### SDK" in changelog.release_notes(history, "0.1.0")
    assert changelog.sdk_notes(history) == ""
    comparison = contract.compare(repository / "spec", _setup.node_tools().redocly)
    assert changelog.with_contract(history, contract.notes(comparison)) == history
    assert contract.version_faults(comparison) == []
    record = json.loads((repository / "spec/released/python-api.json").read_text("utf-8"))
    assert record["version"] == "0.1.0"
    assert "mosvpp.Client.submit_dispatch" in record["names"]
    commit(repository)

    status, said = run("0.1.1")
    assert status == 1
    assert "what will users notice?" in said
    (repository / "CHANGELOG.md").write_text(
        history.replace(changelog.NOTHING_YET, "- Better words."), "utf-8"
    )
    spec = repository / "spec/openapi.yaml"
    spec.write_text(spec.read_text("utf-8").replace("maximum: 99", "maximum: 98"), "utf-8")
    contract.bump(repository / "spec", Version(2, 0, 0))
    commit(repository)

    status, said = run("0.1.1")
    assert status == 1
    assert "After 0.1.0 this has to be 0.2.0 or higher, not 0.1.1." in said
    assert "`priority` of `submit_dispatch` now allows at most 98" in said
    status, said = run("0.2.0")
    assert status == 0, said
    assert sorted(path.name for path in (repository / "spec/released").iterdir()) == [
        "1.0.0",
        "2.0.0",
        "python-api.json",
    ]
    assert tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]["version"] == "0.2.0"
    status, said = run("--baseline")
    assert status == 1
    assert "what is recorded stays" in said


def test_a_dirty_tree_is_refused(run: Run, repository: Path) -> None:
    ledger = repository / "spec/evidence.yaml"
    ledger.write_bytes(ledger.read_bytes() + b"\n")
    status, said = run("0.1.0")
    assert status == 1
    assert "spec/evidence.yaml" in said
    (repository / "new.txt").touch()
    git(repository, "checkout", "--", "spec")
    assert run("0.1.0")[0] == 1


def test_a_failing_check_is_refused_and_nothing_is_written(
    run: Run, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "CHECKS", [PASSES[1:], ["-c", "raise SystemExit(1)"]])
    status, said = run("0.1.0")
    assert status == 1
    assert "failed" in said
    assert git(repository, "status", "--porcelain") == ""


def test_a_version_below_the_contract_is_refused(run: Run, repository: Path) -> None:
    spec = repository / "spec/openapi.yaml"
    spec.write_text(spec.read_text("utf-8").replace("maximum: 99", "maximum: 98"), "utf-8")
    commit(repository)
    status, said = run("0.1.0", "--dry-run")
    assert status == 1
    assert "asks for version 2.0.0 or higher, but info.version is 1.0.0" in said


def test_before_the_first_release_the_baseline_follows_the_documents(run: Run, repository: Path) -> None:
    spec = repository / "spec/openapi.yaml"
    spec.write_text(spec.read_text("utf-8").replace("maximum: 99", "maximum: 98"), "utf-8")
    assert "spec/released/1.0.0/openapi.yaml" in run("--baseline")[1]
    assert contract.compare(repository / "spec", ["not needed"]).changes == []
    contract.bump(repository / "spec", Version(1, 0, 1))
    assert run("--baseline")[0] == 0
    assert [path.name for path in (repository / "spec/released").iterdir()] == ["1.0.1"]


def test_what_is_not_there_is_said(run: Run) -> None:
    for arguments in ((), ("0.1.0", "--baseline"), ("one",)):
        with pytest.raises(SystemExit) as stopped:
            run(*arguments)
        assert stopped.value.code == 2


def test_two_builds_of_one_commit_are_the_same_and_carry_the_contract(repository: Path) -> None:
    build.build_packages(repository, repository / "dist")  # raises if a second build differs
    (wheel,) = (repository / "dist").glob("*.whl")
    assert any(file.suffix == ".gz" for file in (repository / "dist").iterdir())
    with zipfile.ZipFile(wheel) as archive:
        document = json.loads(archive.read("mosvpp_api/openapi.json"))
    assert document["info"]["version"] == read_contract(repository / "spec").versions["openapi.yaml"]


def test_the_package_knows_its_contract() -> None:
    import mosvpp

    assert read_contract(_setup.ROOT / "spec").versions["openapi.yaml"] == mosvpp.CONTRACT_VERSION


def test_the_list_of_contents_names_what_is_locked(repository: Path, tmp_path: Path) -> None:
    build.write_sbom(repository, tmp_path / "sbom.json")
    listed = {each["name"] for each in json.loads((tmp_path / "sbom.json").read_text("utf-8"))["components"]}
    assert {"httpx", "attrs", "msgspec"} <= listed


def test_a_tag_that_does_not_fit_is_refused(repository: Path) -> None:
    with pytest.raises(build.RefusedError, match="The tag is v9"):
        build.notes_for(repository, "v9.9.9")
    with pytest.raises(changelog.ChangelogError):  # the version fits, but nothing has been released
        build.notes_for(repository, f"v{build.python_api.project_version(repository)}")
