"""What a check is, and what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from .sender import Answer
from .target import Kind, Side

if TYPE_CHECKING:
    from .play import Play

__all__ = [
    "Basis",
    "Call",
    "Check",
    "Exchange",
    "NotApplicableError",
    "Result",
    "Round",
    "Run",
    "Verdict",
    "check",
]

Basis: TypeAlias = Literal["documented", "inferred", "unknown", "our offer"]
"""Why a check is there: a page says so; we infer it; nobody knows, so be ready; it is an offer of ours."""

Body: TypeAlias = "Callable[[Play], Awaitable[None]]"


class NotApplicableError(Exception):
    """The check cannot be made with what was given; the message says what is missing."""


class Verdict(StrEnum):
    """How a check ended. `blocked`: it could not be made because of what happened before."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Exchange:
    """One delivery that was sent, and its answer. `is_authentic`: a receiver has to take it."""

    kind: Kind
    what: str
    wanted: str
    answer: Answer
    is_right: bool
    is_authentic: bool
    size: int


@dataclass(frozen=True)
class Round:
    """One time that the receiver was killed: how many were acknowledged, and not found afterwards."""

    sent: int
    acknowledged: int
    missing: int


@dataclass(frozen=True)
class Call:
    """A call of the partner's dispatcher, so many seconds after the sandbox began to listen.

    `by_us` where the answer was made up in place of the sandbox's.
    """

    method: str
    path: str
    status: int | None
    seconds: float
    has_key: bool = True
    by_us: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether the sandbox took it."""
        return self.status == 200 and not self.by_us


@dataclass(frozen=True)
class Run:
    """One run of the partner's dispatcher: what was special about it, its exit code, and what it asked."""

    what: str
    code: int | None
    calls: list[Call]


@dataclass(frozen=True)
class Check:
    """A named check; `why` says it in a sentence or two, `evidence` names entries of the ledger."""

    name: str
    group: str
    title: str
    expected: str
    why: str
    basis: Basis
    evidence: tuple[str, ...]
    body: Body = field(repr=False)
    side: Side = "receiver"


@dataclass
class Result:
    """What became of a check. `faults` and `notes` are sentences without secrets."""

    check: Check
    verdict: Verdict
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


def check(
    name: str,
    *,
    group: str,
    title: str,
    expected: str,
    why: str,
    basis: Basis,
    evidence: tuple[str, ...],
    side: Side = "receiver",
) -> Callable[[Body], Check]:
    """Make a check of a function that plays it."""

    def made(body: Body) -> Check:
        return Check(name, group, title, expected, why, basis, evidence, body, side)

    return made
