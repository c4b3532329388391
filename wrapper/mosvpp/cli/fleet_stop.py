"""`mosvpp fleet stop`: calling off what may run, until it is known to be stopped."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, Self

import typer
from rich.text import Text

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .fleet_store import Concurrency, SiteIds, Store, fleet_at, opened_journal
from .interrupts import sigterm_is_ctrl_c
from .terminal import Terminal

if TYPE_CHECKING:
    from mosvpp.fleet import Dispatch, Journal, SiteOutcome, State, Stopping

__all__ = ["stop"]

_SHOWN = 20
_WORD = "stop"


def stop(
    site: SiteIds = None,
    everywhere: Annotated[bool, typer.Option("--all", help="At all sites.")] = False,
    concurrency: Concurrency = 100,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Do not ask. Needed where nobody can type.", rich_help_panel="Safety"),
    ] = False,
    store: Store = None,
    base_url: options.BaseUrl = None,
    api_version: options.ApiVersion = "v1",
    api_key: options.ApiKey = None,
    ca_file: options.CaFile = None,
    timeout: options.TimeoutS = 30.0,
    as_json: options.Json = False,
) -> None:
    """Cancel every live event that may run, until each is known to be stopped.

    Keeps trying until each event ends, also after unknown outcomes; Ctrl-C or SIGTERM end it earlier.
    Lists what is not confirmed to be stopped, and ends with 4 if there is any.
    """
    from .connection import Connection
    from .fleet_progress import status_shown
    from .fleet_tables import several
    from .outcomes import heading

    terminal = Terminal(as_json=as_json)
    if everywhere == bool(site):
        msg = "say where: --site ID (may be repeated) or --all, and only one of them"
        raise RuleError(msg, path="--all", rule="one_of")
    connection = Connection(
        base_url=base_url, api_version=api_version, api_key=api_key, timeout=timeout, ca_file=ca_file
    )
    with (
        opened_journal(store) as journal,
        fleet_at(connection, journal, terminal, allow_live=True, concurrency=concurrency) as fleet,
    ):
        open_now = _Open.of(_may_run(journal, site))
        if not open_now.total:
            terminal.show("Nothing live may be running.", style="green")
        else:
            about = heading("stop, live", several(len(open_now.sites), "site"), connection)
            _insist(terminal, about, open_now.states, yes=yes)
        # Also where nothing was found: what a plan has not sent yet must not leave any more.
        with sigterm_is_ctrl_c(), status_shown(terminal, "stopping") as show:
            told = _Told(show, open_now)
            try:
                done = fleet.stop(molecule_ids=site, on_outcome=told)
            except KeyboardInterrupt:
                done = None
        _end(terminal, journal, site, told, done)


class _Open(NamedTuple):
    """What is to be stopped, in numbers: of 100,000 sites nothing else should be in memory."""

    states: Counter[State]
    sites: set[str]
    end: datetime

    @classmethod
    def of(cls, found: Iterable[Dispatch]) -> Self:
        """Count what is found."""
        states, sites, end = Counter[Any](), set[str](), datetime.now(UTC)
        for one in found:
            states[one.state] += 1
            sites.add(one.molecule_id)
            end = max(end, (one.sent_slot or one.slot).end)
        return cls(states, sites, end)

    @property
    def total(self) -> int:
        """Events at sites."""
        return self.states.total()


class _Told:
    """Counts what is confirmed, and says so."""

    def __init__(self, show: Callable[[str], None], targets: _Open) -> None:
        self._show = show
        self._total = targets.total
        self._until = f"goes on until {targets.end:%H:%M} UTC, " if targets.total else ""
        self._stopped: set[tuple[str, str]] = set()
        self.requests = 0

    @property
    def stopped(self) -> int:
        """How many of them a receipt has confirmed."""
        return len(self._stopped)

    def __call__(self, outcome: SiteOutcome) -> None:
        from .fleet_tables import several

        self.requests += 1
        if outcome.verdict == "accepted":
            self._stopped.add((outcome.molecule_id, outcome.event_id))
        self._show(
            f"{self.stopped:,} of {self._total:,} confirmed stopped, {several(self.requests, 'request')};"
            f" {self._until}Ctrl-C ends it"
        )


def _may_run(journal: Journal, site: list[str] | None) -> Iterator[Dispatch]:
    """What is live and may be running, or may still run, also because it may yet be sent."""
    from mosvpp.fleet import State

    found = journal.find(molecule_ids=site, mode="live", is_open=True, ends_after=datetime.now(UTC))
    return (
        one
        for one in found
        if (one.state.may_run and not one.standing.is_stopped)
        or (one.state is State.PLANNED and not one.is_cancelled)
    )


def _insist(terminal: Terminal, about: Text, states: Counter[State], *, yes: bool) -> None:
    """Ask a person; a program has to say --yes."""
    from .fleet_tables import counts_text

    if not yes and sys.stdin.isatty():
        if terminal.ask(f"Type {_WORD} to cancel these:", about, counts_text(states)) != _WORD:
            msg = f"what you typed is not {_WORD}, so nothing was sent"
            raise RuleError(msg, path="--all", rule="confirmation", evidence=("behaviour.arming",))
    elif not yes:
        msg = "this has to be confirmed, and nobody is here to ask: add --yes if a program may decide it"
        raise RuleError(msg, path="--yes", rule="confirmation", evidence=("behaviour.arming",))
    else:
        terminal.show(about)


def _end(
    terminal: Terminal, journal: Journal, site: list[str] | None, told: _Told, done: Stopping | None
) -> NoReturn:
    """Say what is stopped, and list what is not known to be."""
    from .fleet_tables import dispatch_object, dispatches_table, several

    if done is None:
        terminal.warn("interrupted; run it again to go on")
        left = _may_run(journal, site)
        terminal.show(f"{told.stopped:,} confirmed stopped, with {several(told.requests, 'request')}.")
    else:
        left = journal.known((event_id, site_id) for site_id, event_id in done.not_confirmed)
        never = f", {done.withdrawn:,} never sent, and not sent any more" if done.withdrawn else ""
        terminal.show(f"{done.stopped:,} confirmed stopped{never}, with {several(done.requests, 'request')}.")
    now, count = datetime.now(UTC), 0
    shown, listed = list[Any](), list[dict[str, Any]]()
    for one in left:
        count += 1
        if count <= _SHOWN:
            shown.append(one)
        if terminal.as_json:
            listed.append(dispatch_object(one, now))
    if count:
        terminal.show(
            Text(f"\nNOT confirmed stopped: {count:,}", style="bold red"),
            dispatches_table(shown),
        )
        if count > _SHOWN:
            terminal.show(f"… and {count - _SHOWN:,} more; --json lists all")
        terminal.show("", "Reach these sites another way: MosVPP knows no other call that stops them.")
    terminal.finish(
        Exit.OUTCOME_UNKNOWN if count else Exit.OK,
        stopped=told.stopped if done is None else done.stopped,
        withdrawn=None if done is None else done.withdrawn,
        requests=told.requests,
        is_interrupted=done is None,
        not_confirmed=listed,
    )
