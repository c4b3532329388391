"""`mosvpp fleet follow`: from the receiver's inbox into the journal and the telemetry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .exits import Exit
from .fleet_store import Store, required
from .terminal import Terminal

if TYPE_CHECKING:
    from mosvpp.fleet import Followed
    from mosvpp.receiver import Inbox

__all__ = ["follow"]

_SHOW_EVERY_S = 0.5
_WARNINGS = 10


def follow(
    inbox: Annotated[
        str | None,
        typer.Option(
            "--inbox",
            metavar="URL",
            envvar="MOSVPP_STORE",
            help="The inbox of the receiver, as `mosvpp receive --store` has it.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is due any more.")] = False,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Take what the receiver stored: reports into the journal, pushes into the telemetry.

    Until Ctrl-C or SIGTERM. It may be killed and started again at any time, and several may run.
    What it has taken is done in the inbox, so no other worker gets it.
    """
    from mosvpp.fleet import Journal, Telemetry
    from mosvpp.fleet.following import follow as take

    from .arguments import naming
    from .fleet_progress import status_shown
    from .fleet_tables import several
    from .inbox_store import opened

    terminal = Terminal(as_json=as_json)
    url = required(store)
    with naming("--store"):
        journal, telemetry = Journal(url), Telemetry(url)
    with naming("--inbox"), opened(inbox) as source, journal, telemetry:
        followed = take(source, journal, telemetry)
        until = "what is there now" if once else "what comes; Ctrl-C or SIGTERM ends it in order"
        terminal.show(f"Taking {until}.")
        with status_shown(terminal, "looking") as show, _warnings_to(terminal):
            asyncio.run(_until_told(source, followed, show, once=once))
        dead = sum(left.dead for left in source.backlog().values())
    terminal.show(f"{_words(followed)}.")
    if followed.strangers:
        terminal.show(f"{several(followed.strangers, 'result')} of no event in the journal.", style="yellow")
    if followed.conflicts:
        terminal.show(
            f"{several(followed.conflicts, 'conflict')}: `mosvpp fleet status --state conflict` lists them.",
            style="red",
        )
    if dead:
        terminal.show(
            f"{dead:,} with the dead letters: `mosvpp inbox list --state dead` lists them.", style="yellow"
        )
    terminal.finish(
        Exit.OK,
        reports=followed.reports,
        pushes=followed.pushes,
        strangers=followed.strangers,
        conflicts=followed.conflicts,
        dead=dead,
    )


async def _until_told(inbox: Inbox, followed: Followed, show: Callable[[str], None], *, once: bool) -> None:
    from mosvpp.fleet.following import catch_up

    from .receive_server import told_to_stop

    def tell() -> None:
        show(_words(followed))

    with told_to_stop() as told:
        async with inbox.lifespan():
            stopping = asyncio.ensure_future(told.wait())
            ends = [stopping, asyncio.ensure_future(catch_up(inbox, tell))] if once else [stopping]
            try:
                while not any(end.done() for end in ends):
                    await asyncio.wait(ends, timeout=_SHOW_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
                    tell()
            finally:
                for end in ends:
                    end.cancel()
                await asyncio.gather(*ends, return_exceptions=True)


def _words(followed: Followed) -> str:
    from .fleet_tables import several

    pushes = f"{followed.pushes:,} push{'' if followed.pushes == 1 else 'es'}"
    return f"{several(followed.reports, 'report')} and {pushes} taken"


@contextmanager
def _warnings_to(terminal: Terminal) -> Iterator[None]:
    """Show what has to be said on the way; what is said very often, not each time."""

    class Shown(logging.Handler):
        count = 0

        def emit(self, record: logging.LogRecord) -> None:
            self.count += 1
            if self.count <= _WARNINGS:
                terminal.warn(record.getMessage())
            elif self.count == _WARNINGS + 1:
                terminal.warn("and so on; the numbers at the end count all")

    handler = Shown(logging.WARNING)
    logs = [logging.getLogger(name) for name in ("mosvpp.fleet", "mosvpp.receiver")]
    for log in logs:
        log.addHandler(handler)
    try:
        yield
    finally:
        for log in logs:
            log.removeHandler(handler)
