"""All sites together with the clock: the one place that both the HTTP side and the sending side lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from threading import Lock
from typing import Any, TypeVar

from mosvpp.ids import id_key

from .clock import SandboxClock
from .devices import Metrics
from .site import Delivery, Site

__all__ = ["RepeatedCommandError", "UnknownSiteError", "World"]

T = TypeVar("T")


class UnknownSiteError(LookupError):
    """There is no site with that id."""


class RepeatedCommandError(Exception):
    """A site command with that scmd_id was taken before (errors.conflict: our reading)."""


class World:
    """Sites at the simulated present. Every method first lets all sites live up to now."""

    def __init__(self, sites: Iterable[Site], clock: SandboxClock) -> None:
        self.sites = {site.molecule_id: site for site in sites}
        self.clock = clock
        self._lock = Lock()
        self._command_ids: set[tuple[str, str]] = set()
        self._changed: list[Callable[[], None]] = []

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever a request may have brought something forward."""
        self._changed.append(changed)

    def device_list(self, molecule_id: str) -> dict[str, Any]:
        """Answer a device synchronization."""
        return self._at_site(molecule_id, lambda site, _: site.device_list())

    def dispatch(self, molecule_id: str, request: dict[str, Any]) -> dict[str, Any]:
        """Take a dispatch request."""
        return self._at_site(molecule_id, lambda site, now: site.dispatch(request, now))

    def command(self, molecule_id: str, request: dict[str, Any]) -> dict[str, Any]:
        """Take a site command, once."""

        def take(site: Site, now: datetime) -> dict[str, Any]:
            key = (molecule_id, id_key(request["scmd_id"]))
            if key in self._command_ids:
                raise RepeatedCommandError
            self._command_ids.add(key)
            return site.command(request, now)

        return self._at_site(molecule_id, take)

    def metrics(self, molecule_id: str) -> dict[str, Metrics]:
        """What the devices of a site tell now."""
        return self._at_site(molecule_id, lambda site, now: site.metrics(now))

    def require(self, molecule_id: str) -> None:
        """Raise `UnknownSiteError` unless there is such a site."""
        if molecule_id not in self.sites:
            raise UnknownSiteError

    def advance(self) -> tuple[list[Delivery], datetime]:
        """Let time pass; returns what is to be sent, and when there will be more."""
        with self._lock:
            now = self.clock.now()
            deliveries = []
            for site in self.sites.values():
                site.advance(now)
                deliveries += site.take_deliveries()
            return deliveries, min(site.next_at() for site in self.sites.values())

    def _at_site(self, molecule_id: str, ask: Callable[[Site, datetime], T]) -> T:
        self.require(molecule_id)
        with self._lock:
            site, now = self.sites[molecule_id], self.clock.now()
            site.advance(now)
            answer = ask(site, now)
        for changed in self._changed:
            changed()
        return answer
