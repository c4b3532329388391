"""The contract's version: what changed since the newest of spec/released/, and whether info.version says so.

`spec/released/<version>/` holds the documents of each released version. Before the first release of the SDK
there is one, the baseline, which nobody has yet: `scripts/release.py --baseline` may still write it anew.
"""

import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from contract_changes import Change, changes_of
from contract_diff import DOCUMENTS, Contract, differences, read_contract
from contract_ledger import changes_beside
from versions import Impact, Version

COMMAND = "python3 scripts/regenerate.py"
SDK_RECORD = "python-api.json"  # written by the first release of the SDK, and by each after it
VERSIONED = [f"spec/{name}" for name in DOCUMENTS[:3]]
LABELS = {Impact.MAJOR: "Breaking", Impact.MINOR: "Compatible", Impact.PATCH: "Wording"}


class ContractError(Exception):
    """The documents or the record of releases cannot be read; the text is for the person at the terminal."""


class Comparison(NamedTuple):
    """The current documents against the newest recorded ones."""

    current: Contract
    base: Version | None
    published: bool
    changes: list[Change]

    @property
    def impact(self) -> Impact:
        """That of the gravest change."""
        return max((change.impact for change in self.changes), default=Impact.NONE)

    @property
    def needed(self) -> Version:
        """The lowest version that the documents may have."""
        return self.base.after(self.impact) if self.base else Version(1, 0, 0)


def newest(released: Path) -> Version | None:
    """The newest version in spec/released/."""
    folders = [path.name for path in released.glob("*") if path.is_dir()]
    try:
        return max(map(Version.read, folders), default=None)
    except ValueError as error:
        raise ContractError(f"a folder in {released.name}/: {error}") from None


def compare(spec: Path, redocly: list[str]) -> Comparison:
    """Compare the documents in `spec` with the newest recorded ones.

    Raises:
        ContractError, DiffError, OSError, yaml.YAMLError: the documents cannot be read or compared.

    """
    released = spec / "released"
    base = newest(released)
    published = (released / SDK_RECORD).exists()
    current = read_contract(spec)
    if base is None:
        return Comparison(current, None, published, [])
    folder = released / str(base)
    if all((folder / name).read_bytes() == (spec / name).read_bytes() for name in DOCUMENTS):
        return Comparison(current, base, published, [])
    return Comparison(current, base, published, changes_between(read_contract(folder), current, redocly))


def changes_between(old: Contract, new: Contract, redocly: list[str]) -> list[Change]:
    """Every change from one version to another, the gravest first."""
    with tempfile.TemporaryDirectory(prefix="mosvpp-diff-") as folder:
        edits = differences(old, new, redocly, Path(folder))
    changes = [*changes_of(edits, old, new), *changes_beside(old, new)]
    if not changes and _meaning(old.merged) != _meaning(new.merged):
        return [
            Change(
                Impact.MAJOR,
                "The documents differ where nothing here can judge it, which counts as breaking.",
            )
        ]
    if not changes and _text(old) != _text(new):
        return [Change(Impact.PATCH, "The documents are arranged in another way; what they say is the same.")]
    return sorted(changes, key=lambda change: -change.impact)


def _meaning(node: Any) -> Any:
    """What a document says, whatever its version and the names of its schemas."""
    if isinstance(node, dict):
        return {key: _meaning(value) for key, value in node.items() if key not in ("x-from", "info")}
    return [_meaning(item) for item in node] if isinstance(node, list) else node


def _text(contract: Contract) -> Any:
    bare = {name: {**contract.documents[name]} for name in DOCUMENTS}
    for name in DOCUMENTS[:3]:
        bare[name]["info"] = {**bare[name]["info"], "version": ""}
    return bare


def version_faults(comparison: Comparison) -> list[str]:
    """Why info.version will not do, in sentences for the person at the terminal; mostly empty."""
    stated = comparison.current.versions
    if len(set(stated.values())) > 1:
        said = ", ".join(f"{version} in spec/{name}" for name, version in stated.items())
        return [f"info.version has to be the same in all documents, but it is {said}."]
    try:
        version = Version.read(next(iter(stated.values())))
    except ValueError as error:
        return [f"info.version: {error}."]
    needed = comparison.needed
    if comparison.base is None or version >= needed:
        return []
    if not comparison.changes:
        return [
            f"info.version is {version}, although {comparison.base} has been recorded: write {needed} there."
        ]
    lines = [f"  {LABELS[change.impact].lower():10}  {change.sentence}" for change in comparison.changes]
    mending = [
        "To mend it:",
        f"  {COMMAND} --bump  (writes `version: {needed}` into {_listed(VERSIONED)})",
    ]
    if not comparison.published:
        mending.append(f"or, because no release has carried {comparison.base} yet, if it was not right:")
        mending.append("  python3 scripts/release.py --baseline  (records what is here in its place)")
    return [
        f"The contract has changed since {comparison.base}, which asks for version {needed} or higher, "
        f"but info.version is {version}.\n\n" + "\n".join(lines) + "\n\n" + "\n".join(mending)
    ]


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def bump(spec: Path, version: Version) -> None:
    """Write a version into the three documents, unless they have a higher one.

    Raises:
        ContractError: a document has no `version` under `info`.

    """
    for name in DOCUMENTS[:3]:
        path = spec / name
        text = path.read_text("utf-8")
        found = re.search(r"^info:\n(?:  .*\n|\n)*?  version: ([\d.]+)$", text, re.MULTILINE)
        if not found:
            raise ContractError(f"spec/{name} has no line `  version: …` under `info:`.")
        if Version.read(found[1]) < version:
            path.write_bytes((text[: found.start(1)] + str(version) + text[found.end(1) :]).encode())


def notes(comparison: Comparison) -> str:
    """The Contract part of the changelog, as Markdown."""
    version = next(iter(comparison.current.versions.values()))
    if not comparison.published:
        return _first_notes(version, comparison.current)
    if not comparison.changes:
        return f"No change: version {version}."
    lines = [f"- **{LABELS[change.impact]}:** {change.sentence}" for change in comparison.changes]
    return "\n".join([f"Version {version}, after {comparison.base}.", "", *lines])


def _first_notes(version: str, contract: Contract) -> str:
    def operations(key: str) -> str:
        items = contract.merged[key].values()
        return ", ".join(f"`{operation['operationId']}`" for item in items for operation in item.values())

    statuses = [fact["status"] for fact in contract.documents["evidence.yaml"]["facts"]]
    counts = [
        f"{statuses.count(status)} {status}" for status in ("documented", "sample", "inferred", "unknown")
    ]
    return "\n".join(
        [
            f"The first version, {version}.",
            "",
            f"- What the partner calls: {operations('paths')}.",
            f"- What Molecule calls: {operations('webhooks')}.",
            f"- The ledger, {len(statuses)} entries: {', '.join(counts)}.",
        ]
    )
