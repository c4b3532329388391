"""`mosvpp fleet settle`: what was asked, reported and delivered, in kWh."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .fleet_sites import read_csv
from .fleet_store import Event, Store, opened_journal, opened_registry, required
from .terminal import Terminal

if TYPE_CHECKING:
    from mosvpp.fleet import SettledEvent
    from mosvpp.fleet.energy import Sample
    from mosvpp.units import Power

__all__ = ["settle"]

_METRIC = "What is measured"
_BASELINE_COLUMNS = ("molecule_id", "power", "time")


class Positive(StrEnum):
    """Which way a positive power flows, seen from the device."""

    OUT = "out"
    IN = "in"


class Gaps(StrEnum):
    """What a gap in the telemetry counts for."""

    ZERO = "zero"
    DROP = "drop"
    HOLD = "hold"


def settle(
    event_id: Event,
    gaps: Annotated[
        Gaps,
        typer.Option(
            "--gaps",
            metavar="POLICY",
            help="A gap in the telemetry counts as zero; or drop leaves it out, of what was asked as well;"
            " or hold lets the last value go on. Peers differ, so it has no default.",
            rich_help_panel=_METRIC,
        ),
    ],
    metric: Annotated[
        str,
        typer.Option("--metric", metavar="NAME", help="The power in the telemetry.", rich_help_panel=_METRIC),
    ] = "power_output",
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit",
            metavar="UNIT",
            help="w, kW or MW. Molecule documents none; without it, what the samples suggest.",
            rich_help_panel=_METRIC,
        ),
    ] = None,
    positive: Annotated[
        Positive | None,
        typer.Option(
            "--positive",
            metavar="out|in",
            help="Which way a positive value flows, seen from the device; belongs to --unit.",
            rich_help_panel=_METRIC,
        ),
    ] = None,
    max_gap: Annotated[
        str,
        typer.Option(
            "--max-gap",
            metavar="DURATION",
            help="Values further apart leave a gap.",
            rich_help_panel=_METRIC,
        ),
    ] = "20m",
    device_type: Annotated[
        list[int] | None,
        typer.Option(
            "--device-type",
            metavar="CODE",
            help="Only devices of this type count, such as 10 for battery inverters; may be repeated. Needs"
            " `mosvpp fleet devices --sync`. Default: every device that sends the metric.",
            rich_help_panel=_METRIC,
        ),
    ] = None,
    baselines: Annotated[
        Path | None,
        typer.Option(
            "--baselines",
            metavar="FILE",
            help="What sites would have used or given without the event, needed for shed: CSV with the"
            " columns molecule_id and power ('1.5 kW'), with a column time as a series.",
            rich_help_panel=_METRIC,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page that shows it, into a new file."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="How many of the worst sites to show.")
    ] = 10,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Settle an event: kWh asked, reported by Molecule, and delivered by telemetry.

    Every assumption that a figure rests on is named with it.
    Reports and telemetry come from `mosvpp fleet follow`.
    """
    from mosvpp.fleet import Metric, Metrics, Telemetry, settle_event

    from .arguments import naming, read_duration
    from .fleet_settlement import settlement_lines

    terminal = Terminal(as_json=as_json)
    if (unit is None) != (positive is None):
        raise RuleError("--unit and --positive belong together", path="--unit", rule="required")
    if html is not None and html.exists():
        raise RuleError(f"{html} exists already: name a new file", path="--html", rule="new_file")
    declared = None
    if unit is not None and positive is not None:
        if unit not in ("w", "kW", "MW"):
            msg = f"{unit!r} is no unit of power: w, kW or MW"
            raise RuleError(msg, path="--unit", rule="enum", evidence=("units.power_unit",))
        declared = {metric: Metric(unit=unit, positive=positive.value)}
    usual = None if baselines is None else _read_baselines(baselines)
    url = required(store)
    with (
        opened_journal(url) as journal,
        Telemetry(url, metrics=Metrics(declared)) as telemetry,
        naming(event_id="EVENT_ID", samples="--baselines"),
    ):
        settled = settle_event(
            journal,
            telemetry,
            event_id,
            now=datetime.now(UTC),
            metric=metric,
            baselines=usual,
            devices=_of_type(url, device_type) if device_type else None,
            gaps=gaps.value,
            max_gap=read_duration(max_gap, "--max-gap"),
        )
    if settled.end > settled.settled_at:
        terminal.warn("this event is not over yet")
    terminal.show(*settlement_lines(settled, limit))
    if html is not None:
        _write_page(html, settled)
        terminal.show("", f"page written to {html}")
    terminal.finish(
        Exit.OK, settlement=json.loads(settled.to_json()), file=None if html is None else str(html)
    )


def _of_type(url: str, codes: list[int]) -> dict[str, list[str]]:
    """The devices of those types, by site; of sites that were never asked, none."""
    with opened_registry(url) as registry:
        sites = list(registry.sites())
        facts = registry.facts(sites)
    if not sites:
        msg = "the types of devices are not known here: ask with `mosvpp fleet devices --sync` first"
        raise RuleError(msg, path="--device-type", rule="known")
    return {
        site: [device.device_id for device in facts[site].devices or () if device.device_type.value in codes]
        for site in sites
    }


def _read_baselines(path: Path) -> dict[str, Power | list[Sample]]:
    """A power, or a series of powers, for each site of a file. Raises `RuleError` that names the line."""
    from mosvpp.fleet.energy import Sample

    from .arguments import read_file, read_power, read_time

    try:
        text = read_file(path, "--baselines").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RuleError(f"{path} is no UTF-8 text", path="--baselines", rule="encoding") from None
    found: dict[str, Power | list[Sample]] = {}
    for number, row in read_csv(path, text, _BASELINE_COLUMNS, "--baselines"):
        site, when = row["molecule_id"], row.get("time")
        problem = ""
        try:
            power = read_power(row.get("power", ""), "--baselines")
            if when:
                at = read_time(when, "--baselines", tz=None, fold=None).astimezone(UTC)
                series = found.setdefault(site, [])
                if isinstance(series, list):
                    series.append(Sample(at, power.kilowatts))
                else:
                    problem = "the site has a constant power in a line above"
            elif site in found:
                problem = "the site is there in a line above"
            else:
                found[site] = power
        except RuleError as error:
            problem = str(error.args[0])
        if problem:
            msg = f"line {number} of {path}: {problem}"
            raise RuleError(msg, path="--baselines", rule="format")
    for series in found.values():
        if isinstance(series, list):
            series.sort()
    return found


def _write_page(path: Path, settled: SettledEvent) -> None:
    from mosvpp.fleet import to_html

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(to_html(settled))
    except FileExistsError:
        raise RuleError(f"{path} exists already: name a new file", path="--html", rule="new_file") from None
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}"
        raise RuleError(msg, path="--html", rule="file") from None
