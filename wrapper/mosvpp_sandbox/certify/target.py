"""What is certified: the partner's endpoints and secrets, and how its receiver is started and listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from mosvpp.signatures import HmacSignature
from mosvpp_sandbox.hosts import checked_url
from mosvpp_sandbox.site_specs import SiteSpec

__all__ = ["Kind", "Side", "Target"]

Kind: TypeAlias = Literal["data_push", "execution_response"]
Side: TypeAlias = Literal["receiver", "dispatcher"]


@dataclass(frozen=True)
class Target:
    """A receiver. Its repr shows no secret.

    `urls` has one or both kinds, `headers` and `previous` are what the partner configured now and before.
    `within` is how many seconds an answer may take, `deadline` how many the whole certification may. Raises
    `ValueError` for what cannot be certified.
    """

    urls: Mapping[Kind, str]
    headers: Mapping[str, str] = field(repr=False)
    previous: Mapping[str, str] = field(default_factory=dict, repr=False)
    signing_secret: str | None = field(default=None, repr=False)
    command: Sequence[str] = field(default=(), repr=False)
    list_command: Sequence[str] = field(default=(), repr=False)
    dispatcher_command: Sequence[str] = field(default=(), repr=False)
    molecule_id: str = "fecd0001c031e7e8"
    within: float = 5.0
    deadline: float = 300.0
    allow_hosts: Sequence[str] = ()

    def __post_init__(self) -> None:
        for check in (self._check_asked, self._check_secrets, self._check_limits):
            check()

    def _check_asked(self) -> None:
        if not self.urls and not self.dispatcher_command:
            raise ValueError(
                "give --data-push-url, --execution-response-url or both; or --dispatcher-command"
            )
        if not self.urls and self.command:
            raise ValueError("--command starts a receiver: give its --data-push-url, or the other one")
        if self.list_command and not self.command:
            raise ValueError("--list-command is of use with --command, which starts what it lists")
        for url in self.urls.values():
            checked_url(url, self.allow_hosts)

    def _check_secrets(self) -> None:
        if self.urls and not self.headers and self.signing_secret is None:
            raise ValueError(
                "give the headers that you have configured (--header NAME=VALUE): without one nothing shows "
                "that your receiver checks who sends (push.validate_headers, documented)"
            )
        for name, value in (*self.headers.items(), *self.previous.items()):
            if not (value and value.isascii() and value.isprintable() and value == value.strip()):
                msg = f"the value of {name} must be printable ASCII, without white space at its ends"
                raise ValueError(msg)
        strangers = {name.lower() for name in self.previous} - {name.lower() for name in self.headers}
        if strangers:
            msg = f"--previous-header names {', '.join(sorted(strangers))}, which no --header does"
            raise ValueError(msg)
        if self.signing_secret is not None:
            HmacSignature(self.signing_secret)  # says what is wrong with it, not what it is

    def _check_limits(self) -> None:
        SiteSpec(molecule_id=self.molecule_id)  # says what an id consists of
        if not 0 < self.within <= self.deadline:
            raise ValueError("--within is a number of seconds above 0, and not above --deadline")

    @property
    def sides(self) -> tuple[Side, ...]:
        """What of the partner's is certified."""
        return (*(("receiver",) if self.urls else ()), *(("dispatcher",) if self.dispatcher_command else ()))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What the receiver has an endpoint for."""
        return tuple(self.urls)

    @property
    def addresses(self) -> set[tuple[str, int]]:
        """Host and port of each endpoint."""
        found = set()
        for url in self.urls.values():
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            found.add((parts.hostname or "", port))
        return found

    def shown_url(self, kind: Kind) -> str:
        """The URL without its query, which may hold a secret."""
        parts = urlsplit(self.urls[kind])
        return parts._replace(query="…" if parts.query else "", fragment="").geturl()
