"""scripts/_setup.py, run for real on a small project without dependencies, so that no network is needed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"
STARTED_BY_PEOPLE = sorted(
    file for file in SCRIPTS.glob("*.py") if "import _setup" in file.read_text("utf-8")
)

HELLO = """
import _setup

if __name__ == "__main__":
    _setup.ensure("run")

import sys
import tiny

print(sys.prefix, tiny.__file__, *sys.argv[1:], sep="\\n")
sys.exit(7)
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tiny"
version = "1"

[tool.hatch]
"""
BACKEND = """
import zipfile
from pathlib import Path

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(Path(folder, "tiny-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("tiny.pth", str(Path.cwd()))
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "tiny.pth,,\\n")
    return "tiny-1-py3-none-any.whl"
"""
WITHOUT_ENSUREPIP = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "ensurepip":
            raise ModuleNotFoundError("No module named 'ensurepip'")

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    files = {
        "scripts/_setup.py": (SCRIPTS / "_setup.py").read_text("utf-8"),
        "scripts/hello.py": HELLO,
        "scripts/locks/run.txt": "# nothing\n",
        "scripts/locks/dev.txt": "# nothing\n",
        "pyproject.toml": PYPROJECT,
        "backend.py": BACKEND,
        "tiny.py": "",
        "site/sitecustomize.py": WITHOUT_ENSUREPIP,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


def hello(root: Path, *arguments: str, ensurepip: bool = False) -> subprocess.CompletedProcess[str]:
    """Start the script with the Python that made the environment in which the tests run.

    Without ensurepip a set-up takes 1 s instead of 3.
    """
    python = sys._base_executable
    site = {} if ensurepip else {"PYTHONPATH": str(root / "site")}
    return subprocess.run(
        [python, root / "scripts" / "hello.py", *arguments],
        env={**os.environ, **site, "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def expected(root: Path, *arguments: str) -> str:
    return "\n".join([str(root / ".venv"), str(root / "tiny.py"), *arguments, ""])


def own_pip(root: Path) -> list[Path]:
    return list((root / ".venv").glob("[bS]*/pip*"))


def test_a_script_goes_on_inside_with_its_arguments_and_its_exit_code(project: Path) -> None:
    first = hello(project, "--json", "two words", ensurepip=True)
    assert (first.stdout, first.returncode) == (expected(project, "--json", "two words"), 7), first.stderr
    assert first.stderr.startswith("setting up .venv (once")
    assert own_pip(project)

    second = hello(project)
    assert (second.stdout, second.stderr, second.returncode) == (expected(project), "", 7)


def test_a_python_without_ensurepip_lends_its_own_pip(project: Path) -> None:
    done = hello(project)
    assert done.stdout == expected(project), done.stderr
    assert not own_pip(project)


def test_a_failing_installation_tells_what_pip_said_and_what_to_do(project: Path) -> None:
    (project / "scripts" / "locks" / "run.txt").write_text("absent==1.0 --hash=sha256:" + 64 * "0", "utf-8")
    done = hello(project)
    assert (done.stdout, done.returncode) == ("", 2)
    assert "No matching distribution found for absent==1.0" in done.stderr
    assert "start the script again" in done.stderr


def test_two_scripts_started_at_once_set_up_once(project: Path) -> None:
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda name: hello(project, name), ["a", "b"]))
    assert [done.stdout for done in both] == [expected(project, "a"), expected(project, "b")]
    assert sum("setting up .venv" in done.stderr for done in both) == 1


def test_a_moved_or_damaged_environment_is_made_anew_and_a_changed_one_completed(project: Path) -> None:
    hello(project)
    moved = project.rename(project.with_name("moved"))
    assert hello(moved).stdout == expected(moved)

    for python in (moved / ".venv").glob("[bS]*/python*"):
        python.unlink()
    assert hello(moved).stdout == expected(moved)

    (moved / "scripts" / "locks" / "run.txt").write_text("# another nothing", "utf-8")
    assert [hello(moved).stderr[:16] for _ in range(2)] == ["setting up .venv", ""]


def test_a_folder_that_is_no_environment_is_left_alone(project: Path) -> None:
    mine = project / ".venv" / "mine.txt"
    mine.parent.mkdir()
    mine.touch()
    done = hello(project)
    assert (done.stdout, done.returncode) == ("", 2)
    assert "move it elsewhere" in done.stderr
    assert mine.exists()


@pytest.mark.parametrize("file", STARTED_BY_PEOPLE, ids=lambda file: file.name)
def test_an_old_python_can_read_each_script_far_enough_to_say_that_it_is_old(file: Path) -> None:
    """Python 3.6 compiles the whole file before it runs the first line."""
    tree = ast.parse(file.read_text("utf-8"), feature_version=(3, 6))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not [node for node in imports if node.module == "__future__"], "annotations: unknown to Python 3.6"
