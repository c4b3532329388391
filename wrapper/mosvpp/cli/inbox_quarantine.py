"""`mosvpp inbox quarantine`: deliveries of senders that were not recognised, kept aside."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .inbox_store import Store, opened
from .terminal import Terminal

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
    if release and not numbers:
        msg = "say which: mosvpp inbox quarantine 17 18 --release, or --release-all"
        raise RuleError(msg, path="NUMBER", rule="required")
    with opened(store) as inbox:
        kept = inbox.quarantined()
        chosen = [one for one in kept if not numbers or one.seq in numbers]
        missing = sorted(set(numbers or ()) - {one.seq for one in chosen})
        if missing:
            msg = f"not in the quarantine: {', '.join(map(str, missing))}"
            raise RuleError(msg, path="NUMBER", rule="known")
        released = 0
        if release or release_all:
            released = inbox.release([one.seq for one in chosen])
            terminal.show(f"{released:,} taken into the inbox.")
        elif not kept:
            terminal.show("The quarantine is empty.")
        elif numbers:
            for one in chosen:
                terminal.show(*quarantined_details(one))
        else:
            terminal.show(quarantine_table(chosen), "")
            terminal.show(f"{len(chosen):,} kept; each number in full: mosvpp inbox quarantine NUMBER")
    terminal.finish(
        Exit.OK,
        released=released,
        quarantined=[
            {
                "number": one.seq,
                "kind": one.kind,
                "received_at": one.received_at.isoformat(),
                "reason": one.reason,
                "headers": one.headers,
                "body": b64encode(one.body).decode(),
            }
            for one in chosen
        ],
    )
