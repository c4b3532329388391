"""`mosvpp inbox …`: looking into the inbox of a receiver, and tidying it, while receiving goes on."""

from __future__ import annotations

import typer

from .help import Command, Group
from .inbox_silent import silent

__all__ = ["inbox"]

inbox: typer.Typer = typer.Typer(
    name="inbox",
    cls=Group,
    help="Look into the inbox of a receiver, and tidy it.",
    no_args_is_help=True,
)

for _name, _function in (("silent", silent),):
    inbox.command(_name, cls=Command)(_function)
