"""Choose the newest allowed version of every dependency anew: writes scripts/locks/*.txt and the npm lock.

    python3 scripts/lock.py

What may be chosen stands in pyproject.toml (dependencies, extras, groups) and in scripts/node/package.json.
"""

import _setup

if __name__ == "__main__":
    _setup.ensure("dev")

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OPTIONS = [
    *("--upgrade", "--universal", "--python-version", "3.11", "--only-binary", ":all:", "--generate-hashes"),
    # No registry's address, and no comments that change with the way the command is written.
    *("--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header", "--quiet"),
]
# dev comes first and bounds run, so that a package has the same version in both.
LOCKS = {
    "dev": ["pyproject.toml", "--all-extras", "--group", "dev"],
    "run": ["pyproject.toml", "--all-extras", "--group", "build", "--constraints", "scripts/locks/dev.txt"],
    "node": ["--group", "node"],
}


def main() -> None:
    """Write every lock; a failing command ends with its own words."""
    with tempfile.TemporaryDirectory() as folder:
        # uv resolves for all systems at once, which pip does not. Nothing else needs it, so it is not locked.
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder]
        subprocess.run([*pip, "uv"], check=True)
        uv = Path(folder, "bin", "uv.exe" if sys.platform == "win32" else "uv")
        for name, what in LOCKS.items():
            compiled = [
                str(uv),
                "pip",
                "compile",
                *OPTIONS,
                *what,
                "--output-file",
                f"scripts/locks/{name}.txt",
            ]
            subprocess.run(compiled, cwd=_setup.ROOT, check=True)
        # Elsewhere, because beside node_modules npm leaves out the hashes of what is installed there.
        shutil.copy(_setup.NODE / "package.json", folder)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        npm = [
            *_setup.node_tools().npm,
            "install",
            "--package-lock-only",
            "--omit-lockfile-registry-resolved",
        ]
        subprocess.run([*npm, *quiet], cwd=folder, check=True)
        shutil.copy(Path(folder, "package-lock.json"), _setup.NODE)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
