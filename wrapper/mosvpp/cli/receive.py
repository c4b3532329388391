"""`mosvpp receive`: the two endpoints that Molecule sends to, as a program of its own."""

from __future__ import annotations

import asyncio
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mosvpp.errors import RuleError

from .exits import Exit
from .inbox_store import Store, required
from .terminal import Terminal, plain

if TYPE_CHECKING:
    from mosvpp.receiver import Options, SqlInbox

    from .receive_secrets import Senders
    from .receive_server import Listening

__all__ = ["receive"]

_SENDER = "Who may send"
_LIMITS = "Limits"
_OPERATION = "Operation"


class ServerName(StrEnum):
    """Which server does the HTTP."""

    GRANIAN = "granian"
    UVICORN = "uvicorn"


class LogFormat(StrEnum):
    """How logs look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """From which level on."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def receive(
    store: Store = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; 0.0.0.0 for all addresses.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0 takes a free one.")
    ] = 8080,
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            metavar="NAME=VALUE",
            help="A header configured with Molecule: NAME=@FILE, NAME=env:VARIABLE or NAME=SECRET. Repeat it"
            " for more headers, or for the previous secret of one while rotating. A secret written here is"
            " seen by everyone who can list processes: prefer a file. Without this option lines of the"
            " variable MOSVPP_RECEIVE_HEADERS are taken.",
            rich_help_panel=_SENDER,
        ),
    ] = None,
    header_file: Annotated[
        list[str] | None,
        typer.Option(
            "--header-file",
            metavar="NAME=PATH",
            help="A header whose secrets are in a file, one a line; it is read again when it changes.",
            rich_help_panel=_SENDER,
        ),
    ] = None,
    signing_secret: Annotated[
        list[str] | None,
        typer.Option(
            "--signing-secret",
            metavar="SECRET",
            help="For your own gateway that signs (Molecule documents no signature): @FILE, env:VARIABLE"
            " or whsec_…. Repeat it while rotating.",
            rich_help_panel=_SENDER,
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="NETWORK",
            help="Let in only clients of this network, as in 203.0.113.0/24. Repeat it.",
            rich_help_panel=_SENDER,
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy",
            metavar="NETWORK",
            help="Believe X-Forwarded-For of proxies in this network. Repeat it.",
            rich_help_panel=_SENDER,
        ),
    ] = None,
    quarantine: Annotated[
        int,
        typer.Option(
            "--quarantine",
            metavar="N",
            min=0,
            help="Keep the latest N deliveries of unrecognised senders aside, in case the secret here is"
            " wrong; see `mosvpp inbox quarantine`. Their bodies are read then. 0: none.",
            rich_help_panel=_SENDER,
        ),
    ] = 0,
    max_body: Annotated[
        int,
        typer.Option("--max-body", metavar="BYTES", min=1, help="The largest body.", rich_help_panel=_LIMITS),
    ] = 256 * 1024,
    header_deadline: Annotated[
        str,
        typer.Option(
            "--header-deadline",
            metavar="DURATION",
            help="For all headers of a request. uvicorn has none: there the proxy needs it.",
            rich_help_panel=_LIMITS,
        ),
    ] = "10s",
    body_deadline: Annotated[
        str,
        typer.Option(
            "--body-deadline", metavar="DURATION", help="For a whole body.", rich_help_panel=_LIMITS
        ),
    ] = "10s",
    inflate: Annotated[
        bool, typer.Option("--inflate", help="Take gzip and deflate.", rich_help_panel=_LIMITS)
    ] = False,
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency", metavar="N", min=1, help="Connections at once.", rich_help_panel=_LIMITS
        ),
    ] = 512,
    backlog: Annotated[
        int,
        typer.Option(
            "--backlog", metavar="N", min=128, help="Connections that wait.", rich_help_panel=_LIMITS
        ),
    ] = 1024,
    server: Annotated[
        ServerName,
        typer.Option(
            "--server",
            metavar="NAME",
            help="granian, or uvicorn behind a proxy (it never closes a connection whose headers are slow).",
            rich_help_panel=_OPERATION,
        ),
    ] = ServerName.GRANIAN,
    capture: Annotated[
        Path | None,
        typer.Option(
            "--capture",
            metavar="DIR",
            help="Also write bodies of unknown shape there, ids and secrets replaced, to be shown to others.",
            rich_help_panel=_OPERATION,
        ),
    ] = None,
    metrics: Annotated[
        bool | None,
        typer.Option(
            "--metrics/--no-metrics",
            help="GET /metrics for Prometheus, to everyone who reaches the port. Default: with the extra.",
            rich_help_panel=_OPERATION,
        ),
    ] = None,
    log_format: Annotated[
        LogFormat,
        typer.Option("--log-format", metavar="FORMAT", help="text or json.", rich_help_panel=_OPERATION),
    ] = LogFormat.TEXT,
    log_level: Annotated[
        LogLevel,
        typer.Option(
            "--log-level", metavar="LEVEL", help="debug, info, warning or error.", rich_help_panel=_OPERATION
        ),
    ] = LogLevel.INFO,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object when it listens, instead of text.")
    ] = False,
) -> None:
    """Receive what Molecule sends, and store it before answering 200.

    Ctrl-C or SIGTERM stops it, after what is in hand. Handle what is stored with
    `inbox.work()` or `inbox.deliveries()` in a program of yours, or look with `mosvpp inbox`.
    """
    terminal = Terminal(as_json=as_json)
    url = required(store)
    from mosvpp.receiver import SqlInbox, asgi

    from .arguments import naming, read_duration
    from .receive_running import logged_to_stderr, receive_until_told
    from .receive_secrets import HEADERS_VARIABLE, read_senders
    from .receive_server import Listening, free_port, insist_on_free_port

    senders = read_senders(
        header or (), header_file or (), signing_secret or (), os.environ.get(HEADERS_VARIABLE)
    )
    given: Options = {
        "max_body": max_body,
        "body_deadline": read_duration(body_deadline, "--body-deadline"),
        "inflate": inflate,
        "allowed": allow or (),
        "trusted_proxies": trusted_proxy or (),
        "quarantine": quarantine > 0,
        "metrics": _has_metrics(wanted=metrics),
        "id_header": senders.id_header,
    }
    with naming(
        allowed="--allow",
        trusted_proxies="--trusted-proxy",
        url="--store",
        quarantine_size="--quarantine",
    ):
        inbox = SqlInbox(url, quarantine_size=max(quarantine, 1))
        app = asgi(inbox, verifier=senders.verifier, **given)
    header_deadline_s = _header_deadline_s(header_deadline)
    insist_on_free_port(host, port)
    where = Listening(host, port or free_port(host), concurrency, backlog, header_deadline_s)
    with logged_to_stderr(log_format.value, log_level.value), inbox:
        inbox.check().result(10)
        asyncio.run(
            receive_until_told(
                inbox,
                app,
                server.value,
                where,
                capture=capture,
                on_ready=lambda: _greet(terminal, inbox, where, senders, given, capture),
            )
        )
    raise typer.Exit(Exit.OK)


def _header_deadline_s(text: str) -> float:
    from .arguments import read_duration

    seconds = read_duration(text, "--header-deadline").total_seconds()
    if seconds == 0:
        raise RuleError("header_deadline is longer than nothing", path="--header-deadline", rule="minimum")
    return seconds


def _has_metrics(*, wanted: bool | None) -> bool:
    from importlib.util import find_spec

    has_extra = find_spec("prometheus_client") is not None
    if wanted and not has_extra:
        msg = "metrics need prometheus-client: pip install 'mosvpp[receiver,metrics]'"
        raise RuleError(msg, path="--metrics", rule="extra")
    return has_extra if wanted is None else wanted


def _greet(
    terminal: Terminal,
    inbox: SqlInbox,
    where: Listening,
    senders: Senders,
    given: Options,
    capture: Path | None,
) -> None:
    """Say what listens where, once it does."""
    from rich.table import Table

    from mosvpp.receiver._handle import LONGER

    host = f"[{where.host}]" if ":" in where.host else where.host
    url = f"http://{host}:{where.port}"
    backlog = inbox.backlog()
    unfinished = sum(left.unfinished for left in backlog.values())
    dead = sum(left.dead for left in backlog.values())
    probes = ["/healthz", "/readyz", *(["/metrics"] if given.get("metrics") else [])]
    lines: list[tuple[str, Any]] = [
        ("data push", f"POST {url}/data-push"),
        ("execution response", f"POST {url}/execution-response"),
        ("must carry", ", ".join(senders.described)),
        ("stored in", plain(inbox.shown_url)),
        ("holds", f"{unfinished:,} unfinished, {dead:,} with the dead letters"),
        ("probes", "  ".join(probes)),
    ]
    if capture is not None:
        lines.append(("unknown shapes to", plain(capture)))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(f"  {name}", text)
    terminal.show("Ready for Molecule.", style="bold green")
    terminal.show(table)
    terminal.show("  Give Molecule the https address of the proxy in front. Ctrl-C stops.", style="dim")
    if senders.is_exposed:
        terminal.warn("a secret on the command line is seen by all who list processes: use --header-file")
    if senders.is_guessable:
        terminal.warn(f"every secret is so short that it can be guessed: {LONGER}")
    terminal.announce(
        url=url,
        paths=["/data-push", "/execution-response"],
        sender=senders.described,
        store=inbox.shown_url,
        probes=probes,
        unfinished=unfinished,
        dead=dead,
    )
