"""Schemathesis against a running sandbox: what the specification allows, what it does not, and sequences."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mosvpp_sandbox import Sandbox

HERE = Path(__file__).parent
DOCUMENT = json.loads(
    (HERE.parents[2] / "generated" / "mosvpp_api" / "openapi.json").read_text(encoding="utf-8")
)
BASE = "/v1/api/gateway"


def linked(document: dict[str, Any]) -> dict[str, Any]:
    """The specification with the links that its Arazzo workflow has in words: sync, then act on that site."""
    made = copy.deepcopy(document)
    operations = {
        operation["operationId"]: operation
        for path in made["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict) and "operationId" in operation
    }
    assert operations.keys() == {"sync_devices", "submit_dispatch", "submit_site_command"}
    for name in operations:
        operations[name]["responses"]["200"]["links"] = {
            f"{name}_then_{after}": {
                "operationId": after,
                "parameters": {"path.molecule_id": "$response.body#/molecule_id"},
            }
            for after in operations
        }
    return made


def run(vpp: Sandbox, folder: Path, key: str, *options: str) -> subprocess.CompletedProcess[str]:
    file = folder / "openapi.json"
    file.write_text(json.dumps(linked(DOCUMENT)), encoding="utf-8")
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(file), "--url", vpp.url + BASE),
            *("-H", f"X-API-Key: {key}", "--generation-deterministic", "--no-color", *options),
        ],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "allowed_by_the_rules", "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--phases", "examples,coverage", "--mode", "all", "-n", "1"),
        ("--phases", "fuzzing", "--mode", "positive", "-n", "40"),
        ("--phases", "fuzzing", "--mode", "negative", "-n", "40"),
        ("--phases", "stateful", "--mode", "all", "-n", "15"),
    ],
    ids=["coverage", "valid", "invalid", "stateful"],
)
def test_the_sandbox_keeps_the_specification(tmp_path: Path, options: tuple[str, ...]) -> None:
    with Sandbox() as vpp:
        ran = run(vpp, tmp_path, vpp.api_key, *options)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr
    assert re.search(r"\d+ generated, \d+ found|\d+ generated, \d+ passed", ran.stdout), ran.stdout[-3000:]
    assert "Failures:" not in ran.stdout


def test_a_sandbox_that_does_not_is_found(tmp_path: Path) -> None:
    """The control: one of its faults is an answer in HTML, which the specification does not have."""
    with Sandbox(faults=["error_html"]) as vpp:
        ran = run(vpp, tmp_path, vpp.api_key, "--phases", "examples", "-n", "1")
    assert ran.returncode == 1
    assert "Failures:" in ran.stdout
