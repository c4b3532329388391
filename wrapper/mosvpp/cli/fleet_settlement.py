"""What a settled event looks like in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mosvpp.fleet import SettledEvent

from .fleet_tables import counts_text, first_sites, state_text
from .tables import period_words, table
from .terminal import plain

__all__ = ["settlement_lines"]


def settlement_lines(settled: SettledEvent, limit: int) -> Iterator[RenderableType]:
    """The event, its figures, the worst sites, and what all of it rests on."""
    mode = ("live", "bold yellow") if settled.mode == "live" else ("test", "")
    yield Text.assemble(
        (settled.event_id, "bold"),
        "\n",
        f"{settled.event_type}, ",
        mode,
        ", ",
        period_words(settled.start, settled.end).replace("\n", " "),
    )
    yield counts_text(settled.states)
    yield ""
    yield _figures(settled)
    worst = settled.worst(limit)
    if worst:
        yield Text(
            f"\nwhere least of it was delivered, {len(worst):,} of {len(settled.cases):,}", style="dim"
        )
        made = table("site", "state", "asked", "reported", "delivered", "", "measured")
        for column in made.columns:
            column.no_wrap = True
        for column in made.columns[2:]:
            column.justify = "right"
        for case in worst:
            one = case.settlement
            made.add_row(
                plain(case.molecule_id),
                state_text(case.state),
                _energy(one.asked_kwh),
                _energy(one.reported_kwh),
                _energy(one.delivered_kwh),
                _share(one.performance),
                _share(one.coverage),
            )
        yield made
    yield from _basis(settled)


def _figures(settled: SettledEvent) -> Table:
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(justify="right", no_wrap=True)
    made.add_column(overflow="fold")
    sites = len(settled.cases)
    reported = sum(case.settlement.reported_kwh is not None for case in settled.cases)
    computed = sum(case.settlement.delivered_kwh is not None for case in settled.cases)
    made.add_row("asked", _energy(settled.asked_kwh), f"of {sites:,} sites")
    made.add_row("reported", _energy(settled.reported_kwh), f"by execution responses of {reported:,}")
    about = f"by telemetry of {computed:,}"
    if settled.performance is not None:
        about += f", {_share(settled.performance)} of what was asked of them"
    made.add_row("delivered", _energy(settled.delivered_kwh), about)
    made.add_row("measured", _share(settled.coverage), f"of the time of all sites; gaps: {settled.gaps}")
    return made


def _basis(settled: SettledEvent) -> Iterator[RenderableType]:
    """What the figures rest on, and why some are missing and where, with the number of sites."""
    made = Table.grid(padding=(0, 2))
    made.add_column(justify="right", no_wrap=True)
    made.add_column(overflow="fold")
    for reason, count in settled.not_computable.most_common():
        where = [case.molecule_id for case in settled.cases if case.settlement.not_computable == reason]
        said = Text(f"not computable: {reason}", style="yellow")
        made.add_row(f"{count:,}", said.append(f"\n{first_sites(where)}", style="dim"))
    for assumption, count in settled.assumptions.most_common():
        made.add_row(f"{count:,}", Text(f"assumed: {assumption}", style="dim"))
    if made.row_count:
        yield Text("\nsites", style="dim")
        yield made


def _energy(kwh: float | None) -> str:
    if kwh is None:
        return "–"
    return f"{kwh / 1000:,.2f} MWh" if abs(kwh) >= 1000 else f"{kwh:,.2f} kWh"


def _share(part: float | None) -> str:
    return "–" if part is None else f"{part:.0%}".replace("%", " %")
