"""`mosvpp dispatch` and `mosvpp cancel`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .terminal import Terminal

if TYPE_CHECKING:
    from mosvpp.slots import EventSlot

__all__ = ["cancel", "dispatch"]


class EventType(StrEnum):
    """What the site shall do."""

    CHARGE = "charge"
    DISCHARGE = "discharge"
    SHED = "shed"
    RESTORE = "restore"


class Mode(StrEnum):
    """The mode of a dispatch request."""

    TEST = "test"
    LIVE = "live"


_EVENT = "Event"


def dispatch(
    site: options.Site,
    event_type: Annotated[
        EventType,
        typer.Option(
            "--type", metavar="TYPE", help="charge, discharge, shed or restore.", rich_help_panel=_EVENT
        ),
    ],
    start: Annotated[
        str,
        typer.Option(
            "--start",
            metavar="TIME",
            help="now, 2026-11-23T18:00:00Z, 2026-11-23T19:00+01:00, or local time with --tz.",
            rich_help_panel=_EVENT,
        ),
    ],
    priority: Annotated[
        int,
        typer.Option(
            "--priority",
            metavar="N",
            help="1 to 99; 1 outranks everything.",
            rich_help_panel=_EVENT,
        ),
    ],
    power: Annotated[
        str | None,
        typer.Option(
            "--power",
            metavar="POWER",
            help="A number above zero and w, kW or MW, as in '5 kW'. Not for restore.",
            rich_help_panel=_EVENT,
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--end", metavar="TIME", help="As --start. Give this or --duration.", rich_help_panel=_EVENT
        ),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option("--duration", metavar="DURATION", help="1h, 90m, 1h30m, 45s.", rich_help_panel=_EVENT),
    ] = None,
    tz: Annotated[
        str | None,
        typer.Option(
            "--tz",
            metavar="ZONE",
            help="The zone of --start and --end, for example Europe/Berlin.",
            rich_help_panel=_EVENT,
        ),
    ] = None,
    fold: Annotated[
        int | None,
        typer.Option(
            "--fold",
            metavar="0|1",
            help="Which one, of a local time that happens twice in autumn.",
            rich_help_panel=_EVENT,
        ),
    ] = None,
    mandatory: Annotated[
        bool,
        typer.Option("--mandatory", help="Compulsory under the program's rules.", rich_help_panel=_EVENT),
    ] = False,
    event_id: Annotated[
        str | None,
        typer.Option(
            "--event-id",
            metavar="UUID",
            help="Default: a new one. One that was used before updates that event (inferred).",
            rich_help_panel=_EVENT,
        ),
    ] = None,
    mode: Annotated[
        Mode,
        typer.Option(
            "--mode",
            metavar="MODE",
            help="test, or live (with --live). Whether test moves devices is not known.",
        ),
    ] = Mode.TEST,
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
    slot = _slot(event_type, power, start, end, duration, tz, fold, priority, event_id, mandatory=mandatory)
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


def _slot(
    event_type: EventType,
    power: str | None,
    start: str,
    end: str | None,
    duration: str | None,
    tz: str | None,
    fold: int | None,
    priority: int,
    event_id: str | None,
    *,
    mandatory: bool,
) -> EventSlot:
    from mosvpp import slots
    from mosvpp.errors import RuleError

    from .arguments import naming, read_duration, read_power, read_time

    if (end is None) == (duration is None):
        raise RuleError(
            "give --end or --duration, and only one of them", path="--end", rule="end_or_duration"
        )
    begin = read_time(start, "--start", tz=tz, fold=fold)
    until = None if end is None else read_time(end, "--end", tz=tz, fold=fold)
    length = None if duration is None else read_duration(duration, "--duration")
    with naming():
        if event_type is EventType.RESTORE:
            if power is not None:
                raise RuleError("restore takes no power", path="power", rule="state_based")
            return slots.restore(
                start=begin,
                end=until,
                duration=length,
                priority=priority,
                mandatory=mandatory,
                event_id=event_id,
            )
        if power is None:
            msg = f"{event_type.value} needs a power, as in --power '5 kW'"
            raise RuleError(msg, path="power", rule="required", evidence=("dispatch.event_quantity",))
        build = {"charge": slots.charge, "discharge": slots.discharge, "shed": slots.shed}[event_type.value]
        wanted = read_power(power, "--power")
        return build(
            wanted,
            start=begin,
            end=until,
            duration=length,
            priority=priority,
            mandatory=mandatory,
            event_id=event_id,
        )


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
