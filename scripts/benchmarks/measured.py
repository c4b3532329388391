"""What a benchmark gives back, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from rich.console import Console
from rich.table import Table

__all__ = ["Goal", "Measured", "as_json", "missed", "show"]


class Goal(NamedTuple):
    """What a ratio is held to."""

    sense: Literal["at least", "at most"]
    limit: float

    def is_met(self, value: float) -> bool:
        """Whether the value is as good as it shall be."""
        return value >= self.limit if self.sense == "at least" else value <= self.limit


class Measured(NamedTuple):
    """The ratios that have goals, the figures that they were made from, and lines that people read below."""

    ratios: dict[str, float]
    figures: dict[str, Any]
    notes: list[str] | None = None


def missed(found: Measured, goals: Mapping[str, Goal]) -> list[str]:
    """The ratios that do not meet their goals."""
    return [name for name, ratio in found.ratios.items() if not goals[name].is_met(ratio)]


def as_json(found: Measured, goals: Mapping[str, Goal]) -> dict[str, Any]:
    """Everything, for programs."""
    said = {name: {"sense": goal.sense, "limit": goal.limit} for name, goal in goals.items()}
    return {"ratios": found.ratios, "missed": missed(found, goals), "goals": said, **found.figures}


def show(found: Measured, goals: Mapping[str, Goal]) -> None:
    """Everything, for people."""
    table = Table("ratio", "measured", "goal", "", box=None, header_style="bold")
    for name, ratio in found.ratios.items():
        goal = goals[name]
        verdict = "ok" if goal.is_met(ratio) else "[red]missed"
        table.add_row(name, f"{ratio:.2f}", f"{goal.sense} {goal.limit:g}", verdict)
    console = Console()
    console.print(table)
    for note in found.notes or ():
        console.print(f"\n{note}", style="dim", highlight=False, markup=False)
