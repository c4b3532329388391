"""What the inbox looks like in 80 columns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.table import Table

from .tables import duration_words, table
from .terminal import plain

if TYPE_CHECKING:
    from mosvpp.receiver import Site

__all__ = ["age", "instant", "sites_table"]


def sites_table(sites: Iterable[Site], now: datetime) -> Table:
    """Sites, and since when they are silent."""
    made = table("site", "last push (UTC)", "ago")
    for site in sites:
        made.add_row(plain(site.molecule_id), instant(site.last_push_at), age(now - site.last_push_at))
    return made


def instant(when: datetime) -> str:
    """`2026-11-23 18:00:05`, in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def age(passed: timedelta) -> str:
    """The two largest parts of a duration, as in `3 d 4 h`."""
    return " ".join(duration_words(max(int(passed.total_seconds()), 0)).split()[:4])
