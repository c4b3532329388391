"""The sandbox with many sites: what one push costs, with 100 of them and with 10,000.

Every push is simulated, written, logged, sent over HTTP to another process and answered there. Simulated
time is moved by a minute as soon as everything has been sent, so that nothing waits for a clock. Both
sandboxes stay alive and take turns; each turn is as many pushes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from .measured import Goal, Measured

FEW, MANY = 100, 10_000

GOALS: dict[str, Goal] = {
    "push_10000_vs_100_sites": Goal("at most", 1.3),
    "push_10000_vs_100_sites_processor": Goal("at most", 1.3),
}


def measure(rounds: int | None = None, *, quick: bool = False) -> Measured:
    """Turn by turn; `quick` takes 2,000 sites for the many."""
    many = 2_000 if quick else MANY
    with ExitStack() as stack:
        partner = stack.enter_context(_Process("partner"))
        url = f"http://127.0.0.1:{partner.line()}/data"
        sandboxes = {
            sites: stack.enter_context(_Process("sandbox", str(sites), url)) for sites in (FEW, many)
        }
        for process in sandboxes.values():
            process.turn(1)  # connections are made, and everything was used once
        turns: dict[int, list[dict[str, Any]]] = {FEW: [], many: []}
        for _ in range(rounds or (3 if quick else 5)):
            for sites, process in sandboxes.items():
                turns[sites].append(process.turn(many // sites))
    return _measured(turns, many)


def _measured(turns: dict[int, list[dict[str, Any]]], many: int) -> Measured:
    cost = {
        what: {
            sites: statistics.median(turn[what] / turn["pushes"] for turn in taken)
            for sites, taken in turns.items()
        }
        for what in ("seconds", "worked")
    }
    figures = {
        str(sites): {
            "pushes_per_second": round(1 / cost["seconds"][sites]),
            "microseconds_of_processor_per_push": round(cost["worked"][sites] * 1e6),
            "megabytes": round(taken[-1]["megabytes"]),
            "not_acknowledged_of_the_last_1000": max(turn["lost"] for turn in taken),
        }
        for sites, taken in turns.items()
    }
    rate = 1 / cost["seconds"][many]
    notes = [
        f"{int(sites):>6,} sites: {figure['pushes_per_second']:,} pushes/s, "
        f"{figure['microseconds_of_processor_per_push']} µs of processor each, {figure['megabytes']} MB"
        for sites, figure in figures.items()
    ]
    notes.append(f"{many:,} sites that push each minute keep up with --speed {rate * 60 / many:.0f} here.")
    ratios = {
        "push_10000_vs_100_sites": cost["seconds"][many] / cost["seconds"][FEW],
        "push_10000_vs_100_sites_processor": cost["worked"][many] / cost["worked"][FEW],
    }
    return Measured(ratios, {"sites": figures, "keeps_up_with_speed": round(rate * 60 / many, 1)}, notes)


class _Process:
    """One of the two of `sandbox_processes`."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sandbox_processes", *arguments],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """What it prints next."""
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def turn(self, pushes: int) -> dict[str, Any]:
        """So many pushes of every site."""
        assert self._process.stdin
        self._process.stdin.write(f"{pushes}\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self.line())
        return told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
