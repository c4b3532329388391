"""The certification in a terminal: a line for each check as it ends, then what failed and why."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
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
from .report import DISCLAIMER, Report
from .target import Kind, Target

__all__ = ["Terminal"]

_MARKS = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.FAILED: ("✗", "bold red"),
    Verdict.BLOCKED: ("!", "yellow"),
    Verdict.SKIPPED: ("–", "dim"),
}
_ASCII = {"✓": "ok", "✗": "NO", "–": "-", "!": "!"}
_KINDS: dict[Kind, str] = {"data_push": "data push", "execution_response": "execution response"}
_STYLES = {"documented": "cyan", "inferred": "magenta", "unknown": "yellow", "our offer": "blue"}


class Terminal:
    """Watches a certification; what is sent now is shown only where somebody may be looking."""

    def __init__(self, console: Console, number_of_checks: int) -> None:
        self._console = console
        self._group = ""
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
        self._live: Live | Progress | None = None

    def begin(self, target: Target) -> None:
        """Say what is certified."""
        self._console.print("Certifying a receiver", style="bold", end="  ")
        self._console.print(DISCLAIMER.partition(":")[0].lower(), style="dim")
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        for kind in target.kinds:
            table.add_row(f"  {_KINDS[kind]}", Text(target.shown_url(kind)))
        table.add_row(
            "  headers", Text(", ".join(target.headers) + " (values hidden)" if target.headers else "none")
        )
        if target.previous:
            table.add_row("  previous", Text(", ".join(target.previous) + " (values hidden)"))
        if target.signing_secret is not None:
            table.add_row("  signature", "Standard Webhooks (our offer, not Molecule's)")
        if target.command:
            how = "and kills it with -9" if target.list_command else "and starts it again where it ends"
            table.add_row("  command", f"starts the receiver {how}")
        self._console.print(table)
        if self._console.is_terminal:
            self._progress.start()

    def end(self) -> None:
        """Take the bar away."""
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
        """Print the check's line."""
        self._progress.advance(self._task)
        check = result.check
        mark, style = _MARKS[result.verdict]
        line = Table.grid(padding=(0, 1), expand=False)
        for width in (2, 22, 42, 10):
            line.add_column(width=width, no_wrap=True, overflow="ellipsis")
        line.add_row(
            Text(self._printable(mark), style=style),
            Text(check.name, style="bold" if result.verdict is Verdict.FAILED else ""),
            Text(_remark(result) or check.title, style="" if result.verdict is Verdict.FAILED else "dim"),
            Text(check.basis, style=_STYLES[check.basis]),
        )
        self._console.print(line)

    def _printable(self, mark: str) -> str:
        return mark if "utf" in (self._console.encoding or "").lower() else _ASCII[mark]

    # --- at the end ---

    def show(self, report: Report) -> None:
        """What failed, and the sum."""
        failed = [result for result in report.results if result.verdict is Verdict.FAILED]
        for result in failed:
            self._console.print()
            self._console.print(_failure(result))
        self._console.print()
        style = "bold green" if report.is_passed else "bold red"
        self._console.print(Text("PASSED" if report.is_passed else "FAILED", style=style), end="  ")
        self._console.print(
            f"{report.summary} · {len(report.exchanges)} deliveries in {report.seconds:.1f} s",
            highlight=False,
        )


def _remark(result: Result) -> str:
    if result.verdict is Verdict.FAILED:
        return result.faults[0]
    return "; ".join(result.notes)


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
    heading = Text.assemble(
        (check.name, "bold red"), "  ", check.title, "  ", (check.basis, _STYLES[check.basis])
    )
    return Group(heading, table)
