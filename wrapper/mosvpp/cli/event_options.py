"""The options that describe an event, for one site (`dispatch`) or for many (`fleet plan`)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from mosvpp.slots import EventSlot

__all__ = [
    "Duration",
    "End",
    "EventId",
    "EventType",
    "Fold",
    "LaterStart",
    "Mandatory",
    "Mode",
    "ModeOption",
    "PowerText",
    "Priority",
    "Start",
    "Type",
    "Zone",
    "read_slot",
]


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

Type: TypeAlias = Annotated[
    EventType,
    typer.Option(
        "--type", metavar="TYPE", help="charge, discharge, shed or restore.", rich_help_panel=_EVENT
    ),
]
Start: TypeAlias = Annotated[
    str,
    typer.Option(
        "--start",
        metavar="TIME",
        help="now, 2026-11-23T18:00:00Z, 2026-11-23T19:00+01:00, or local time with --tz.",
        rich_help_panel=_EVENT,
    ),
]
LaterStart: TypeAlias = Annotated[
    str,
    typer.Option(
        "--start",
        metavar="TIME",
        help="2026-11-23T18:00:00Z, 2026-11-23T19:00+01:00, or local time with --tz; some minutes ahead.",
        rich_help_panel=_EVENT,
    ),
]
Priority: TypeAlias = Annotated[
    int,
    typer.Option("--priority", metavar="N", help="1 to 99; 1 outranks everything.", rich_help_panel=_EVENT),
]
PowerText: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--power",
        metavar="POWER",
        help="A number above zero and w, kW or MW, as in '5 kW'. Not for restore.",
        rich_help_panel=_EVENT,
    ),
]
End: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--end", metavar="TIME", help="As --start. Give this or --duration.", rich_help_panel=_EVENT
    ),
]
Duration: TypeAlias = Annotated[
    str | None,
    typer.Option("--duration", metavar="DURATION", help="1h, 90m, 1h30m, 45s.", rich_help_panel=_EVENT),
]
Zone: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--tz",
        metavar="ZONE",
        help="The zone of --start and --end, for example Europe/Berlin.",
        rich_help_panel=_EVENT,
    ),
]
Fold: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--fold",
        metavar="0|1",
        help="Which one, of a local time that happens twice in autumn.",
        rich_help_panel=_EVENT,
    ),
]
Mandatory: TypeAlias = Annotated[
    bool,
    typer.Option("--mandatory", help="Compulsory under the program's rules.", rich_help_panel=_EVENT),
]
EventId: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--event-id",
        metavar="UUID",
        help="Default: a new one. One that was used before updates that event (inferred).",
        rich_help_panel=_EVENT,
    ),
]
ModeOption: TypeAlias = Annotated[
    Mode,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="test, or live (with --live). Whether test moves devices is not known.",
    ),
]


def read_slot(
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
    """The event that the options describe. Raises `RuleError` that names the option."""
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
