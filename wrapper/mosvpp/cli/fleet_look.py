"""`mosvpp fleet status`, `overdue` and `resolve`: what is known of events, and what a person found out."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mosvpp.errors import RuleError

from . import options
from .exits import Exit
from .fleet_store import Event, SiteIds, Store, opened_journal
from .terminal import Terminal, plain

if TYPE_CHECKING:
    from mosvpp.fleet import Dispatch, Journal, State

__all__ = ["overdue", "resolve", "status"]

_SHOWN = 20


class Final(StrEnum):
    """How an event can have ended at a site."""

    REJECTED = "rejected"
    COMPLETED = "completed"
    PARTIALLY_COMPLETED = "partially_completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    OPTED_OUT = "opted_out"


def status(
    event_id: Annotated[
        str | None, typer.Argument(metavar="[EVENT_ID]", help="One event, site by site. Default: all events.")
    ] = None,
    site: SiteIds = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="Sites in this state, such as unknown, confirmed, failed; may be repeated.",
        ),
    ] = None,
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="DURATION", help="Events that ended no longer ago, without EVENT_ID."
        ),
    ] = "7d",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="How many sites to show.")
    ] = _SHOWN,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Show what is known of each event, or of one at its sites.

    Of one event, sites that somebody has to look at come first.
    """
    from mosvpp.fleet import State

    from .arguments import naming, read_duration

    terminal = Terminal(as_json=as_json)
    words = {one.value for one in State}
    for word in state or ():
        if word not in words:
            msg = f"there is no state {plain(word)}; there are {', '.join(words_in_order(State))}"
            raise RuleError(msg, path="--state", rule="enum")
    wanted = frozenset(State(word) for word in state or ())
    with opened_journal(store) as journal, naming(event_id="EVENT_ID"):
        if event_id is None and not wanted and not site:
            _show_events(terminal, journal, read_duration(since, "--since"))
        else:
            _show_sites(terminal, journal, event_id, site, wanted, limit)


def words_in_order(states: Any) -> list[str]:
    """The words of the states, as they follow each other."""
    return [one.value for one in states]


def overdue(
    grace: Annotated[
        str,
        typer.Option(
            "--grace",
            metavar="DURATION",
            help="So long after its end a report may still come; when reports are sent is not known.",
        ),
    ] = "15m",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many to show.")] = _SHOWN,
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """List what was sent and is over, and of whose end nothing is known.

    Ends with 1 if there is any, for schedulers that raise alarms.
    """
    from .arguments import read_duration
    from .fleet_tables import advice_lines, dispatch_object, dispatches_table

    terminal = Terminal(as_json=as_json)
    now = datetime.now(UTC)
    with opened_journal(store) as journal:
        found = list(journal.overdue(now, grace=read_duration(grace, "--grace")))
    if not found:
        terminal.show("Nothing is overdue.", style="green")
        terminal.finish(Exit.OK, overdue=[])
    for event_id, several in _by_event(found).items():
        terminal.show(_event_words(event_id, several[0]), dispatches_table(several[:limit]))
        if len(several) > limit:
            terminal.show(f"… and {len(several) - limit:,} more; --json lists all")
        terminal.show("")
    terminal.show(*advice_lines(found, now))
    terminal.finish(Exit.NO, overdue=[dispatch_object(one, now) for one in found])


def resolve(
    event_id: Event,
    site: Annotated[str, typer.Argument(metavar="SITE", help="The molecule_id of the site.")],
    state: Annotated[
        Final,
        typer.Argument(
            metavar="STATE",
            help="rejected, completed, partially_completed, failed, cancelled, superseded or opted_out.",
        ),
    ],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="How it is known; it is kept in the journal.")
    ],
    store: Store = None,
    as_json: options.Json = False,
) -> None:
    """Note what you found out about the end of an event at a site.

    For what no report tells: nothing is sent.
    """
    from .arguments import naming
    from .fleet_tables import dispatch_object, state_text

    terminal = Terminal(as_json=as_json)
    with opened_journal(store) as journal, naming(event_id="EVENT_ID"):
        before = journal.get(site, event_id)
        if before is None:
            msg = f"the journal knows nothing of {event_id} at {site}"
            raise RuleError(msg, path="event_id", rule="known")
        after = journal.resolve(site, event_id, state.value, reason=reason)
    from rich.text import Text

    terminal.show(Text.assemble(plain(site), "  ", state_text(before.state), " → ", state_text(after.state)))
    terminal.finish(Exit.OK, before=before.state.value, dispatch=dispatch_object(after, datetime.now(UTC)))


def _show_events(terminal: Terminal, journal: Journal, since: timedelta) -> None:
    from mosvpp.times import to_wire

    from .fleet_tables import counts_text

    now = datetime.now(UTC)
    first: dict[str, Dispatch] = {}
    counts: dict[str, Counter[State]] = {}
    for one in journal.find(ends_after=now - since):
        first.setdefault(one.event_id, one)
        counts.setdefault(one.event_id, Counter())[one.state] += 1
    if not first:
        terminal.show("No event yet, or none that ended so lately.", style="yellow")
    for event_id, one in first.items():
        terminal.show(_event_words(event_id, one), counts_text(counts[event_id]), "")
    if first:
        terminal.show("for its sites: mosvpp fleet status EVENT_ID")
    terminal.finish(
        Exit.OK,
        events=[
            {
                "event_id": event_id,
                "mode": one.mode.value,
                "event_type": one.slot.event_type.value,
                "start": to_wire(one.slot.start),
                "end": to_wire(one.slot.end),
                "sites": counts[event_id].total(),
                "states": {state.value: count for state, count in counts[event_id].items()},
            }
            for event_id, one in first.items()
        ],
    )


def _show_sites(
    terminal: Terminal,
    journal: Journal,
    event_id: str | None,
    site: list[str] | None,
    wanted: frozenset[State],
    limit: int,
) -> None:
    from .fleet_tables import advice_lines, counts_text, dispatch_object, dispatches_table

    now = datetime.now(UTC)
    found = [
        one for one in journal.find(event_id=event_id, molecule_ids=site) if not wanted or one.state in wanted
    ]
    if not found:
        known = event_id is None or next(journal.find(event_id=event_id), None) is not None
        if not known:
            msg = f"the journal knows nothing of {event_id}; `mosvpp fleet status` lists its events"
            raise RuleError(msg, path="event_id", rule="known")
        terminal.show("Nothing matches.", style="yellow")
        terminal.finish(Exit.OK, states={}, sites=[])
    for one_id, several in _by_event(found).items():
        counts = Counter(one.state for one in several)
        shown = sorted(several, key=lambda one: _urgency(one.state))
        terminal.show(_event_words(one_id, several[0]), counts_text(counts), "")
        terminal.show(dispatches_table(islice(shown, limit)))
        if len(several) > limit:
            terminal.show(f"… and {len(several) - limit:,} more; --limit, --state or --json show them")
        terminal.show("", *advice_lines(several, now))
    terminal.finish(
        Exit.OK,
        states={state.value: count for state, count in Counter(one.state for one in found).items()},
        sites=[dispatch_object(one, now) for one in found],
    )


def _urgency(state: State) -> int:
    from mosvpp.fleet import State

    order = (
        *(State.CONFLICT, State.UNKNOWN, State.SENT, State.FAILED, State.REJECTED),
        *(State.PARTIALLY_COMPLETED, State.PLANNED),
    )
    return order.index(state) if state in order else len(order)


def _by_event(found: list[Dispatch]) -> dict[str, list[Dispatch]]:
    events: dict[str, list[Dispatch]] = {}
    for one in found:
        events.setdefault(one.event_id, []).append(one)
    return events


def _event_words(event_id: str, one: Dispatch) -> Any:
    from rich.text import Text

    from .tables import period_words

    slot = one.sent_slot or one.slot
    mode = ("live", "bold yellow") if one.mode.value == "live" else ("test", "")
    return Text.assemble(
        (event_id, "bold"),
        "\n",
        f"{slot.event_type.value}, ",
        mode,
        ", ",
        period_words(slot.start, slot.end).replace("\n", " "),
    )
