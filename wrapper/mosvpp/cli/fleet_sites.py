"""Sites in a file: one molecule_id a line, or CSV with a power and a rating for each."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

import typer

from mosvpp.errors import RuleError

from .arguments import read_file, read_power

if TYPE_CHECKING:
    from mosvpp.fleet import SiteFacts, SiteRegistry
    from mosvpp.units import Power

__all__ = ["SiteLine", "SitesFile", "WithRatings", "read_csv", "read_sites"]

_COLUMNS = ("molecule_id", "power", "rating")

SitesFile: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--sites",
        metavar="FILE",
        help="One molecule_id a line, or CSV with the columns molecule_id and, where you like, power and"
        " rating (both as in '5 kW'). - reads from standard input.",
        rich_help_panel="Sites",
    ),
]


class SiteLine(NamedTuple):
    """A site, and what the file says of it."""

    molecule_id: str
    power: Power | None
    rating: Power | None


def read_sites(path: Path) -> list[SiteLine]:
    """The sites of a file. Raises `RuleError` that names the line."""
    text = _text(path)
    lines = [line.strip() for line in text.splitlines()]
    first = next((line for line in lines if line and not line.startswith("#")), "")
    if not first:
        raise RuleError(f"{path} names no site", path="--sites", rule="required")
    if any(sign in first for sign in ",;\t") or first.lower() in _COLUMNS:
        found = [_line(path, number, row) for number, row in read_csv(path, text, _COLUMNS, "--sites")]
    else:
        found = [
            SiteLine(_site(path, number, line), None, None)
            for number, line in enumerate(lines, start=1)
            if line and not line.startswith("#")
        ]
    _insist_on_unique(path, found)
    return found


def read_csv(
    path: Path, text: str, columns: Sequence[str], option: str
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a CSV file by the names of its columns, with their line numbers.

    The first of `columns` must be there. Commas, semicolons and tabs separate. Raises `RuleError`.
    """
    kept = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    head = kept[0][1] if kept else ""
    reader = csv.DictReader((line for _, line in kept), delimiter=max(",;\t", key=head.count))
    names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    unknown = [name for name in names if name not in columns]
    if columns[0] not in names or unknown:
        has = ", ".join(names) or "none"
        msg = f"{path} has the columns {has}; known are {', '.join(columns)}, the first one must be there"
        raise RuleError(msg, path=option, rule="columns")
    reader.fieldnames = names
    for (number, _), row in zip(kept[1:], reader, strict=False):
        if None in row:
            msg = f"line {number} of {path} has more values than there are columns"
            raise RuleError(msg, path=option, rule="columns")
        yield number, {name: (value or "").strip() for name, value in row.items()}


def _line(path: Path, number: int, row: Mapping[str, str]) -> SiteLine:
    if not row["molecule_id"]:
        raise RuleError(f"line {number} of {path} names no site", path="--sites", rule="required")
    site = _site(path, number, row["molecule_id"])
    return SiteLine(site, _power(path, number, row.get("power")), _power(path, number, row.get("rating")))


def _site(path: Path, number: int, text: str) -> str:
    from mosvpp._calls import site_of

    try:
        return site_of(text)
    except RuleError as error:
        raise _at(path, number, error) from None


def _power(path: Path, number: int, text: str | None) -> Power | None:
    if not text:
        return None
    try:
        return read_power(text, "--sites")
    except RuleError as error:
        raise _at(path, number, error) from None


def _at(path: Path, number: int, error: RuleError) -> RuleError:
    msg = f"line {number} of {path}: {error.args[0]}"
    return RuleError(msg, path="--sites", rule=error.rule, evidence=error.evidence)


def _insist_on_unique(path: Path, found: Iterable[SiteLine]) -> None:
    seen: set[str] = set()
    for line in found:
        if line.molecule_id.lower() in seen:
            msg = f"{path} names {line.molecule_id} twice"
            raise RuleError(msg, path="--sites", rule="unique")
        seen.add(line.molecule_id.lower())


def _text(path: Path) -> str:
    raw = sys.stdin.buffer.read() if str(path) == "-" else read_file(path, "--sites")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RuleError(f"{path} is no UTF-8 text", path="--sites", rule="encoding") from None


class WithRatings:
    """A registry, and the ratings of a file, which go before those that it knows."""

    def __init__(self, registry: SiteRegistry, lines: Iterable[SiteLine]) -> None:
        self._registry = registry
        self._ratings = {line.molecule_id: line.rating for line in lines if line.rating is not None}

    def facts(self, molecule_ids: Sequence[str]) -> Mapping[str, SiteFacts]:
        """What is known of those sites."""
        from mosvpp.fleet import SiteFacts

        found = dict(self._registry.facts(molecule_ids))
        for molecule_id in molecule_ids:
            rating = self._ratings.get(molecule_id)
            if rating is not None:
                known = found.get(molecule_id)
                found[molecule_id] = SiteFacts(devices=known.devices if known else None, rating=rating)
        return found
