"""What the devices of a site cannot change: sun, weather, habits, grid; by time, place and a seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from math import cos, pi, radians, sin

__all__ = ["Surroundings", "chance"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# How much a household uses beside the simulated devices, against its average, by the hour of solar time.
_HABITS = (
    *(0.46, 0.40, 0.37, 0.37, 0.40, 0.55, 1.01, 1.38, 1.10, 0.83, 0.73, 0.83),
    *(1.10, 0.92, 0.83, 0.83, 1.01, 1.56, 2.02, 2.11, 1.84, 1.47, 1.01, 0.64),
)


class Surroundings:
    """Everything is constant within a minute, so that a step of the simulation may not cross one.

    `site` keeps neighbours apart in their habits; weather is shared by places within a degree, and the
    frequency by all. Latitude and longitude are in degrees, north and east positive.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        site: str = "",
        latitude: float = 48.0,
        longitude: float = 11.0,
        household_kw: float = 0.55,
    ) -> None:
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise ValueError("latitude is from -90 to 90 degrees, longitude from -180 to 180")
        self._seed = seed
        self._own = f"{seed}/{site}"
        self._weather = f"{seed}/{round(latitude)}/{round(longitude)}"
        self._sin_latitude, self._cos_latitude = sin(radians(latitude)), cos(radians(latitude))
        self._latitude = latitude
        self._solar_offset_h = longitude / 15
        self._average_kw = household_kw

    def sunshine(self, at: datetime) -> float:
        """The share of its peak power that a PV generator yields: height of the sun, dimmed by clouds."""
        height = self.sun_height(at)
        if height <= 0:
            return 0.0
        overcast = 0.65 + 0.35 * _cell_chance(self._weather, "day", _cell(at, 1440))
        return height * overcast * (0.8 + 0.2 * _cell_chance(self._weather, "clouds", _cell(at, 15)))

    def sun_height(self, at: datetime) -> float:
        """The sine of the sun's height above the horizon, negative by night."""
        declination = radians(-23.44) * cos(2 * pi * (at.timetuple().tm_yday + 9) / 365.24)
        turned = pi * (self._solar_hour(at) - 12) / 12
        return self._sin_latitude * sin(declination) + self._cos_latitude * cos(declination) * cos(turned)

    def outdoor_c(self, at: datetime) -> float:
        """The temperature outside, in °C: coldest at 3, warmest at 15 o'clock, and by season and latitude."""
        season = cos(2 * pi * (at.timetuple().tm_yday - 20) / 365.24)
        mean = 27.0 - 0.3 * abs(self._latitude) - 10.0 * season * self._sin_latitude
        wander = _cell_chance(self._weather, "weather", _cell(at, 60))
        return mean + 4.0 * cos(2 * pi * (self._solar_hour(at) - 15) / 24) + 0.5 * wander

    def household_kw(self, at: datetime) -> float:
        """What the household uses, in kW."""
        return (
            self._average_kw * self._habit(at) * (1 + 0.1 * chance(f"{self._own}/household/{_cell(at, 1)}"))
        )

    def presence(self, at: datetime) -> float:
        """How likely somebody is up and at home, from 0 to 1."""
        return self._habit(at) / max(_HABITS)

    def frequency_hz(self, at: datetime) -> float:
        """The frequency of the grid, in Hz; the same everywhere."""
        return 50.0 + 0.03 * _cell_chance(str(self._seed), "frequency", _cell(at, 1))

    def open_circuit_v(self, at: datetime) -> float:
        """The voltage at the meter when no current flows, in V."""
        return 240.0 + 1.5 * chance(f"{self._own}/voltage/{_cell(at, 1)}")

    def contact(self, name: str, at: datetime) -> bool:
        """Whether a contact that the outside moves is closed; it changes every five minutes at most."""
        return chance(f"{self._own}/{name}/{_cell(at, 5)}") > 0.6

    def _habit(self, at: datetime) -> float:
        return _HABITS[int(self._solar_hour(at))]

    def _solar_hour(self, at: datetime) -> float:
        return (at.hour + at.minute / 60 + self._solar_offset_h) % 24


def chance(what: str) -> float:
    """A number from -1 to 1 that looks random and is always the same for one text."""
    digest = blake2b(what.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**63 - 1


@lru_cache(maxsize=4096)
def _cell_chance(place: str, what: str, cell: int) -> float:
    return chance(f"{place}/{what}/{cell}")


def _cell(at: datetime, minutes: int) -> int:
    return (at - _EPOCH) // timedelta(minutes=minutes)
