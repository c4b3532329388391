"""What tests say about journals of a fleet."""

from __future__ import annotations

from collections.abc import Callable

from mosvpp.fleet import Journal

JournalFactory = Callable[[], Journal]
"""Makes journals of one store, as several programs have them."""
