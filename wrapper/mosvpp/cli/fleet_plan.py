"""`mosvpp fleet plan`: what would be sent to which sites, and what speaks against it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mosvpp.errors import RuleError

from . import options
from .event_options import (
    Duration,
    End,
    EventId,
    EventType,
    Fold,
    LaterStart,
    Mandatory,
    Mode,
    ModeOption,
    PowerText,
    Priority,
    Type,
    Zone,
    read_slot,
)
from .exits import Exit
from .fleet_sites import SiteLine, SitesFile, WithRatings, read_sites
from .fleet_store import Store, opened_journal, opened_registry, required
from .terminal import Terminal

if TYPE_CHECKING:
    from mosvpp.fleet import Plan
    from mosvpp.slots import EventSlot

__all__ = ["plan"]

_CHECKS = "Checks"


def plan(
    sites: SitesFile,
    event_type: Type,
    start: LaterStart,
    priority: Priority,
    power: PowerText = None,
    end: End = None,
    duration: Duration = None,
    tz: Zone = None,
    fold: Fold = None,
    mandatory: Mandatory = False,
    event_id: EventId = None,
    mode: ModeOption = Mode.TEST,
    rate: Annotated[
        float,
        typer.Option(
            "--rate",
            metavar="N",
            help="Requests a second. What Molecule allows is not known.",
            rich_help_panel=_CHECKS,
        ),
    ] = 100.0,
    lead: Annotated[
        str,
        typer.Option(
            "--lead",
            metavar="DURATION",
            help="Everything must be sent so long before its start: 5m.",
            rich_help_panel=_CHECKS,
        ),
    ] = "0s",
    site_ceiling: Annotated[
        str | None,
        typer.Option(
            "--site-ceiling",
            metavar="POWER",
            help="No site may be asked for more: '10 kW'.",
            rich_help_panel=_CHECKS,
        ),
    ] = None,
    total_ceiling: Annotated[
        str | None,
        typer.Option(
            "--total-ceiling",
            metavar="POWER",
            help="Nor all sites together: '3 MW'.",
            rich_help_panel=_CHECKS,
        ),
    ] = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Send again what was sent before, changed or not.", rich_help_panel=_CHECKS
        ),
    ] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="CODE",
            help="Let errors with this code be warnings; may be repeated.",
            rich_help_panel=_CHECKS,
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out",
            metavar="CODE",
            help="Leave out the sites that have errors with this code, such as capability; may be repeated.",
            rich_help_panel=_CHECKS,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Keep the plan in a new file, for `mosvpp fleet run`."),
    ] = None,
    live: options.Live = False,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Plan an event for many sites, and check it. Nothing is sent.

    Ends with 1 if something forbids it. A power in the file goes before --power.
    """
    from mosvpp.fleet import plan_dispatch
    from mosvpp.slots import EventSlot

    from .arguments import naming, read_duration, read_power
    from .fleet_tables import findings_lines, plan_table

    terminal = Terminal(as_json=as_json)
    if live and mode is not Mode.LIVE:
        msg = "--live is for what moves real devices, and this is a test: add --mode live, or leave it out"
        raise RuleError(msg, path="--live", rule="arming", evidence=("dispatch.mode",))
    if start.strip() == "now":
        msg = "a plan is looked at before it is sent: give a start some minutes ahead, as a time"
        raise RuleError(msg, path="--start", rule="future")
    lines = read_sites(sites)
    if power is not None and all(line.power is not None for line in lines):
        terminal.warn("--power counts nowhere: the file has a power for each site")
    usual = power or _first_power(lines, event_type)
    slot = read_slot(
        event_type, usual, start, end, duration, tz, fold, priority, event_id, mandatory=mandatory
    )
    wanted = _assigned(lines, slot, has_usual=power is not None)
    url = required(store)
    with (
        opened_journal(url, must_exist=False) as journal,
        opened_registry(url, must_exist=False) as registry,
        naming(molecule_ids="--sites", slot="--sites"),
    ):

        def planned(lines: list[SiteLine]) -> Plan:
            return plan_dispatch(
                [line.molecule_id for line in lines],
                wanted
                if isinstance(wanted, EventSlot)
                else {line.molecule_id: wanted[line.molecule_id] for line in lines},
                mode=mode.value,
                now=datetime.now(UTC),
                registry=WithRatings(registry, lines),
                journal=journal,
                rate=rate,
                lead=read_duration(lead, "--lead"),
                site_ceiling=None if site_ceiling is None else read_power(site_ceiling, "--site-ceiling"),
                total_ceiling=None if total_ceiling is None else read_power(total_ceiling, "--total-ceiling"),
                allow_live=live,
                update=update,
                accept=accept or (),
            )

        made = planned(lines)
        left_out = _concerned(made, leave_out or [])
        if left_out:
            made = planned([line for line in lines if line.molecule_id not in left_out])
    if left_out:
        terminal.show(f"{len(left_out):,} of {len(lines):,} sites left out: {', '.join(leave_out or [])}", "")
    terminal.show(plan_table(made), "", *findings_lines(made.findings), "")
    if save is not None and made.is_executable:
        _keep(save, made)
    terminal.show(*_what_next(made, save))
    kept = str(save) if save is not None and made.is_executable else None
    terminal.finish(
        Exit.OK if made.is_executable else Exit.NO,
        hash=made.hash,
        is_executable=made.is_executable,
        mode=made.mode.value,
        sites=len(made),
        left_out=sorted(left_out),
        event_ids=sorted({one.event_id for one in made.slots}),
        totals_kw={kind.value: total.kilowatts for kind, total in made.totals().items()},
        sending_s=made.takes.total_seconds(),
        findings=[json.loads(one.to_json()) for one in made.findings],
        file=kept,
    )


def _first_power(lines: list[SiteLine], event_type: EventType) -> str | None:
    """A power to build the event with, where none was given for all."""
    if event_type is EventType.RESTORE:
        return None
    return next((repr(line.power) for line in lines if line.power is not None), None)


def _assigned(lines: list[SiteLine], slot: EventSlot, *, has_usual: bool) -> EventSlot | dict[str, EventSlot]:
    """The event of each site, with the power of its line."""
    if all(line.power is None for line in lines):
        return slot
    if slot.power is None:
        raise RuleError("restore takes no power: leave out that column", path="--sites", rule="state_based")
    bare = next((line.molecule_id for line in lines if line.power is None), None)
    if bare is not None and not has_usual:
        msg = f"the file has no power for {bare}: add it, or give --power for such sites"
        raise RuleError(msg, path="--power", rule="required")
    of_power = {power: slot.replace(power=power) for line in lines if (power := line.power) is not None}
    return {line.molecule_id: slot if line.power is None else of_power[line.power] for line in lines}


def _concerned(made: Plan, codes: list[str]) -> set[str]:
    """The sites that have an error with one of these codes."""
    return {site for one in made.errors if one.code in codes for site in one.molecule_ids}


def _keep(path: Path, made: Plan) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(made.to_json())
    except FileExistsError:
        msg = f"{path} exists already: name a new file"
        raise RuleError(msg, path="--save", rule="new_file") from None
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}"
        raise RuleError(msg, path="--save", rule="file") from None


def _what_next(made: Plan, save: Path | None) -> list[str]:
    if not made.is_executable:
        codes = ", ".join(sorted({one.code for one in made.errors}))
        return [f"Not to be sent, because of: {codes}."]
    if save is None:
        return ["It can be sent. Add --save FILE to keep it for `mosvpp fleet run`."]
    live = " --live" if made.mode.value == "live" else ""
    return [f"plan kept in {save}", f"to send it: mosvpp fleet run {save}{live}"]
