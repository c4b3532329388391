"""Deliveries of a shape that we do not know, as examples that may be shown to others.

Molecule's pages leave shapes open, so the first real ones are worth keeping: as files that fit the folder of
examples of the specification, without anything that says whose they are.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mosvpp.drift import Drift
from mosvpp.errors import PayloadError, RuleError
from mosvpp.events import UnknownDelivery

from ._following import following
from .deliveries import StoredDelivery

if TYPE_CHECKING:
    from .inbox import Inbox

__all__ = ["capturing", "redacted", "write_fixtures"]

_log = logging.getLogger("mosvpp.receiver")

MOST_FILES = 500  # somebody has to look at each

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SECRET = re.compile(
    r"key|token|secret|password|passwd|pwd|auth|authorization|cookie|session|signature", re.IGNORECASE
)
_PRIVATE = re.compile(
    r"ids?|guid|uuid|serial|sn|mac|imei|name|owner|customer|account|user|username|e?mail|phone|mobile"
    r"|address|street|city|town|zip|postal|postcode|country|lat|latitude|lon|lng|longitude|gps|location"
    r"|host|url|uri|ip",
    re.IGNORECASE,
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:.,]+(Z|[+-]\d\d:?\d\d)?)?")
_PLAIN_WORD = re.compile(r"[A-Za-z%°][A-Za-z0-9_%°/.-]{0,31}")
_HEX, _LETTERS = "abcdef", "abcdefghijklmnopqrstuvwxyz"
_IDENTIFIES = re.compile(r"\d{5}|(?=[0-9A-Fa-f-]*\d)[0-9A-Fa-f-]{8}|@")


def write_fixtures(found: Iterable[StoredDelivery], folder: str | Path) -> Iterator[Path]:
    """Write one file for each shape that we do not know, and give its path.

    `write_fixtures(inbox.find(), "captured")`. Shapes that we know, bytes that are no JSON, and shapes for
    which there is a file already give nothing; nothing is overwritten. Raises `RuleError` where the folder
    cannot be written.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for delivery in found:
            if _is_unknown(delivery):
                path = _write(delivery, place)
                if path is not None:
                    yield path
    except OSError as error:
        msg = f"{place} cannot be written: {error.strerror or error}"
        raise RuleError(msg, path="folder", rule="writable") from None


@contextmanager
def capturing(inbox: Inbox, folder: str | Path) -> Iterator[None]:
    """Write such files for what is stored from now on, in a thread beside the receiver, while this lasts."""

    def write(found: Iterator[StoredDelivery]) -> None:
        for path in write_fixtures(found, folder):
            _log.warning("a shape that we do not know was written to %s", path)

    with following(inbox, write, name="capture"):  # a folder that cannot be written is told at once
        yield


def redacted(value: Any) -> Any:
    """Decoded JSON without what says whose it is.

    Names of fields, numbers, times and single words stay: they are the shape. Ids, names, addresses and
    everything that looks like an id become others of the same form, the same value always the same one;
    secrets and sentences are taken out. A name that stands alone in a field of no telling name would stay,
    so look before you pass it on.
    """
    return _Redaction().of(value)


class _Redaction:
    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)  # so that nobody can find out a short id by trying all

    def of(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {self._field(key): self.of(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.of(inner, name) for inner in value]
        if value is None or isinstance(value, bool):
            return value
        words = _WORD.findall(name)
        if any(map(_SECRET.fullmatch, words)):
            return "[removed]" if isinstance(value, str) else 0
        is_private = any(map(_PRIVATE.fullmatch, words))
        if isinstance(value, str):
            return self._text(value, is_private=is_private)
        return self._number(value) if is_private else value

    def _field(self, name: str) -> str:
        # A map from ids to values has ids where others have names.
        return self._other(name) if _IDENTIFIES.search(name) else name

    def _text(self, text: str, *, is_private: bool) -> str:
        if not is_private and _TIME.fullmatch(text):
            return text
        if is_private or _IDENTIFIES.search(text):
            return self._other(text)
        return text if not text or _PLAIN_WORD.fullmatch(text) else f"a text of {len(text)} characters"

    def _number(self, number: float) -> float:
        return 0.0 if type(number) is float else int(self._other(str(number)))

    def _other(self, text: str) -> str:
        """Another text of the same form: digits for digits, letters for letters, in the same case."""
        noise = hashlib.shake_256(self._salt + text.encode("utf-8", "surrogatepass")).digest(len(text))
        letters = _HEX if all(char in _HEX or not char.isalpha() for char in text.lower()) else _LETTERS
        return "".join(_alike(char, byte, letters) for char, byte in zip(text, noise, strict=True))


def _alike(char: str, noise: int, letters: str) -> str:
    if char.isdigit():
        return str(1 + noise % 9)  # no leading zero: a number keeps its length
    if char.isalpha():
        letter = letters[noise % len(letters)]
        return letter.upper() if char.isupper() else letter
    return char if char.isascii() else "_"


def _is_unknown(delivery: StoredDelivery) -> bool:
    surprises: list[Drift] = []
    try:
        event = delivery.parse(on_drift=surprises.append)
    except PayloadError:
        return False
    fields = any(drift.kind in ("unknown_field", "unexpected_shape") for drift in surprises)
    return isinstance(event, UnknownDelivery) or fields


def _write(delivery: StoredDelivery, folder: Path) -> Path | None:
    value = json.loads(delivery.body)
    shape = hashlib.sha256(repr(_shape(value)).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    path = folder / f"receive_{delivery.kind}.event.unknown_{shape}.json"
    if path.exists() or sum(1 for _ in folder.glob("*.json")) >= MOST_FILES:
        return None
    text = json.dumps(redacted(value), indent=2) + "\n"
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:  # another receiver was faster
        return None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _shape(value: Any) -> object:
    """Names and types, whatever the values are."""
    if isinstance(value, dict):
        fields = {"*" if _IDENTIFIES.search(name) else name: _shape(inner) for name, inner in value.items()}
        return sorted(fields.items(), key=repr)
    if isinstance(value, list):
        return ["list", *sorted({repr(_shape(inner)) for inner in value})]
    if isinstance(value, str):
        return "time" if _TIME.fullmatch(value) else "text"
    return "number" if type(value) in (int, float) else type(value).__name__
