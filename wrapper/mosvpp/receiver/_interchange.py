"""An inbox as JSON Lines, and back: a backup, a way from SQLite to PostgreSQL, an excerpt to look at."""

from __future__ import annotations

import contextlib
import os
import tempfile
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import msgspec
from sqlalchemy import Connection, select, update

from mosvpp.errors import RuleError

from ._inspection import read_key
from ._storing import Row, store_rows
from ._tables import deliveries, work
from .deliveries import KINDS, Filter, Kind, State, StoredDelivery, to_microseconds
from .redaction import without_secrets

if TYPE_CHECKING:
    from .inbox import Inbox, OnProgress

__all__ = ["export_file", "export_lines", "exported", "import_lines", "restore"]

_BATCH = 200
_BATCH_BYTES = 4 * 1024 * 1024
_PROGRESS_EVERY = 1000
_decode_anything = msgspec.json.Decoder().decode


class _Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    key: str
    kind: Kind
    received_at: datetime
    state: State
    body: str
    """The raw bytes as base64."""
    molecule_id: str | None = None
    body_at: datetime | None = None
    headers: dict[str, str] = {}
    attempts: int = 0
    due_at: datetime | None = None
    finished_at: datetime | None = None
    reason: str | None = None
    traceback: str | None = None
    purged: bool = False


_decode_line = msgspec.json.Decoder(_Line).decode


def export_lines(found: Iterable[StoredDelivery]) -> Iterator[bytes]:
    """Deliveries as lines of JSON, each with its line break; the raw bytes are base64 in `body`.

    Where a body was purged it is empty, and `purged` is true.

    `export_lines(inbox.find(kind="data_push"))`. Only what the inbox holds is written, and it holds no
    credentials: headers are those of the allow-list, and reasons and tracebacks pass through
    `without_secrets` once more.
    """
    for one in found:
        yield msgspec.json.encode(_line(one)) + b"\n"


def exported(one: StoredDelivery) -> dict[str, Any]:
    """What `export_lines` writes of a delivery, as an object."""
    made: dict[str, Any] = msgspec.to_builtins(_line(one))
    return made


def _line(one: StoredDelivery) -> _Line:
    return _Line(
        key=one.key,
        kind=one.kind,
        received_at=one.received_at,
        state="waiting" if one.state == "leased" else one.state,
        body=b64encode(one.body).decode(),
        molecule_id=one.molecule_id,
        body_at=one.body_at,
        headers=one.headers,
        attempts=one.attempts,
        due_at=one.due_at,
        finished_at=one.finished_at,
        reason=one.reason and without_secrets(one.reason),
        traceback=one.traceback and without_secrets(one.traceback),
        purged=one.is_purged,
    )


def export_file(
    inbox: Inbox, file: str | Path, *, on_progress: OnProgress | None = None, **wanted: Unpack[Filter]
) -> int:
    """Write what matches into a new file as `export_lines` does, all of it or nothing; how many.

    The file is there under its name when it is complete and on the disk. What a receiver stores meanwhile
    may be in it or not: stop it first where all is to be moved. Raises `RuleError` for a file that is there
    already, or cannot be written.
    """
    path = Path(file)
    try:
        if path.exists():
            raise FileExistsError  # noqa: TRY301  sooner than after an hour's work
        return _write(path, inbox, on_progress, wanted)
    except FileExistsError:
        raise RuleError(f"{path} exists already: name a new file", path="file", rule="new_file") from None
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}"
        raise RuleError(msg, path="file", rule="new_file") from None


def _write(path: Path, inbox: Inbox, on_progress: OnProgress | None, wanted: Filter) -> int:
    count = 0
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".mosvpp-")
    try:
        with os.fdopen(handle, "wb") as out:
            for line in export_lines(inbox.find(**wanted)):
                out.write(line)
                count += 1
                if on_progress is not None and count % _PROGRESS_EVERY == 0:
                    on_progress(count)
            out.flush()
            os.fsync(out.fileno())
        _put_in_place(Path(name), path)
    finally:
        with contextlib.suppress(OSError):
            Path(name).unlink()
    if on_progress is not None:
        on_progress(count)
    return count


def _put_in_place(written: Path, path: Path) -> None:
    """Give it its name, unless somebody else has taken that. Raises `FileExistsError`."""
    if os.name == "nt":
        written.rename(path)  # where nothing is replaced by that
        return
    try:
        path.hardlink_to(written)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError from None
        written.rename(path)


def import_lines(
    inbox: Inbox,
    lines: Iterable[bytes],
    *,
    on_progress: Callable[[int, int], object] | None = None,
    on_fault: Callable[[RuleError], object] | None = None,
) -> int:
    """Put exported deliveries into an inbox, in the state in which they were; how many were new.

    What is there already stays as it is, so that an import that was cut off is simply begun again.
    `on_progress` is called now and then with how many deliveries were read and how many of them were new.
    Raises `RuleError` with the number of the line that is no such line; those before it are in. With
    `on_fault`, that error is given to your function instead, and the import goes on.
    """
    new = read = waiting = 0
    batch: list[StoredDelivery] = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                batch.append(_read_line(line, number))
                read += 1
        except RuleError as error:
            if on_fault is None:
                inbox.restore(batch)
                raise
            on_fault(error)
        waiting += len(line)
        if len(batch) >= _BATCH or waiting >= _BATCH_BYTES:
            new, batch, waiting = new + inbox.restore(batch), [], 0
            if on_progress:
                on_progress(read, new)
    if batch:
        new += inbox.restore(batch)
    if on_progress:
        on_progress(read, new)
    return new


def restore(connection: Connection, batch: Sequence[StoredDelivery], now: datetime) -> int:
    """Store what is new, then give it the state that it had."""
    if not batch:
        return 0
    was = {read_key(one.key): one for one in batch}
    stored = store_rows(connection, [_row(key, one) for key, one in was.items()], keep_order=True)
    new = [key for key, is_new in zip(was, stored, strict=True) if is_new]
    for seq, key in connection.execute(
        select(deliveries.c.seq, deliveries.c.key).where(deliveries.c.key.in_(new))
    ).all():
        values = _state_of(was[bytes(key)], now)
        connection.execute(update(work).where(work.c.seq == seq).values(values))
        if was[bytes(key)].is_purged:
            connection.execute(update(deliveries).where(deliveries.c.seq == seq).values(body=None))
    return len(new)


def _row(key: bytes, one: StoredDelivery) -> Row:
    at = None if one.body_at is None else to_microseconds(one.body_at)
    headers = msgspec.json.encode(one.headers).decode()
    return Row(key, one.kind, one.molecule_id, to_microseconds(one.received_at), at, headers, one.body)


def _state_of(one: StoredDelivery, now: datetime) -> dict[str, Any]:
    is_over = one.state in ("done", "dead")
    return {
        "state": one.state if is_over else "waiting",
        "due_at": None if is_over else to_microseconds(one.due_at or now),
        "attempts": one.attempts,
        "reason": one.reason,
        "traceback": one.traceback,
        "finished_at": to_microseconds(one.finished_at) if is_over and one.finished_at else None,
    }


def _read_line(line: bytes, number: int) -> StoredDelivery:
    try:
        read = _decode_line(line)
        body = b64decode(read.body, validate=True)
        if not _is_whole(read):
            raise ValueError("a time has no offset")  # noqa: TRY301  as if reading had failed
        read_key(read.key)
    except (msgspec.DecodeError, UnicodeDecodeError, Base64Error, ValueError, RecursionError) as error:
        msg = f"line {number} is no exported delivery: {_why(line, error)}"
        raise RuleError(msg, path=f"line {number}", rule="format") from None
    assert read.kind in KINDS
    return StoredDelivery(
        seq=0,
        key=read.key,
        kind=read.kind,
        molecule_id=read.molecule_id,
        received_at=read.received_at,
        body_at=read.body_at,
        headers=read.headers,
        body=body,
        state=read.state,
        attempts=read.attempts,
        due_at=read.due_at,
        reason=read.reason,
        traceback=read.traceback,
        finished_at=read.finished_at,
        is_purged=read.purged,
    )


def _why(line: bytes, error: Exception) -> str:
    """What is wrong with a line, for a person."""
    try:
        _decode_anything(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "it is cut off" if not line.endswith(b"\n") else "it is no JSON"
    return str(error) if not isinstance(error, Base64Error) else f"body: {error}"


def _is_whole(line: _Line) -> bool:
    times = (line.received_at, line.body_at, line.due_at, line.finished_at)
    return all(when is None or when.tzinfo is not None for when in times)
