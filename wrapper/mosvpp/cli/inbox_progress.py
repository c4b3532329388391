"""A bar for long work, where somebody is watching."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .terminal import Terminal

__all__ = ["is_watched", "progress"]


def is_watched(terminal: Terminal) -> bool:
    """Whether a bar would be seen."""
    return not terminal.as_json and sys.stderr.isatty()


@contextmanager
def progress(terminal: Terminal, words: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A function to call with how much is done, of `total` where that is known."""
    if not is_watched(terminal):
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr, markup=False),
        transient=True,
    )
    with bar:
        task = bar.add_task(words, total=total)
        yield lambda done: bar.update(task, completed=done)
