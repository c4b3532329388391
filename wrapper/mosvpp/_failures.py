"""What an attempt without a 2xx means: whether it may be repeated, and which error it becomes.

A GET may be repeated on any transient failure (behaviour.repeat_get). A POST only when no byte of it was
written, on 429, and on 503 with Retry-After, by which the server says that it did nothing
(behaviour.repeat_post).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ._answers import Answer
from ._requests import Failure, Request
from .errors import MosVPPError, OutcomeUnknownError, RejectedError, UnexpectedResponseError, UnreachableError
from .retry import read_retry_after

__all__ = ["error_for", "head", "is_trouble", "may_repeat", "readable", "retry_after", "sample"]

_UNKNOWN = " Look at the site's telemetry; client.resend(error.request) sends the same request once more."
_REMEDIES = {
    401: " Check the key.",
    403: " Check that the key may do this, and that this machine's address is on Molecule's allowlist.",
    404: " Check the molecule_id and api_version.",
}
_LONGEST_QUOTE = 500


def retry_after(result: Answer | Failure, now: datetime) -> float | None:
    """For how many seconds the server asks to wait; None where it does not, or where it makes no sense."""
    if isinstance(result, Failure) or result.status not in (429, 503):
        return None
    return read_retry_after(result.headers.get("retry-after"), now)


def may_repeat(request: Request, result: Answer | Failure, asked: float | None) -> bool:
    """Whether the request may be sent again by itself, as far as this result goes."""
    if isinstance(result, Failure):
        return not result.sent or (not request.is_post and result.transient)
    if result.status == 429 or (result.status == 503 and asked is not None):
        return True
    return not request.is_post and result.status >= 500


def is_trouble(result: Answer | Failure) -> bool:
    """Whether a healthy server would not have answered so."""
    return isinstance(result, Failure) or result.status == 429 or result.status >= 500


def error_for(
    request: Request, result: Answer | Failure, attempts: int, now: datetime, *, earlier: bool, why: str = ""
) -> MosVPPError:
    """The error of a request that is not sent again.

    `earlier` says whether another attempt went before, so that a 409 may speak of that one; `why` is a
    sentence about why there is no repeat, where that needs one.
    """
    known: dict[str, Any] = {"request": request, "attempts": attempts}
    about = head(request, attempts)
    why = f" {why}" if why else ""
    if isinstance(result, Failure):
        known["answer"] = result.answer
        return _failure_error(request, result, f"{about}: {result.reason}", why, known)
    known["answer"] = result
    status, found = result.status, sample(result)
    asked = retry_after(result, now)
    refused = 400 <= status <= 499 and not (status == 409 and request.is_post and earlier)
    if refused or (status == 503 and asked is not None):
        wait = f" Wait {asked:.0f} s." if asked else ""
        msg = f"{about}: HTTP {status}, Molecule refused it.{wait}{_REMEDIES.get(status, '')}{why}{found}"
        return RejectedError(msg, retry_after=asked, **known)
    if request.is_post and status >= 400:
        after = " after an earlier attempt" if status < 500 else ""
        msg = (
            f"{about}: HTTP {status}{after}, so that it is not known whether it took effect.{_UNKNOWN}{found}"
        )
        return OutcomeUnknownError(msg, **known)
    if status >= 500:
        return UnexpectedResponseError(f"{about}: HTTP {status}, a fault at the server.{why}{found}", **known)
    msg = f"{about}: HTTP {status} makes no sense here; is base_url the origin of MosVPP?{found}"
    return UnexpectedResponseError(msg, **known)


def _failure_error(
    request: Request, failure: Failure, text: str, why: str, known: dict[str, Any]
) -> MosVPPError:
    if not failure.sent:
        return UnreachableError(f"{text}. Nothing was sent, so that it is safe to try again.{why}", **known)
    if request.is_post:
        return OutcomeUnknownError(f"{text}; it may have been received.{_UNKNOWN}", **known)
    if failure.answer is not None:
        return UnexpectedResponseError(f"{text}.{why}", **known)
    return UnreachableError(f"{text}. It changes nothing, so that it is safe to try again.{why}", **known)


def head(request: Request, attempts: int = 1) -> str:
    """What every message begins with."""
    return f"{request.operation} for {request.molecule_id}" + (
        f" ({attempts} attempts)" if attempts > 1 else ""
    )


def sample(answer: Answer) -> str:
    """What the answer says, in a sentence for a message."""
    problem = answer.problem
    if problem is None:
        text = readable(answer.body[:_LONGEST_QUOTE].decode("utf-8", "replace"), 200)
        return f" It says: {text}" if text else ""
    words = [str(problem[key]) for key in ("title", "detail") if problem.get(key)]
    faults = problem.get("errors")
    if isinstance(faults, dict):
        for path, found in list(faults.items())[:3]:
            words.append(f"{path}: {', '.join(map(str, found)) if isinstance(found, list) else found}")
    return f" It says: {readable(' '.join(words), _LONGEST_QUOTE)}" if words else ""


def readable(text: str, longest: int) -> str:
    """A text of the server as it may stand in a message: one line, and nothing that moves a cursor."""
    line = "".join(mark if mark.isprintable() else " " for mark in text[: 2 * longest])
    line = " ".join(line.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
