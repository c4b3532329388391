"""How deliveries are handed out: how many, how often, for how long."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from mosvpp.errors import RuleError

__all__ = ["HandOut"]


@dataclass(frozen=True, kw_only=True)
class HandOut:
    """The rules by which deliveries of one kind reach a handler or a loop.

    `attempts` is how often a delivery is handed out before it goes to the dead letters. Between two
    attempts passes a random time up to `first_pause`, doubled each time and at most `longest_pause`.
    `lease` is how long a worker that says nothing keeps a delivery: while a handler runs it is renewed, in
    a loop it must cover one turn. `timeout` ends an async handler. `at_once` is how many handlers run at a
    time, or how many deliveries a loop fetches. With `ordered_by="molecule_id"` those of one site are
    handed out one after the other, as they were stored; one that fails holds back the later ones until it
    succeeds or is dead. `poll` is how often to look for what other processes have stored. Raises
    `RuleError` for values that make no sense.
    """

    attempts: int = 8
    first_pause: timedelta = timedelta(seconds=2)
    longest_pause: timedelta = timedelta(minutes=10)
    lease: timedelta = timedelta(minutes=1)
    timeout: timedelta = timedelta(minutes=5)
    at_once: int = 16
    ordered_by: Literal["molecule_id"] | None = None
    poll: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        for name in ("attempts", "at_once"):
            if getattr(self, name) < 1:
                raise RuleError(f"{name} is at least 1", path=name, rule="minimum")
        for name in ("first_pause", "longest_pause", "lease", "timeout", "poll"):
            if getattr(self, name) <= timedelta(0):
                raise RuleError(f"{name} is longer than nothing", path=name, rule="minimum")
        if self.ordered_by not in (None, "molecule_id"):
            raise RuleError('ordered_by is "molecule_id" or left out', path="ordered_by", rule="enum")

    def pause_after(self, attempts: int) -> timedelta:
        """How long to wait after so many attempts."""
        longest: timedelta = min(self.first_pause * 2 ** min(attempts - 1, 30), self.longest_pause)
        return longest * random.uniform(0.5, 1)  # noqa: S311  spreads load, keeps no secret
