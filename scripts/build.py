"""Build what is published, into dist/: the same bytes for the same commit, whoever builds.

    python3 scripts/build.py                 packages/*, sbom.cdx.json
    python3 scripts/build.py --tag v0.2.0    the same for a release, and notes.md; the tag has to fit

Exit status: 0 built, 1 refused, 2 a tool failed.
"""

import _setup

if __name__ == "__main__":
    _setup.ensure("dev")

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import changelog
import python_api

TARGETS = ["wheel", "sdist"]


class RefusedError(Exception):
    """Nothing is to be published; the text says why."""


def build_packages(root: Path, into: Path) -> None:
    """Build wheel and source distribution; files in them carry the time of the last commit.

    Raises:
        RefusedError: a second build gives other bytes.

    """
    into.mkdir(parents=True)
    epoch = subprocess.run(
        _git("log", "-1", "--format=%ct"), cwd=root, capture_output=True, text=True, check=True
    )
    environment = os.environ | {"SOURCE_DATE_EPOCH": epoch.stdout.strip()}
    with tempfile.TemporaryDirectory() as again:
        for folder in (into, Path(again)):
            for target in TARGETS:
                command = [
                    sys.executable,
                    "-m",
                    "hatchling",
                    "build",
                    "--target",
                    target,
                    "--directory",
                    str(folder),
                ]
                subprocess.run(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, check=True)
        for built in sorted(into.iterdir()):
            if _hash(built) != _hash(Path(again) / built.name):
                raise RefusedError(f"Building {built.name} twice gives different bytes.")


def write_sbom(root: Path, file: Path) -> None:
    """List what the packages bring along when all extras are installed, with hashes, as CycloneDX."""
    program = [sys.executable, "-m", "cyclonedx_py", "requirements", "scripts/locks/run.txt"]
    options = ["--pyproject", "pyproject.toml", "--mc-type", "library", "--output-reproducible"]
    command = [*program, *options, "--output-format", "JSON", "--output-file", str(file)]
    subprocess.run(command, cwd=root, check=True)


def notes_for(root: Path, tag: str) -> str:
    """What CHANGELOG.md says of the tagged version.

    Raises:
        RefusedError: the tag is not the version that is here.

    """
    version = python_api.project_version(root)
    if tag != f"v{version}":
        raise RefusedError(
            f"The tag is {tag}, but pyproject.toml says {version}: tag what release.py prepared."
        )
    return changelog.release_notes((root / "CHANGELOG.md").read_text("utf-8"), str(version))


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _git(*arguments: str) -> list[str]:
    return [shutil.which("git") or "git", *arguments]


def main(root: Path = _setup.ROOT) -> int:
    """Build into dist/, which is emptied first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tag", help="the tag of the release, for example v0.2.0")
    tag = parser.parse_args().tag
    dist = root / "dist"
    try:
        notes = notes_for(root, tag) if tag else ""
        shutil.rmtree(dist, ignore_errors=True)
        build_packages(root, dist / "packages")
        write_sbom(root, dist / "sbom.cdx.json")
        if tag:
            (dist / "notes.md").write_bytes(notes.encode())
    except (RefusedError, changelog.ChangelogError) as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except (OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    for file in sorted(path for path in dist.rglob("*") if path.is_file()):
        print(f"{_hash(file)}  {file.relative_to(root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
