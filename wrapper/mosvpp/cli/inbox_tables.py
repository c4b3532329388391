"""What the inbox looks like in 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from .tables import duration_words, table
from .terminal import plain

if TYPE_CHECKING:
    from mosvpp.receiver import Backlog, Quarantined, Site, StoredDelivery

__all__ = [
    "age",
    "backlog_words",
    "deliveries_table",
    "delivery_details",
    "instant",
    "quarantine_table",
    "quarantined_details",
    "sites_table",
]

_KINDS = {"data_push": "push", "execution_response": "response"}
_STYLES = {"done": "green", "dead": "red", "leased": "cyan"}
_LONGEST_BODY = 64 * 1024  # shown; all of it with --body


def sites_table(sites: Iterable[Site], now: datetime) -> Table:
    """Sites, and since when they are silent."""
    made = table("site", "last push (UTC)", "ago")
    for site in sites:
        made.add_row(plain(site.molecule_id), instant(site.last_push_at), age(now - site.last_push_at))
    return made


def deliveries_table(found: Iterable[StoredDelivery]) -> Table:
    """Deliveries, a line each."""
    made = table("number", "arrived (UTC)", "kind", "site", "state", "tries")
    made.columns[0].justify = made.columns[5].justify = "right"
    made.columns[0].no_wrap = made.columns[1].no_wrap = True
    for one in found:
        state = Text(one.state, style=_STYLES.get(one.state, ""))
        if one.reason:
            state.append(f" {plain(one.reason)}", style="dim")
        if one.is_purged and one.reason != "purged":
            state.append(" purged", style="dim")
        made.add_row(
            str(one.seq),
            instant(one.received_at),
            _KINDS[one.kind],
            plain(one.molecule_id or "–"),
            state,
            str(one.attempts),
        )
    return made


def backlog_words(backlog: Mapping[str, Backlog], now: datetime) -> Iterator[str]:
    """What is left to do, in a sentence for each kind that has some."""
    for kind, left in backlog.items():
        if left.unfinished or left.dead:
            due = ""
            if left.oldest_due_at is not None and left.oldest_due_at < now:
                due = f", the oldest due for {age(now - left.oldest_due_at)}"
            yield f"{kind}: {left.unfinished:,} unfinished{due}; {left.dead:,} with the dead letters"


def delivery_details(one: StoredDelivery) -> Iterator[RenderableType]:
    """Everything about one delivery."""
    from mosvpp.receiver.redaction import without_secrets

    state = Text(one.state, style=_STYLES.get(one.state, ""))
    if one.reason:
        state.append(f" · {plain(without_secrets(one.reason))}")
    yield _facts(
        ("number", str(one.seq)),
        ("key", one.key),
        ("kind", one.kind),
        ("site", plain(one.molecule_id) if one.molecule_id else "not named in the body"),
        ("arrived", f"{instant(one.received_at)} UTC"),
        ("its own time", f"{instant(one.body_at)} UTC" if one.body_at else None),
        ("state", state),
        ("tries", str(one.attempts)),
        (_due_word(one), f"{instant(one.due_at)} UTC" if one.due_at else None),
        ("worker", plain(one.worker) if one.worker else None),
        ("finished", f"{instant(one.finished_at)} UTC" if one.finished_at else None),
    )
    yield from _headers(one.headers)
    if one.traceback:
        yield from _block("why it failed", without_secrets(one.traceback).rstrip())
    yield from _body(one.body, "purged, only the key was kept" if one.is_purged else "empty")


def quarantine_table(kept: Iterable[Mapping[str, Any]]) -> Table:
    """Deliveries of senders that were not recognised, as `--json` has them, a line each."""
    made = table("number", "arrived (UTC)", "kind", "bytes", "why")
    made.columns[0].justify = made.columns[3].justify = "right"
    for one in kept:
        arrived, size = instant(datetime.fromisoformat(one["received_at"])), f"{one['bytes']:,}"
        made.add_row(str(one["number"]), arrived, _KINDS[one["kind"]], size, plain(one["reason"]))
    return made


def quarantined_details(one: Quarantined) -> Iterator[RenderableType]:
    """Everything about one of them."""
    yield _facts(
        ("number", str(one.seq)),
        ("kind", one.kind),
        ("arrived", f"{instant(one.received_at)} UTC"),
        ("why", plain(one.reason)),
    )
    yield from _headers(one.headers)
    yield from _body(one.body, "empty")


def instant(when: datetime) -> str:
    """`2026-11-23 18:00:05`, in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def age(passed: timedelta) -> str:
    """The two largest parts of a duration, as in `3 d 4 h`."""
    return " ".join(duration_words(max(int(passed.total_seconds()), 0)).split()[:4])


def _due_word(one: StoredDelivery) -> str:
    return "lease ends" if one.state == "leased" else "next try"


def _facts(*rows: tuple[str, RenderableType | None]) -> Table:
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value is not None:
            made.add_row(name, value)
    return made


def _headers(headers: Mapping[str, str]) -> Iterator[RenderableType]:
    lines = "\n".join(f"{plain(name)}: {plain(value)}" for name, value in headers.items())
    yield from _block("headers that were kept", lines or "none")


def _body(body: bytes, if_empty: str) -> Iterator[RenderableType]:
    heading = f"body, {len(body):,} bytes"
    if not body:
        yield from _block(heading, if_empty)
        return
    try:
        text = msgspec.json.format(body, indent=2).decode()  # changes white space only
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        heading += ", no JSON"
        text = body.decode("utf-8", "backslashreplace")
    if len(text) > _LONGEST_BODY:
        heading += f", the first {_LONGEST_BODY:,} characters (all with --body)"
        text = text[:_LONGEST_BODY]
    yield from _block(heading, text)


def _block(heading: str, text: str) -> Iterator[RenderableType]:
    yield Text(f"\n{heading}", style="dim")
    lines = "\n".join(plain(line) for line in text.split("\n"))
    yield Text(lines, overflow="fold")
