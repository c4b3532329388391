"""The program: its commands, its help, and what becomes of an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from mosvpp.errors import MosVPPError

from .devices import devices
from .dispatch import cancel, dispatch
from .doctor import doctor
from .exits import Exit
from .fleet import fleet
from .help import Command, Group
from .inbox import inbox
from .receive import receive
from .resend import resend
from .site_command import command
from .terminal import Terminal
from .verify import verify

__all__ = ["app"]

TRACEBACK_VARIABLE = "MOSVPP_TRACEBACK"


class _Program(Group):
    """Turns every error into a sentence and an exit code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        arguments = list(sys.argv[1:] if args is None else args)
        terminal = Terminal(as_json="--json" in arguments, command=_command_in(arguments, self))
        sys.exit(self._run(terminal, arguments, *rest, **more))

    def _run(self, terminal: Terminal, arguments: list[str], *rest: Any, **more: Any) -> int:
        try:
            code = super().main(arguments, *rest, **{**more, "standalone_mode": False})
        except MosVPPError as error:
            return terminal.fail(error)
        except typer.TyperException as error:
            message = error.format_message()
            return terminal.misused(message) if message else Exit.NOT_SENT  # without one, help was shown
        except ImportError as error:
            if "pip install" not in str(error):  # else it is a sentence of ours, about an extra
                raise
            return terminal.fail_with(Exit.NOT_SENT, "MissingExtra", str(error))
        except Exception as error:
            if os.environ.get(TRACEBACK_VARIABLE):
                raise
            message = f"a fault in this program: {type(error).__name__}"
            remedy = (
                f"please report it; {TRACEBACK_VARIABLE}=1 shows where it happened (it may show data too)"
            )
            return terminal.fail_with(Exit.BUG, "Bug", message, remedy=remedy)
        if code == Exit.INTERRUPTED:
            return terminal.stop()
        return code if isinstance(code, int) else Exit.OK


def _command_in(arguments: Sequence[str], group: Any) -> str:
    """The command of a command line, with the group that it belongs to, as in `inbox list`."""
    for at, word in enumerate(arguments):
        command = group.commands.get(word)
        if command is not None:
            inner = _command_in(arguments[at + 1 :], command) if hasattr(command, "commands") else ""
            return f"{word} {inner}".rstrip()
    return ""


app: typer.Typer = typer.Typer(
    name="mosvpp",
    cls=_Program,
    help="Talk to MosVPP, the virtual power plant platform of Molecule Systems, as a partner.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mosvpp {version('mosvpp')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Talk to MosVPP, the virtual power plant platform of Molecule Systems, as a partner."""


for _command in (doctor, devices, dispatch, cancel, command, resend, verify, receive):
    app.command(cls=Command)(_command)
app.add_typer(inbox)
app.add_typer(fleet)
