"""`mosvpp inbox forward` and `forwarded`: filling a stream of NATS JetStream from an inbox."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .inbox_store import Store, insist_on_file, read_moment, required
from .terminal import Terminal

if TYPE_CHECKING:
    from mosvpp.receiver.forwarding import Forwarded, Forwarding

__all__ = ["SERVERS_VARIABLE", "forward", "forwarded"]

SERVERS_VARIABLE = "MOSVPP_NATS"

_NATS = "NATS"
_SAFETY = "Safety"
_SECRET = "@FILE reads it from a file, env:NAME from a variable."  # noqa: S105  a help text


def forward(
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="URL",
            envvar=SERVERS_VARIABLE,
            help="nats://host:4222 or tls://host:4222, once for each server of the cluster.",
            rich_help_panel=_NATS,
        ),
    ] = None,
    monitor_url: Annotated[
        list[str] | None,
        typer.Option(
            "--monitor-url",
            metavar="URL",
            help="http://host:8222, once for each server: whether it syncs before it acknowledges is asked"
            " there.",
            rich_help_panel=_NATS,
        ),
    ] = None,
    stream: Annotated[
        str,
        typer.Option("--stream", metavar="NAME", help="Made where it is missing.", rich_help_panel=_NATS),
    ] = "MOSVPP",
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="A user of NATS.", rich_help_panel=_NATS)
    ] = None,
    password: Annotated[
        str | None,
        typer.Option("--password", metavar="SECRET", help=f"Its password. {_SECRET}", rich_help_panel=_NATS),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="SECRET", help=f"A token of NATS. {_SECRET}", rich_help_panel=_NATS),
    ] = None,
    ca_file: options.CaFile = None,
    once: Annotated[
        bool, typer.Option("--once", help="End when all that is stored now is in the stream.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Leave out what arrived earlier: 2026-11-23T18:00:00Z, or 2h for two hours ago.",
        ),
    ] = None,
    finish: Annotated[
        bool,
        typer.Option("--finish", help="What was forwarded is done: for a store that no worker reads."),
    ] = False,
    replicas: Annotated[
        int,
        typer.Option("--replicas", help="How many servers must hold the stream.", rich_help_panel=_SAFETY),
    ] = 3,
    allow_unsynced: Annotated[
        bool,
        typer.Option(
            "--allow-unsynced",
            help="Also to servers that acknowledge before they sync: a power cut may lose what they said to"
            " have.",
            rich_help_panel=_SAFETY,
        ),
    ] = False,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Publish what is stored to a stream of NATS JetStream, each delivery once.

    In order within each site, to mosvpp.<kind>.<molecule_id>, until Ctrl-C or SIGTERM.
    It may be killed and started again at any time; several may run, and one of them works.
    """
    terminal = Terminal(as_json=as_json)
    url = required(store)
    insist_on_file(url)
    servers = [one.strip() for text in to or [] for one in text.split(",") if one.strip()]
    if not servers:
        msg = f"say where NATS is: --to nats://host:4222, or the variable {SERVERS_VARIABLE}"
        raise RuleError(msg, path="--to", rule="required")
    access = _access(user=user, password=password, token=token)
    if ca_file is not None:
        access["tls"] = _trust(ca_file)
    from .arguments import naming

    forwarding = _forwarding()
    with naming(servers="--to", monitor_urls="--monitor-url", url="--store"), _warnings_to(terminal):
        if not monitor_url and not allow_unsynced:
            msg = (
                "say where the monitors of the servers are (http://host:8222 for each), so that it can be"
                " seen that they sync before they acknowledge; or accept the loss with --allow-unsynced"
            )
            raise RuleError(msg, path="--monitor-url", rule="required")
        terminal.show(f"Forwarding to {stream}{_until_when(once=once)}")
        with _counted(terminal) as on_progress:
            done = forwarding.forward(
                url,
                servers,
                once=once,
                monitor_urls=monitor_url or [],
                stream=stream,
                replicas=replicas,
                allow_unsynced=allow_unsynced,
                since=None if since is None else read_moment(since, "--since"),
                finish=finish,
                on_progress=on_progress,
                options=access,
            )
    found = f", {done.found:,} were there already" if done.found else ""
    passed = f", {done.passed_over:,} left out (purged, or older than --since)" if done.passed_over else ""
    terminal.show(f"{done.published:,} published{found}{passed}.")
    terminal.finish(
        Exit.OK, stream=stream, published=done.published, found=done.found, left_out=done.passed_over
    )


def forwarded(
    forget: Annotated[
        str | None,
        typer.Option(
            "--forget",
            metavar="STREAM",
            help="Give up this stream, so that it holds up `purge` no more.",
        ),
    ] = None,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Show how far the streams are that are filled from this store."""
    terminal = Terminal(as_json=as_json)
    url = required(store)
    insist_on_file(url)
    forwarding = _forwarding()
    if forget is not None:
        known = forwarding.forget(url, forget)
        terminal.show(f"{forget} is given up." if known else f"There is no {forget} here.")
        terminal.finish(Exit.OK if known else Exit.NO, forgotten=known)
    streams = forwarding.progress(url)
    if streams:
        terminal.show(_table(streams))
    else:
        terminal.show("Nothing was ever forwarded from this store.")
    listed = [
        {
            "stream": one.stream,
            "behind": one.behind,
            "forwarded_at": None if one.forwarded_at is None else one.forwarded_at.isoformat(),
            "holder": one.holder,
        }
        for one in streams
    ]
    terminal.finish(Exit.OK, streams=listed)


def _forwarding() -> Any:
    try:
        from mosvpp.receiver import forwarding
    except ImportError as error:  # the sentence says which extra brings it
        raise RuleError(str(error), path="command line", rule="extra") from None
    return forwarding


def _access(*, user: str | None, password: str | None, token: str | None) -> dict[str, Any]:
    from .arguments import read_secret

    if user is not None and token is not None:
        raise RuleError("give --user or --token, not both", path="--token", rule="one_of")
    if (user is None) != (password is None):
        raise RuleError("--user and --password belong together", path="--password", rule="required")
    if user is not None and password is not None:
        return {"user": user, "password": read_secret(password, "--password").value}
    return {} if token is None else {"token": read_secret(token, "--token").value}


def _trust(ca_file: Path) -> ssl.SSLContext:
    from .arguments import read_file

    read_file(ca_file, "--ca-file")
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError):
        msg = f"{ca_file} holds no certificates in PEM form"
        raise RuleError(msg, path="--ca-file", rule="pem") from None


def _until_when(*, once: bool) -> str:
    return " what is stored now." if once else "; Ctrl-C or SIGTERM ends it in order."


@contextmanager
def _warnings_to(terminal: Terminal) -> Iterator[None]:
    """Show what the forwarder has to say while it runs."""

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            terminal.warn(record.getMessage())

    log, handler = logging.getLogger("mosvpp.receiver"), Shown(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


@contextmanager
def _counted(terminal: Terminal) -> Iterator[Any]:
    """A line that counts, where somebody is watching."""
    from .inbox_progress import is_watched

    if not is_watched(terminal):
        yield None
        return
    import sys

    from rich.console import Console

    def show(done: Forwarded) -> None:
        status.update(f"{done.published + done.found:,} in the stream, {done.behind:,} to go")

    with Console(file=sys.stderr, markup=False).status("looking for what is new") as status:
        yield show


def _table(streams: list[Forwarding]) -> Any:
    from rich.table import Table

    from .inbox_tables import age, instant

    now = datetime.now(UTC)
    table = Table(box=None, pad_edge=False)
    for name in ("stream", "behind", "last forwarded (UTC)", "forwarder at work"):
        table.add_column(name, justify="right" if name == "behind" else "left")
    for one in streams:
        at = one.forwarded_at
        when = "never" if at is None else f"{instant(at)}, {age(now - at)} ago"
        table.add_row(one.stream, f"{one.behind:,}", when, one.holder or "none")
    return table
