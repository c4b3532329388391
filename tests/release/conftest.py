"""A project to change and release: a copy of this one, without what tools leave behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ("spec", "generated", "wrapper", "scripts/templates", "scripts/locks")
FILES = ("CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", ".gitignore")

Edit = Callable[[str, str, str], None]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The copy; its present documents are the baseline."""
    root = tmp_path / "project"
    leftovers = shutil.ignore_patterns("__pycache__", "released")
    for part in PARTS:
        shutil.copytree(ROOT / part, root / part, ignore=leftovers)
    for file in FILES:
        shutil.copy(ROOT / file, root / file)
    return root


@pytest.fixture
def edit(project: Path) -> Edit:
    """Replace one text in one file of the copy."""

    def replace(file: str, old: str, new: str) -> None:
        text = (project / file).read_text("utf-8")
        assert text.count(old) >= 1, f"{file} has no {old!r}"
        (project / file).write_bytes(text.replace(old, new, 1).encode())

    return replace
