"""The fixtures that pytest gets from the SDK, in projects of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "spec" / "docs" / "partner"


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    return subprocess.run(
        # Only this plugin: others of this project's environment import a great deal.
        [sys.executable, "-m", "pytest", "-q", "-p", "mosvpp_sandbox.pytest_plugin", *arguments],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_sample_project_of_the_guide_passes_its_tests(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "partner", ignore=shutil.ignore_patterns("__pycache__"))
    ran = run_pytest(tmp_path / "partner")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "5 passed" in ran.stdout


def test_a_wrong_partner_fails_them(tmp_path: Path) -> None:
    """The control: a receiver that believes everybody."""
    folder = tmp_path / "partner"
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    program = (folder / "partner.py").read_text()
    assert "401 Unauthorized" in program
    (folder / "partner.py").write_text(program.replace("401 Unauthorized", "200 OK"))
    ran = run_pytest(folder)
    assert ran.returncode == 1
    assert "2 failed, 3 passed" in ran.stdout


def test_nothing_is_imported_before_a_fixture_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_light.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    heavy = {'mosvpp', 'mosvpp_api', 'httpx', 'starlette', 'uvicorn', 'msgspec', 'attrs'}\n"
        "    assert not heavy & sys.modules.keys()\n"
        "def test_control(mosvpp_sandbox):\n"
        "    assert {'mosvpp', 'starlette'} <= sys.modules.keys()\n"
    )
    ran = run_pytest(tmp_path)
    assert ran.returncode == 0, ran.stdout


def test_pytest_finds_them_by_itself() -> None:
    assert "mosvpp_sandbox.pytest_plugin" in {one.value for one in entry_points(group="pytest11")}


def test_the_fixtures_are_listed_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "test_none.py").touch()
    said = run_pytest(tmp_path, "--fixtures").stdout
    for name in ("sandbox", "site", "clock", "webhooks", "webhook_headers", "sandbox_options"):
        assert f"mosvpp_{name} --" in said
