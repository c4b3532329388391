"""Commands and groups of commands whose help ends with the exit codes."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from .terminal import print_exit_codes

__all__ = ["Command", "Group"]


class Command(TyperCommand):
    """A command whose help ends with the exit codes."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: D102  see the class
        super().format_help(ctx, formatter)
        print_exit_codes()


class Group(TyperGroup):
    """The same for a group of commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: D102  see Command
        super().format_help(ctx, formatter)
        print_exit_codes()
