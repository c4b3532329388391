"""The store of a fleet that `--store` names, and the options that the commands of `mosvpp fleet` share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from mosvpp.errors import RuleError

from .arguments import naming, on_disk

if TYPE_CHECKING:
    from mosvpp.fleet import DeviceRegistry, Fleet, Journal

    from .connection import Connection
    from .terminal import Terminal

__all__ = [
    "STORE_VARIABLE",
    "Concurrency",
    "Event",
    "SiteIds",
    "Store",
    "fleet_at",
    "insist_on_file",
    "opened_journal",
    "opened_registry",
    "required",
]

STORE_VARIABLE = "MOSVPP_FLEET_STORE"

Store: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        envvar=STORE_VARIABLE,
        help="sqlite:///fleet.db or postgresql://user@host/name: the journal, devices and telemetry of the"
        " fleet. A password in it is seen by everyone who can list processes: give it in the variable"
        " instead, or in ~/.pgpass.",
    ),
]
Event: TypeAlias = Annotated[str, typer.Argument(metavar="EVENT_ID", help="As `mosvpp fleet status` lists.")]
SiteIds: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--site", metavar="SITE", help="The molecule_id of a site; may be repeated."),
]
Concurrency: TypeAlias = Annotated[
    int,
    typer.Option("--concurrency", metavar="N", min=1, max=10_000, help="How many requests are out at once."),
]


def required(url: str | None) -> str:
    """The URL, or a `RuleError` that says how to give one."""
    if not url:
        msg = f"say which store: --store sqlite:///fleet.db, or the variable {STORE_VARIABLE}"
        raise RuleError(msg, path="--store", rule="required")
    return on_disk(url)


def insist_on_file(url: str) -> None:
    """Refuse a SQLite file that is not there: looking into it would make an empty one."""
    if is_missing(url):
        msg = f"there is no fleet in {url} yet; `mosvpp fleet plan` begins one"
        raise RuleError(msg, path="--store", rule="file")


def is_missing(url: str) -> bool:
    """Whether the URL is that of a SQLite file that is not there."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        read = make_url(url)
    except ArgumentError:
        return False  # opening it says what is wrong
    return read.drivername == "sqlite" and bool(read.database) and not Path(str(read.database)).exists()


@contextmanager
def opened_journal(url: str | None, *, must_exist: bool = True) -> Iterator[Journal]:
    """The journal at a URL, open. Raises `RuleError` for a URL that is none, `StoreError` for the rest."""
    url = required(url)
    from mosvpp.fleet import Journal

    if must_exist:
        insist_on_file(url)
    with naming("--store"):
        journal = Journal(url)
    with journal:
        yield journal


@contextmanager
def opened_registry(url: str | None, *, must_exist: bool = True) -> Iterator[DeviceRegistry]:
    """The devices at a URL, open. Raises as `opened_journal`."""
    url = required(url)
    from mosvpp.fleet import DeviceRegistry

    if must_exist:
        insist_on_file(url)
    with naming("--store"):
        registry = DeviceRegistry(url)
    with registry:
        yield registry


def fleet_at(
    connection: Connection,
    journal: Journal,
    terminal: Terminal,
    *,
    allow_live: bool,
    concurrency: int,
) -> Fleet:
    """A fleet for these options. What surprises is told once, however many sites do it."""
    from mosvpp.fleet import Fleet

    told: set[tuple[str, str]] = set()

    def warn(drift: Any) -> None:
        if (drift.kind, drift.path) not in told:
            told.add((drift.kind, drift.path))
            terminal.warn_of(drift)

    with naming():
        return Fleet(
            journal,
            connection.key().value,
            base_url=connection.base_url,
            api_version=connection.api_version,
            allow_live=allow_live,
            concurrency=concurrency,
            timeout=connection.timeout,
            ssl_context=connection.trust(),
            on_drift=warn,
        )
