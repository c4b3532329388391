"""What a certification found, for all the ways of showing it. Holds no secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from .check import Exchange, Result, Verdict
from .target import Target

__all__ = ["DISCLAIMER", "WORDS", "Report"]

DISCLAIMER = "Not made by Molecule Systems: no approval by Molecule, and no promise of one."


@dataclass(frozen=True)
class Report:
    """The results in the order of the checks."""

    target: Target
    results: tuple[Result, ...]
    began_at: datetime
    seconds: float

    @property
    def is_passed(self) -> bool:
        """Whether no check failed, and none had to be left out because of another."""
        return not any(result.verdict in (Verdict.FAILED, Verdict.BLOCKED) for result in self.results)

    def count(self, verdict: Verdict) -> int:
        """How many checks ended so."""
        return sum(result.verdict is verdict for result in self.results)

    @property
    def exchanges(self) -> list[Exchange]:
        """All deliveries that were sent."""
        return [exchange for result in self.results for exchange in result.exchanges]

    @property
    def size(self) -> str:
        """How much was tried, in words."""
        deliveries = len(self.exchanges)
        runs = sum(len(result.runs) for result in self.results)
        counts = [(deliveries, "deliveries"), (runs, "runs of the dispatcher")]
        return " and ".join(f"{number} {what}" for number, what in counts if number)

    @property
    def groups(self) -> list[tuple[str, list[Result]]]:
        """The results by group, groups in the order of their first check."""
        names = dict.fromkeys(result.check.group for result in self.results)
        first = {name: index for index, name in enumerate(names)}
        ranked = sorted(self.results, key=lambda result: first[result.check.group])
        return [(name, list(found)) for name, found in groupby(ranked, key=lambda result: result.check.group)]

    @property
    def summary(self) -> str:
        """One line: how many checks ended how."""
        counts = [(self.count(verdict), word) for verdict, word in WORDS.items()]
        return ", ".join(f"{number} {word}" for number, word in counts if number)


WORDS = {
    Verdict.PASSED: "passed",
    Verdict.FAILED: "failed",
    Verdict.BLOCKED: "not reached",
    Verdict.SKIPPED: "not asked for",
}
