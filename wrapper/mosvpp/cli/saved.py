"""Receipts and requests in files: what `cancel` and `resend` start from, also on another machine.

A file holds what `to_json()` of a receipt or a request writes, so that the SDK reads it as well, and beside
it `base_url`, the host that it belongs to. That host is only compared, never used: a key does not go where a
file says.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from mosvpp._requests import Request
from mosvpp.errors import RuleError
from mosvpp.receipts import CommandReceipt, DispatchReceipt

from .arguments import read_file
from .connection import Connection

__all__ = ["Kept", "NewFile", "Saved", "insist_on_same_host", "load"]

Kept: TypeAlias = Request | DispatchReceipt | CommandReceipt

_KINDS: dict[str, type[Kept]] = {
    "request": Request,
    "dispatch_receipt": DispatchReceipt,
    "command_receipt": CommandReceipt,
}


class Saved(NamedTuple):
    """What a file held."""

    value: Kept
    base_url: str | None


def load(path: Path) -> Saved:
    """Read a receipt or a request, also out of what `--json` printed."""
    data = _object(read_file(path, "FILE"))
    value = data
    for name in ("receipt", "request"):
        if "kind" not in value and isinstance(data.get(name), dict):
            value = data[name]
    kind = _KINDS.get(str(value.get("kind")))
    if kind is None:
        msg = f"{path} holds no receipt and no request; it is what --save, --json or receipt.to_json() writes"
        raise RuleError(msg, path="FILE", rule="kind")
    try:
        read = kind.from_json(json.dumps(value))
    except RuleError as error:
        raise RuleError(f"{path}: {error.args[0]}", path="FILE", rule="json") from None
    base_url = data.get("base_url")
    return Saved(read, base_url if isinstance(base_url, str) else None)


def _object(text: bytes) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    return data if isinstance(data, dict) else {}


def insist_on_same_host(saved: Saved, connection: Connection) -> None:
    """Refuse to send something elsewhere than where it came from, unless --base-url says so."""
    if connection.is_default and saved.base_url not in (None, connection.base_url):
        msg = (
            f"this file belongs to {saved.base_url}, and {connection.base_url} would be addressed:"
            f" say which one you mean with --base-url"
        )
        raise RuleError(msg, path="--base-url", rule="same_host")


class NewFile:
    """A file that is not there yet, for a receipt; until that is there, for the request.

    Its name is taken at once, with an empty file, so that of two commands only one gets it. What another one
    has put there since is neither replaced nor deleted.
    """

    def __init__(self, path: Path | None, *, base_url: str) -> None:
        self.path = path
        self._base_url = base_url
        self._own: _Version | None = None
        self._is_empty = True
        if path is not None:
            try:
                self._own = _reserve(path)
            except FileExistsError:
                msg = f"{path} exists already, and may be needed to cancel something: name a new file"
                raise RuleError(msg, path="--save", rule="new_file") from None
            except OSError as error:
                raise _not_written(path, error) from None

    def keep(self, value: Kept) -> None:
        """Write, or replace, what is known. Does nothing without a path. Raises `RuleError`."""
        if self.path is None:
            return
        if not self._is_own():
            msg = f"{self.path} is no longer the file that this command made, so it is left alone"
            raise RuleError(msg, path="--save", rule="new_file")
        data = {**json.loads(value.to_json()), "base_url": self._base_url}
        try:
            self._own = _replace(self.path, json.dumps(data, indent=2) + "\n")
        except OSError as error:
            raise _not_written(self.path, error) from None
        self._is_empty = False

    def keep_unknown(self, request: Request) -> Path:
        """Write a request whose outcome is unknown, under a name of its own where none was given."""
        if self.path is None:
            self.path, self._own = _reserve_free_name(f"mosvpp-request-{request.ids[0][:8]}")
        path = self.path
        try:
            self.keep(request)
        except RuleError:
            self.release()
            raise
        return path

    def discard(self) -> None:
        """Nothing came of it: leave no file behind."""
        if self.path is not None and self._is_own():
            self.path.unlink(missing_ok=True)
        self.path = None

    def release(self) -> None:
        """Give the name back when nothing was kept under it."""
        if self._is_empty:
            self.discard()

    def _is_own(self) -> bool:
        assert self.path is not None
        try:
            return _version(self.path.lstat()) == self._own
        except OSError:
            return False


# The time belongs to it, since the number of a deleted file is soon given to another one.
_Version: TypeAlias = tuple[int, int, int]


def _version(status: os.stat_result) -> _Version:
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _reserve(path: Path) -> _Version:
    """Make an empty file for this user alone. Raises `FileExistsError` where something is already."""
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.close(handle)
    return _version(path.lstat())


def _reserve_free_name(stem: str) -> tuple[Path, _Version]:
    for number in itertools.count(1):
        path = Path(f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
        try:
            return path, _reserve(path)
        except FileExistsError:
            continue
        except OSError as error:
            raise _not_written(path, error) from None
    raise AssertionError("there is always another number")


def _not_written(path: Path, error: OSError) -> RuleError:
    return RuleError(f"{path} cannot be written: {error.strerror or error}", path="--save", rule="new_file")


def _replace(path: Path, text: str) -> _Version:
    """Write the whole file or nothing of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".mosvpp-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        version = _version(Path(name).lstat())
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    return version
