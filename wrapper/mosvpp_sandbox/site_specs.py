"""Sites as data: read from a file, made up by a seed, or the one of the pages' samples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from .physics.kinds import read_device
from .physics.plant import Plant
from .physics.surroundings import Surroundings

__all__ = ["DEFAULT_SITE", "SiteSpec", "generated_sites", "read_sites", "sample_site", "sites_from"]

DEFAULT_SITE = "fecd0001c031e7e8"
_MOLECULE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch  # transport.molecule_id_segment

# The devices of the pages' samples (20000, 21000, 22000 with voltage and frequency), and two of ours.
_SAMPLE_DEVICES: tuple[Mapping[str, Any], ...] = (
    {"kind": "battery", "device_id": "20000", "name": "Battery Inverter 1"},
    {"kind": "switch", "device_id": "21000", "name": "Main Relay"},
    {"kind": "meter", "device_id": "22000", "name": "Grid Meter"},
    {"kind": "pv", "device_id": "23000", "name": "Roof Inverter"},
    {"kind": "thermostat", "device_id": "24000", "name": "Living Room"},
)


@dataclass(frozen=True, kw_only=True)
class SiteSpec:
    """What a site is made of.

    Latitude and longitude in degrees; `household_kw` is what it draws on average beside its devices;
    `devices` as in the documentation of sites, each with its `kind`.
    """

    molecule_id: str
    name: str = ""
    latitude: float = 48.0
    longitude: float = 11.0
    household_kw: float = 0.55
    push_every_s: float | None = None
    devices: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not _MOLECULE_ID(self.molecule_id):
            msg = f"molecule_id consists of letters, digits, - and _, not {self.molecule_id!r}"
            raise ValueError(msg)
        ids = [device.get("device_id") for device in self.devices]
        if len(set(ids)) != len(ids):
            msg = f"site {self.molecule_id}: a device_id occurs twice"
            raise ValueError(msg)

    def plant(self, at: datetime, seed: int) -> Plant:
        """The devices as they are at that moment. Raises `ValueError`."""
        around = Surroundings(
            seed,
            site=self.molecule_id,
            latitude=self.latitude,
            longitude=self.longitude,
            household_kw=self.household_kw,
        )
        plant = Plant([read_device(device, at) for device in self.devices], around)
        plant.step(at, 1e-6)  # so that everything has a power from the beginning
        return plant


def sample_site() -> SiteSpec:
    """The site that is there when no other is named."""
    return SiteSpec(
        molecule_id=DEFAULT_SITE, name="Sample site", devices=[dict(one) for one in _SAMPLE_DEVICES]
    )


def read_sites(path: Path) -> list[SiteSpec]:
    """Sites from a YAML or JSON file: a list, or an object with `sites`. Raises `ValueError`, `OSError`."""
    text = path.read_text("utf-8")
    try:
        if path.suffix.lower() == ".json":
            return sites_from(json.loads(text))
        import yaml

        return sites_from(yaml.safe_load(text))
    except (ValueError, yaml_errors()) as error:
        msg = f"{path}: {error}"
        raise ValueError(msg) from None


def yaml_errors() -> type[Exception]:
    """What the reader of YAML raises."""
    import yaml

    return yaml.YAMLError


def sites_from(data: Any) -> list[SiteSpec]:
    """Sites from decoded data. Raises `ValueError` that says what is wrong, and where."""
    listed = data.get("sites") if isinstance(data, Mapping) else data
    if not isinstance(listed, list) or not listed:
        raise ValueError("sites are a list, or an object with a list called sites; at least one is needed")
    known = {one.name for one in fields(SiteSpec)}
    specs = []
    for index, one in enumerate(listed):
        if not isinstance(one, Mapping) or not set(one) <= known:
            unknown = (
                ", ".join(sorted(map(str, set(one) - known))) if isinstance(one, Mapping) else "no object"
            )
            msg = f"sites[{index}]: {unknown}; a site has {', '.join(sorted(known))}"
            raise ValueError(msg)
        try:
            specs.append(msgspec.convert(one, SiteSpec))
        except (msgspec.ValidationError, ValueError) as error:
            msg = f"sites[{index}]: {error}"
            raise ValueError(msg) from None
    ids = [spec.molecule_id for spec in specs]
    if len(set(ids)) != len(ids):
        raise ValueError("a molecule_id occurs twice")
    return specs


def generated_sites(count: int, seed: int = 0) -> list[SiteSpec]:
    """That many sites, the first of them the sample site.

    Another site depends on its number and the seed alone, so that site 7 of 10 is site 7 of 10,000.
    """
    if count < 1:
        raise ValueError("there is at least one site")
    return [sample_site(), *(_generated(number, seed) for number in range(1, count))]


def _generated(number: int, seed: int) -> SiteSpec:
    chance = Random(f"{seed}/{number}")  # noqa: S311  no secret
    return SiteSpec(
        molecule_id=blake2b(f"{seed}/{number}".encode(), digest_size=8).hexdigest(),
        name=f"Site {number:,}",
        latitude=round(chance.uniform(36, 60), 2),
        longitude=round(chance.uniform(-9, 25), 2),
        household_kw=round(chance.uniform(0.25, 0.9), 2),
        devices=list(_generated_devices(chance)),
    )


# How often a household has what: battery in four of five, a meter nearly always, something odd rarely.
_MIX: Sequence[tuple[str, float]] = (
    *(("battery", 0.8), ("switch", 0.6), ("meter", 0.95), ("pv", 0.7), ("thermostat", 0.5)),
    *(("zigbee_switch", 0.15), ("zigbee_thermostat", 0.1), ("gpio_input", 0.1), ("gpio_output", 0.1)),
    *(("no_control", 0.2), ("unknown", 0.03)),
)
_NAMES = {
    "battery": "Battery",
    "switch": "Relay",
    "meter": "Grid Meter",
    "pv": "Roof Inverter",
    "thermostat": "Living Room",
    "zigbee_switch": "Socket",
    "zigbee_thermostat": "Bedroom",
    "gpio_input": "Door Contact",
    "gpio_output": "Signal Lamp",
    "no_control": "Freezer",
    "unknown": None,
}


def _generated_devices(chance: Random) -> Iterator[dict[str, Any]]:
    kinds = [kind for kind, share in _MIX if chance.random() < share] or ["battery"]
    for number, kind in enumerate(kinds, 20):
        device: dict[str, Any] = {"kind": kind, "device_id": f"{number}000"}
        if _NAMES[kind] and chance.random() < 0.95:
            device["name"] = _NAMES[kind]
        if chance.random() < 0.1:
            device["capabilities"] = None
        device |= _figures(kind, chance)
        yield device


def _figures(kind: str, chance: Random) -> dict[str, Any]:
    def between(low: float, high: float) -> float:
        return round(chance.uniform(low, high), 2)

    if kind == "battery":
        capacity = float(chance.choice([5, 7, 10, 13.5, 16]))
        return {
            "capacity_kwh": capacity,
            "reserve_kwh": round(capacity * 0.1, 2),
            "limit_kw": float(chance.choice([2.5, 3.7, 5, 7])),
            "efficiency": between(0.92, 0.97),
            "stored_kwh": round(capacity * chance.uniform(0.2, 0.95), 2),
        }
    if kind == "pv":
        return {"peak_kw": between(2, 12)}
    if kind in ("switch", "zigbee_switch", "no_control"):
        return {"load_kw": between(0.05, 0.3) if kind == "no_control" else between(0.3, 2.5)}
    if kind in ("thermostat", "zigbee_thermostat"):
        setpoint = between(19, 22.5)
        return {"setpoint_c": setpoint, "temperature_c": setpoint, "limit_kw": between(1, 4)}
    return {}
