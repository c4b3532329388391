"""Exit codes: what a script needs to know of how a command ended."""

from __future__ import annotations

from enum import IntEnum

from mosvpp.errors import (
    MosVPPError,
    OutcomeUnknownError,
    RuleError,
    StoreError,
    UnexpectedResponseError,
    UnreachableError,
)

__all__ = ["MEANINGS", "Exit", "exit_for"]


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    NO = 1
    NOT_SENT = 2
    UNREACHABLE = 3
    OUTCOME_UNKNOWN = 4
    UNEXPECTED = 5
    PARTLY = 6
    BUG = 70
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "Done: accepted, all checks passed, or the webhook is good.",
    Exit.NO: "No: rejected, a check failed, the webhook is bad, sites are silent or overdue.",
    Exit.NOT_SENT: "Nothing was sent or done: wrong usage, a broken rule, no confirmation.",
    Exit.UNREACHABLE: "No connection, also to a store: nothing was sent, or nobody answered.",
    Exit.OUTCOME_UNKNOWN: "It may have been received, and may have taken effect. Look before you act.",
    Exit.UNEXPECTED: "The answer makes no sense: is this MosVPP?",
    Exit.PARTLY: "Some of it was accepted, some was not.",
    Exit.BUG: "A fault in this program.",
    Exit.INTERRUPTED: "Interrupted, as by Ctrl-C, with nothing on its way (else 4).",
}


def exit_for(error: MosVPPError) -> Exit:
    """The exit code that tells an error."""
    if isinstance(error, StoreError):  # a store that is refused has to be mended, not asked again
        return Exit.NOT_SENT if error.reason in ("unsafe", "newer_schema") else Exit.UNREACHABLE
    for kind, code in (
        (RuleError, Exit.NOT_SENT),
        (UnreachableError, Exit.UNREACHABLE),
        (OutcomeUnknownError, Exit.OUTCOME_UNKNOWN),
        (UnexpectedResponseError, Exit.UNEXPECTED),
    ):
        if isinstance(error, kind):
            return code
    return Exit.NO
