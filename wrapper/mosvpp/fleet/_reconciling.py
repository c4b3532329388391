"""Execution responses meet the journal: each result becomes an entry of the event and site it speaks of."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Connection, Row, select, update

from mosvpp.events import ExecutionReport, ExecutionResult
from mosvpp.ids import id_key

from ._journal_rows import Note, append, load, site_key
from ._journal_tables import dispatches
from .dispatches import Dispatch
from .entries import Reported
from .states import step

__all__ = ["Applied", "Stranger", "apply"]

Mismatch: TypeAlias = Literal["unknown_event", "several_sites", "other_mode"]


class Stranger(NamedTuple):
    """A result that belongs to nothing in the journal.

    `unknown_event`: no such event was planned for the site; `several_sites`: the report names no site, and
    the event went to several; `other_mode`: the event went out in the other mode.
    """

    molecule_id: str | None
    event_id: str
    reason: Mismatch


class Applied(NamedTuple):
    """What a report came to: the dispatches as they stand now, and what belongs to none."""

    dispatches: tuple[Dispatch, ...]
    strangers: tuple[Stranger, ...]


def apply(connection: Connection, report: ExecutionReport, at: datetime) -> Applied:
    """Note what a report says. A repetition changes nothing, so this may be done twice."""
    known: list[Dispatch] = []
    strangers: list[Stranger] = []
    for result in report.results:
        found = _find(connection, report, result)
        if isinstance(found, Stranger):
            strangers.append(found)
        else:
            (dispatch,) = load(connection, [found])
            known.append(_note(connection, dispatch, _entry(report, result, at)))
    return Applied(tuple(known), tuple(strangers))


def _find(connection: Connection, report: ExecutionReport, result: ExecutionResult) -> Row[Any] | Stranger:
    chosen = select(dispatches).where(dispatches.c.event_key == id_key(result.event_id))
    if report.molecule_id is not None:
        chosen = chosen.where(dispatches.c.site_key == site_key(report.molecule_id))
    found = connection.execute(chosen.limit(2).with_for_update()).all()
    if len(found) != 1:
        reason: Mismatch = "several_sites" if found else "unknown_event"
        return Stranger(report.molecule_id, result.event_id, reason)
    row = found[0]
    if report.mode is not None and report.mode.lower() != row.mode:
        return Stranger(report.molecule_id, result.event_id, "other_mode")
    return row


def _entry(report: ExecutionReport, result: ExecutionResult, at: datetime) -> Reported:
    return Reported(
        at=at,
        status=result.status,
        status_text=result.status_text,
        message=result.message,
        reported_at=report.timestamp,
        started_at=result.started_at,
        ended_at=result.ended_at,
        executed_quantity=result.executed_quantity,
        executed_unit=result.executed_unit,
    )


def _note(connection: Connection, dispatch: Dispatch, entry: Reported) -> Dispatch:
    is_repetition = any(
        isinstance(old, Reported) and msgspec.structs.replace(old, at=entry.at) == entry
        for old in dispatch.entries
    )
    if is_repetition:
        return dispatch
    append(connection, [Note(dispatch.number, entry)])
    standing = step(dispatch.standing, entry)
    closed = update(dispatches).where(dispatches.c.id == dispatch.number)
    connection.execute(closed.values(is_open=not standing.state.is_final))
    return msgspec.structs.replace(dispatch, entries=(*dispatch.entries, entry), standing=standing)
