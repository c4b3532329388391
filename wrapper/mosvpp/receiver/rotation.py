"""Secrets that change while the receiver runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from mosvpp.errors import RuleError

__all__ = ["secrets_from_file"]

_log = logging.getLogger("mosvpp.receiver")


def secrets_from_file(file: str | Path) -> Callable[[], list[str]]:
    """A function that gives the secrets in a file, one a line, and reads it again when it has changed.

    `SharedHeaders({"X-API-Key": secrets_from_file("keys.txt")})`: while rotating, the file holds the new
    secret and the previous one. A file that is gone or empty while the receiver runs changes nothing, and
    is logged. Raises `RuleError` when the file cannot be read at the beginning.
    """
    keeper = _File(Path(file))
    return keeper.secrets


class _File:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._seen = self._mark()
        self._secrets = self._read()
        if not self._secrets:
            raise RuleError(f"there is no secret in {file}", path="file", rule="required")

    def secrets(self) -> list[str]:
        mark = self._mark()
        if mark != self._seen:
            with self._lock:
                self._seen = mark
                try:
                    secrets = self._read()
                except RuleError as error:
                    _log.error("%s; the secrets stay as they were", error)
                    return self._secrets
                if secrets:
                    self._secrets = secrets
                else:
                    _log.error("%s is empty; the secrets stay as they were", self._file)
        return self._secrets

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _read(self) -> list[str]:
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise RuleError(f"{self._file} cannot be read: {why}", path="file", rule="required") from None
        return [line.strip() for line in lines if line.strip()]
