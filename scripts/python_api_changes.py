"""What changed in public Python names and signatures, and whether it breaks those who call them."""

from collections.abc import Iterator
from typing import Any

from contract_changes import Change
from versions import Impact

POSITIONAL = ("positional-only", "positional or keyword")
VARIADIC = ("variadic positional", "variadic keyword")

Entry = dict[str, Any]


def api_changes(old: dict[str, Entry], new: dict[str, Entry]) -> list[Change]:
    """Every change, the gravest first; members of what came or went as a whole are not told."""
    gone, came = old.keys() - new.keys(), new.keys() - old.keys()
    found = [
        *(Change(Impact.MAJOR, f"`{path}` was removed.") for path in gone if _parent(path) not in gone),
        *(Change(Impact.MINOR, f"`{path}` is new.") for path in came if _parent(path) not in came),
    ]
    for path in old.keys() & new.keys():
        for impact, text in _compare(path, old[path], new[path]):
            found.append(Change(impact, f"{text[0].upper()}{text[1:]}."))
    return sorted(found, key=lambda change: (-change.impact, change.sentence))


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _compare(path: str, old: Entry, new: Entry) -> Iterator[tuple[Impact, str]]:
    if old["kind"] != new["kind"]:
        yield Impact.MAJOR, f"`{path}` is now a {new['kind']}, was a {old['kind']}"
    elif old["kind"] == "class":
        # What a private base brought along is listed with the class itself.
        for base in sorted(
            base for base in set(old["bases"]) - set(new["bases"]) if not base.startswith("_")
        ):
            yield Impact.MAJOR, f"`{path}` no longer is a `{base}`"
    elif old["kind"] == "function":
        yield from _parameters(path, old["parameters"], new["parameters"])
        yield from _read(f"the result of `{path}`", old["returns"], new["returns"])
    elif old["kind"] == "attribute":
        yield from _read(f"`{path}`", old["type"], new["type"])
        if old["optional"] and not new["optional"]:
            yield Impact.MAJOR, f"`{path}` no longer has a default"
        if old.get("value") != new.get("value"):
            yield Impact.MAJOR, f"`{path}` is now {new.get('value')}, was {old.get('value')}"


def _parameters(path: str, old: list[list[Any]], new: list[list[Any]]) -> Iterator[tuple[Impact, str]]:
    before = {name: rest for name, *rest in old}
    after = {name: rest for name, *rest in new}
    for name in before.keys() - after.keys():
        yield Impact.MAJOR, f"`{path}` no longer takes `{name}`"
    for name in after.keys() - before.keys():
        kind, _, default = after[name]
        demanded = default is None and kind not in VARIADIC
        yield (
            (Impact.MAJOR, f"`{path}` now needs `{name}`")
            if demanded
            else (Impact.MINOR, f"`{path}` now takes `{name}`")
        )
    for name in before.keys() & after.keys():
        yield from _parameter(f"`{name}` of `{path}`", before[name], after[name])
    kept = [[name for name, kind, *_ in side if kind in POSITIONAL] for side in (old, new)]
    if kept[0] != kept[1][: len(kept[0])] and set(kept[0]) <= set(kept[1]):
        yield Impact.MAJOR, f"`{path}` takes its positional arguments in another order"


def _parameter(what: str, old: list[Any], new: list[Any]) -> Iterator[tuple[Impact, str]]:
    (old_kind, old_type, old_default), (new_kind, new_type, new_default) = old, new
    if old_kind != new_kind:
        widened = new_kind == "positional or keyword" and old_kind in ("positional-only", "keyword-only")
        yield Impact.MINOR if widened else Impact.MAJOR, f"{what} is now {new_kind}, was {old_kind}"
    if old_default is not None and new_default is None and new_kind not in VARIADIC:
        yield Impact.MAJOR, f"{what} is now needed"
    elif old_default is None and new_default is not None:
        yield Impact.MINOR, f"{what} is no longer needed"
    elif old_default != new_default:
        yield Impact.MAJOR, f"the default of {what} is now `{new_default}`, was `{old_default}`"
    if old_type != new_type:
        wider = _alternatives(old_type) <= _alternatives(new_type)
        yield Impact.MINOR if wider else Impact.MAJOR, f"{what} now takes `{new_type}`, was `{old_type}`"


def _read(what: str, old: str | None, new: str | None) -> Iterator[tuple[Impact, str]]:
    if old != new:
        narrower = _alternatives(new) <= _alternatives(old)
        yield Impact.MINOR if narrower else Impact.MAJOR, f"{what} now is `{new}`, was `{old}`"


def _alternatives(annotation: str | None) -> set[str]:
    """`Slot | Sequence[Slot | None]` as its two alternatives; no annotation may be anything."""
    depth, parts = 0, [""]
    for letter in annotation or "Any":
        depth += (letter in "[(") - (letter in "])")
        if letter == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return {part.strip() for part in parts}
