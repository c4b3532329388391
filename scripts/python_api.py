"""The public Python names, and whether they may have changed as they did since the last release.

    python3 scripts/python_api.py

`scripts/release.py` records the names and signatures of each release in spec/released/python-api.json, so
that a shallow clone without tags has them. A change that breaks callers fails unless `version` in
pyproject.toml tells. Exit status: 0 fine, 1 a higher version is needed.

Public is what `__all__` of the packages below names, in them and in the modules that they name, and a few
names that the reference shows from modules of their own. The generated packages are not: what changes in them
is the contract's matter (`scripts/regenerate.py`).
"""

import _setup

if __name__ == "__main__":
    _setup.ensure("dev")

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

from python_api_changes import api_changes
from versions import Impact, Version

READ = ("mosvpp", "mosvpp_sandbox", "mosvpp_api", "mosvpp_events")
PACKAGES = ("mosvpp", "mosvpp.fleet", "mosvpp.receiver", "mosvpp_sandbox")
# No package names them, since programs need them for annotations only, or rarely; the reference has each.
BESIDE = (
    *("mosvpp.clock.Clock", "mosvpp.clock.SystemClock", "mosvpp.drift.DriftKind", "mosvpp.drift.OnDrift"),
    *("mosvpp.events.Delivery", "mosvpp.events.DeviceReading", "mosvpp.events.DeviceResult"),
    *("mosvpp.receiver.deliveries.NewDelivery", "mosvpp.receiver.forwarding.Forwarded"),
    *("mosvpp.receiver.forwarding.Forwarding", "mosvpp.receiver.forwarding.forget"),
    *("mosvpp.receiver.forwarding.forward", "mosvpp.receiver.forwarding.progress"),
)
RECORD = Path("spec", "released", "python-api.json")

Names = dict[str, dict[str, Any]]


def read_names(root: Path) -> Names:
    """Every public name with its signature, read from the source without running it."""
    loader = griffe.GriffeLoader(search_paths=[root / "wrapper", root / "generated"], allow_inspection=False)
    for package in READ:
        loader.load(package)
    loader.resolve_aliases(implicit=False, external=False)
    return dict(_public(loader.modules_collection))


def _public(modules: griffe.ModulesCollection) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in (*PACKAGES, *BESIDE):
        try:
            found = modules[path]
        except KeyError:
            continue  # it is gone: whether it may be is found by comparing with the record
        yield from _named(found, path)


def _module(module: griffe.Object | griffe.Alias, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, {"kind": "module"}
    for name in sorted(str(name) for name in module.exports or []):
        yield from _named(module.members[name], f"{path}.{name}")


def _named(found: griffe.Object | griffe.Alias, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    target = found.final_target if isinstance(found, griffe.Alias) else found
    if isinstance(target, griffe.Module):
        yield from _module(target, path)
    elif isinstance(target, griffe.Class):
        yield path, {"kind": "class", "bases": [str(base) for base in target.bases]}
        values = any(str(base).endswith(("Enum", "Flag")) for base in target.bases)
        for name, member in sorted(target.all_members.items()):
            if not name.startswith("_") or name in ("__init__", "__call__"):
                worth = (
                    {"value": str(member.value)} if values and isinstance(member, griffe.Attribute) else {}
                )
                yield from ((place, entry | worth) for place, entry in _named(member, f"{path}.{name}"))
    elif isinstance(target, griffe.Function):
        parameters = [
            [each.name, each.kind.value, _text(each.annotation), _text(each.default)]
            for each in target.parameters
        ]
        yield path, {"kind": "function", "parameters": parameters, "returns": _text(target.returns)}
    elif isinstance(target, griffe.Attribute):
        yield (
            path,
            {"kind": "attribute", "type": _text(target.annotation), "optional": target.value is not None},
        )


def _text(expression: object) -> str | None:
    return None if expression is None else str(expression)


def recorded(root: Path) -> tuple[Version, Names] | None:
    """The version and names of the last release, None before the first."""
    if not (root / RECORD).exists():
        return None
    record = json.loads((root / RECORD).read_text("utf-8"))
    return Version.read(record["version"]), record["names"]


def record_of(root: Path, version: Version) -> str:
    """What a release writes: one line for each name, so that two records can be compared by eye."""
    lines = [f"  {json.dumps(path)}: {json.dumps(entry)}" for path, entry in sorted(read_names(root).items())]
    return f'{{\n "version": "{version}",\n "names": {{\n' + ",\n".join(lines) + "\n }\n}\n"


def project_version(root: Path) -> Version:
    """The version in pyproject.toml."""
    return Version.read(tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def main(root: Path = _setup.ROOT) -> int:
    """Compare, and say what changed; see the top of the file."""
    last = recorded(root)
    if last is None:
        print(
            f"No release is recorded yet, so there is nothing to compare {len(read_names(root))} names with."
        )
        return 0
    before, names = last
    changes = api_changes(names, read_names(root))
    breaking = [change.sentence for change in changes if change.impact is Impact.MAJOR]
    needed = before.after(Impact.MAJOR)
    if not breaking or project_version(root) >= needed:
        print(
            f"{len(changes)} changes of the Python interface since {before}, {len(breaking)} break callers."
        )
        return 0
    print(
        f"The Python interface breaks callers since {before}, which asks for version {needed}:",
        "",
        file=sys.stderr,
    )
    print(*(f"  {line}" for line in breaking), "", sep="\n", file=sys.stderr)
    print(f'Keep what was there, or write `version = "{needed}"` in pyproject.toml.', file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
