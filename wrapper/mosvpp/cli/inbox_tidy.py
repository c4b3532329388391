"""`mosvpp inbox requeue` and `purge`: handing out anew, and removing what is old."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .inbox_progress import is_watched, progress
from .inbox_store import (
    KindOption,
    SinceOption,
    SiteOption,
    State,
    StateOption,
    Store,
    UntilOption,
    opened,
    read_filter,
    read_several,
)
from .terminal import Terminal

__all__ = ["purge", "requeue"]


def requeue(
    which: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NUMBER…]", help="Numbers that `list` shows, or keys. One or more."),
    ] = None,
    all_dead: Annotated[bool, typer.Option("--all-dead", help="All dead letters.")] = False,
    kind: KindOption = None,
    site: SiteOption = None,
    state: StateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Hand out deliveries once more, as if they had just arrived.

    With options such as --site only dead letters are meant, unless --state says otherwise.
    What a worker has in hand, and what was purged, is left alone.
    Ends with 1 if none of the numbers could be, with 6 if only some.
    """
    terminal = Terminal(as_json=as_json)
    wanted = read_filter(kind=kind, site=site, state=state, since=since, until=until)
    if sum((bool(which), all_dead, bool(wanted))) != 1:
        msg = "say which: numbers or keys, or --all-dead, or options such as --site and --since"
        raise RuleError(msg, path="NUMBER", rule="required")
    if which:
        wanted = read_several(which)
    elif state is None:
        wanted["state"] = State.DEAD.value
    with opened(store) as inbox:
        total = inbox.requeue(only_count=True, **wanted) if is_watched(terminal) else None
        with progress(terminal, "requeue", total) as on_progress:
            count = inbox.requeue(on_progress=on_progress, **wanted)
    terminal.show(f"{count:,} {_deliveries(count)} will be handed out again.")
    missing = len(set(which or ())) - count
    if missing > 0:
        named = f"{missing:,} of {len(set(which or ())):,}"
        terminal.warn(f"{named} not: unknown here, in the hands of a worker, or purged")
        terminal.finish(Exit.PARTLY if count else Exit.NO, requeued=count)
    terminal.finish(Exit.OK, requeued=count)


def purge(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="DURATION", help="Arrived longer ago: 30d, 12h.")
    ],
    kind: KindOption = None,
    site: SiteOption = None,
    state: StateOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many it would be.", rich_help_panel="Safety")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Do not ask. Needed where nobody can type.", rich_help_panel="Safety"),
    ] = False,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Remove what is done or dead and arrived longer ago.

    What nobody has handled stays, unless --state waiting asks for it.
    Keys of the last seven days are kept, so that repetitions are still recognised.
    """
    from .arguments import read_duration

    terminal = Terminal(as_json=as_json)
    limit = read_duration(older_than, "--older-than")
    wanted = read_filter(kind=kind, site=site, state=state, since=None, until=None)
    with opened(store) as inbox:
        found = inbox.purge(older_than=limit, only_count=True, **wanted)
        if dry_run or not found:
            terminal.show(f"{found:,} {_deliveries(found)} would go." if found else "Nothing is that old.")
            terminal.finish(Exit.OK, purged=0, found=found)
        if not yes:
            _insist(terminal, found, older_than, state)
        with progress(terminal, "purge", found) as on_progress:
            count = inbox.purge(older_than=limit, on_progress=on_progress, **wanted)
    terminal.show(f"{count:,} {_deliveries(count)} removed.")
    terminal.finish(Exit.OK, purged=count, found=found)


def _insist(terminal: Terminal, found: int, older_than: str, state: State | None) -> None:
    if not sys.stdin.isatty():
        msg = "this has to be confirmed, and nobody is here to ask: add --yes if a program may decide it"
        raise RuleError(msg, path="--yes", rule="confirmation")
    what = f"{found:,} {_deliveries(found)} older than {older_than}"
    if state in (State.WAITING, State.LEASED):
        what += ", which nobody has finished"
    if terminal.ask(f"Remove {what} for good? Type yes:").lower() != "yes":
        raise RuleError("that was not yes, so nothing was removed", path="--yes", rule="confirmation")


def _deliveries(count: int) -> str:
    return "delivery" if count == 1 else "deliveries"
