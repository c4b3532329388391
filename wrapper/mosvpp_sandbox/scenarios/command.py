"""`python -m mosvpp_sandbox run`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from .play import Line
    from .script import Scenario

__all__ = ["main", "parser"]

_MARKS = {"partner": "→", "molecule": "←", "world": "·", "kept": "✓", "broken": "✗"}
_STYLES = {"partner": "", "molecule": "cyan", "world": "dim", "kept": "green", "broken": "bold red"}


def main(arguments: Sequence[str]) -> int:
    """0 when everything came as expected, 1 when it did not, 2 when it could not begin."""
    options = parser().parse_args(arguments)
    try:
        from rich.console import Console
        from rich.text import Text

        from .play import play
        from .script import named
    except ModuleNotFoundError as error:
        return _refused(f"run needs {error.name}, which comes with its extra: pip install 'mosvpp[sandbox]'")
    logging.getLogger("mosvpp_sandbox").addHandler(logging.NullHandler())  # the lines below say it all
    console = Console(highlight=False, markup=False, emoji=False)
    known = {scenario.name: scenario for scenario in named()}
    if not options.scenario:
        _list(console, known.values())
        return 0
    headers = dict(options.header)
    if bool(headers) != bool(options.data_push_url or options.execution_response_url):
        return _refused("give your endpoints and their --header, or neither: then it has its own")
    broken = 0
    for name in options.scenario:
        try:
            scenario = _found(name, known)
        except (ValueError, OSError) as error:
            return _refused(str(error))
        console.print(Text(f"{scenario.name}: {scenario.title}", style="bold"))
        console.print(Text(scenario.about, style="dim"), soft_wrap=False)

        def show(line: Line) -> None:
            if options.quiet and line.kind != "broken":
                return
            console.print(
                Text.assemble(
                    (f"{line.at:%a %H:%M:%S}  ", "dim"),
                    (f"{_MARKS[line.kind]} {line.text}", _STYLES[line.kind]),
                ),
                soft_wrap=True,
            )

        try:
            played = play(
                scenario,
                data_push_url=options.data_push_url,
                execution_response_url=options.execution_response_url,
                headers=headers or None,
                on_line=show,
            )
        except (ValueError, LookupError) as error:
            return _refused(str(error))
        broken += not played.is_kept
        words = ("as expected", "green") if played.is_kept else ("not as expected", "bold red")
        console.print(Text(words[0], style=words[1]), end="\n\n")
    return 1 if broken else 0


def _list(console: Console, scenarios: Iterable[Scenario]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("scenario", no_wrap=True)
    table.add_column("shows")
    for scenario in scenarios:
        table.add_row(scenario.name, scenario.title)
    console.print(table)
    console.print("\npython -m mosvpp_sandbox run NAME…, or a YAML file of your own", style="dim")


def _found(name: str, known: dict[str, Scenario]) -> Scenario:
    from .script import read

    if name in known:
        return known[name]
    if name.endswith((".yaml", ".yml")):
        return read(Path(name))
    raise ValueError(f"there is no scenario {name}; there are {', '.join(known)}")


def parser() -> argparse.ArgumentParser:
    """What may be written after `run`."""
    made = argparse.ArgumentParser(
        prog="python -m mosvpp_sandbox run",
        description="Plays scenarios on simulated time: what a partner and Molecule do, and what has to come"
        " of it. Without a name, lists them. 0: as expected, 1: not, 2: it could not begin.",
    )
    made.add_argument("scenario", nargs="*", help="a name, or a YAML file of your own")
    made.add_argument("--data-push-url", metavar="URL", help="send data pushes to your endpoint")
    made.add_argument("--execution-response-url", metavar="URL", help="send execution responses there")
    made.add_argument(
        "--header", metavar="NAME=VALUE", type=_header, action="append", default=[], help="sent along"
    )
    made.add_argument("--quiet", action="store_true", help="only what is not as expected")
    return made


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("write it as NAME=VALUE")  # not the text: it may be the secret
    return name, value


def _refused(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2
