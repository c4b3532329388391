"""Nothing live without a yes (behaviour.arming): `--live`, and then the typed site id or `--yes`."""

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
    terminal: Terminal, site: str, about: RenderableType, *details: RenderableType, yes: bool
) -> None:
    """Have the site id typed, after showing what it is about; refuse where nobody can type."""
    if yes:
        terminal.show(about)
        return
    if not sys.stdin.isatty():
        msg = "this has to be confirmed, and nobody is here to ask: add --yes if a program may decide it"
        raise RuleError(msg, path="--yes", rule="confirmation", evidence=_EVIDENCE)
    if terminal.ask(f"Type the site id {plain(site)} to send this:", about, *details) != site:
        msg = "what you typed is not the site id, so nothing was sent"
        raise RuleError(msg, path="SITE", rule="confirmation", evidence=_EVIDENCE)
