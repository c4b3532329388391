"""What people and programs may see and change in a running sandbox, as plain data ready for JSON.

`Control` is used by the routes under `/sandbox/` and by the console alike. Whoever watches reads once what
is there, then follows `changes`: the stream gives events, commands and log entries as they look after each
change, so that nothing needs to be asked again.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from heapq import nlargest
from typing import Any, NamedTuple

import msgspec

from mosvpp.times import to_wire

from .changes import Changes
from .choices import CHOICES
from .clock import RunningClock
from .exchanges import Direction
from .faults import CALL_FAULTS, PUSH_FAULTS, Fault
from .profiles import PROFILES
from .records import POWER
from .site import Site
from .site_specs import sites_from
from .world import World

__all__ = ["Control", "Span"]

_PATIENCE_S = 0.25


class Span(NamedTuple):
    """When an event was to run and did, in seconds since 1970, what it asked for, and its average so far."""

    start: float
    end: float
    began: float | None
    ended: float | None
    asked_kw: float
    delivered_kw: float


class Control:
    """Reads and changes one `World`. Methods may be called from any thread.

    Unknown ids raise `LookupError`, values that make no sense `ValueError`.
    """

    def __init__(self, world: World, resend: Callable[[int], Awaitable[int]]) -> None:
        self._world = world
        self._resend = resend

    @property
    def changes(self) -> Changes:
        """The stream of what happens."""
        return self._world.changes

    # --- the whole ---

    def overview(self) -> dict[str, Any]:
        """Clock, numbers, what is switched on; `last_change` is where to follow the stream from."""
        world = self._world
        return {
            "last_change": world.changes.last,
            "clock": self.clock(),
            "sites": len(world.sites),
            "first_site": next(iter(world.sites)),
            "seed": world.seed,
            "profile": world.profile.name,
            "choices": vars(world.choices),
            "faults": world.faults.as_json(),
        }

    def options(self) -> dict[str, Any]:
        """Everything that can be chosen, with what it means and the evidence for it."""

        def listed(faults: Mapping[str, tuple[str, float | None, str]]) -> list[dict[str, Any]]:
            return [
                {"name": name, "meaning": meaning, "value": value, "value_meaning": value_meaning}
                for name, (meaning, value, value_meaning) in faults.items()
            ]

        return {
            "choices": [
                {"name": name, "evidence": evidence, "variants": dict(variants)}
                for name, (evidence, variants) in CHOICES.items()
            ],
            "profiles": [
                {"name": one.name, "meaning": one.meaning, "evidence": one.evidence}
                for one in PROFILES.values()
            ],
            "faults": {"calls": listed(CALL_FAULTS), "pushes": listed(PUSH_FAULTS)},
        }

    def choose(self, *, profile: str | None = None, **choices: Any) -> dict[str, Any]:
        """Play otherwise what is not documented; returns the overview."""
        chosen = self._world.choices.changed(**choices)
        if profile is not None:
            self._world.choose_profile(profile)
        if choices:
            self._world.choose(chosen)
        return self.overview()

    # --- time ---

    def clock(self) -> dict[str, Any]:
        """The simulated present, how fast it runs (0: it stands still), and how far sites are behind it."""
        clock = self._world.clock
        return {
            "now": to_wire(clock.now()),
            "speed": clock.speed,
            "runs_by_itself": isinstance(clock, RunningClock),
            "behind_s": round(self._world.behind_s()),
        }

    def set_clock(
        self, *, advance_s: float | None = None, speed: float | None = None, hold: bool | None = None
    ) -> dict[str, Any]:
        """Put the clock forward, let it run faster or slower, hold it or let it run on."""
        clock = self._world.clock
        if (speed is not None or hold is not None) and not isinstance(clock, RunningClock):
            raise ValueError("this clock is moved by hand: it has no speed")
        if isinstance(clock, RunningClock):
            if speed is not None:
                clock.set_speed(speed)
            if hold is not None:
                (clock.hold if hold else clock.resume)()
        if advance_s is not None:
            try:
                clock.advance(timedelta(seconds=advance_s))
            except OverflowError:
                raise ValueError("that is more time than a calendar has") from None
        return self.clock()

    # --- sites ---

    def sites(self, *, page: int = 1, limit: int = 50, search: str = "") -> dict[str, Any]:
        """One page of the sites, those whose id or name holds `search`, in their order.

        After a great leap some are shown as they were when they last stepped: see `behind_s` of the clock.
        """
        wanted = search.lower()
        found = [
            site
            for site in self._world.sites.values()
            if not wanted or wanted in site.molecule_id.lower() or wanted in site.name.lower()
        ]
        first = (max(1, page) - 1) * limit
        shown = found[first : first + limit]
        self._settle(shown)
        with self._world.lock:
            rows = [_row(site) for site in shown]
        return {"sites": rows, "page": max(1, page), "limit": limit, "found": len(found)}

    def site(self, molecule_id: str) -> dict[str, Any]:
        """A site with its devices as they are now, and its open events and commands."""
        return self._world.at_site(molecule_id, lambda site, now: {**_row(site), **self._detail(site, now)})

    def _detail(self, site: Site, now: Any) -> dict[str, Any]:
        metrics = site.metrics(now)
        spec = self._world.specs[site.molecule_id]
        return {
            "latitude": spec.latitude,
            "longitude": spec.longitude,
            "household_kw": spec.household_kw,
            "columns": list(site.record.columns),
            "devices": [
                {
                    "device_type": device.device_type,
                    "output_kw": device.output_kw,
                    "metrics": dict(metrics.get(device.device_id, {})),
                    "kind": device.kind,
                    **msgspec.to_builtins({one.name: getattr(device, one.name) for one in fields(device)}),
                }
                for device in site.plant.inventory()
            ],
        }

    def add_site(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """One more site, described as in a file of sites."""
        (read,) = sites_from([spec])
        self._world.add(read)
        return self.site(read.molecule_id)

    def change_device(self, molecule_id: str, device_id: str, **values: Any) -> dict[str, Any]:
        """Put a device into another state, such as `online=False` or `stored_kwh=1.5`."""
        self._world.at_site(molecule_id, lambda site, now: site.change_device(device_id, values, now))
        self.changes.put(
            "site", self._world.clock.now(), molecule_id=molecule_id, about=device_id, data=values
        )
        return self.site(molecule_id)

    # --- events, commands, telemetry ---

    def events(
        self, molecule_id: str | None = None, *, limit: int = 200, settle: bool = True
    ) -> list[dict[str, Any]]:
        """The newest events of a site, or of all; each says of which site it is.

        Without `settle` sites are left as they last stepped, at most a push ago: for those who ask often.
        """
        return self._newest(molecule_id, limit, settle, lambda site: [*site.all_events()])

    def commands(
        self, molecule_id: str | None = None, *, limit: int = 200, settle: bool = True
    ) -> list[dict[str, Any]]:
        """The newest site commands of a site, or of all."""
        return self._newest(molecule_id, limit, settle, lambda site: [*site.commands])

    def counts(self, molecule_id: str | None = None) -> tuple[int, int]:
        """How many events and commands there are, at a site or in all."""
        with self._world.lock:
            sites = self._world.sites
            chosen = [sites[molecule_id]] if molecule_id is not None else list(sites.values())
            events = sum(1 for site in chosen for _ in site.all_events())
            return events, sum(1 for site in chosen for _ in site.commands)

    def spans(self) -> list[Span]:
        """Of all events that move devices (not of rehearsals) what their power over time needs."""
        with self._world.lock:
            return [
                Span(
                    event.start.timestamp(),
                    event.end.timestamp(),
                    None if event.began_at is None else event.began_at.timestamp(),
                    None if event.ended_at is None else event.ended_at.timestamp(),
                    event.power_kw,
                    sum(event.average_kw().values()),
                )
                for site in self._world.sites.values()
                for event in site.events["live"]
            ]

    def _newest(
        self, molecule_id: str | None, limit: int, settle: bool, items: Callable[[Site], Sequence[Any]]
    ) -> list[dict[str, Any]]:
        if molecule_id is not None:
            self._world.require(molecule_id)
            self._world.at_site(molecule_id, lambda *_: None)
        elif settle:
            self._settle(filter(_is_busy, list(self._world.sites.values())))
        with self._world.lock:
            sites = self._world.sites
            chosen = [sites[molecule_id]] if molecule_id is not None else list(sites.values())
            found = [(item, site.molecule_id) for site in chosen for item in items(site)]
            newest = nlargest(limit, found, key=lambda pair: pair[0].asked_at)
            return [{"molecule_id": site_id, **item.as_json()} for item, site_id in newest]

    def _settle(self, sites: Iterable[Site]) -> None:
        """Let them live up to now, as many as can in the time that who asks is ready to wait."""
        enough = time.monotonic() + _PATIENCE_S
        for site in sites:
            if time.monotonic() > enough:
                return
            self._world.at_site(site.molecule_id, lambda *_: None)

    def telemetry(
        self, molecule_id: str, columns: Sequence[str] = POWER, *, points: int = 300
    ) -> dict[str, Any]:
        """What was recorded, at most so many points; see `columns` of the site."""
        return self._world.at_site(molecule_id, lambda site, _: site.record.series(tuple(columns), points))

    def executions(self, molecule_id: str, item_id: str) -> int:
        """How often an event or command began to run."""
        return self._world.at_site(molecule_id, lambda site, _: site.executions(item_id))

    # --- the log ---

    def exchanges(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        molecule_id: str | None = None,
        operation: str | None = None,
        direction: Direction | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of the log, newest first."""
        found = self._world.exchanges.newest(
            before=before, limit=limit, molecule_id=molecule_id, operation=operation, direction=direction
        )
        return [exchange.row() for exchange in found]

    def exchange(self, number: int) -> dict[str, Any]:
        """One of them with headers and bodies; secrets are hidden."""
        found = self._world.exchanges.get(number)
        if found is None:
            raise LookupError("the log holds no such exchange (any more)")
        return found.as_json()

    async def resend(self, number: int) -> int:
        """Send it again, a call or a push; returns the number of the new exchange."""
        return await self._resend(number)

    def history(self) -> bytes:
        """What was asked, answered, done and told, in the order of simulated time; see `Sandbox.history`."""
        world = self._world
        for molecule_id in world.sites:
            world.at_site(molecule_id, lambda *_: None)
        lines = []
        with world.lock:
            for one in world.exchanges.newest(limit=10**9):
                shown = one.as_json()
                told = ("at", "direction", "operation", "molecule_id", "method", "faults", "body")
                line = {name: shown[name] for name in told}
                if one.direction == "received":
                    line |= {name: shown[name] for name in ("url", "status", "verdict", "answer")}
                lines.append(line)
            for site in world.sites.values():
                for kind, items in (("event", site.all_events()), ("command", site.commands)):
                    lines += [
                        {"at": to_wire(item.asked_at), "molecule_id": site.molecule_id, kind: item.as_json()}
                        for item in items
                    ]
        return b"".join(sorted(msgspec.json.encode(line) + b"\n" for line in lines))

    # --- faults ---

    def faults(self) -> list[dict[str, Any]]:
        """What is switched on."""
        return self._world.faults.as_json()

    def add_fault(self, name: str, **values: Any) -> list[dict[str, Any]]:
        """Switch one on."""
        if unknown := set(values) - {one.name for one in fields(Fault)}:
            msg = f"a fault has no {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        try:
            self._world.faults.add(msgspec.convert({"name": name, **values}, Fault))
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        return self.faults()

    def remove_fault(self, number: int | None = None) -> list[dict[str, Any]]:
        """Switch one off, or all."""
        if number is None:
            self._world.faults.clear()
        else:
            self._world.faults.remove(number)
        return self.faults()


def _is_busy(site: Site) -> bool:
    return any(event.state.is_open for event in site.all_events()) or any(
        command.state == "running" for command in site.commands
    )


def _row(site: Site) -> dict[str, Any]:
    """What a list of sites shows; powers in kW, positive `import_kw` is drawn from the grid."""
    running = site.running()
    return {
        "molecule_id": site.molecule_id,
        "name": site.name,
        "devices_count": len(site.plant.devices),
        "offline": sum(not device.online for device in site.plant.devices.values()),
        "import_kw": round(site.plant.import_kw, 3),
        "state_of_charge": site.plant.state_of_charge(),
        "running": running and {"event_id": running.event_id, **_wanted(running)},
        "open_events": sum(event.state.is_open for event in site.all_events()),
        "running_commands": sum(command.state == "running" for command in site.commands),
    }


def _wanted(event: Any) -> dict[str, Any]:
    average = sum(event.average_kw().values())
    return {"event_type": event.event_type, "power_kw": event.power_kw, "delivered_kw": round(average, 3)}
