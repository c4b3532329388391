"""`mosvpp inbox silent`: which sites have stopped pushing."""

from __future__ import annotations

from typing import Annotated

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .inbox_store import Store, opened
from .terminal import Terminal, plain

__all__ = ["silent"]

_SHOWN = 50


def silent(
    older_than: Annotated[
        str,
        typer.Option("--older-than", metavar="DURATION", help="Silent means no push for longer: 5m, 1h30m."),
    ] = "15m",
    forget: Annotated[
        list[str] | None,
        typer.Option(
            "--forget",
            metavar="SITE",
            help="Take a site that is gone for good out of the list. Its deliveries stay, and its next push"
            " puts it back. Repeat it.",
        ),
    ] = None,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """List the sites that pushed once and have stopped.

    Ends with 1 if there are any, for schedulers that raise alarms.
    A site that has never pushed is not known here.
    """
    from .arguments import read_duration
    from .inbox_tables import sites_table

    terminal = Terminal(as_json=as_json)
    limit = read_duration(older_than, "--older-than")
    with opened(store) as inbox:
        for site in forget or ():
            if not inbox.forget_site(site):
                raise RuleError(f"no site {plain(site)} is in the list", path="--forget", rule="known")
        now = inbox.now()
        known = inbox.sites()
    found = [site for site in known if now - site.last_push_at > limit]
    if found:
        terminal.show(sites_table(found[:_SHOWN], now))
        if len(found) > _SHOWN:
            terminal.show(f"… and {len(found) - _SHOWN:,} more; --json lists all")
        terminal.show("")
        terminal.show(f"{len(found):,} of {len(known):,} sites silent for longer than {older_than}.")
    elif known:
        whole = "The only site" if len(known) == 1 else f"All {len(known):,} sites"
        terminal.show(f"{whole} pushed within {older_than}.", style="green")
    else:
        terminal.show("No site has pushed yet.", style="yellow")
    terminal.finish(
        Exit.NO if found else Exit.OK,
        known=len(known),
        silent=[
            {
                "molecule_id": site.molecule_id,
                "last_push_at": site.last_push_at.isoformat(),
                "silent_s": round((now - site.last_push_at).total_seconds(), 3),
            }
            for site in found
        ],
    )
