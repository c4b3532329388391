"""Who may send: headers and signing secrets from options, files and variables, as a verifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mosvpp.errors import RuleError
from mosvpp.receiver import secrets_from_file
from mosvpp.signatures import Headers, HmacSignature, SharedHeaders, Verifier

from .arguments import COMMAND_LINE, naming, read_secret

__all__ = ["Senders", "read_senders"]

HEADERS_VARIABLE = "MOSVPP_RECEIVE_HEADERS"
_Source = Callable[[], Sequence[str]]


class Senders(NamedTuple):
    """The verifier, and what it looks at in words.

    `is_exposed`: a secret is on the command line; `is_guessable`: all are so short that they can be guessed.
    """

    verifier: Verifier
    described: list[str]
    id_header: str | None
    is_guessable: bool
    is_exposed: bool


class _All:
    """Every verifier must be content."""

    def __init__(self, verifiers: Sequence[Verifier], names: tuple[str, ...]) -> None:
        self._verifiers = verifiers
        self.names: tuple[str, ...] = names
        self.needs_body: bool = any(one.needs_body for one in verifiers)

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        """Ask each of them."""
        for one in self._verifiers:
            one.verify(body, headers, now)


def read_senders(
    headers: Sequence[str], files: Sequence[str], signing: Sequence[str], variable: str | None
) -> Senders:
    """What the options say. Raises `RuleError` for secrets that are none, and where there are none."""
    sources: dict[str, list[_Source]] = {}
    spelled: dict[str, str] = {}
    exposed = False
    given = [(_as_file(text), "--header-file") for text in files]
    given += [(text, "--header") for text in headers]
    if not given:
        given = [(text.strip(), HEADERS_VARIABLE) for text in (variable or "").splitlines() if text.strip()]
    for text, option in given:
        name, _, secret = text.partition("=")
        if not name.strip() or not secret:  # it may hold a secret, so it is not repeated
            forms = "NAME=PATH" if option == "--header-file" else "NAME=@FILE, NAME=env:NAME or NAME=SECRET"
            raise RuleError(f"write {forms}", path=option, rule="header")
        source, is_bare = _source(secret, option)
        exposed |= is_bare and option == "--header"
        key = spelled.setdefault(name.strip().lower(), name.strip())
        sources.setdefault(key, []).append(source)
    signatures = [_source(text, "--signing-secret") for text in signing]
    exposed |= any(is_bare for _, is_bare in signatures)
    if not sources and not signatures:
        msg = (
            "no credentials, so anybody could send: give the header that is configured with Molecule, as in"
            " --header-file X-API-Key=key.txt"
        )
        raise RuleError(msg, path="--header", rule="required", evidence=("push.validate_headers",))
    return Senders(*_verifier(sources, [source for source, _ in signatures]), exposed)


def _verifier(
    sources: dict[str, list[_Source]], signatures: list[_Source]
) -> tuple[Verifier, list[str], str | None, bool]:
    verifiers: list[Verifier] = []
    described = [f"{name} ({_several(len(_together(several)()))})" for name, several in sources.items()]
    names: tuple[str, ...] = ()
    is_guessable = False
    if sources:
        with naming("--header"):
            # What was given is checked once here; a function is asked, and checked, each time.
            given = SharedHeaders({name: _together(several)() for name, several in sources.items()})
            is_guessable = given.is_guessable and not signatures
            shared = SharedHeaders({name: _together(several) for name, several in sources.items()})
        verifiers.append(shared)
        names = shared.names
    if signatures:
        together = _together(signatures)
        with naming("--signing-secret"):
            HmacSignature(together())
            verifiers.append(HmacSignature(together))
        described.append(f"a signature ({_several(len(together()))}; ours, Molecule documents none)")
    verifier = verifiers[0] if len(verifiers) == 1 else _All(verifiers, names)
    return verifier, described, "webhook-id" if signatures else None, is_guessable


def _as_file(text: str) -> str:
    name, _, path = text.partition("=")
    return f"{name}=@{path}" if path else text


def _source(text: str, option: str) -> tuple[_Source, bool]:
    """A function that gives the secrets, and whether they were written on the command line."""
    if text.startswith("@"):
        path = Path(text[1:])
        try:
            return secrets_from_file(path), False
        except RuleError as error:
            raise RuleError(error.args[0], path=option, rule="file") from None
    secret = read_secret(text, option)
    return lambda: [secret.value], secret.source == COMMAND_LINE


def _together(sources: Sequence[_Source]) -> _Source:
    return lambda: [secret for source in sources for secret in source()]


def _several(count: int) -> str:
    return "1 secret" if count == 1 else f"{count} secrets"
