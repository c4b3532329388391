"""`mosvpp fleet …`: an event for many sites, from the plan to the settlement."""

from __future__ import annotations

import typer

from .fleet_devices import devices
from .fleet_follow import follow
from .fleet_look import overdue, resolve, status
from .fleet_plan import plan
from .fleet_run import cancel, run
from .fleet_settle import settle
from .fleet_stop import stop
from .help import Command, Group

__all__ = ["fleet"]

fleet: typer.Typer = typer.Typer(
    name="fleet",
    cls=Group,
    help="Dispatch many sites, know what became of each, stop them all, and settle.",
    no_args_is_help=True,
)

for _name, _function in (
    ("plan", plan),
    ("run", run),
    ("status", status),
    ("cancel", cancel),
    ("stop", stop),
    ("overdue", overdue),
    ("resolve", resolve),
    ("devices", devices),
    ("follow", follow),
    ("settle", settle),
):
    fleet.command(_name, cls=Command)(_function)
