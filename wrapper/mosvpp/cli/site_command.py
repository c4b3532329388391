"""`mosvpp command`."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .terminal import Terminal

__all__ = ["command"]


def command(
    site: options.Site,
    commands: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMANDS...",
            help="DEVICE:ACTION or DEVICE:ACTION:POWER, for example 20000:discharge:5kW 21000:off."
            " charge, discharge and shed take a power; on, off and restore take none.",
        ),
    ],
    duration: Annotated[
        str,
        typer.Option(
            "--duration",
            metavar="DURATION",
            help="How long, for all devices: 15m, 1h30m, 45s. What they do afterwards is not known.",
        ),
    ],
    scmd_id: Annotated[
        str | None, typer.Option("--scmd-id", metavar="UUID", help="Default: a new one.")
    ] = None,
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
    """Command devices of a site, at once. No test mode is documented, so --live is always needed.

    No way to cancel is documented either: the only undo is another command, such as off or restore.
    """
    from .arguments import read_device_command, read_duration
    from .connection import Connection
    from .consent import insist_on_live, insist_on_yes
    from .outcomes import heading
    from .sending import Sender
    from .tables import commands_table, duration_words

    terminal = Terminal(as_json=as_json)
    wanted = [read_device_command(text) for text in commands]
    length = read_duration(duration, "--duration")
    insist_on_live("a site command moves real devices, and no test mode is documented", live=live)
    connection = Connection(
        base_url=base_url, api_version=api_version, api_key=api_key, timeout=timeout, ca_file=ca_file
    )
    with Sender(terminal, connection, save=save, allow_live=True) as sender:
        sender.client.check_site_command(site, wanted, length, scmd_id)
        about = heading(f"command for {duration_words(int(length.total_seconds()))}", site, connection)
        insist_on_yes(terminal, site, about, commands_table(wanted), yes=yes)
        sender.send(lambda client: client.submit_site_command(site, wanted, duration=length, scmd_id=scmd_id))
