"""What a journal does to its tables, inside a transaction of somebody else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Connection, Row, bindparam, func, select, tuple_, update

from mosvpp.errors import RuleError
from mosvpp.ids import id_key
from mosvpp.slots import EventSlot
from mosvpp.times import to_microseconds
from mosvpp_api.models.dispatch_mode import DispatchMode

from ._batches import ReadMany, WriteMany
from ._journal_tables import dispatches, entries
from .dispatches import Dispatch
from .entries import Answered, Entry, Sent

__all__ = [
    "PAGE",
    "PLAN_PAGE",
    "Begin",
    "Note",
    "Obstacle",
    "Unsent",
    "Wanted",
    "append",
    "begin",
    "insist_on_no_stop",
    "load",
    "newest_number",
    "page",
    "record",
    "site_key",
    "unsent",
]

PAGE = 500
PLAN_PAGE = 2000  # several times what is out at once: the next is read before this one is used up

Obstacle: TypeAlias = Literal["cancelled", "taken", "newer"]
"""Why a request must not leave: its event is cancelled, another one took it, or a newer one left."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


class Wanted(NamedTuple):
    """An event that is wanted at a site."""

    molecule_id: str
    slot: EventSlot


class Begin(NamedTuple):
    """A request wants to leave."""

    number: int
    sent: Sent


class Unsent(NamedTuple):
    """What is wanted and may still be sent."""

    number: int
    molecule_id: str
    slot: EventSlot
    mode: str


class Note(NamedTuple):
    """Something happened."""

    number: int
    entry: Entry


def site_key(molecule_id: str) -> str:
    """Ids of sites are compared without their case, as receipts are."""
    return molecule_id.lower()


# --- what is wanted

_WANTED = WriteMany(
    """
    INSERT INTO mosvpp_dispatches (event_key, site_key, event_id, molecule_id, mode, plan, slot, start_at,
        end_at, newest, holder, may_send, is_cancelled, is_open)
    SELECT event_key, site_key, event_id, molecule_id, mode, plan, slot, start_at,
        end_at, 0, 0, TRUE, FALSE, TRUE FROM {given} ORDER BY place
    ON CONFLICT DO NOTHING
    """,  # two programs may record one plan at the same time
    event_key="text",
    site_key="text",
    event_id="text",
    molecule_id="text",
    mode="text",
    plan="text",
    slot="text",
    start_at="bigint",
    end_at="bigint",
)


def record(
    connection: Connection,
    wanted: Sequence[Wanted],
    *,
    mode: DispatchMode,
    plan: str,
    slot_texts: Sequence[str],
    update_sent: bool,
) -> None:
    """Note what is wanted, where that is new. Raises `RuleError` where it must not be wanted."""
    keys = [(id_key(one.slot.event_id), site_key(one.molecule_id)) for one in wanted]
    times = [(to_microseconds(one.slot.start), to_microseconds(one.slot.end)) for one in wanted]
    rows = [
        (*key, one.slot.event_id, one.molecule_id, mode.value, plan, text, *when)
        for one, key, text, when in zip(wanted, keys, slot_texts, times, strict=True)
    ]
    if _WANTED.run(connection, rows) == len(rows):
        return
    d = dispatches.c
    statement = select(d.id, d.event_key, d.site_key, d.mode, d.plan, d.newest, d.may_send, d.is_cancelled)
    chosen = tuple_(d.event_key, d.site_key).in_(keys)
    found = connection.execute(statement.where(chosen).order_by(d.id).with_for_update())
    known = {(row.event_key, row.site_key): row for row in found}
    changed = []
    for one, key, text, when in zip(wanted, keys, slot_texts, times, strict=True):
        row = known[key]
        if row.plan != plan:
            _insist_on_new_version(row, one, mode, update_sent=update_sent)
            version = {"plan": plan, "slot": text, "start_at": when[0], "end_at": when[1]}
            changed.append({"number": row.id, **version, "may_send": True, "is_open": True})
    if changed:
        connection.execute(update(dispatches).where(d.id == bindparam("number")), changed)


def _insist_on_new_version(row: Any, one: Wanted, mode: DispatchMode, *, update_sent: bool) -> None:
    about = f"{one.slot.event_id} at {one.molecule_id}"
    if row.is_cancelled:
        msg = f"{about} was cancelled, and stays so: give the event a new id"
        raise RuleError(msg, path="event_id", rule="cancelled", evidence=("behaviour.revision_order",))
    if row.mode != mode.value:
        msg = f"{about} was planned in mode {row.mode}; whether both modes share ids is not known"
        raise RuleError(msg, path="mode", rule="same_mode", evidence=("unknown.test_mode_effect",))
    if row.newest and not row.may_send and not update_sent:
        msg = f"{about} was sent before; say update=True to send it again, changed or not"
        raise RuleError(msg, path="event_id", rule="sent_before", evidence=("dispatch.update_by_same_id",))


def newest_number(connection: Connection) -> int:
    """That of the dispatch that was recorded last."""
    return connection.scalar(select(func.max(dispatches.c.id))) or 0


def insist_on_no_stop(connection: Connection, *, plan: str, after: int) -> None:
    """Refuse a plan of which a part was forbidden while it was recorded, `after` that number.

    Whoever stops what there is does not see what is recorded a moment later, and means it too.
    """
    d = dispatches.c
    chosen = select(d.id).where(d.id > after, d.plan == plan, d.is_cancelled).limit(1)
    if connection.scalar(chosen) is not None:
        msg = "it was called off while it was being noted, so nothing was sent"
        raise RuleError(msg, path="plan", rule="cancelled")


# --- what leaves

_LEAVES = WriteMany(
    """
    UPDATE mosvpp_dispatches SET newest = given.newest, holder = given.holder, may_send = FALSE,
        is_cancelled = given.is_cancelled, is_open = TRUE
    FROM {given} WHERE mosvpp_dispatches.id = given.number
    """,
    number="bigint",
    newest="bigint",
    holder="bigint",
    is_cancelled="boolean",
)
_APPEND = WriteMany(
    "INSERT INTO mosvpp_entries (dispatch, entry) SELECT dispatch, entry FROM {given} ORDER BY place",
    dispatch="bigint",
    entry="text",
)


class _Guard(NamedTuple):
    """What stands in the way of a request, or does not."""

    number: int
    newest: int
    holder: int
    may_send: bool
    is_cancelled: bool


_GUARDS = ReadMany(
    _Guard,
    sqlite="SELECT id, newest, holder, may_send, is_cancelled FROM mosvpp_dispatches "
    "WHERE id IN (SELECT value FROM json_each(?))",
    postgresql="SELECT id, newest, holder, may_send, is_cancelled FROM mosvpp_dispatches "
    "WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
)


def begin(connection: Connection, begins: Sequence[Begin], holder: int) -> list[Obstacle | None]:
    """Let requests leave, or say why not; this may be done twice. To note them is left to the caller."""
    numbers = sorted({one.number for one in begins})
    guards = {guard.number: guard for guard in _GUARDS.run(connection, numbers)}
    verdicts: list[Obstacle | None] = []
    leaving: dict[int, tuple[int, int, int, bool]] = {}
    for number, sent in begins:
        guard = guards[number]
        verdict = _obstacle(guard, sent, holder)
        verdicts.append(verdict)
        if verdict is None:
            is_cancelled = bool(guard.is_cancelled or sent.cancels)
            guards[number] = _Guard(number, sent.revision, holder, False, is_cancelled)
            leaving[number] = (number, sent.revision, holder, is_cancelled)
    if leaving:
        _LEAVES.run(connection, list(leaving.values()))
    return verdicts


def _obstacle(guard: _Guard, sent: Sent, holder: int) -> Obstacle | None:
    if sent.revision < guard.newest:
        return "newer"
    if sent.cancels:
        return None
    if guard.is_cancelled:
        return "cancelled"
    is_repeat = sent.revision == guard.newest and holder == guard.holder
    return None if is_repeat or guard.may_send else "taken"


# --- what happened


def append(connection: Connection, notes: Iterable[Note]) -> None:
    """Add entries; a request of which nothing was written may be sent again."""
    rows, unsent = [], []
    for number, entry in notes:
        rows.append((number, _encode(entry).decode()))
        if isinstance(entry, Answered) and entry.verdict == "not_sent":
            unsent.append({"number": number, "revision": entry.revision})
    if rows:
        _APPEND.run(connection, rows)
    if unsent:
        d = dispatches.c
        still = (d.id == bindparam("number")) & (d.newest == bindparam("revision")) & ~d.is_cancelled
        connection.execute(update(dispatches).where(still).values(may_send=True), unsent)


# --- reading


class _UnsentRow(NamedTuple):
    number: int
    molecule_id: str
    slot: str
    mode: str


_UNSENT_OF_PLAN = (
    "SELECT id, molecule_id, slot, mode FROM mosvpp_dispatches "
    "WHERE plan = ? AND may_send AND NOT is_cancelled AND id > ? ORDER BY id LIMIT ?"
)
_UNSENT = ReadMany(_UnsentRow, sqlite=_UNSENT_OF_PLAN, postgresql=_UNSENT_OF_PLAN.replace("?", "%s"))


def unsent(connection: Connection, plan: str, after: int) -> list[Unsent]:
    """The next of a plan that may still be sent."""
    found = sorted(_UNSENT.run(connection, plan, after, PLAN_PAGE))
    return [Unsent(number, site, read_slot(slot), mode) for number, site, slot, mode in found]


def page(connection: Connection, conditions: Iterable[Any], after: int) -> list[Dispatch]:
    """The next dispatches, in the order of their numbers."""
    chosen = select(dispatches).where(*conditions, dispatches.c.id > after)
    return load(connection, connection.execute(chosen.order_by(dispatches.c.id).limit(PAGE)))


def load(connection: Connection, rows: Iterable[Row[Any]]) -> list[Dispatch]:
    """Dispatches with all that happened to them."""
    kept = list(rows)
    happened: dict[int, list[Entry]] = {row.id: [] for row in kept}
    chosen = select(entries.c.dispatch, entries.c.entry).where(entries.c.dispatch.in_(list(happened)))
    for number, text in connection.execute(chosen.order_by(entries.c.seq)):
        happened[number].append(_decode(text))
    return [_read(row, happened[row.id]) for row in kept]


def _read(row: Row[Any], happened: list[Entry]) -> Dispatch:
    return Dispatch.build(
        happened,
        number=row.id,
        molecule_id=row.molecule_id,
        event_id=row.event_id,
        mode=DispatchMode(row.mode),
        plan=row.plan,
        slot=read_slot(row.slot),
        is_cancelled=row.is_cancelled,
    )


_slots: dict[str, EventSlot] = {}


def read_slot(text: str) -> EventSlot:
    """A slot from its JSON. Sites share few of them."""
    slot = _slots.get(text)
    if slot is None:
        if len(_slots) >= PAGE:
            _slots.clear()
        slot = _slots[text] = EventSlot.from_json(text)
    return slot
