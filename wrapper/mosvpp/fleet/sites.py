"""What a plan wants to know of sites; a registry tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from mosvpp.models import Device
from mosvpp.units import Power

__all__ = ["SiteFacts", "SiteRegistry"]


class SiteFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one site.

    `devices` is None where they were never synchronized; `rating` is the most power that the partner has
    declared for the site, None where nothing was.
    """

    devices: tuple[Device, ...] | None = None
    rating: Power | None = None


class SiteRegistry(Protocol):
    """Knows sites."""

    def facts(self, molecule_ids: Sequence[str]) -> Mapping[str, SiteFacts]:
        """What is known of those sites, by their ids as given; others are missing."""
        ...
