"""`python -m mosvpp_sandbox certify`."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import Report
    from .target import Kind, Target

__all__ = ["main", "parser"]

_EPILOG = """\
exit codes: 0 all passed, 1 a check failed or could not be reached, 2 it could not begin or was stopped.

Only loopback is called unless --allow-host names another. Secrets are in no report; give them as
@FILE or env:VARIABLE, since everyone who can list processes sees what is written here. Example:

  python -m mosvpp_sandbox certify \\
    --data-push-url http://127.0.0.1:8000/data-push \\
    --execution-response-url http://127.0.0.1:8000/execution-response \\
    --header X-API-Key=env:WEBHOOK_SECRET --html report.html
"""


def main(arguments: Sequence[str]) -> int:
    """0 when every check passed, 1 when one did not, 2 when it could not begin."""
    options = parser().parse_args(arguments)
    try:
        from rich.console import Console

        from .catalogue import CHECKS
        from .run import certify, described
        from .terminal import Terminal
    except ModuleNotFoundError as error:
        return _refused(
            f"certify needs {error.name}, which comes with its extra: pip install 'mosvpp[sandbox]'"
        )
    try:
        target = _target(options)
        for file in (options.junit, options.html):
            if file is not None and not file.parent.is_dir():
                return _refused(f"there is no folder {file.parent} to write {file.name} to")
    except ValueError as error:
        return _refused(str(error))
    asked = [check for check in CHECKS if check.side in target.sides]
    terminal = Terminal(Console(highlight=False, markup=False, emoji=False), len(asked))
    terminal.begin(target)
    try:
        report = asyncio.run(certify(target, watcher=terminal))
    except OSError as error:
        terminal.end()
        return _refused(described(error))
    except KeyboardInterrupt:
        terminal.end()
        return _refused("stopped; there is no report")
    terminal.end()
    terminal.show(report)
    return _written(report, options) or (0 if report.is_passed else 1)


def _written(report: Report, options: argparse.Namespace) -> int:
    """Write the files that were asked for; 2 when one cannot be written."""
    from .junit import to_junit
    from .page import to_html

    try:
        if options.junit is not None:
            options.junit.write_bytes(to_junit(report))
        if options.html is not None:
            options.html.write_text(to_html(report), "utf-8")
    except OSError as error:
        return _refused(f"the report cannot be written: {error.filename}: {error.strerror}")
    return 0


def _target(options: argparse.Namespace) -> Target:
    from .target import Target

    urls: dict[Kind, str] = {}
    if options.data_push_url is not None:
        urls["data_push"] = options.data_push_url
    if options.execution_response_url is not None:
        urls["execution_response"] = options.execution_response_url
    return Target(
        urls=urls,
        headers={name: _secret(value) for name, value in options.header},
        previous={name: _secret(value) for name, value in options.previous_header},
        signing_secret=None if options.signing_secret is None else _secret(options.signing_secret),
        command=_words(options.command),
        list_command=_words(options.list_command),
        dispatcher_command=_words(options.dispatcher_command),
        molecule_id=options.molecule_id,
        within=options.within,
        deadline=options.deadline,
        allow_hosts=options.allow_host,
    )


def _secret(given: str) -> str:
    """`@FILE`, `env:VARIABLE`, or the secret itself, which no error repeats. Raises `ValueError`."""
    if given.startswith("@"):
        try:
            return Path(given[1:]).read_text("utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError):
            msg = f"{given[1:]} cannot be read as text"
            raise ValueError(msg) from None
    if given.startswith("env:"):
        name = given.removeprefix("env:")
        if not (value := os.environ.get(name)):
            msg = f"the environment variable {name} is not set, or empty"
            raise ValueError(msg)
        return value
    return given


def _words(command: str | None) -> list[str]:
    if command is None:
        return []
    if sys.platform == "win32":
        return [word.strip('"') for word in shlex.split(command, posix=False)]
    return shlex.split(command)


def parser() -> argparse.ArgumentParser:
    """What may be written after `certify`."""
    made = argparse.ArgumentParser(
        prog="python -m mosvpp_sandbox certify",
        description="Plays named checks against a receiver of yours, over real HTTP, and a dispatcher of "
        "yours against a sandbox, and says of each what was expected, why, and what came back.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = made.add_argument_group("the receiver").add_argument
    where("--data-push-url", metavar="URL", help="its endpoint for data pushes")
    where("--execution-response-url", metavar="URL", help="its endpoint for execution responses")
    where(
        "--header",
        metavar="NAME=VALUE",
        type=_header,
        action="append",
        default=[],
        help="a header that Molecule sends along, as you configured it (may be repeated)",
    )
    where(
        "--previous-header",
        metavar="NAME=VALUE",
        type=_header,
        action="append",
        default=[],
        help="the value before a rotation, which is still to be taken (may be repeated)",
    )
    where(
        "--signing-secret",
        metavar="whsec_…",
        help="sign deliveries (Standard Webhooks); Molecule documents no signature, this is for own gateways",
    )
    where("--molecule-id", metavar="ID", default="fecd0001c031e7e8", help="the site (default: %(default)s)")
    where("--allow-host", metavar="HOST", action="append", default=[], help="a host beyond loopback to call")
    crash = made.add_argument_group("killing it").add_argument
    crash("--command", metavar="COMMAND", help="starts the receiver; it is killed with -9 under load")
    crash(
        "--list-command",
        metavar="COMMAND",
        help="prints what it has stored, as `mosvpp inbox export` does: JSON Lines with the raw bytes as"
        " base64 in `body`",
    )
    asking = made.add_argument_group("the dispatcher").add_argument
    asking(
        "--dispatcher-command",
        metavar="COMMAND",
        help="asks for one event, each time it is run, and ends with 0 only if it was told that it is "
        "accepted; it finds a sandbox by MOSVPP_BASE_URL, MOSVPP_API_KEY and MOSVPP_MOLECULE_ID",
    )
    limits = made.add_argument_group("limits and reports").add_argument
    limits("--within", metavar="SECONDS", type=float, default=5.0, help="time for an answer (default: 5)")
    limits("--deadline", metavar="SECONDS", type=float, default=300.0, help="for all of it (default: 300)")
    limits("--junit", metavar="FILE", type=Path, help="write a report for CI systems")
    limits("--html", metavar="FILE", type=Path, help="write a report for people, with charts")
    return made


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        # Not the text itself: somebody may have given only the secret.
        raise argparse.ArgumentTypeError("write it as NAME=VALUE")
    return name, value


def _refused(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2
