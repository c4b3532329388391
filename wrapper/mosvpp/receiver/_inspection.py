"""Looking into the inbox, and tidying it: what people do, while receiving goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from mosvpp.errors import RuleError
from mosvpp.signatures import aware

from ._rows import joined, read_row
from ._tables import LARGEST_SEQ, deliveries, forwarding, marks, sites, work
from .deliveries import KINDS, Filter, StoredDelivery, from_microseconds, to_microseconds

__all__ = [
    "PAGE",
    "READ_PAGE",
    "Backlog",
    "Silence",
    "Site",
    "all_sites",
    "backlog",
    "count",
    "matching",
    "page",
    "purge_page",
    "purgeable",
    "read_key",
    "requeue_page",
    "requeueable",
    "roll_up_page",
    "silence",
    "worth_purging",
]

PAGE = 500
READ_PAGE = 100  # with their bodies, of which each may have 256 KiB
_ROLL_UP_PAGE = 20_000  # a few hundredths of a second, in which nobody else writes to SQLite
_SITES_SEEN = "sites_seen"
_SETTLED = timedelta(minutes=1)  # no transaction of an insertion is open for longer


@dataclass(frozen=True)
class Site:
    """A site, and when its last data push arrived."""

    molecule_id: str
    last_push_at: datetime


@dataclass(frozen=True)
class Silence:
    """How many sites are known, how many of them are silent, and when the longest silent one pushed last."""

    known: int
    silent: int
    longest_since: datetime | None


@dataclass(frozen=True)
class Backlog:
    """What of a kind is left to do: how many, since when the oldest is due, and how many dead letters."""

    unfinished: int
    oldest_due_at: datetime | None
    dead: int


def matching(wanted: Filter) -> list[ColumnElement[bool]]:
    """The conditions of a filter. Raises `RuleError` for values that can match nothing."""
    unknown = set(wanted) - set(Filter.__annotations__)
    if unknown:
        raise RuleError(f"there is no filter {', '.join(sorted(unknown))}", path="filter", rule="enum")
    conditions: list[ColumnElement[bool]] = []
    if "kind" in wanted:
        _check_word(wanted["kind"], KINDS, "kind")
        conditions.append(deliveries.c.kind == wanted["kind"])
    if "state" in wanted:
        _check_word(wanted["state"], ("waiting", "leased", "done", "dead"), "state")
        conditions.append(work.c.state == wanted["state"])
    if "molecule_id" in wanted:
        conditions.append(deliveries.c.molecule_id == wanted["molecule_id"])
    if "since" in wanted:
        since = to_microseconds(aware(wanted["since"], path="since"))
        conditions.append(deliveries.c.received_at >= since)
    if "until" in wanted:
        until = to_microseconds(aware(wanted["until"], path="until"))
        conditions.append(deliveries.c.received_at < until)
    if "keys" in wanted:
        conditions.append(deliveries.c.key.in_([read_key(key) for key in wanted["keys"]]))
    if "seqs" in wanted:
        possible = [seq for seq in wanted["seqs"] if 0 < seq <= LARGEST_SEQ]
        conditions.append(deliveries.c.seq.in_(possible))
    return conditions


def count(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> int:
    """How many match."""
    joined_rows = select(func.count()).select_from(deliveries.join(work, work.c.seq == deliveries.c.seq))
    return connection.scalar(joined_rows.where(*conditions)) or 0


def read_key(key: str) -> bytes:
    """The bytes of a key as people write it. Raises `RuleError`."""
    try:
        return bytes.fromhex(key)
    except (ValueError, TypeError):
        raise RuleError(f"{key[:60]!r} is no key of a delivery", path="key", rule="format") from None


def page(
    connection: Connection,
    conditions: Sequence[ColumnElement[bool]],
    *,
    after: int | None,
    newest_first: bool,
    limit: int = READ_PAGE,
) -> list[StoredDelivery]:
    """The next deliveries after (or, newest first, before) a `seq`."""
    seq = deliveries.c.seq
    found = joined().where(*conditions)
    if after is not None:
        found = found.where(seq < after if newest_first else seq > after)
    found = found.order_by(seq.desc() if newest_first else seq).limit(limit)
    return [read_row(row) for row in connection.execute(found)]


def requeueable() -> list[ColumnElement[bool]]:
    """What can be handed out anew: nobody has it in hand, and its body is there."""
    return [work.c.state != "leased", deliveries.c.body.is_not(None)]


def requeue_page(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], after: int, now: datetime
) -> tuple[int, int | None]:
    """Hand out some deliveries anew; how many, and after which to go on, or None at the end."""
    seqs = _seqs(connection, [*conditions, *requeueable()], after)
    changes: dict[str, Any] = {
        "state": "waiting",
        "due_at": to_microseconds(now),
        "attempts": 0,
        "token": null(),
        "worker": null(),
        "reason": null(),
        "traceback": null(),
        "finished_at": null(),
    }
    connection.execute(update(work).where(work.c.seq.in_(seqs)).values(changes))
    return len(seqs), seqs[-1] if len(seqs) == PAGE else None


def purge_page(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], after: int, keep_keys_from: datetime
) -> tuple[int, int | None]:
    """Remove some deliveries; those that arrived since `keep_keys_from` keep their key, and nothing else."""
    may_go = _key_may_go(keep_keys_from)
    seqs = _seqs(connection, [*conditions, worth_purging(keep_keys_from)], after)
    chosen = deliveries.c.seq.in_(seqs)
    connection.execute(update(deliveries).where(chosen, ~may_go).values(body=null(), headers="{}"))
    left = {"state": "dead", "due_at": null(), "reason": "purged"}
    connection.execute(update(work).where(work.c.seq.in_(seqs), work.c.due_at.is_not(None)).values(left))
    gone = list(connection.scalars(select(deliveries.c.seq).where(chosen, may_go)))
    connection.execute(delete(work).where(work.c.seq.in_(gone)))
    connection.execute(delete(deliveries).where(deliveries.c.seq.in_(gone)))
    return len(seqs), seqs[-1] if len(seqs) == PAGE else None


def worth_purging(keep_keys_from: datetime) -> ColumnElement[bool]:
    """Of which something is left to remove. What is purged already matches again when its key may go."""
    return or_(deliveries.c.body.is_not(None), _key_may_go(keep_keys_from))


def _key_may_go(keep_keys_from: datetime) -> ColumnElement[bool]:
    # The newest row stays, so that SQLite never gives its number to another.
    newest = select(func.max(deliveries.c.seq)).scalar_subquery()
    return and_(deliveries.c.received_at < to_microseconds(keep_keys_from), deliveries.c.seq < newest)


def roll_up_page(connection: Connection, after: int, now: datetime) -> tuple[int, int | None]:
    """Bring the time of the last push of some sites up to date with the deliveries since the last time.

    Goes on after `after`, or after what was seen the last time. How many deliveries were looked at, and after
    which to go on, or None at the end.
    """
    seen = connection.scalar(select(marks.c.value).where(marks.c.name == _SITES_SEEN)) or 0
    seen = max(seen, after)
    last = connection.scalar(
        select(deliveries.c.seq)
        .where(deliveries.c.seq > seen)
        .order_by(deliveries.c.seq)
        .offset(_ROLL_UP_PAGE - 1)
        .limit(1)
    )
    until = LARGEST_SEQ if last is None else last
    _roll_up(connection, seen, until, now)
    return (0, None) if last is None else (_ROLL_UP_PAGE, last)


def _roll_up(connection: Connection, seen: int, until: int, now: datetime) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    new = (
        select(deliveries.c.molecule_id, func.max(deliveries.c.received_at))
        .where(
            deliveries.c.seq > seen,
            deliveries.c.seq <= until,
            deliveries.c.kind == "data_push",
            deliveries.c.molecule_id.is_not(None),
        )
        .group_by(deliveries.c.molecule_id)
    )
    merge = dialect.insert(sites).from_select(["molecule_id", "last_push_at"], new)
    later = case(
        (merge.excluded.last_push_at > sites.c.last_push_at, merge.excluded.last_push_at),
        else_=sites.c.last_push_at,
    )
    connection.execute(
        merge.on_conflict_do_update(index_elements=["molecule_id"], set_={"last_push_at": later})
    )
    # PostgreSQL gives out numbers before it commits, so the last minute is looked at again the next time.
    settled = to_microseconds(now - _SETTLED)
    latest = connection.scalar(
        select(deliveries.c.seq)
        .where(deliveries.c.received_at < settled, deliveries.c.seq > seen, deliveries.c.seq <= until)
        .order_by(deliveries.c.seq.desc())
        .limit(1)
    )
    if latest is not None:
        mark = dialect.insert(marks).values(name=_SITES_SEEN, value=latest)
        connection.execute(
            mark.on_conflict_do_update(index_elements=["name"], set_={"value": mark.excluded.value})
        )


def all_sites(connection: Connection) -> list[Site]:
    """Sites with their last push, the longest silent first."""
    found = select(sites).order_by(sites.c.last_push_at, sites.c.molecule_id)
    return [Site(row.molecule_id, from_microseconds(row.last_push_at)) for row in connection.execute(found)]


def silence(connection: Connection, since: datetime) -> Silence:
    """The sites in numbers: silent are those whose last push was before `since`."""
    last = sites.c.last_push_at
    is_silent = case((last < to_microseconds(since), 1), else_=0)
    known, silent, first = connection.execute(
        select(func.count(), func.coalesce(func.sum(is_silent), 0), func.min(last))
    ).one()
    return Silence(known, int(silent), None if first is None else from_microseconds(first))


def forget_site(connection: Connection, molecule_id: str) -> bool:
    """Take a site out of the list; its next push puts it back."""
    return bool(connection.execute(sites.delete().where(sites.c.molecule_id == molecule_id)).rowcount)


def backlog(connection: Connection) -> dict[str, Backlog]:
    """What is left to do, by kind."""
    due = {
        row.kind: row
        for row in connection.execute(
            select(work.c.kind, func.count().label("unfinished"), func.min(work.c.due_at).label("oldest"))
            .where(work.c.due_at.is_not(None))
            .group_by(work.c.kind)
        )
    }
    dead = {
        row.kind: row.dead
        for row in connection.execute(
            select(work.c.kind, func.count().label("dead"))
            .where(work.c.state == "dead")
            .group_by(work.c.kind)
        )
    }
    return {
        kind: Backlog(
            unfinished=due[kind].unfinished if kind in due else 0,
            oldest_due_at=from_microseconds(due[kind].oldest) if kind in due else None,
            dead=dead.get(kind, 0),
        )
        for kind in KINDS
    }


def purgeable(before: datetime, state: str | None) -> list[ColumnElement[bool]]:
    """What arrived before that time, and is done or dead unless another state is asked for.

    What a stream is still to get stays.
    """
    old = deliveries.c.received_at < to_microseconds(before)
    is_owed = exists().where(forwarding.c.seq < deliveries.c.seq)
    conditions = [old, ~is_owed]
    return conditions if state is not None else [*conditions, work.c.state.in_(["done", "dead"])]


def _seqs(connection: Connection, conditions: Sequence[ColumnElement[bool]], after: int) -> list[int]:
    found = (
        select(deliveries.c.seq)
        .join(work, work.c.seq == deliveries.c.seq)
        .where(deliveries.c.seq > after, *conditions)
        .order_by(deliveries.c.seq)
        .limit(PAGE)
    )
    return list(connection.scalars(found))


def _check_word(word: str, words: Sequence[str], path: str) -> None:
    if word not in words:
        raise RuleError(f"{word!r} is none of {', '.join(words)}", path=path, rule="enum")
