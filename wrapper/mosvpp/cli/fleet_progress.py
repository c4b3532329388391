"""How far a fleet is, where somebody is watching."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .inbox_progress import is_watched
from .terminal import Terminal

if TYPE_CHECKING:
    from mosvpp.fleet import SiteOutcome

__all__ = ["outcomes_shown", "status_shown"]

_STYLES = {"accepted": "green", "rejected": "red", "unknown": "yellow"}


@contextmanager
def outcomes_shown(terminal: Terminal, total: int | None) -> Iterator[Callable[[SiteOutcome], None]]:
    """A function to call with each outcome: a bar, and how many there are of each kind."""
    if not is_watched(terminal):
        yield lambda _outcome: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    counts: Counter[str] = Counter()
    bar = Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        console=Console(file=sys.stderr, markup=True, highlight=False),
        transient=True,
    )

    def told(outcome: SiteOutcome) -> None:
        counts[outcome.verdict] += 1
        words = (
            f"[{_STYLES.get(name, 'dim')}]{count:,} {name.replace('_', ' ')}[/]"
            for name, count in sorted(counts.items())
        )
        bar.update(task, advance=1, description=" · ".join(words))

    with bar:
        task = bar.add_task("", total=total)
        yield told


@contextmanager
def status_shown(terminal: Terminal, words: str) -> Iterator[Callable[[str], None]]:
    """A function to call with what is going on: a line that moves."""
    if not is_watched(terminal):
        yield lambda _words: None
        return
    from rich.console import Console

    with Console(file=sys.stderr, markup=False, highlight=False).status(words) as status:
        yield status.update
