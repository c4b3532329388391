"""Every error that this package raises; no exception of a library below it ever escapes.

MosVPPError
├── RuleError                  local fault: the request breaks a rule and was not sent (also a ValueError)
├── UnreachableError           nothing was sent, or a GET got no answer
├── OutcomeUnknownError        the request may have been received; whether it took effect is not known
├── RejectedError              Molecule refused the request
├── UnexpectedResponseError    remote fault: an answer that makes no sense here
├── StoreError                 the store cannot do it now, or may not: what was to be stored is not
└── WebhookError               a delivery that cannot be taken; `status_hint` is the HTTP status to answer
    ├── AuthenticationError    401: the sender did not prove who it is
    └── PayloadError           400: the bytes are no acceptable JSON

Errors can be pickled, and never hold a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._answers import Answer
    from ._requests import Request
    from .receipts import CommandReceipt, DispatchReceipt

__all__ = [
    "AuthenticationError",
    "MosVPPError",
    "OutcomeUnknownError",
    "PayloadError",
    "RejectedError",
    "RuleError",
    "StoreError",
    "UnexpectedResponseError",
    "UnreachableError",
    "WebhookError",
]


class MosVPPError(Exception):
    """The root of all errors of this package."""


class RuleError(MosVPPError, ValueError):
    """What was asked for breaks a rule; nothing was sent.

    `path` is the JSON path of the fault in the request (`$.event_slots[0].priority`), or the name of an
    argument; `rule` the keyword of the schema or the id of the rule; `evidence` the ids in spec/evidence.yaml
    on which the rule rests.
    """

    def __init__(
        self, message: str, *, path: str = "$", rule: str = "", evidence: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.path = path
        self.rule = rule
        self.evidence = evidence

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path != "$" else ""
        why = f" [{', '.join(self.evidence)}]" if self.evidence else ""
        return f"{where}{self.args[0]}{why}"


def shown(value: object, longest: int = 60) -> str:
    """A value as a message shows it: shortened, and whatever it is, without failing."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  a number of more than 4300 digits, or a type of the caller's
        return f"<{type(value).__name__} that cannot be shown>"
    return text if len(text) <= longest else f"{text[:longest]}…"


class _CallError(MosVPPError):
    """What the errors of a call share.

    `request` is the request as it was prepared (without the key), `answer` what came back, where anything
    did, and `attempts` how often the request was tried.
    """

    def __init__(
        self,
        message: str,
        *,
        request: Request,
        answer: Answer | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.request = request
        self.answer = answer
        self.attempts = attempts

    def __reduce__(self) -> tuple[Any, ...]:
        # By itself an exception is copied and pickled by calling its class with the message alone.
        return _without_init, (type(self), self.args), self.__dict__

    @property
    def status(self) -> int | None:
        """The HTTP status of the answer, or None where there was none."""
        return self.answer.status if self.answer else None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer, names in lower case, secrets removed."""
        return self.answer.headers if self.answer else {}

    @property
    def body(self) -> bytes:
        """The raw body of the answer."""
        return self.answer.body if self.answer else b""

    @property
    def problem(self) -> dict[str, Any] | None:
        """The problem details of the answer (evidence errors.problem_json), or None where there are none."""
        return self.answer.problem if self.answer else None


def _without_init(kind: type[_CallError], args: tuple[Any, ...]) -> _CallError:
    return kind.__new__(kind, *args)


class UnreachableError(_CallError):
    """No connection could be made, so that nothing was sent; or a GET got no answer. Trying again is safe."""


class OutcomeUnknownError(_CallError):
    """The request may have been received, and whether it took effect is not known (behaviour.repeat_post).

    Look at the telemetry of the site before you act. `client.resend(error.request)` sends the identical
    request once more, and is always a decision of yours. `ids` are the event ids, or the id of the site
    command.
    """

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the events, or of the site command, in the caller's spelling."""
        return self.request.ids


class RejectedError(_CallError):
    """Molecule refused: by a status 4xx, by 503 with Retry-After, or by a receipt that accepts nothing.

    `retry_after` is the number of seconds that the server asked to wait, where it did; `receipt` is present
    where a receipt said no.
    """

    def __init__(
        self,
        message: str,
        *,
        request: Request,
        answer: Answer | None = None,
        attempts: int = 1,
        retry_after: float | None = None,
        receipt: DispatchReceipt | CommandReceipt | None = None,
    ) -> None:
        super().__init__(message, request=request, answer=answer, attempts=attempts)
        self.retry_after = retry_after
        self.receipt = receipt


class UnexpectedResponseError(_CallError):
    """The answer makes no sense here: a redirect, a GET that fails with 5xx or whose body cannot be read."""


class StoreError(MosVPPError):
    """The store cannot do what was asked for. A delivery that meets this is answered with 503.

    `reason` is a word to count by: `unavailable` (no connection), `full` (disk or quota), `queue_full` (more
    waits than is allowed), `timeout`, `closed`, `busy` (locked by another process), `unsafe` (settings that
    lose what was acknowledged), `newer_schema`, `damaged` (the file is broken), `failed`. A forwarder adds
    `log_unavailable` (no NATS), `held` (another forwarder is at it) and `too_large` (for NATS).
    """

    def __init__(self, message: str, *, reason: str = "failed") -> None:
        super().__init__(message)
        self.reason = reason


class WebhookError(MosVPPError):
    """A delivery that cannot be taken. Answer it with `status_hint`."""

    status_hint = 400


class AuthenticationError(WebhookError):
    """The sender did not prove who it is; the body was not looked at. `reason` is a word to count by."""

    status_hint = 401

    def __init__(self, message: str, *, reason: str = "not_proven") -> None:
        super().__init__(message)
        self.reason = reason


class PayloadError(WebhookError):
    """The bytes are no acceptable JSON, or too many (`too_large`). `reason` is a word to count by."""

    status_hint = 400

    def __init__(self, message: str, *, reason: str = "not_json") -> None:
        super().__init__(message)
        self.reason = reason
