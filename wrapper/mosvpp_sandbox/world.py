"""The one model: all sites at the simulated present, what was asked and said, and the stream of changes.

It is the one place that the HTTP side, the sending side and those who watch lock. Sites wait in a heap for
their time, so that what one push costs does not depend on how many sites there are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from threading import RLock
from typing import Any, TypeVar

from mosvpp.times import to_wire

from .changes import Changes
from .choices import Choices
from .clock import SandboxClock
from .exchanges import Exchange, Exchanges
from .faults import Fault, Faults
from .physics.device import Metrics
from .profiles import PROFILES, Profile
from .site import Delivery, Site
from .site_specs import SiteSpec

__all__ = ["UnknownSiteError", "World"]

T = TypeVar("T")
NEVER = datetime.max.replace(tzinfo=UTC)
_AT_ONCE = 500
_LONGEST_S = 0.05  # others wait for the lock meanwhile
_KEPT = 10_000
_POINTS_OF_ALL = 300_000


class UnknownSiteError(LookupError):
    """There is no site with that id."""


class World:
    """Sites at the simulated present. Who asks for one finds it as it is now."""

    def __init__(
        self,
        specs: Iterable[SiteSpec],
        clock: SandboxClock,
        *,
        push_every: timedelta = timedelta(minutes=1),
        seed: int = 0,
        choices: Choices | None = None,
        profile: str = "inferred",
        faults: Iterable[Fault | str] = (),
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.choices = choices or Choices()
        self.changes = Changes()
        self.exchanges = Exchanges(self._exchange_changed)
        self.profile = _profile(profile)
        self.on_faults: Callable[[], None] = lambda: None
        self.faults = Faults(seed, self._faults_changed)
        for fault in faults:
            self.faults.add(fault)
        self.sites: dict[str, Site] = {}
        self.specs: dict[str, SiteSpec] = {}
        self.lock = RLock()
        self._push_every = push_every
        self._due: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._waiting: deque[Delivery] = deque()
        self.is_attended = False
        """Whether somebody takes what is to be sent. Where nobody does, only the newest of it are kept."""
        self._changed: list[Callable[[], None]] = []
        listed = list(specs)
        for place, spec in enumerate(listed):
            self._put(spec, place, len(listed))

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever a request may have brought something forward."""
        self._changed.append(changed)

    # --- sites ---

    def add(self, spec: SiteSpec) -> Site:
        """One more site, from now on. Raises `ValueError`."""
        with self.lock:
            if spec.molecule_id in self.sites:
                msg = f"there is a site {spec.molecule_id} already"
                raise ValueError(msg)
            site = self._put(spec, 0, 1)
        self.changes.put(
            "site", self.clock.now(), molecule_id=spec.molecule_id, about="added", data={"name": spec.name}
        )
        self._tell()
        return site

    def _put(self, spec: SiteSpec, place: int, count: int) -> Site:
        """Many sites do not all push at once: their first pushes are spread over the time between two."""
        now = self.clock.now()
        every = timedelta(seconds=spec.push_every_s) if spec.push_every_s is not None else self._push_every
        head_start = timedelta(seconds=int(every.total_seconds() * place / count))
        site = Site(
            spec.molecule_id,
            spec.plant(now, self.seed),
            at=now,
            name=spec.name,
            push_every=every,
            first_push=now + every - head_start,
            choices=lambda: self.choices,
            seed=self.seed,
            points=max(30, min(2880, _POINTS_OF_ALL // count)),
            tell=lambda kind, at, about, data: self.changes.put(
                kind, at, molecule_id=spec.molecule_id, about=about, data=data
            ),
        )
        self.sites[spec.molecule_id], self.specs[spec.molecule_id] = site, spec
        self._schedule(site)
        return site

    def restore(self, molecule_id: str, state: Mapping[str, Any]) -> None:
        """Put a site into a state that was kept."""
        with self.lock:
            site = self.sites[molecule_id]
            site.take_state(state, self.clock.now())
            self._due.pop(molecule_id, None)
            self._schedule(site)

    def require(self, molecule_id: str) -> None:
        """Raise `UnknownSiteError` unless there is such a site."""
        if molecule_id not in self.sites:
            raise UnknownSiteError

    # --- asking ---

    def device_list(self, molecule_id: str) -> dict[str, Any]:
        """Answer a device synchronization."""
        return self.at_site(molecule_id, lambda site, _: site.device_list())

    def dispatch(self, molecule_id: str, request: dict[str, Any]) -> dict[str, Any]:
        """Take a dispatch request."""
        return self.at_site(molecule_id, lambda site, now: site.dispatch(request, now))

    def command(self, molecule_id: str, request: dict[str, Any]) -> dict[str, Any]:
        """Take a site command. Raises `RepeatedCommandError`."""
        return self.at_site(molecule_id, lambda site, now: site.command(request, now))

    def metrics(self, molecule_id: str) -> dict[str, Metrics]:
        """What the devices of a site tell now."""
        return self.at_site(molecule_id, lambda site, now: site.metrics(now))

    def at_site(self, molecule_id: str, ask: Callable[[Site, datetime], T]) -> T:
        """Ask a site at the present, or change it. Raises `UnknownSiteError`."""
        self.require(molecule_id)
        with self.lock:
            site, now = self.sites[molecule_id], self.clock.now()
            site.advance(now)
            try:
                return ask(site, now)
            finally:
                self._take_from(site)
                self._tell()

    # --- time ---

    def advance(self) -> tuple[list[Delivery], datetime]:
        """Let time pass; returns what is to be sent, and when there will be more.

        Where much is due, that is a part of it: then there is more at once.
        """
        with self.lock:
            next_at = self.catch_up() if len(self._waiting) < _AT_ONCE else self.clock.now()
            deliveries = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            return deliveries, self.clock.now() if self._waiting else next_at

    def catch_up(self) -> datetime:
        """Let sites live whose time has come, or a part of them; returns when there will be more."""
        with self.lock:
            now, enough, before = self.clock.now(), time.monotonic() + _LONGEST_S, len(self._waiting)
            while self._heap and self._heap[0][0] <= now and time.monotonic() < enough:
                at, molecule_id = heappop(self._heap)
                if self._due.get(molecule_id) == at:
                    del self._due[molecule_id]
                    site = self.sites[molecule_id]
                    site.advance(at)
                    self._take_from(site)
                if len(self._waiting) - before >= _AT_ONCE:
                    break
            return self._heap[0][0] if self._heap else NEVER

    def hurry(self) -> None:
        """Go on after a time in which nobody was there, since the machine slept: see `Site.hurry`."""
        with self.lock:
            for site in self.sites.values():
                site.hurry(self.clock.now())
                self._schedule(site)

    def behind_s(self) -> float:
        """By how many simulated seconds the site that waits longest is late; 0 when all is done."""
        with self.lock:
            while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
                heappop(self._heap)
            return max(0.0, (self.clock.now() - self._heap[0][0]).total_seconds()) if self._heap else 0.0

    def _take_from(self, site: Site) -> None:
        self._waiting += site.take_deliveries()
        while not self.is_attended and len(self._waiting) > _KEPT:
            self._waiting.popleft()
        self._schedule(site)

    def _schedule(self, site: Site) -> None:
        at = site.next_at()
        if self._due.get(site.molecule_id) != at:
            self._due[site.molecule_id] = at
            heappush(self._heap, (at, site.molecule_id))

    # --- telling ---

    def choose(self, choices: Choices) -> None:
        """Have it otherwise from now on."""
        with self.lock:
            self.choices = choices
        self.changes.put("choices", self.clock.now(), data=vars(choices))

    def choose_profile(self, name: str) -> None:
        """Write messages in another shape from now on. Raises `ValueError`."""
        self.profile = _profile(name)
        self.changes.put("choices", self.clock.now(), data={"profile": name})

    def clock_moved(self) -> None:
        """Tell that a hand has moved the clock, or changed how fast it runs."""
        now = self.clock.now()
        self.changes.put("clock", now, data={"now": to_wire(now), "speed": self.clock.speed})

    def _tell(self) -> None:
        for changed in self._changed:
            changed()

    def _exchange_changed(self, exchange: Exchange) -> None:
        self.changes.put(
            "exchange",
            exchange.at,
            molecule_id=exchange.molecule_id,
            about=str(exchange.number),
            data=exchange.row(),
        )

    def _faults_changed(self) -> None:
        self.changes.put("faults", self.clock.now(), data={"faults": self.faults.as_json()})
        self.on_faults()


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        msg = f"there is no profile {name!r}; there are {', '.join(PROFILES)}"
        raise ValueError(msg)
    return PROFILES[name]
