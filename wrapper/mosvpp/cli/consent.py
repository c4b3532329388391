"""Nothing live without a yes (behaviour.arming): `--live`, and then something typed, or `--yes`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mosvpp.errors import RuleError

from .terminal import Terminal, plain

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["insist_on_live", "insist_on_yes"]

_EVIDENCE = ("behaviour.arming",)


def insist_on_live(why: str, *, live: bool) -> None:
    """Refuse what moves real devices and was not said to."""
    if not live:
        raise RuleError(
            f"{why}: add --live to say that you mean it", path="--live", rule="arming", evidence=_EVIDENCE
        )


def insist_on_yes(
    terminal: Terminal,
    expected: str,
    about: RenderableType,
    *details: RenderableType,
    yes: bool,
    named: str = "the site id",
    path: str = "SITE",
) -> None:
    """Have the site id typed (or what is `named`), after showing what it is about.

    Raises `RuleError` for something else, and where nobody can type.
    """
    if yes:
        terminal.show(about)
        return
    if not sys.stdin.isatty():
        msg = "this has to be confirmed, and nobody is here to ask: add --yes if a program may decide it"
        raise RuleError(msg, path="--yes", rule="confirmation", evidence=_EVIDENCE)
    if terminal.ask(f"Type {named} {plain(expected)} to send this:", about, *details) != expected:
        msg = f"what you typed is not {named}, so nothing was sent"
        raise RuleError(msg, path=path, rule="confirmation", evidence=_EVIDENCE)
