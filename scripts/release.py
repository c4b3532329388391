"""Make a release: check everything, then write what a release changes; commit, tag and push stay with you.

    python3 scripts/release.py 0.2.0              checks, then writes
    python3 scripts/release.py 0.2.0 --dry-run    checks, then shows what it would write
    python3 scripts/release.py --baseline         before the first release: record what is compared with

It refuses a dirty tree, a failing check, an empty *SDK* part of the changelog, and a version that is too
low for what changed in the contract or in the public Python names. Exit status: 0 done, 1 refused, 2
something failed.
"""

import _setup

if __name__ == "__main__":
    _setup.ensure("dev")

import argparse
import datetime as dt
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

import changelog
import contract
import python_api
from contract_diff import DOCUMENTS, DiffError, read_contract
from python_api_changes import api_changes
from versions import Impact, Version

ROOT = Path(__file__).resolve().parent.parent
CHECKS = [["scripts/regenerate.py", "--check"], ["scripts/test.py"]]  # the quick one first


class RefusedError(Exception):
    """There will be no release; the text says why and what to do."""


class Plan(NamedTuple):
    """What a release writes, by path below the root, and the folders that it removes."""

    files: dict[str, bytes]
    removed: list[str]


def refuse_a_dirty_tree(root: Path) -> None:
    """A release is made from what is committed."""
    status = [shutil.which("git") or "git", "status", "--porcelain"]
    dirty = subprocess.run(status, cwd=root, capture_output=True, text=True, check=True).stdout
    if dirty:
        raise RefusedError(
            f"These files differ from the last commit: commit them, or put them away.\n\n{dirty.rstrip()}"
        )


def refuse_failing_checks(root: Path) -> None:
    """Run every check of the project."""
    for check in CHECKS:
        print(f"… {' '.join(check)}", flush=True)
        if subprocess.run([sys.executable, *check], cwd=root, check=False).returncode:
            raise RefusedError(f"python3 {' '.join(check)} failed, see above.")


def plan(root: Path, version: Version, day: str, redocly: list[str]) -> Plan:
    """What the release will write, if nothing speaks against this version.

    Raises:
        RefusedError: something does.

    """
    comparison = contract.compare(root / "spec", redocly)
    faults = contract.version_faults(comparison)
    if faults:
        raise RefusedError("\n".join(faults))
    last = python_api.recorded(root)
    if last:
        _refuse_too_low(version, *last, comparison, root)
    text = (root / "CHANGELOG.md").read_text("utf-8")
    if not changelog.sdk_notes(text):
        raise RefusedError("CHANGELOG.md says nothing under Unreleased, SDK: what will users notice?")
    now = next(iter(comparison.current.versions.values()))
    project = (root / "pyproject.toml").read_text("utf-8")
    files = {
        "pyproject.toml": re.sub(
            r'(?m)^version = ".*"$', f'version = "{version}"', project, count=1
        ).encode(),
        "CHANGELOG.md": changelog.with_release(
            text, str(version), day, f"No change: version {now}."
        ).encode(),
        python_api.RECORD.as_posix(): python_api.record_of(root, version).encode(),
    }
    record = record_contract(root)
    return Plan({**files, **record.files}, record.removed)


def _refuse_too_low(
    version: Version, before: Version, names: python_api.Names, comparison: contract.Comparison, root: Path
) -> None:
    changes = api_changes(names, python_api.read_names(root))
    # Who takes a new SDK gets its contract with it: what breaks in the one breaks in the other.
    impact = max(Impact.PATCH, comparison.impact, *(change.impact for change in changes))
    needed = before.after(impact)
    if version < needed:
        gravest = [change.sentence for change in [*comparison.changes, *changes] if change.impact == impact]
        reasons = "".join(f"\n  {sentence}" for sentence in gravest)
        raise RefusedError(
            f"After {before} this has to be {needed} or higher, not {version}.\n{reasons}".rstrip()
        )


def record_contract(root: Path) -> Plan:
    """The documents as a version of spec/released/; a baseline, which nobody has, makes room for it."""
    spec = root / "spec"
    version = next(iter(read_contract(spec).versions.values()))
    files = {f"spec/released/{version}/{name}": (spec / name).read_bytes() for name in DOCUMENTS}
    base = None if python_api.recorded(root) else contract.newest(spec / "released")
    return Plan(files, [f"spec/released/{base}"] if base and str(base) != version else [])


def write(root: Path, made: Plan) -> list[str]:
    """Write the plan and return what changed by it."""
    changed = [path for path in made.removed if (root / path).exists()]
    for path in changed:
        shutil.rmtree(root / path)
    for path, content in sorted(made.files.items()):
        file = root / path
        if not file.exists() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            changed.append(path)
    return changed


def baseline(root: Path) -> list[str]:
    """Record the contract before the first release, as often as it takes.

    Raises:
        RefusedError: there has been a release, so that somebody has what is recorded.

    """
    if python_api.recorded(root):
        raise RefusedError(
            "There has been a release: what is recorded stays. A changed contract gets a new version."
        )
    return write(root, record_contract(root))


def release(root: Path, version: Version, redocly: list[str], *, dry: bool) -> None:
    """Check and write, or show."""
    refuse_a_dirty_tree(root)
    day = dt.datetime.now(dt.UTC).date().isoformat()
    made = plan(root, version, day, redocly)  # before the checks: these take minutes
    refuse_failing_checks(root)
    if dry:
        print(f"\nNothing was written. The release of {version} would write:\n")
        print(
            *(f"  {path}" for path in sorted(made.files)),
            *(f"  {path}/ (removed)" for path in made.removed),
            sep="\n",
        )
        return
    print(f"\nWritten for {version}:\n", *(f"  {path}" for path in write(root, made)), sep="\n")
    print(
        "\nLook at it with `git diff`, then:\n",
        f'  git add --all && git commit --message "Release {version}"',
        f"  git tag v{version} && git push && git push origin v{version}",
        "\nThe tag starts .github/workflows/release.yml, which publishes after your approval.",
        sep="\n",
    )


def main(root: Path = ROOT) -> int:
    """Read the command line; see the top of the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("version", nargs="?", type=Version.read, help="of the SDK, for example 0.2.0")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    parser.add_argument(
        "--baseline", action="store_true", help="record the contract, before the first release only"
    )
    arguments = parser.parse_args()
    if bool(arguments.version) == arguments.baseline:
        parser.error("give a version, or --baseline")
    try:
        if arguments.baseline:
            print("Recorded:", *(f"  {path}" for path in baseline(root) or ["nothing new"]), sep="\n")
        else:
            release(root, arguments.version, _setup.node_tools().redocly, dry=arguments.dry_run)
    except RefusedError as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except (contract.ContractError, DiffError, changelog.ChangelogError, _setup.SetupError) as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, yaml.YAMLError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
