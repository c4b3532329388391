"""The client that the options of a command describe."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import certifi

from mosvpp._requests import Attempt, Request
from mosvpp.auth import ENVIRONMENT_VARIABLE, ApiKey
from mosvpp.client import DEFAULT_BASE_URL, Client, parse_url
from mosvpp.commands import DeviceCommand
from mosvpp.drift import OnDrift
from mosvpp.errors import RuleError
from mosvpp.retry import RetryPolicy
from mosvpp.slots import EventSlot

from .arguments import Secret, naming, read_file, read_secret
from .options import BASE_URL_VARIABLE

__all__ = ["Connection", "WatchedClient"]


class WatchedClient(Client):
    """A client that tells what it is about to send, so that it can be kept before it leaves.

    `last_request` is what it sent last; `in_flight` says that nothing is known of it yet.
    """

    before_sending: Callable[[Request], object] | None = None
    last_request: Request | None = None
    in_flight: bool = False

    def _attempt(self, step: Attempt) -> Any:
        if self.before_sending is not None:
            self.before_sending(step.request)
        self.last_request = step.request
        self.in_flight = True
        result = super()._attempt(step)
        self.in_flight = False
        return result

    def check_site(self, site: str) -> None:
        """Raise the `RuleError` that every call for this site would raise, and send nothing."""
        with naming(molecule_id="SITE"):
            self._calls.sync_devices(site)  # does nothing until it is run

    def check_dispatch(self, site: str, slots: Sequence[EventSlot], mode: str) -> None:
        """Raise the `RuleError` that `submit_dispatch` would raise, and send nothing."""
        with naming(molecule_id="SITE"):
            self._calls.prepare_dispatch(site, slots, mode)

    def check_site_command(
        self, site: str, commands: Sequence[DeviceCommand], duration: timedelta, scmd_id: str | None
    ) -> None:
        """Raise the `RuleError` that `submit_site_command` would raise, and send nothing."""
        with naming(molecule_id="SITE"):
            self._calls.submit_site_command(site, commands, duration, scmd_id)  # does nothing until it is run


class Connection:
    """Where to send, with which key and trust."""

    def __init__(
        self,
        *,
        base_url: str | None,
        api_version: str,
        api_key: str | None,
        timeout: float,
        ca_file: Path | None,
    ) -> None:
        self.is_default: bool = base_url is None
        self.base_url: str = _checked_url(base_url).rstrip("/")
        self.api_version = api_version
        self.timeout = timeout
        self._api_key = api_key
        self._ca_file = ca_file

    def key(self) -> Secret:
        """The key, and where it came from. Raises `RuleError` when there is none that can be sent."""
        try:
            given = f"env:{ENVIRONMENT_VARIABLE}" if self._api_key is None else self._api_key
            secret = read_secret(given, "--api-key")
        except RuleError as error:
            if self._api_key is not None or error.rule != "environment":
                raise
            msg = f"there is no key: set the variable {ENVIRONMENT_VARIABLE}, or give --api-key @FILE"
            raise RuleError(msg, path="--api-key", rule="required", evidence=("transport.api_key",)) from None
        with naming("--api-key"):
            ApiKey(secret.value)
        return secret

    def trust(self) -> ssl.SSLContext:
        """Whom to believe in TLS: what httpx believes by default, and the certificates of --ca-file."""
        context = ssl.create_default_context(cafile=certifi.where())
        if self._ca_file is not None:
            read_file(self._ca_file, "--ca-file")  # for a better message than that of OpenSSL
            try:
                context.load_verify_locations(self._ca_file)
            except (ssl.SSLError, OSError):
                msg = f"{self._ca_file} holds no certificates in PEM form"
                raise RuleError(msg, path="--ca-file", rule="pem") from None
        return context

    def client(
        self,
        *,
        key: Secret | None = None,
        allow_live: bool = False,
        on_drift: OnDrift | None = None,
        retry: RetryPolicy | None = None,
    ) -> WatchedClient:
        """A client for these options. Raises `RuleError` for options that make no sense."""
        with naming():
            return WatchedClient(
                (key or self.key()).value,
                base_url=self.base_url,
                api_version=self.api_version,
                allow_live=allow_live,
                timeout=self.timeout,
                retry=retry,
                ssl_context=self.trust(),
                on_drift=on_drift,
            )


def _checked_url(base_url: str | None) -> str:
    """A URL that can be taken apart; without one, that of Molecule's gateway.

    An empty one is what an unset variable of a shell leaves, so it never means the gateway.
    """
    if base_url is None:
        if os.environ.get(BASE_URL_VARIABLE) != "":
            return DEFAULT_BASE_URL
        # The options take an empty variable for none.
        msg = f"the variable {BASE_URL_VARIABLE} is empty: give it a URL, or unset it for Molecule's gateway"
        raise RuleError(msg, path="--base-url", rule="required", evidence=("transport.base_url",))
    if not base_url.strip():
        msg = "the URL is empty: give one, or leave out --base-url for Molecule's gateway"
        raise RuleError(msg, path="--base-url", rule="required", evidence=("transport.base_url",))
    if "@" in base_url:  # what stands before it may be a password
        msg = "leave user name and password out of the URL; MosVPP knows a key only"
        raise RuleError(msg, path="--base-url", rule="format", evidence=("transport.api_key",))
    with naming():
        parse_url(base_url)
    return base_url
