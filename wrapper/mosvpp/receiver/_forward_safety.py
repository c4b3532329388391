"""Whether what a NATS server acknowledges is on its disk: its monitor is asked.

JetStream answers a publisher before it has synced, unless `sync_interval: always` is set; after a power cut
everything since the last sync, two minutes by default, is gone. That was so in every cut that we tried.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mosvpp.errors import RuleError, StoreError

__all__ = ["Look", "check_monitor_url", "look"]

_TIMEOUT_S = 3
_REMEDY = "put `jetstream { sync_interval: always }` into its configuration and restart it"
# A proxy of the environment is for what is far away.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@dataclass(frozen=True)
class Look:
    """Servers that sync before they answer, by name, and monitors that did not answer, with the cause."""

    synced: frozenset[str] = frozenset()
    silent: dict[str, str] = field(default_factory=dict)


def check_monitor_url(url: str) -> str:
    """The URL without a slash at its end. Raises `RuleError`."""
    try:
        parts = urlsplit(url)
        ok = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        ok = ok and (parts.port is None or parts.port > 0) and not (parts.path.strip("/") or parts.query)
    except ValueError:
        ok = False
    if not ok:
        msg = "this is no address of a monitor; give http://host:8222, once for each server"
        raise RuleError(msg, path="monitor_urls", rule="format")
    return url.rstrip("/")


def look(monitor_urls: Sequence[str]) -> Look:
    """Ask every monitor. Raises `StoreError` (`unsafe`) for a server that acknowledges before it syncs."""
    synced, silent = set[str](), dict[str, str]()
    for url in monitor_urls:
        try:
            said = _varz(url)
        except (OSError, ValueError) as error:
            silent[url] = str(getattr(error, "reason", None) or error) or type(error).__name__
        else:
            synced.add(_checked(said, url))
    return Look(frozenset(synced), silent)


def _varz(url: str) -> dict[str, Any]:
    with _open(f"{url}/varz", timeout=_TIMEOUT_S) as answer:
        said = json.load(answer)
    if not isinstance(said, dict) or "server_id" not in said:
        raise ValueError("that is no monitor of a NATS server")
    return said


def _checked(said: dict[str, Any], url: str) -> str:
    name = str(said.get("server_name") or said["server_id"])
    jetstream = said.get("jetstream") or {}
    config = jetstream.get("config") if isinstance(jetstream, dict) else None
    if not config:
        msg = f"the NATS server {name} ({url}) has no JetStream, so it keeps nothing: enable it"
        raise StoreError(msg, reason="unsafe")
    if config.get("sync_always") is not True:
        msg = (
            f"the NATS server {name} ({url}) acknowledges before it syncs, so that a power cut loses what it "
        )
        raise StoreError(f"{msg}acknowledged: {_REMEDY}", reason="unsafe")
    return name
