"""`mosvpp fleet run` and `cancel`: sending to many sites at once, and calling it off."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .fleet_store import Concurrency, Event, SiteIds, Store, fleet_at, opened_journal
from .interrupts import sigterm_is_ctrl_c
from .terminal import Terminal

if TYPE_CHECKING:
    from mosvpp.fleet import Dispatch, Execution, Journal, Plan, State
    from mosvpp.fleet.journal import Chosen

    from .connection import Connection

__all__ = ["cancel", "run"]

_SHOWN = 20


def run(
    file: Annotated[Path, typer.Argument(metavar="PLAN", help="The file that `mosvpp fleet plan` kept.")],
    plan_hash: Annotated[
        str | None,
        typer.Option(
            "--hash",
            metavar="HASH",
            help="The hash of the plan that was approved, 16 characters or more; another plan is not sent.",
            rich_help_panel="Safety",
        ),
    ] = None,
    concurrency: Concurrency = 100,
    live: options.Live = False,
    yes: options.Yes = False,
    store: Store = None,
    base_url: options.BaseUrl = None,
    api_version: options.ApiVersion = "v1",
    api_key: options.ApiKey = None,
    ca_file: options.CaFile = None,
    timeout: options.TimeoutS = 30.0,
    as_json: options.Json = False,
) -> None:
    """Send a plan to its sites, each request noted before it leaves.

    After a crash, Ctrl-C or SIGTERM, run it again: it goes on with what was not sent.
    What may have been received is never sent again by itself.
    """
    from .connection import Connection
    from .consent import insist_on_live, insist_on_yes
    from .fleet_progress import outcomes_shown
    from .fleet_tables import findings_lines, plan_table, several
    from .outcomes import heading

    terminal = Terminal(as_json=as_json)
    made = _read_plan(file)
    _insist_on_hash(made, plan_hash)
    is_live = made.mode.value == "live"
    if is_live:
        insist_on_live("this plan is live, and moves real devices", live=live)
    connection = Connection(
        base_url=base_url, api_version=api_version, api_key=api_key, timeout=timeout, ca_file=ca_file
    )
    with (
        opened_journal(store, must_exist=False) as journal,
        fleet_at(connection, journal, terminal, allow_live=is_live, concurrency=concurrency) as fleet,
    ):
        about = heading(f"run, {made.mode.value}", several(len(made), "site"), connection)
        if is_live:
            details = (plan_table(made), "", *findings_lines(made.findings))
            insist_on_yes(
                terminal,
                made.hash[:8],
                about,
                *details,
                yes=yes,
                named="the first 8 characters of the plan,",
                path="PLAN",
            )
        else:
            terminal.show(about)
        try:
            with sigterm_is_ctrl_c(), outcomes_shown(terminal, len(made)) as told:
                done = fleet.execute(made, plan_hash=made.hash, on_outcome=told)
        except KeyboardInterrupt:
            terminal.warn("interrupted; run the same plan again to go on with what was not sent")
            _end(terminal, journal, connection, None, {"plan": made.hash})
        _end(terminal, journal, connection, done, {"plan": made.hash})


def cancel(
    event_id: Event,
    site: SiteIds = None,
    concurrency: Concurrency = 100,
    live: options.Live = False,
    yes: options.Yes = False,
    store: Store = None,
    base_url: options.BaseUrl = None,
    api_version: options.ApiVersion = "v1",
    api_key: options.ApiKey = None,
    ca_file: options.CaFile = None,
    timeout: options.TimeoutS = 30.0,
    as_json: options.Json = False,
) -> None:
    """Cancel an event wherever it went, in the mode in which it went.

    Each cancellation is sent once; `mosvpp fleet stop` goes on until it is known.
    What was not sent yet is not sent any more.
    """
    from .arguments import naming
    from .connection import Connection
    from .consent import insist_on_live, insist_on_yes
    from .fleet_progress import outcomes_shown
    from .fleet_tables import counts_text, several
    from .outcomes import heading

    terminal = Terminal(as_json=as_json)
    connection = Connection(
        base_url=base_url, api_version=api_version, api_key=api_key, timeout=timeout, ca_file=ca_file
    )
    chosen: Chosen = {"event_id": event_id, "molecule_ids": site}
    with opened_journal(store) as journal, naming(event_id="EVENT_ID"):
        states: Counter[State] = Counter()
        is_live = False
        for one in journal.find(event_id=event_id, molecule_ids=site):
            states[one.state] += 1
            is_live = is_live or one.mode.value == "live"
        if not states:
            where = " at these sites" if site else ""
            msg = f"the journal knows nothing of {event_id}{where}; `mosvpp fleet status` lists its events"
            raise RuleError(msg, path="event_id", rule="known")
        if is_live:
            insist_on_live("this event is live", live=live)
        with fleet_at(connection, journal, terminal, allow_live=is_live, concurrency=concurrency) as fleet:
            mode = "live" if is_live else "test"
            about = heading(f"cancel, {mode}", several(states.total(), "site"), connection)
            if is_live:
                insist_on_yes(
                    terminal,
                    event_id,
                    about,
                    counts_text(states),
                    yes=yes,
                    named="the event id",
                    path="event_id",
                )
            else:
                terminal.show(about)
            try:
                expected = sum(count for state, count in states.items() if state.may_run)
                with sigterm_is_ctrl_c(), outcomes_shown(terminal, expected) as told:
                    done = fleet.cancel(event_id, molecule_ids=site, on_outcome=told)
            except KeyboardInterrupt:
                terminal.warn("interrupted; cancel it again to go on, a repeated one does no harm")
                _end(terminal, journal, connection, None, chosen, cancels=True)
            _end(terminal, journal, connection, done, chosen, cancels=True)


def _read_plan(path: Path) -> Plan:
    from mosvpp.fleet import Plan

    from .arguments import read_file

    try:
        return Plan.from_json(read_file(path, "PLAN"))
    except RuleError as error:
        if error.rule != "json":
            raise
        why = str(error.args[0]).partition(": ")[2]
        raise RuleError(f"{path} is no plan that can be sent: {why}", path="PLAN", rule="kind") from None


def _insist_on_hash(made: Plan, given: str | None) -> None:
    if given is None:
        return
    if len(given) < 16:
        msg = f"{given!r} is too short to tell plans apart: give 16 characters or more"
        raise RuleError(msg, path="--hash", rule="hash")
    if not made.hash.startswith(given.lower()):
        msg = f"this is plan {made.hash[:16]}, and not {given[:16]}, which was approved"
        raise RuleError(msg, path="--hash", rule="hash")


def _end(
    terminal: Terminal,
    journal: Journal,
    connection: Connection,
    done: Execution | None,
    chosen: Chosen,
    *,
    cancels: bool = False,
) -> NoReturn:
    """Show what is known of what was chosen, and what can be done about the rest; None if interrupted."""
    from mosvpp.fleet import State

    from .fleet_tables import DOUBTFUL, advice_lines, counts_text, dispatch_object, dispatches_table

    now = datetime.now(UTC)
    states: Counter[State] = Counter()
    to_look_at: list[Dispatch] = []
    event_ids: set[str] = set()
    for one in journal.find(**chosen):
        states[one.state] += 1
        event_ids.add(one.event_id)
        is_open = one.state.may_run if cancels else one.state is State.PLANNED and not one.is_cancelled
        if one.state in DOUBTFUL or is_open:
            to_look_at.append(one)
    if done is not None:
        terminal.show(_sent_words(done))
    terminal.show(counts_text(states))
    if to_look_at:
        terminal.show("", dispatches_table(to_look_at[:_SHOWN]))
        if len(to_look_at) > _SHOWN:
            terminal.show(f"… and {len(to_look_at) - _SHOWN:,} more; --json lists all")
        terminal.show("", *advice_lines(to_look_at, now))
        if len(event_ids) == 1:
            terminal.show("", f"to see them again: mosvpp fleet status {next(iter(event_ids))}")
    terminal.finish(
        _exit_of_cancel(states) if cancels else _exit_of_run(states, done),
        event_ids=sorted(event_ids),
        base_url=connection.base_url,
        sent=None if done is None else dict(done.counts),
        took_s=None if done is None else round(done.took.total_seconds(), 3),
        is_interrupted=done is None,
        states={state.value: count for state, count in states.items()},
        to_look_at=[dispatch_object(one, now) for one in to_look_at],
    )


def _sent_words(done: Execution) -> str:
    """`500 sites in 5.1 s: 480 accepted, 12 rejected, 8 unknown`."""
    from .fleet_tables import several

    total, seconds = done.counts.total(), done.took.total_seconds()
    if not total:
        return "Nothing was left to send."
    parts = ", ".join(f"{count:,} {_COUNTED.get(name, name)}" for name, count in sorted(done.counts.items()))
    return f"{several(total, 'site')} in {seconds:,.1f} s: {parts}"


_COUNTED = {
    "not_sent": "not sent",
    "too_late": "too late to be sent",
    "cancelled": "cancelled before they were sent",
    "taken": "taken by another program",
    "newer": "overtaken by a newer request",
}


def _exit_of_run(states: Counter[State], done: Execution | None) -> Exit:
    from mosvpp.fleet.states import State

    left, refused = states[State.PLANNED], states[State.REJECTED]
    if any(states[state] for state in (State.UNKNOWN, State.SENT, State.CONFLICT)):
        return Exit.OUTCOME_UNKNOWN
    if left and done is None:
        return Exit.INTERRUPTED
    not_done = left + refused + states[State.CANCELLED]
    if states.total() > not_done:
        return Exit.PARTLY if not_done else Exit.OK
    if refused:
        return Exit.NO
    return Exit.UNREACHABLE if done is not None and done.counts["not_sent"] else Exit.NOT_SENT


def _exit_of_cancel(states: Counter[State]) -> Exit:
    from mosvpp.fleet.states import State

    if any(states[state] for state in (State.UNKNOWN, State.SENT, State.CONFLICT)):
        return Exit.OUTCOME_UNKNOWN
    may_run = sum(count for state, count in states.items() if state.may_run)
    if may_run:
        return Exit.NO if may_run == states.total() else Exit.PARTLY
    return Exit.OK
