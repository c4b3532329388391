"""Run the tests with the lowest, or the highest, versions of dependencies that pyproject.toml allows.

    python3 scripts/bounds.py lowest [-- PYTEST ARGUMENTS]
    python3 scripts/bounds.py highest [-- PYTEST ARGUMENTS]

The locks hold one set of versions; partners have others. The tools that test are the locked ones. Works in a
temporary environment; needs the package index. Exit status: that of pytest, 2 if versions could not be had.
"""

import _setup

if __name__ == "__main__":
    _setup.ensure("dev")

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

RESOLUTIONS = {"lowest": "lowest-direct", "highest": "highest"}


def tool_pins(root: Path) -> list[str]:
    """The locked versions of what the dev group itself names."""
    groups = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    named = {re.split(r"[^\w.-]", text)[0].lower() for text in groups["dev"] if isinstance(text, str)}
    lock = (root / "scripts" / "locks" / "dev.txt").read_text("utf-8")
    # The line may end in a marker: a package can have one version for old Pythons and one for new ones.
    return [pin for pin, name in re.findall(r"^(([\w.-]+)==.*?) \\\\$", lock, re.MULTILINE) if name in named]


def install(root: Path, folder: Path, which: str) -> Path:
    """Make an environment in `folder` and return its Python."""
    own = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder / "uv"), "uv"]
    subprocess.run(own, check=True)
    uv = str(folder / "uv" / "bin" / ("uv.exe" if sys.platform == "win32" else "uv"))
    venv.create(folder / "env", with_pip=False, symlinks=sys.platform != "win32")
    python = next((folder / "env").glob("[bS]*/python*"))
    (folder / "tools.txt").write_text("\n".join(tool_pins(root)), "utf-8")
    chosen = folder / "chosen.txt"
    what = ["pyproject.toml", "--all-extras", "--group", "dev", "--constraints", str(folder / "tools.txt")]
    how = ["--resolution", RESOLUTIONS[which], "--python", str(python), "--only-binary", ":all:", "--quiet"]
    subprocess.run([uv, "pip", "compile", *what, *how, "--output-file", str(chosen)], cwd=root, check=True)
    into = [uv, "pip", "install", "--python", str(python), "--quiet"]
    subprocess.run([*into, "--requirements", str(chosen)], cwd=root, check=True)
    subprocess.run([*into, "--no-deps", "--no-build-isolation", "--editable", "."], cwd=root, check=True)
    return python


def main(root: Path = _setup.ROOT) -> int:
    """Resolve, install, test."""
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(usage="bounds.py {lowest,highest} [-- PYTEST ARGUMENTS]")
    parser.add_argument("which", choices=RESOLUTIONS)
    which = parser.parse_args(sys.argv[1:cut]).which
    with tempfile.TemporaryDirectory(prefix="mosvpp-bounds-") as folder:
        try:
            python = install(root, Path(folder), which)
        except subprocess.CalledProcessError:  # the command has said why
            return 2
        names = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
        print(f"{which} versions of", ", ".join(re.split(r"[^\w-]", name)[0] for name in names), flush=True)
        tests = [str(python), "-m", "pytest", *sys.argv[cut + 1 :]]
        return subprocess.run(tests, cwd=root, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
