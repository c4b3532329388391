"""What a fleet tells of its work, site by site and as a whole."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import msgspec

from mosvpp.errors import MosVPPError
from mosvpp.receipts import DispatchReceipt

from ._journal_rows import Obstacle
from .entries import Verdict

__all__ = ["Execution", "SiteOutcome", "Stopping"]


class SiteOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the request to one site. It is in the journal when this is told.

    `verdict` is `accepted`, `rejected`, `unknown`, or `not_sent`. Of what was not sent, `obstacle` says why
    where the journal let it not pass (`cancelled`, `taken` by another program, `newer`), or `too_late`.
    `receipt` is there where one was read, `error` where the call ended with one.
    """

    molecule_id: str
    event_id: str
    verdict: Verdict
    cancels: bool = False
    obstacle: Obstacle | str | None = None
    receipt: DispatchReceipt | None = None
    error: MosVPPError | None = None


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a plan, or one round of cancelling, came to.

    `counts` are the sites by verdict, those that were not sent by their obstacle where there is one. What
    stands now, reports included, is what `journal.summary(plan=…)` tells.
    """

    plan: str
    counts: Counter[str]
    started_at: datetime
    took: timedelta

    @property
    def is_complete(self) -> bool:
        """Whether every request was accepted."""
        return not self.counts.keys() - {"accepted"}

    def __str__(self) -> str:
        seconds = self.took.total_seconds()
        total = self.counts.total()
        rate = f", {total / seconds:,.0f} a second" if seconds > 0 else ""
        lines = [f"{total:,} sites in {seconds:,.1f} s{rate}"]
        lines += [f"  {name:<12} {count:>8,}" for name, count in sorted(self.counts.items())]
        return "\n".join(lines)


class Stopping(msgspec.Struct, frozen=True, kw_only=True):
    """What a stop came to.

    `stopped` and `withdrawn` count events at sites: cancelled for certain, or never sent. `not_confirmed`
    are those of which it is not known, as (molecule_id, event_id): their time was over before they could be
    confirmed, or the stop was given up.
    """

    stopped: int
    withdrawn: int
    requests: int
    not_confirmed: tuple[tuple[str, str], ...]
    took: timedelta

    @property
    def is_complete(self) -> bool:
        """Whether everything is known to be stopped."""
        return not self.not_confirmed

    def __str__(self) -> str:
        lines = [f"stopped {self.stopped:,}, withdrawn {self.withdrawn:,}, with {self.requests:,} requests"]
        if self.not_confirmed:
            lines.append(f"NOT confirmed stopped: {len(self.not_confirmed):,}")
            lines += [f"  {molecule_id}  {event_id}" for molecule_id, event_id in self.not_confirmed[:20]]
            if len(self.not_confirmed) > 20:
                lines.append(f"  and {len(self.not_confirmed) - 20:,} more")
        return "\n".join(lines)
