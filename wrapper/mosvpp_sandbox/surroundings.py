"""What the devices of a site cannot change: sun, weather, habits, grid. Functions of time and a seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from math import cos, pi, sin

__all__ = ["Surroundings"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What the household uses apart from the simulated devices: kW for each hour of the day (UTC).
_HABITS_KW = (
    *(0.25, 0.22, 0.20, 0.20, 0.22, 0.30, 0.55, 0.75, 0.60, 0.45, 0.40, 0.45),
    *(0.60, 0.50, 0.45, 0.45, 0.55, 0.85, 1.10, 1.15, 1.00, 0.80, 0.55, 0.35),
)


class Surroundings:
    """Everything is constant within a minute, so that a step of the simulation may not cross one."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def sunshine(self, at: datetime) -> float:
        """The share of its peak power that a PV generator yields; the sun is up from 6 to 18 o'clock UTC."""
        height = sin(pi * (_hour(at) - 6) / 12)
        clouds = 0.8 + 0.2 * self._chance("clouds", at, 15)
        return max(0.0, height) * clouds

    def outdoor_c(self, at: datetime) -> float:
        """The temperature outside, in °C: coldest at 3, warmest at 15 o'clock."""
        return 8.0 - 4.0 * cos(2 * pi * (_hour(at) - 3) / 24) + 0.5 * self._chance("weather", at, 60)

    def household_kw(self, at: datetime) -> float:
        """What the household uses, in kW."""
        return _HABITS_KW[at.hour] * (1 + 0.1 * self._chance("household", at, 1))

    def frequency_hz(self, at: datetime) -> float:
        """The frequency of the grid, in Hz."""
        return 50.0 + 0.03 * self._chance("frequency", at, 1)

    def open_circuit_v(self, at: datetime) -> float:
        """The voltage at the meter when no current flows, in V."""
        return 240.0 + 1.5 * self._chance("voltage", at, 1)

    def _chance(self, what: str, at: datetime, minutes: int) -> float:
        """A number from -1 to 1, constant for so many minutes, that looks random and is always the same."""
        cell = (at - _EPOCH) // timedelta(minutes=minutes)
        digest = blake2b(f"{self._seed}/{what}/{cell}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**63 - 1


def _hour(at: datetime) -> float:
    return at.hour + at.minute / 60
