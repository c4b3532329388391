"""scripts/_setup.py and what relies on it: old Pythons, no ensurepip, two at once, moved folders."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = ROOT / "scripts"
STARTED_BY_PEOPLE = sorted(
    file for file in SCRIPTS.glob("*.py") if "import _setup" in file.read_text("utf-8")
)


@pytest.mark.parametrize("file", STARTED_BY_PEOPLE, ids=lambda file: file.name)
def test_an_old_python_can_read_each_script_far_enough_to_say_that_it_is_old(file: Path) -> None:
    """Python 3.6 compiles the whole file before it runs the first line."""
    tree = ast.parse(file.read_text("utf-8"), feature_version=(3, 6))
    future = [
        node.names[0].name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert future == [], "unknown to Python 3.6"
