"""The inbox that `--store` names, and the options that the commands of `mosvpp inbox` share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, cast

import typer

from mosvpp.errors import RuleError

from .arguments import naming, on_disk, read_duration, read_time

if TYPE_CHECKING:
    from mosvpp.receiver import Filter, SqlInbox

__all__ = [
    "STORE_VARIABLE",
    "Kind",
    "KindOption",
    "SinceOption",
    "SiteOption",
    "State",
    "StateOption",
    "Store",
    "UntilOption",
    "insist_on_file",
    "opened",
    "read_filter",
    "read_moment",
    "read_one",
    "read_several",
    "required",
]

STORE_VARIABLE = "MOSVPP_STORE"

_WHICH = "Which deliveries"


class Kind(StrEnum):
    """Which of the two webhooks it came to."""

    DATA_PUSH = "data_push"
    EXECUTION_RESPONSE = "execution_response"


class State(StrEnum):
    """What has become of a delivery."""

    WAITING = "waiting"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"


Store: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        envvar=STORE_VARIABLE,
        help="sqlite:///inbox.db or postgresql://user@host/name. A password in it is seen by everyone who"
        " can list processes: give it in the variable instead, or in ~/.pgpass.",
    ),
]
KindOption: TypeAlias = Annotated[
    Kind | None,
    typer.Option("--kind", metavar="KIND", help="data_push or execution_response.", rich_help_panel=_WHICH),
]
SiteOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--site", metavar="SITE", help="The molecule_id of a site.", rich_help_panel=_WHICH),
]
StateOption: TypeAlias = Annotated[
    State | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help="waiting, leased (a worker has it), done or dead (with the dead letters).",
        rich_help_panel=_WHICH,
    ),
]
SinceOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Arrived then or later: 2026-11-23T18:00:00Z, or 2h for two hours ago.",
        rich_help_panel=_WHICH,
    ),
]
UntilOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="Arrived before, written alike.", rich_help_panel=_WHICH),
]


@contextmanager
def opened(url: str | None, *, must_exist: bool = True) -> Iterator[SqlInbox]:
    """The inbox at a URL, open. Raises `RuleError` for a URL that is none, `StoreError` for the rest.

    Looking into a SQLite file that is not there would make an empty one, so it `must_exist`.
    """
    url = required(url)
    from mosvpp.receiver import SqlInbox

    with naming("--store"):
        inbox = SqlInbox(url)
    if must_exist:
        insist_on_file(url)
    with inbox:
        yield inbox


def required(url: str | None) -> str:
    """The URL, or a `RuleError` that says how to give one."""
    if not url:
        msg = f"say which store: --store sqlite:///inbox.db, or the variable {STORE_VARIABLE}"
        raise RuleError(msg, path="--store", rule="required")
    return on_disk(url)


def insist_on_file(url: str) -> None:
    """Refuse a SQLite file that is not there."""
    from sqlalchemy import make_url

    read = make_url(url)
    if read.drivername == "sqlite" and read.database and not Path(read.database).exists():
        msg = f"there is no file {read.database}; is the receiver's folder another one?"
        raise RuleError(msg, path="--store", rule="file")


def read_filter(
    *,
    kind: Kind | None,
    site: str | None,
    state: State | None,
    since: str | None,
    until: str | None,
    keys: Sequence[str] = (),
) -> Filter:
    """What the options ask for."""
    given = {
        "kind": None if kind is None else kind.value,
        "molecule_id": site,
        "state": None if state is None else state.value,
        "since": None if since is None else read_moment(since, "--since"),
        "until": None if until is None else read_moment(until, "--until"),
        "keys": list(keys) or None,
    }
    return cast("Filter", {name: value for name, value in given.items() if value is not None})


def read_one(which: str) -> Filter:
    """A delivery by its number or by its key."""
    return read_several([which])


def read_several(which: Sequence[str]) -> Filter:
    """Deliveries by their numbers, or by their keys."""
    from mosvpp.receiver._inspection import read_key

    numbers = [text for text in which if text.isascii() and text.isdigit() and len(text) < 20]
    if len(numbers) == len(which):
        return {"seqs": [int(text) for text in numbers]}
    if numbers:
        msg = "give numbers or keys, not both"
        raise RuleError(msg, path="NUMBER", rule="exclusive")
    for text in which:
        with naming("NUMBER"):
            read_key(text)
    return {"keys": list(which)}


def read_moment(text: str, option: str) -> datetime:
    """An instant, or a duration before now."""
    if ":" not in text and text.strip()[:1].isdigit():
        try:
            return datetime.now(UTC) - read_duration(text, option)
        except OverflowError:
            raise RuleError(f"{text} is too long", path=option, rule="range") from None
    try:
        return read_time(text, option, tz=None, fold=None)
    except RuleError:
        msg = f"{text!r} is no time: write 2026-11-23T18:00:00Z, or 2h for two hours ago"
        raise RuleError(msg, path=option, rule="time") from None
