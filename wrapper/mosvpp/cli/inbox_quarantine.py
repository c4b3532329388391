"""`mosvpp inbox quarantine`: deliveries of senders that were not recognised, kept aside."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .inbox_store import Store, opened
from .terminal import Terminal

if TYPE_CHECKING:
    from mosvpp.receiver import Quarantined

__all__ = ["quarantine"]


def quarantine(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[NUMBER…]", help="Show these in full.")
    ] = None,
    release: Annotated[
        bool,
        typer.Option("--release", help="Take these into the inbox: you know that they are genuine."),
    ] = False,
    release_all: Annotated[bool, typer.Option("--release-all", help="Take all into the inbox.")] = False,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """List what came from senders that were not recognised.

    It is kept where the receiver was told to (`mosvpp receive --quarantine N`): the latest N.
    Each was answered with 401, and is handed out only once it is released.
    """
    from .inbox_tables import quarantine_table, quarantined_details

    terminal = Terminal(as_json=as_json)
    in_full = bool(numbers)
    if release and not numbers:
        msg = "say which: mosvpp inbox quarantine 17 18 --release, or --release-all"
        raise RuleError(msg, path="NUMBER", rule="required")
    if release_all and (numbers or release):
        msg = "give numbers with --release, or --release-all by itself"
        raise RuleError(msg, path="--release-all", rule="exclusive")
    with opened(store) as inbox:
        chosen = [_facts(one, in_full=in_full) for one in inbox.quarantined(numbers or None)]
        missing = sorted(set(numbers or ()) - {one["number"] for one in chosen})
        if missing:
            msg = f"not in the quarantine: {', '.join(map(str, missing))}"
            raise RuleError(msg, path="NUMBER", rule="known")
        released = 0
        if release or release_all:
            released = inbox.release(one["number"] for one in chosen)
            again = len(chosen) - released
            terminal.show(
                f"{released:,} taken into the inbox."
                + (f" {again:,} more it had already, or another release took them." if again else "")
            )
        elif not chosen:
            terminal.show("The quarantine is empty.")
        elif in_full:
            for one in inbox.quarantined(numbers):
                terminal.show(*quarantined_details(one))
        else:
            terminal.show(quarantine_table(chosen), "")
            terminal.show(f"{len(chosen):,} kept; each number in full: mosvpp inbox quarantine NUMBER")
    terminal.finish(Exit.OK, released=released, quarantined=chosen)


def _facts(one: Quarantined, *, in_full: bool) -> dict[str, Any]:
    """As `--json` shows it: in a list without headers and body, which may be large, as `inbox list` does."""
    facts = {
        "number": one.seq,
        "kind": one.kind,
        "received_at": one.received_at.isoformat(),
        "bytes": len(one.body),
        "reason": one.reason,
    }
    return {**facts, "headers": one.headers, "body": b64encode(one.body).decode()} if in_full else facts
