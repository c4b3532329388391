"""The shape of the repository: who imports whom, what lies where, what is never written down."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

TOP_LEVEL = {
    # what the project is
    *{"README.md", "generated", "pyproject.toml", "scripts", "spec", "tests", "wrapper"},
    # what tools look for at the root
    *{"CHANGELOG.md", "LICENSE"},
    *{".ci", ".editorconfig", ".gitattributes", ".github", ".gitignore", ".pre-commit-config.yaml"},
}
NAMES_THAT_SAY_NOTHING = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

# Written so that these patterns do not find themselves.
FOREIGN_PATH = re.compile(r"(?<![\w.~}*/-])/(?:home|Users|root|tmp|work|private|mnt|farm)/\w")
REGISTRY = re.compile(
    r"\b(?:pypi|test\.pypi)\.org\b|\bpythonhosted\.org\b|\bregistry\.(?:npmjs\.org|yarnpkg)\b"
)


def tracked() -> list[Path]:
    """Every file that is, or would be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file()]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {file.relative_to(ROOT).as_posix(): file.read_text("utf-8", "replace") for file in tracked()}


def test_imports_follow_the_contracts() -> None:
    """A new module of mosvpp gets a place among the layers in pyproject.toml, as low as its imports allow."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_top_level_holds_only_what_belongs_there() -> None:
    entries = {file.relative_to(ROOT).parts[0] for file in tracked()}
    assert entries == TOP_LEVEL


def test_module_names_say_what_is_inside() -> None:
    ours = [file for file in tracked() if file.suffix == ".py" and "generated" not in file.parts]
    assert ours
    assert [file for file in ours if file.stem.strip("_") in NAMES_THAT_SAY_NOTHING] == []


@pytest.mark.parametrize("pattern", [FOREIGN_PATH, REGISTRY], ids=["path of one machine", "package registry"])
def test_no_file_names_a_place_that_others_do_not_have(
    texts: dict[str, str], pattern: re.Pattern[str]
) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("see /" + "home/ann/x", FOREIGN_PATH),
        ("'/" + "tmp/x'", FOREIGN_PATH),
        ("https://pypi." + "org/x", REGISTRY),
    ],
)
def test_the_patterns_find_what_they_are_for(line: str, pattern: re.Pattern[str]) -> None:
    assert pattern.search(line)


def test_every_locked_package_has_a_hash_and_no_address() -> None:
    """Whatever mirror a package comes from, its bytes are the ones that were locked."""
    node = json.loads((ROOT / "scripts" / "node" / "package-lock.json").read_text("utf-8"))["packages"]
    packages = {name: entry for name, entry in node.items() if name}
    assert packages
    assert [name for name, entry in packages.items() if "integrity" not in entry or "resolved" in entry] == []

    for lock in (ROOT / "scripts" / "locks").glob("*.txt"):
        entries = re.split(r"\n(?=\S)", lock.read_text("utf-8").strip())
        assert [
            entry for entry in entries if not re.match(r"\S+==\S+ .*--hash=sha256:", entry, re.DOTALL)
        ] == []
