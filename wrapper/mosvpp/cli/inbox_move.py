"""`mosvpp inbox export` and `import`: JSON Lines, for backups and on the way to another store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .inbox_progress import is_watched, progress
from .inbox_store import (
    KindOption,
    SinceOption,
    SiteOption,
    StateOption,
    Store,
    UntilOption,
    opened,
    read_filter,
)
from .terminal import Terminal, plain

__all__ = ["export", "import_"]

_FAULTS_SHOWN = 20


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; - writes to standard output.")],
    kind: KindOption = None,
    site: SiteOption = None,
    state: StateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Write deliveries as JSON Lines, oldest first, the raw bytes as base64 in `body`.

    The file appears when it is complete, and only its owner can read it: it holds no credentials, but what
    partners were sent.
    Stop the receiver first where everything is to be moved.
    """
    from mosvpp.receiver import export_file, export_lines

    from .arguments import naming

    terminal = Terminal(as_json=as_json)
    to_stdout = str(file) == "-"
    if to_stdout and as_json:
        raise RuleError("standard output takes the lines or the object", path="--json", rule="exclusive")
    wanted = read_filter(kind=kind, site=site, state=state, since=since, until=until)
    with opened(store) as inbox:
        if to_stdout:
            terminal.write(export_lines(inbox.find(**wanted)))
            raise typer.Exit(Exit.OK)
        total = inbox.count(**wanted) if is_watched(terminal) else None
        with progress(terminal, "export", total) as on_progress, naming(file="FILE"):
            count = export_file(inbox, file, on_progress=on_progress, **wanted)
    terminal.show(f"{count:,} {'delivery' if count == 1 else 'deliveries'} in {plain(file)}.")
    terminal.finish(Exit.OK, exported=count, file=str(file))


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `export` wrote; - reads standard input.")
    ],
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Put exported deliveries into a store, in the state in which they were.

    What is there already is left as it is, so an import can be repeated.
    A line that is none is told with its number; all others are taken (exit code 6).
    """
    from mosvpp.receiver import import_lines

    terminal = Terminal(as_json=as_json)
    faults, read = list[RuleError](), 0

    def note(fault: RuleError) -> None:
        faults.append(fault)
        if len(faults) <= _FAULTS_SHOWN:
            terminal.warn(str(fault.args[0]))

    def count(done: int, _new: int) -> None:
        nonlocal read
        read = done

    with ExitStack() as stack:
        source = _opened(file, stack)
        inbox = stack.enter_context(opened(store, must_exist=False))
        total = None if source is sys.stdin.buffer else file.stat().st_size
        on_progress = stack.enter_context(progress(terminal, "import", total))
        new = import_lines(inbox, _counted(source, on_progress), on_progress=count, on_fault=note)
    if len(faults) > _FAULTS_SHOWN:
        terminal.warn(f"and {len(faults) - _FAULTS_SHOWN:,} lines more")
    terminal.show(f"{new:,} new of {read:,} {'delivery' if read == 1 else 'deliveries'}.")
    if read > new:
        terminal.show(f"{read - new:,} were there already and stayed as they are.")
    if faults:
        lines = "line" if len(faults) == 1 else "lines"
        terminal.show(f"{len(faults):,} {lines} could not be read.", style="yellow")
    code = Exit.OK if not faults else Exit.PARTLY if read else Exit.NO
    terminal.finish(
        code,
        read=read,
        new=new,
        faults=[{"line": int(fault.path.split()[1]), "message": fault.args[0]} for fault in faults],
    )


def _opened(file: Path, stack: ExitStack) -> IO[bytes]:
    if str(file) == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(file.open("rb"))
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror or error}"
        raise RuleError(msg, path="FILE", rule="file") from None


def _counted(source: IO[bytes], on_progress: object) -> Iterator[bytes]:
    assert callable(on_progress)
    done = 0
    for line in source:
        yield line
        done += len(line)
        on_progress(done)
