"""How demo.py tells people what happens; it reads well from 80 columns on, and without colours."""

import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

Details = dict[str, Any]

COLOURS = {"documented": "green", "sample": "cyan", "inferred": "yellow"}
WIDEST = 100
INDENT = (0, 0, 0, 3)


class Step(NamedTuple):
    """One of the six; `evidence` are entries of spec/evidence.yaml and how sure they are."""

    name: str
    title: str
    evidence: dict[str, str]


class Report:
    """Prints a block for each step; `quiet` prints nothing and lets time pass at once."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")  # a terminal may know no arrows
        console = Console(highlight=False, quiet=quiet)
        self._console = Console(highlight=False, quiet=quiet, width=min(console.width, WIDEST))

    def begin(self, sandbox: str, partner: str, site: str) -> None:
        """Say who plays whom."""
        self._console.print("The MosVPP lifecycle over HTTP on this machine", style="bold")
        who = _columns(
            ("Molecule", sandbox, "the sandbox plays it"),
            ("partner", partner, "calls it, and listens for its webhooks"),
            ("site", site, "simulated"),
        )
        self._console.print(Padding(who, INDENT))

    def step(self, number: int, step: Step, details: Details) -> None:
        """One step: a heading with its evidence, and what was sent and received."""
        failed = "error" in details
        mark = Text(details["error"], style="red") if failed else _evidence(step.evidence)
        heading = Table.grid(expand=True)
        heading.add_column()
        heading.add_column(justify="right")
        heading.add_row(Text(f"{number}  {step.title}", style="bold red" if failed else "bold"), mark)
        self._console.print()
        self._console.print(heading)
        for line in [] if failed else _LINES[step.name](details):
            self._console.print(Padding(line, INDENT))

    def passing(self, by: timedelta) -> Iterator[timedelta]:
        """The time to pass, in pieces that can be watched where somebody watches."""
        minutes = int(by.total_seconds() // 60)
        if self._console.is_terminal and not self.quiet:
            columns = (BarColumn(30), TextColumn("{task.completed} of {task.total} simulated minutes"))
            with Progress(TextColumn(" "), *columns, console=self._console, transient=True) as progress:
                for _ in progress.track(range(minutes), total=minutes):
                    yield timedelta(minutes=1)
                    time.sleep(0.03)
        else:
            yield by

    def end(self, done: bool, seconds: float) -> None:
        """Say how it went."""
        self._console.print()
        if done:
            self._console.print(f"All six steps done in {seconds:.1f} s.", style="bold green")
        else:
            self._console.print("A step failed.", style="bold red")
        self._console.print(
            "documented: Molecule's pages state it; sample: only a page's sample shows it;\n"
            "inferred: our reading. spec/evidence.yaml explains each id.",
            style="dim",
        )


def _evidence(evidence: dict[str, str]) -> Text:
    """`documented`, and by their ids the facts that are less sure."""
    mark = Text("documented", style=COLOURS["documented"])
    for fact, status in evidence.items():
        if status != "documented":
            mark.append("  ").append(f"{status}: {fact}", style=COLOURS[status])
    return mark


def _sent(details: Details) -> Text:
    return _arrow("→", details)


def _received(details: Details, note: str) -> Text:
    return _arrow("←", details).append(note, style="default")


def _arrow(arrow: str, details: Details) -> Text:
    line = Text(f"{arrow} {details['method']} {details['path']}  ", style="blue")
    return line.append(str(details["status"]), style="green" if details["status"] == 200 else "red")


def _columns(*rows: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _clock(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%H:%M}"


def _span(details: Details) -> str:
    return f"{_clock(details['start'])} to {_clock(details['end'])} UTC"


def _sync_devices(details: Details) -> list[Any]:
    rows = [
        (device["device_id"], device["name"], device["device_type"], " ".join(device["capabilities"]))
        for device in details["devices"]
    ]
    return [_sent(details), _columns(*rows)]


def _submit_dispatch(details: Details) -> list[Any]:
    asked = f"{details['event_type']} {details['asked_kw']:g} kW, {_span(details)}, {details['mode']}"
    return [_sent(details), _columns(("event", details["event_id"]), ("asked", asked))]


def _receipt(details: Details) -> list[Any]:
    said = f"{details['outcome']} ({details['certainty'].replace('_', ' ')}): {details['message']}"
    answer = Text("← answer to the same call  ", style="blue").append(str(details["status"]), style="green")
    return [answer, _columns(("event", details["event_id"]), ("verdict", said))]


def _receive_execution_response(details: Details) -> list[Any]:
    delivered = f"{details['delivered_kw']:g} kW of {details['asked_kw']:g} kW, {_span(details)}"
    return [
        _received(details, f"   after {details['simulated_minutes']} simulated minutes"),
        _columns(
            ("event", details["event_id"]), ("status", details["event_status"]), ("delivered", delivered)
        ),
    ]


def _receive_data_push(details: Details) -> list[Any]:
    rows = [
        (device, ", ".join(f"{name} {value}" for name, value in metrics.items()))
        for device, metrics in details["metrics"].items()
    ]
    note = f"   {details['count']} times; the latest, of {_clock(details['timestamp'])} UTC:"
    return [_received(details, note), _columns(*rows)]


def _submit_site_command(details: Details) -> list[Any]:
    orders = [
        f"{one['device_id']} {one['action']}" + (f" {one['power_kw']:g} kW" if one["power_kw"] else "")
        for one in details["commands"]
    ]
    told = ", ".join(f"{name} {value}" for name, value in details["telemetry"].items())
    return [
        _sent(details),
        _columns(
            ("command", details["scmd_id"]),
            ("asked", f"{', '.join(orders)}, for {details['duration_s'] // 60} minutes"),
            ("verdict", details["outcome"]),
            ("telemetry", f"{told}, {details['simulated_minutes']} simulated minutes later"),
        ),
    ]


_LINES = {
    "sync_devices": _sync_devices,
    "submit_dispatch": _submit_dispatch,
    "receipt": _receipt,
    "receive_execution_response": _receive_execution_response,
    "receive_data_push": _receive_data_push,
    "submit_site_command": _submit_site_command,
}
