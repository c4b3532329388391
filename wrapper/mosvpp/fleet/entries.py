"""What a journal says: one entry for each thing that happened to an event at a site, never changed later."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from mosvpp.receipts import Certainty
from mosvpp.statuses import EventStatus

__all__ = ["Answered", "Entry", "Observed", "Reported", "Resolved", "Sent", "Verdict", "Withdrawn"]

Verdict: TypeAlias = Literal["accepted", "rejected", "unknown", "not_sent", "refused_for_now"]
"""What a request came to. `not_sent`: no byte of it was written; `refused_for_now`: it is sent again later.
"""

FinalState: TypeAlias = Literal[
    "rejected",
    "completed",
    "partially_completed",
    "failed",
    "cancelled",
    "superseded",
    "opted_out",
]


class _Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="entry", omit_defaults=True):
    at: datetime


class Sent(_Entry, frozen=True, kw_only=True, tag="sent"):
    """A request is about to leave: from here on it may have been received.

    `revision` puts the requests for one event in order; `attempt` counts the repeats of one. `body` is what
    is sent, the exact text.
    """

    revision: int
    attempt: int = 1
    cancels: bool = False
    body: str = ""


class Answered(_Entry, frozen=True, kw_only=True, tag="answered"):
    """What a request came to. `said` is Molecule's own word, `answer` the body as it came, cut at 4 KiB."""

    revision: int
    verdict: Verdict
    certainty: Certainty | None = None
    status: int | None = None
    said: str | None = None
    message: str | None = None
    answer: str | None = None


class Reported(_Entry, frozen=True, kw_only=True, tag="reported"):
    """What an execution response says; `at` is when it was received, `reported_at` what it says itself."""

    status: EventStatus
    status_text: str | None = None
    message: str | None = None
    reported_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    executed_quantity: float | None = None
    executed_unit: str | None = None


class Observed(_Entry, frozen=True, kw_only=True, tag="observed"):
    """The site was seen to follow the event; `source` says by what, as in `telemetry`."""

    source: str


class Withdrawn(_Entry, frozen=True, kw_only=True, tag="withdrawn"):
    """It was cancelled before it was ever sent, and will not be."""


class Resolved(_Entry, frozen=True, kw_only=True, tag="resolved"):
    """A person found out what became of it, and how they know."""

    state: FinalState
    reason: str


Entry: TypeAlias = Sent | Answered | Reported | Observed | Withdrawn | Resolved
