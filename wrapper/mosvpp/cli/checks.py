"""One finding of `mosvpp doctor` or `mosvpp verify`: what was looked at, what was found, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .evidence import MARKS, marked

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Check", "State", "failed", "ok", "skipped", "warning"]


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """What one step found. `remedies` are in the order to try them."""

    name: str
    state: State
    found: str
    remedies: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()

    def as_object(self) -> dict[str, Any]:
        """The check for `--json`."""
        return {
            "name": self.name,
            "state": self.state.value,
            "found": self.found,
            "remedies": list(self.remedies),
            "evidence": [{"id": name, "status": MARKS[name]} for name in self.evidence],
        }

    def as_row(self) -> RenderableType:
        """The check for people: one line, and below it what to do."""
        from rich.table import Table
        from rich.text import Text

        from .tables import status_text
        from .terminal import plain

        row = Table.grid(padding=(0, 2))
        row.add_column(width=7)
        row.add_column(width=13)
        row.add_column(overflow="fold")
        state = "FAILED" if self.state is State.FAILED else self.state.value
        if self.state is State.SKIPPED:
            row = Table.grid(padding=(0, 2))
            row.add_row(status_text(state), Text(f"{self.name}: {plain(self.found)}", style="dim"))
            return row
        row.add_row(status_text(state), Text(self.name), Text(plain(self.found)))
        for number, remedy in enumerate(self.remedies):
            row.add_row(
                "", Text("try" if not number else "or", style="dim", justify="right"), Text(plain(remedy))
            )
        if self.evidence and self.remedies:
            row.add_row("", "", Text(marked(self.evidence), style="dim"))
        return row


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(name, State.OK, found)


def skipped(name: str, why: str) -> Check:
    """It could not be looked at, or did not need to be."""
    return Check(name, State.SKIPPED, why)


def warning(name: str, found: str, *remedies: str, evidence: tuple[str, ...] = ()) -> Check:
    """It works, but someone should look at it."""
    return Check(name, State.WARNING, found, remedies, evidence)


def failed(name: str, found: str, *remedies: str, evidence: tuple[str, ...] = ()) -> Check:
    """It does not work."""
    return Check(name, State.FAILED, found, remedies, evidence)
