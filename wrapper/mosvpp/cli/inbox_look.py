"""`mosvpp inbox list` and `show`: what has arrived, and what has become of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .inbox_store import (
    KindOption,
    SinceOption,
    SiteOption,
    StateOption,
    Store,
    UntilOption,
    opened,
    read_filter,
    read_one,
)
from .terminal import Terminal

if TYPE_CHECKING:
    from mosvpp.receiver import StoredDelivery

__all__ = ["list_deliveries", "show"]

MOST = 10_000  # they are held in memory for the table; an export is not


def list_deliveries(
    kind: KindOption = None,
    site: SiteOption = None,
    state: StateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=MOST, help="How many, the newest ones.")
    ] = 20,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """List what has arrived, the newest first.

    For all of a large inbox use `mosvpp inbox export`.
    """
    from .inbox_tables import backlog_words, deliveries_table

    terminal = Terminal(as_json=as_json)
    wanted = read_filter(kind=kind, site=site, state=state, since=since, until=until)
    with opened(store) as inbox:
        found = list(inbox.find(newest_first=True, limit=limit + 1, **wanted))
        now, backlog = inbox.now(), inbox.backlog()
    shown, is_more = found[:limit], len(found) > limit
    if shown:
        terminal.show(deliveries_table(shown), "")
        these = "the newest" if is_more else "all"
        terminal.show(f"{these} {len(shown):,} that match" if wanted else f"{these} {len(shown):,}")
    else:
        terminal.show("Nothing matches." if wanted else "Nothing has arrived yet.", style="yellow")
    for words in backlog_words(backlog, now):
        terminal.show(words)
    terminal.finish(
        Exit.OK,
        deliveries=[summary(one) for one in shown],
        is_more=is_more,
        backlog={
            kind: {
                "unfinished": left.unfinished,
                "oldest_due_at": _iso(left.oldest_due_at),
                "dead": left.dead,
            }
            for kind, left in backlog.items()
        },
    )


def show(
    which: Annotated[
        str, typer.Argument(metavar="NUMBER", help="The number that `list` shows, or the key of a delivery.")
    ],
    body: Annotated[
        bool,
        typer.Option("--body", help="Write the body to standard output, byte for byte, and nothing else."),
    ] = False,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Show one delivery: headers, body, state, and why it failed.

    Headers are those that were stored, and secrets never are.
    """
    from .inbox_tables import delivery_details

    terminal = Terminal(as_json=as_json)
    if body and as_json:
        raise RuleError("give --body or --json, not both", path="--body", rule="exclusive")
    with opened(store) as inbox:
        found = next(inbox.find(**read_one(which)), None)
        if found is None:
            msg = f"there is no delivery {which} in this store; `mosvpp inbox list` shows their numbers"
            raise RuleError(msg, path="NUMBER", rule="known")
    if body:
        if found.is_purged:
            raise RuleError(f"the body of {which} was purged", path="NUMBER", rule="purged")
        terminal.write([found.body])
        raise typer.Exit(Exit.OK)
    terminal.show(*delivery_details(found))
    terminal.finish(Exit.OK, delivery=details(found))


def summary(one: StoredDelivery) -> dict[str, Any]:
    """A delivery without its body, as `--json` shows it in a list."""
    return {
        "number": one.seq,
        "key": one.key,
        "kind": one.kind,
        "molecule_id": one.molecule_id,
        "received_at": _iso(one.received_at),
        "body_at": _iso(one.body_at),
        "bytes": len(one.body),
        "purged": one.is_purged,
        "state": one.state,
        "attempts": one.attempts,
        "due_at": _iso(one.due_at),
        "finished_at": _iso(one.finished_at),
        "worker": one.worker,
        "reason": one.reason,
    }


def details(one: StoredDelivery) -> dict[str, Any]:
    """Everything about a delivery, its body as an export has it."""
    from mosvpp.receiver._interchange import exported

    line = exported(one)
    more = {name: line.get(name) for name in ("headers", "traceback", "body")}
    return {**summary(one), **more, "reason": line.get("reason")}


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()
