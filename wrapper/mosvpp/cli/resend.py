"""`mosvpp resend`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .terminal import Terminal

__all__ = ["resend"]


def resend(
    file: Annotated[
        Path, typer.Argument(help="The request or the receipt, as it was kept when its outcome was unknown.")
    ],
    save: options.Save = None,
    live: options.Live = False,
    yes: options.Yes = False,
    base_url: options.BaseUrl = None,
    api_version: options.ApiVersion = "v1",
    api_key: options.ApiKey = None,
    ca_file: options.CaFile = None,
    timeout: options.TimeoutS = 30.0,
    as_json: options.Json = False,
) -> None:
    """Send the identical request once more, after its outcome stayed unknown.

    It may then act twice, and it undoes a change or a cancellation that was sent since. So it always asks.
    """
    from mosvpp._requests import Request
    from mosvpp.errors import RuleError
    from mosvpp.receipts import CommandReceipt, Outcome

    from .connection import Connection
    from .consent import insist_on_live, insist_on_yes
    from .outcomes import heading, request_table
    from .saved import insist_on_same_host, load
    from .sending import Sender

    terminal = Terminal(as_json=as_json)
    saved = load(file)
    kept = saved.value
    if not isinstance(kept, Request) and kept.outcome is not Outcome.UNKNOWN:
        msg = f"{file} holds a receipt ({kept.outcome.value}), and what was answered is not sent again"
        raise RuleError(msg, path="FILE", rule="kind", evidence=("behaviour.repeat_post",))
    connection = Connection(
        base_url=base_url, api_version=api_version, api_key=api_key, timeout=timeout, ca_file=ca_file
    )
    insist_on_same_host(saved, connection)
    mode = None if isinstance(kept, CommandReceipt) else kept.mode  # a site command has none: it always acts
    is_live = mode is None or mode.value == "live"
    if is_live:
        insist_on_live("this moves real devices", live=live)
    with Sender(terminal, connection, allow_live=is_live, save=save, source=file) as sender:
        operation = "submit_site_command" if mode is None else "submit_dispatch"
        about = heading(f"resend {operation}", kept.molecule_id, connection)
        warning = "It may act twice, and undoes a change or a cancellation that was sent since."
        insist_on_yes(terminal, kept.molecule_id, about, request_table(kept), warning, yes=yes)
        sender.send(lambda client: client.resend(kept))
