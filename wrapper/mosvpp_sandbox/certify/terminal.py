"""The certification in a terminal: a line for each check as it ends, then what failed and why."""

from __future__ import annotations

from rich.console import Console, Group
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from .check import Check, Result, Verdict
from .evidence import marked
from .play import KIND_NAMES
from .report import DISCLAIMER, Report
from .target import Target

__all__ = ["Terminal"]

_MARKS = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.FAILED: ("✗", "bold red"),
    Verdict.BLOCKED: ("!", "yellow"),
    Verdict.SKIPPED: ("–", "dim"),
}
_ASCII = {"✓": "+", "✗": "X", "–": "-", "!": "!"}
_STYLES = {"documented": "cyan", "inferred": "magenta", "unknown": "yellow", "our offer": "blue"}


class Terminal:
    """Watches a certification; what is sent now is shown only where somebody may be looking."""

    def __init__(self, console: Console, number_of_checks: int) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[sent]} sent", style="dim"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=number_of_checks, sent=0)
        self._sent = 0

    def begin(self, target: Target) -> None:
        """Say what is certified."""
        self._console.print("Certifying a " + " and a ".join(target.sides), style="bold")
        self._console.print(DISCLAIMER, style="dim")
        self._console.print(_about(target))
        self._console.print()
        if self._console.is_terminal:
            self._progress.start()

    def end(self) -> None:
        """Take the bar away."""
        if self._console.is_terminal:
            self._progress.stop()

    # --- while it runs ---

    def begins(self, check: Check) -> None:
        """Show what is being checked."""
        self._progress.update(self._task, description=check.name)

    def sent(self, result: Result) -> None:
        """Count."""
        self._sent += 1
        self._progress.update(self._task, sent=self._sent)

    def ends(self, result: Result) -> None:
        """Print the check's line, and what there is to say about it."""
        self._progress.advance(self._task)
        check = result.check
        mark, style = _MARKS[result.verdict]
        quiet = result.verdict in (Verdict.BLOCKED, Verdict.SKIPPED)
        line = Table.grid(padding=(0, 1))
        for width in (1, 44, 10, None):
            line.add_column(width=width, no_wrap=True)
        line.add_row(
            Text(self._printable(mark), style=style),
            Text(check.title, style="dim" if quiet else ""),
            Text(check.basis, style="dim" if quiet else _STYLES[check.basis]),
            Text(check.name, style="dim"),
        )
        self._console.print(line)
        for remark in result.faults[:1] or result.notes:
            text = Text(remark, style="red" if result.faults else "dim")
            self._console.print(Padding(text, (0, 0, 0, 2)))

    def _printable(self, mark: str) -> str:
        return mark if "utf" in (self._console.encoding or "").lower() else _ASCII[mark]

    # --- at the end ---

    def show(self, report: Report) -> None:
        """What failed, and the sum."""
        for result in report.results:
            if result.verdict is Verdict.FAILED:
                self._console.print()
                self._console.print(_failure(result))
        self._console.print()
        style = "bold green" if report.is_passed else "bold red"
        verdict = Text("PASSED" if report.is_passed else "FAILED", style=style)
        sum_ = f"  {report.summary} · {report.size} in {report.seconds:.1f} s"
        self._console.print(Text.assemble(verdict, sum_), soft_wrap=True)


def _about(target: Target) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for kind in target.kinds:
        table.add_row(f"  {KIND_NAMES[kind]}", Text(target.shown_url(kind)))
    if target.kinds:
        names = ", ".join(target.headers)
        table.add_row("  headers", Text(f"{names} (values hidden)" if names else "none"))
    if target.previous:
        table.add_row("  previous", Text(f"{', '.join(target.previous)} (values hidden)"))
    if target.signing_secret is not None:
        table.add_row("  signature", "Standard Webhooks (our offer, not Molecule's)")
    if target.command:
        how = "started, and killed with -9" if target.list_command else "started, and again if it ends"
        table.add_row("  receiver", how)
    if target.dispatcher_command:
        table.add_row("  dispatcher", "run against a sandbox on this machine")
    return table


def _failure(result: Result) -> Group:
    check = result.check
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("  expected", Text(check.expected))
    for number, fault in enumerate(result.faults):
        table.add_row("  seen" if number == 0 else "", Text(fault))
    table.add_row("  why", Text(check.why))
    table.add_row("  evidence", Text(marked(check.evidence)))
    basis = (check.basis, _STYLES[check.basis])
    return Group(Text.assemble((check.name, "bold red"), "  ", check.title, "  ", basis), table)
