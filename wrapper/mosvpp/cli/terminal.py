"""Everything that a command prints goes through here.

Results go to stdout, remarks, questions and errors to stderr. With `--json` stdout gets exactly one object,
and stderr only questions. What comes from elsewhere is shown with its control characters made visible, so
that an answer cannot play with the terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any, NoReturn

import typer

from mosvpp.errors import MosVPPError, RuleError, StoreError

from .evidence import marked
from .exits import MEANINGS, Exit, exit_for

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from mosvpp.drift import Drift

__all__ = ["Terminal", "plain", "print_exit_codes"]

# What the SDK advises to programmers, where the command line has advice of its own.
_PYTHON_HINT = re.compile(r" Look at the site's telemetry; client\.resend[^.]*\.request\)[^.]*\.")


class Terminal:
    """The two streams, in words for people or, with `as_json`, as one object for programs.

    `command` is the one whose help an error points to.
    """

    def __init__(self, *, as_json: bool, command: str = "") -> None:
        self.as_json = as_json
        self._help = f"`mosvpp {command} --help`" if command else "`mosvpp --help`"
        self.warnings: list[str] = []
        self._is_stdout_lost = False

    def show(self, *parts: RenderableType, style: str = "") -> None:
        """Print a part of the result: a sentence or a table."""
        if not self.as_json:
            for part in parts:
                how: dict[str, Any] = {"style": style or None}
                how["soft_wrap"] = isinstance(part, str) and "\n" not in part
                try:
                    _console(sys.stderr if self._is_stdout_lost else sys.stdout).print(part, **how)
                except OSError as error:
                    self._lose_stdout(error)
                    _console(sys.stderr).print(part, **how)

    def warn(self, text: str) -> None:
        """Print a remark, or keep it for the object."""
        self.warnings.append(text)
        if not self.as_json:
            _console(sys.stderr).print(f"warning: {plain(text)}", style="yellow")

    def warn_of(self, drift: Drift) -> None:
        """Print a surprise in an answer; give this to a client as `on_drift`."""
        self.warn(f"{drift.kind.replace('_', ' ')} in the answer, {drift.path}: {drift.detail}")

    def ask(self, question: str, *about: RenderableType) -> str:
        """Put a question on stderr and return the answer, without white space around it."""
        console = _console(sys.stderr)
        for part in about:
            console.print(part)
        console.print(question, end=" ")
        return sys.stdin.readline().strip()

    def finish(self, code: Exit, **facts: object) -> NoReturn:
        """Print the object, where one is wanted, and end with `code`."""
        if self.as_json:
            self._write_object(code, facts)
        raise typer.Exit(code)

    def announce(self, **facts: object) -> None:
        """Print the object of a command that goes on: what it does from now on."""
        if self.as_json:
            self._write_object(Exit.OK, facts)

    def write(self, chunks: Iterable[bytes]) -> None:
        """Write bytes as they are. Who reads them may go before the end. Raises `RuleError`."""
        out = sys.stdout.buffer
        try:
            for chunk in chunks:
                out.write(chunk)
            out.flush()
        except BrokenPipeError:
            _close_quietly(sys.stdout)
        except OSError as error:
            _close_quietly(sys.stdout)
            msg = f"standard output cannot be written: {error.strerror or error}"
            raise RuleError(msg, path="standard output", rule="writable") from None

    def fail(self, error: MosVPPError) -> Exit:
        """Print an error and what to do about it; the exit code for it."""
        code = exit_for(error)
        if self.as_json:
            self._write_object(code, {"error": described(error)})
        else:
            self._explain(error, code)
        return code

    def fail_with(self, code: Exit, kind: str, message: str, *, remedy: str = "") -> Exit:
        """Print a failure that is none of the errors of the SDK."""
        if self.as_json:
            self._write_object(code, {"error": {**_NO_DETAILS, "kind": kind, "message": message}})
        else:
            self._print_error(message, [("do", remedy)])
        return code

    def stop(self) -> Exit:
        """Say that Ctrl-C was heard, on a line of its own."""
        if not self.as_json:
            _console(sys.stderr).print()
        return self.fail_with(Exit.INTERRUPTED, "Interrupted", "stopped; nothing is on its way")

    def misused(self, message: str) -> Exit:
        """Print what is wrong with a command line, and where its help is."""
        return self.fail_with(Exit.NOT_SENT, "UsageError", message, remedy=f"see {self._help}")

    def _write_object(self, code: Exit, facts: dict[str, Any]) -> None:
        if self.warnings:
            facts = {**facts, "warnings": self.warnings}
        text = json.dumps({"ok": code is Exit.OK, "exit_code": int(code), **facts}, indent=2)
        try:
            print(text, flush=True)  # noqa: T201  the object is what --json is for
        except BrokenPipeError:
            _close_quietly(sys.stdout)
        except OSError as error:
            self._lose_stdout(error)
            print(text, file=sys.stderr, flush=True)  # noqa: T201  where stdout cannot take it

    def _lose_stdout(self, error: OSError) -> None:
        """Go on with stderr: what was sent stays sent, and whoever sent it needs its ids."""
        if self._is_stdout_lost:
            raise error
        self._is_stdout_lost = True
        _close_quietly(sys.stdout)
        why = plain(error.strerror or error)
        told = f"warning: standard output cannot be written ({why}); here it is:"
        _console(sys.stderr).print(told, style="yellow", soft_wrap=True)

    def _explain(self, error: MosVPPError, code: Exit) -> None:
        facts = described(error)
        request = getattr(error, "request", None)
        doctor = f"`mosvpp doctor {request.molecule_id if request else 'SITE'}`"
        remedy = _REMEDIES.get(code, "")
        if isinstance(error, StoreError):
            remedy = _STORE_REMEDIES.get(error.reason, "")
        if code is Exit.NO and facts["http_status"] in {401, 403, 404}:
            remedy = "{doctor} tells the likely causes apart"
        self._print_error(
            facts["message"],
            [
                ("at", facts["path"] or ""),
                ("rule", facts["rule"] or ""),
                ("evidence", marked(tuple(facts["evidence"]))),
                ("do", remedy.format(doctor=doctor, help=self._help)),
            ],
        )

    def _print_error(self, message: str, lines: list[tuple[str, str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        console = _console(sys.stderr)
        console.print(Text.assemble(("error: ", "bold red"), plain(message)))
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in lines:
            if text:
                table.add_row(f"  {name}", Text(plain(text)))
        if table.row_count:
            console.print(table)


_REMEDIES = {
    Exit.NOT_SENT: "see {help}",
    Exit.UNREACHABLE: "{doctor} finds out where the way is blocked",
    Exit.UNEXPECTED: "{doctor} tells what answers there",
}

_STORE_REMEDIES = {
    "unavailable": "check the URL, that the store is up, and that this user may read and write it",
    "busy": "another process holds it; try again",
    "full": "make room on the disk of the store, then start again",
    "failed": "check that the URL names a store of a receiver",
    "damaged": "move the file aside with its -wal and -shm, start anew, then recover it (see the runbook)",
}

_NO_DETAILS: dict[str, Any] = {
    "kind": "",
    "message": "",
    "path": None,
    "rule": None,
    "evidence": [],
    "http_status": None,
    "attempts": None,
    "retry_after": None,
    "problem": None,
}


def described(error: MosVPPError) -> dict[str, Any]:
    """An error as an object that has always the same keys."""
    path = getattr(error, "path", None)
    is_rule = path is not None
    return {
        **_NO_DETAILS,
        "kind": type(error).__name__,
        "message": _PYTHON_HINT.sub("", str(error.args[0] if is_rule else error)),
        "path": path,
        "rule": getattr(error, "rule", None) or getattr(error, "reason", None),
        "evidence": list(getattr(error, "evidence", ())),
        "http_status": getattr(error, "status", None),
        "attempts": getattr(error, "attempts", None),
        "retry_after": getattr(error, "retry_after", None),
        "problem": getattr(error, "problem", None),
    }


def print_exit_codes() -> None:
    """The table of exit codes, in the style of the help around it."""
    from rich.panel import Panel
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold cyan")
    for code, meaning in MEANINGS.items():
        table.add_row(str(int(code)), meaning)
    panel = Panel(table, title="Exit codes", title_align="left", border_style="dim")
    _console(sys.stdout).print(panel)


def plain(text: object) -> str:
    """A text from elsewhere without control characters, line breaks and whatever else steers a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


def _console(stream: IO[str]) -> Console:
    from rich.console import Console

    class QuietConsole(Console):
        """The reader may go before the end (`| head`); how the command ended stays the same."""

        def on_broken_pipe(self) -> None:
            self.quiet = True
            _close_quietly(stream)

    return QuietConsole(file=stream, markup=False, highlight=False, emoji=False)


def _close_quietly(stream: IO[str]) -> None:
    """Let the rest go nowhere, also what Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
