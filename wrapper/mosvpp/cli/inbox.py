"""`mosvpp inbox …`: looking into the inbox of a receiver, and tidying it, while receiving goes on."""

from __future__ import annotations

import typer

from .help import Command, Group
from .inbox_forward import forward, forwarded
from .inbox_look import list_deliveries, show
from .inbox_move import export, import_
from .inbox_quarantine import quarantine
from .inbox_silent import silent
from .inbox_tidy import purge, requeue

__all__ = ["inbox"]

inbox: typer.Typer = typer.Typer(
    name="inbox",
    cls=Group,
    help="Look into the inbox of a receiver, and tidy it.",
    no_args_is_help=True,
)

for _name, _function in (
    ("list", list_deliveries),
    ("show", show),
    ("silent", silent),
    ("requeue", requeue),
    ("purge", purge),
    ("export", export),
    ("import", import_),
    ("quarantine", quarantine),
    ("forward", forward),
    ("forwarded", forwarded),
):
    inbox.command(_name, cls=Command)(_function)
