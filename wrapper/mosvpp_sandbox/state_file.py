"""Keeps the state of the sandbox in a file, so that it goes on where it stopped.

Sites with their devices, events and commands are kept, and what is switched on; the log and the charts begin
anew, and `refuse` is over after its seconds. The file is replaced as a whole: a crash leaves the one before.
What was pushed after it was written is pushed again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from .choices import Choices
from .faults import Fault
from .site_specs import SiteSpec
from .world import World

__all__ = ["Kept", "read_state", "write_state"]

_VERSION = 1


class Kept(msgspec.Struct, kw_only=True):
    """What a file holds."""

    version: int
    now: datetime
    seed: int
    profile: str
    choices: dict[str, Any]
    faults: list[dict[str, Any]]
    sites: list[dict[str, Any]]

    def specs(self) -> list[SiteSpec]:
        """What the sites are made of."""
        return [msgspec.convert(site["spec"], SiteSpec) for site in self.sites]

    def restore(self, world: World) -> None:
        """Put everything back into a world that was made of `specs`."""
        world.choose_profile(self.profile)
        world.choose(Choices(**self.choices))
        for fault in self.faults:
            world.faults.add(msgspec.convert(fault, Fault))
        for kept in self.sites:
            world.restore(kept["spec"]["molecule_id"], kept["state"])


def read_state(path: Path) -> Kept | None:
    """What the file holds, or None when there is none yet. Raises `ValueError`, `OSError`."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is no state of the sandbox: {error}"
        raise ValueError(msg) from None
    if kept.version != _VERSION:
        msg = f"{path} was written by another version of the sandbox; delete it, or use another file"
        raise ValueError(msg)
    return kept


def write_state(world: World, path: Path) -> None:
    """Replace the file. Raises `OSError`."""
    with world.lock:
        sites = [_kept_site(world, molecule_id) for molecule_id in world.sites]
        kept = Kept(
            version=_VERSION,
            now=world.clock.now(),
            seed=world.seed,
            profile=world.profile.name,
            choices=asdict(world.choices),
            faults=[_kept_fault(one) for one in world.faults.as_json()],
            sites=sites,
        )
    written = msgspec.json.encode(kept)
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(written)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _kept_site(world: World, molecule_id: str) -> dict[str, Any]:
    return {"spec": asdict(world.specs[molecule_id]), "state": world.sites[molecule_id].as_state()}


def _kept_fault(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name not in ("number", "struck")}
