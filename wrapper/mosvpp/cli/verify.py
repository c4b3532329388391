"""`mosvpp verify`: why a captured webhook is accepted or not, step by step."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .exits import Exit
from .terminal import Terminal, plain

__all__ = ["verify"]


class Kind(StrEnum):
    """What the URL receives that the webhook came to."""

    DATA_PUSH = "data_push"
    EXECUTION_RESPONSE = "execution_response"


_SENDER = "Who sent it"


def verify(
    file: Annotated[Path, typer.Argument(help="The raw body as it arrived; - reads it from standard input.")],
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="NAME=VALUE", help="A header that came with it. Repeat it."),
    ] = None,
    headers: Annotated[
        Path | None,
        typer.Option("--headers", metavar="FILE", help="The headers: lines of 'Name: value', or JSON."),
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            "--kind", metavar="KIND", help="data_push or execution_response. Default: the shape decides."
        ),
    ] = None,
    shared_header: Annotated[
        list[str] | None,
        typer.Option(
            "--shared-header",
            metavar="NAME=SECRET",
            help="A header configured with Molecule: NAME=@FILE, NAME=env:VARIABLE or NAME=SECRET. Repeat it"
            " for more headers, or for more secrets of one.",
            rich_help_panel=_SENDER,
        ),
    ] = None,
    signing_secret: Annotated[
        list[str] | None,
        typer.Option(
            "--signing-secret",
            metavar="SECRET",
            help="For your own gateway that signs (Molecule documents no signature): @FILE, env:VARIABLE"
            " or whsec_…. Repeat it.",
            rich_help_panel=_SENDER,
        ),
    ] = None,
    tolerance: Annotated[
        str,
        typer.Option(
            "--tolerance",
            metavar="DURATION",
            help="How far a signed time may be away.",
            rich_help_panel=_SENDER,
        ),
    ] = "5m",
    received_at: Annotated[
        str,
        typer.Option(
            "--received-at",
            metavar="TIME",
            help="When it came, for the age of a signature: 2026-11-23T18:00:00Z.",
            rich_help_panel=_SENDER,
        ),
    ] = "now",
    body_only: Annotated[
        bool,
        typer.Option("--body-only", help="Do not check who sent it.", rich_help_panel=_SENDER),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Explain why a captured webhook is accepted or not.

    Nothing is sent. Secrets are compared, never shown.
    """
    from mosvpp.errors import AuthenticationError, RuleError

    from .arguments import read_duration, read_secret, read_time
    from .captures import read_body, read_headers, read_shared_headers
    from .inspection import Capture
    from .tables import delivery_table

    terminal = Terminal(as_json=as_json)
    if not (shared_header or signing_secret or body_only):
        msg = (
            "say how to know the sender: --shared-header, --signing-secret, or --body-only to leave that out"
        )
        raise RuleError(msg, path="--shared-header", rule="required", evidence=("push.validate_headers",))
    body = read_body(file)
    pairs = read_headers(header or [], headers)
    shared = read_shared_headers(shared_header or [])
    capture = Capture(
        body=body,
        pairs=pairs,
        shared=shared,
        signing=[read_secret(text, "--signing-secret") for text in signing_secret or []],
        tolerance=read_duration(tolerance, "--tolerance"),
        now=read_time(received_at, "--received-at", tz=None, fold=None),
        kind=None if kind is None else kind.value,
    )
    verdict = capture.verdict()
    terminal.show(f"Would {plain(file)} be accepted?")
    checks = []
    for check in capture.checks():
        checks.append(check)
        terminal.show(check.as_row())
    for drift in verdict.drifts if verdict.is_good else ():
        terminal.warn(f"{drift.kind.replace('_', ' ')}, {drift.path}: {drift.detail}")
    if verdict.delivery is not None:
        terminal.show("", delivery_table(verdict.delivery))
    style = "bold green" if verdict.is_good else "bold yellow" if verdict.error is None else "bold red"
    terminal.show("")
    terminal.show(verdict.sentence, style=style)
    terminal.finish(
        Exit.OK if verdict.is_good else Exit.NO,
        accepted=verdict.error is None,
        answer=verdict.answer,
        authenticated=None if body_only else not isinstance(verdict.error, AuthenticationError),
        kind=None if verdict.delivery is None else verdict.delivery.kind,
        reason=verdict.reason,
        checks=[check.as_object() for check in checks],
        delivery=None if verdict.delivery is None else json.loads(verdict.delivery.to_json()),
    )
