"""`mosvpp dispatch` and `mosvpp cancel`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .event_options import (
    Duration,
    End,
    EventId,
    Fold,
    Mandatory,
    Mode,
    ModeOption,
    PowerText,
    Priority,
    Start,
    Type,
    Zone,
    read_slot,
)
from .terminal import Terminal

__all__ = ["cancel", "dispatch"]


def dispatch(
    site: options.Site,
    event_type: Type,
    start: Start,
    priority: Priority,
    power: PowerText = None,
    end: End = None,
    duration: Duration = None,
    tz: Zone = None,
    fold: Fold = None,
    mandatory: Mandatory = False,
    event_id: EventId = None,
    mode: ModeOption = Mode.TEST,
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
    """Ask a site to charge, discharge, shed or restore for a while.

    Keep the receipt with --save: it is what cancels the event.
    """
    from mosvpp.errors import RuleError

    from .connection import Connection
    from .consent import insist_on_live, insist_on_yes
    from .outcomes import heading
    from .sending import Sender
    from .tables import slots_table

    terminal = Terminal(as_json=as_json)
    slot = read_slot(
        event_type, power, start, end, duration, tz, fold, priority, event_id, mandatory=mandatory
    )
    is_live = mode is Mode.LIVE
    if is_live:
        insist_on_live("live dispatch moves real devices", live=live)
    elif live:
        msg = (
            "--live is for what moves real devices, and this is a test: add --mode live, or leave out --live"
        )
        raise RuleError(msg, path="--live", rule="arming", evidence=("dispatch.mode",))
    connection = Connection(
        base_url=base_url, api_version=api_version, api_key=api_key, timeout=timeout, ca_file=ca_file
    )
    with Sender(terminal, connection, save=save, allow_live=is_live) as sender:
        sender.client.check_dispatch(site, [slot], mode.value)
        about = heading(f"dispatch, {mode.value}", site, connection)
        if is_live:
            insist_on_yes(terminal, site, about, slots_table([slot]), yes=yes)
        else:
            terminal.show(about)
        sender.send(lambda client: client.submit_dispatch(site, slot, mode=mode.value))


def cancel(
    file: Annotated[
        Path,
        typer.Argument(help="The receipt, or the request whose outcome is unknown."),
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
    """Cancel the events of a dispatch, in the mode they were sent in.

    Sends the same events again, marked as cancelled. That this cancels them is inferred, not documented.
    """
    from mosvpp.errors import RuleError
    from mosvpp.receipts import CommandReceipt

    from .connection import Connection
    from .consent import insist_on_live, insist_on_yes
    from .outcomes import heading
    from .saved import insist_on_same_host, load
    from .sending import Sender
    from .tables import slots_table

    terminal = Terminal(as_json=as_json)
    saved = load(file)
    value = saved.value
    if isinstance(value, CommandReceipt) or not value.slots or value.mode is None:
        msg = f"{file} holds no dispatch; a site command is undone by another one, such as off or restore"
        raise RuleError(msg, path="FILE", rule="kind", evidence=("command.no_cancel",))
    connection = Connection(
        base_url=base_url, api_version=api_version, api_key=api_key, timeout=timeout, ca_file=ca_file
    )
    insist_on_same_host(saved, connection)
    slots, mode = [slot.cancel() for slot in value.slots], value.mode
    is_live = mode.value == Mode.LIVE
    if is_live:
        insist_on_live("these events are live", live=live)
    with Sender(terminal, connection, save=save, allow_live=is_live) as sender:
        sender.client.check_dispatch(value.molecule_id, slots, mode.value)
        about = heading(f"cancel, {mode.value}", value.molecule_id, connection)
        if is_live:
            insist_on_yes(terminal, value.molecule_id, about, slots_table(slots), yes=yes)
        else:
            terminal.show(about)
        sender.send(lambda client: client.submit_dispatch(value.molecule_id, slots, mode=mode.value))
