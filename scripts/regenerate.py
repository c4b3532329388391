"""Write what follows from spec/: lint, generate, compare with the last release, write the change notes.

    python3 scripts/regenerate.py                  writes generated/ and the Contract part of CHANGELOG.md
    python3 scripts/regenerate.py --check          writes nothing; compares byte for byte
    python3 scripts/regenerate.py --bump           gives the contract the version that it needs, first
    python3 scripts/regenerate.py --notes FILE     also writes the change notes to a file

Exit status: 0 all is as it should be, 1 something is stale or info.version is too low for what has
changed (the files, the changes and the mending command are named), 2 spec/ or a tool is at fault and
nothing was written.
"""

import _setup

if __name__ == "__main__":
    _setup.ensure("dev")

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

import changelog
import contract
from contract_diff import DiffError
from generation import COMMAND, StepFailedError, files_of, generate, lint

ROOT = Path(__file__).resolve().parent.parent
FAILURES = (
    *(StepFailedError, OSError, yaml.YAMLError, _setup.SetupError),
    *(contract.ContractError, DiffError, changelog.ChangelogError),
)


def differences(fresh: Path, present: Path) -> list[str]:
    """How the folder that is there differs from a fresh one, a line for each file."""
    new, old = files_of(fresh), files_of(present)
    missing = [f"missing: generated/{name}" for name in new.keys() - old.keys()]
    extra = [f"not generated: generated/{name}" for name in old.keys() - new.keys()]
    both = new.keys() & old.keys()
    differing = [name for name in both if new[name].read_bytes() != old[name].read_bytes()]
    return sorted([*missing, *extra, *(f"differs: generated/{name}" for name in differing)])


def run_chain(root: Path, fresh: Path, *, bump: bool = False) -> contract.Comparison:
    """Generate into the empty folder `fresh`, and compare the contract with its newest recorded version."""
    spec, redocly = root / "spec", _setup.node_tools().redocly
    if bump:
        lint(spec, redocly)
        contract.bump(spec, contract.compare(spec, redocly).needed)
    generate(root, fresh)
    return contract.compare(spec, redocly)


def report(stale: list[str], faults: list[str], *, check: bool) -> int:
    """Say what was stale and what is wrong with the version; return the exit status."""
    if stale and check:
        lines = ["This is not what spec/ says:", "", *stale, "", f"To mend it: {COMMAND}"]
        print(*lines, sep="\n", file=sys.stderr)
    elif stale:
        print("Written afresh, because of what was there before:", "", *stale, sep="\n")
    elif not faults:
        print("generated/ and the change notes are what spec/ says.")
    for fault in faults:
        print(*[""] * bool(stale), fault, sep="\n", file=sys.stderr)
    return 1 if faults or (stale and check) else 0


def main(root: Path = ROOT) -> int:
    """Regenerate, or only compare; see the top of the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing, compare with what is there")
    what.add_argument("--bump", action="store_true", help="give the contract the version that it needs")
    parser.add_argument("--notes", type=Path, metavar="FILE", help="write the change notes to this file, too")
    arguments = parser.parse_args()
    generated, history = root / "generated", root / "CHANGELOG.md"
    with tempfile.TemporaryDirectory(prefix="mosvpp-generated-") as folder:
        fresh = Path(folder) / "generated"
        fresh.mkdir()
        try:
            comparison = run_chain(root, fresh, bump=arguments.bump)
            notes = contract.notes(comparison)
            written = history.read_text("utf-8")
            expected = changelog.with_contract(written, notes)
        except FAILURES as error:
            print(f"{error}\n\nNothing was written.", file=sys.stderr)
            return 2
        stale = differences(fresh, generated)
        if stale and not arguments.check:
            shutil.rmtree(generated, ignore_errors=True)
            shutil.copytree(fresh, generated)
    if written != expected:
        stale.append("differs: CHANGELOG.md, Contract under Unreleased")
        if not arguments.check:
            history.write_bytes(expected.encode())
    if arguments.notes:
        arguments.notes.write_bytes(f"{notes}\n".encode())
    return report(stale, contract.version_faults(comparison), check=arguments.check)


if __name__ == "__main__":
    sys.exit(main())
