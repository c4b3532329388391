"""The calls without their I/O: a generator asks for what is to be done, and a thin shell does it.

A flow yields `Attempt` (send this, give me an `Answer` or a `Failure`) and `Pause` (wait so long), and ends with the
result or one of our errors. `Client`, `AsyncClient` and other senders drive the same flows, so that what is checked, what
is sent again and what an answer means is written once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from mosvpp_api.models.dispatch_mode import DispatchMode

from . import _wire, rules
from ._answers import Answer
from ._contract import document, server_path
from ._readings import read_command_receipt, read_device_list, read_dispatch_receipt
from ._values import Value
from .auth import ApiKey
from .clock import Clock
from .commands import DeviceCommand
from .drift import Drift, OnDrift, report
from .errors import MosVPPError, OutcomeUnknownError, RejectedError, RuleError, UnexpectedResponseError, UnreachableError
from .ids import id_key, id_text, new_id
from .models import DeviceList
from .receipts import CommandReceipt, DispatchReceipt, Outcome
from .retry import RetryBudget, RetryPolicy, read_retry_after
from .slots import EventSlot

__all__ = ["MAX_ANSWER", "Attempt", "Calls", "Failure", "Flow", "Pause", "Request"]

MAX_ANSWER = 1024 * 1024
"""Bytes of an answer that are read; more is cut off, and the answer counts for nothing."""

MAX_SKEW = timedelta(seconds=5)
"""Difference of clocks that is reported (behaviour.clock_skew)."""

_REVISIONS_KEPT = 100_000

T = TypeVar("T")


class Request(Value, frozen=True, kw_only=True, tag_field="kind", tag="request"):
    """A request as it is sent, without the key: give it to `client.resend` to send the identical one once more.

    `body` are the exact bytes; `slots` or `commands` are what they were made from; `ids` the event ids or the scmd_id.
    """

    operation: Literal["sync_devices", "submit_dispatch", "submit_site_command"]
    method: str
    path: str
    molecule_id: str
    body: bytes = b""
    ids: tuple[str, ...] = ()
    mode: DispatchMode | None = None
    slots: tuple[EventSlot, ...] = ()
    commands: tuple[DeviceCommand, ...] = ()
    duration_s: int | None = None
    revision: int = 0

    def __repr__(self) -> str:
        ids = f", ids={list(self.ids)}" if self.ids else ""
        return f"Request({self.method} {self.path}, {len(self.body)} bytes{ids})"

    @property
    def is_post(self) -> bool:
        """Whether the request changes something, so that a repeat may act twice."""
        return self.method == "POST"


class Attempt(msgspec.Struct, frozen=True):
    """Send this request once."""

    request: Request


class Pause(msgspec.Struct, frozen=True):
    """Wait that many seconds."""

    seconds: float


class Failure(msgspec.Struct, frozen=True):
    """An attempt without a usable answer.

    `sent` is False only when it is certain that no byte of the request was written. `reason` is for people. `answer` is
    what had arrived before an answer was cut off; `transient` tells whether a GET may be tried again.
    """

    sent: bool
    reason: str
    answer: Answer | None = None
    transient: bool = True


Flow: TypeAlias = Generator[Attempt | Pause, "Answer | Failure | None", T]


class Calls:
    """What a client knows between calls: its key, its rules for repeating, and the newest revisions it sent."""

    def __init__(
        self,
        *,
        key: ApiKey,
        api_version: str,
        allow_live: bool,
        retry: RetryPolicy,
        clock: Clock,
        on_drift: OnDrift | None,
        statuses: dict[str, str] | None,
    ) -> None:
        self.key = key
        self.clock = clock
        self._prefix = server_path(api_version)
        self._allow_live = allow_live
        self._retry = retry
        self._budget = RetryBudget(retry.budget)
        self._on_drift = on_drift
        self._statuses = statuses
        self._newest: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._revision = 0
        self._lock = Lock()

    # --- preparing: everything is checked here, before anything is sent ---------------------------------------------

    def sync_devices(self, molecule_id: str) -> Flow[DeviceList]:
        """GET devicesync."""
        call = _wire.device_call(_site(molecule_id))
        request = self._request(_wire.DEVICE_SYNC, call, molecule_id=molecule_id)
        return self._run(request, self._devices)

    def submit_dispatch(self, molecule_id: str, slots: Any, mode: str) -> Flow[DispatchReceipt]:
        """POST dr."""
        return self._run(self.prepare_dispatch(molecule_id, slots, mode), self._dispatch_receipt)

    def prepare_dispatch(self, molecule_id: str, slots: Any, mode: str) -> Request:
        """Check a dispatch request and write its body."""
        events = _tuple_of(EventSlot, slots, path="slots", example="discharge(5 * kW, …)")
        if mode not in ("test", "live"):
            msg = f"{mode!r} is no mode; say mode='test' or mode='live'"
            raise RuleError(msg, path="$.mode", rule="enum", evidence=("dispatch.mode",))
        if mode == "live":
            self._armed("live dispatch moves real devices")
        call = _wire.dispatch_call(_site(molecule_id), events, DispatchMode(mode))
        rules.check("DispatchRequest", call["json"])
        return self._request(
            _wire.DISPATCH,
            call,
            molecule_id=molecule_id,
            ids=tuple(slot.event_id for slot in events),
            mode=DispatchMode(mode),
            slots=events,
        )

    def cancel_dispatch(self, receipt: DispatchReceipt) -> Flow[DispatchReceipt]:
        """POST dr with the same events, cancelled, in the mode they were sent in."""
        if not isinstance(receipt, DispatchReceipt):
            raise RuleError(f"{type(receipt).__name__} is no DispatchReceipt", path="receipt", rule="type")
        slots = [slot.cancel() for slot in receipt.slots]
        return self.submit_dispatch(receipt.molecule_id, slots, receipt.mode.value)

    def submit_site_command(
        self, molecule_id: str, commands: Any, duration: timedelta, scmd_id: str | None
    ) -> Flow[CommandReceipt]:
        """POST sitecmd."""
        wanted = _tuple_of(DeviceCommand, commands, path="commands", example="commands.turn_off('21000')")
        self._armed("a site command acts at once, and there is no test mode")
        seconds = _seconds(duration)
        own_id = new_id() if scmd_id is None else id_text(scmd_id, path="scmd_id")
        call = _wire.site_command_call(_site(molecule_id), wanted, scmd_id=own_id, seconds=seconds)
        rules.check("SiteCommandRequest", call["json"])
        request = self._request(
            _wire.SITE_COMMAND,
            call,
            molecule_id=molecule_id,
            ids=(own_id,),
            commands=wanted,
            duration_s=seconds,
        )
        return self._run(request, self._command_receipt)

    def resend(self, request: Request) -> Flow[Any]:
        """Send a request again, as it was; the caller decided so."""
        if not isinstance(request, Request):
            msg = f"{type(request).__name__} is no Request; pass the .request of an OutcomeUnknownError"
            raise RuleError(msg, path="request", rule="type")
        if request.operation == _wire.DEVICE_SYNC:
            return self._run(request, self._devices)
        if request.operation == _wire.SITE_COMMAND:
            self._armed("a site command acts at once, and there is no test mode")
            return self._run(request, self._command_receipt)
        if request.mode is DispatchMode.LIVE:
            self._armed("live dispatch moves real devices")
        if self._is_outdated(request):
            msg = "a newer revision of this event was sent after this request; sending the old one would undo it"
            raise RuleError(msg, path="request", rule="revision_order", evidence=("behaviour.revision_order",))
        return self._run(request, self._dispatch_receipt)

    def _armed(self, why: str) -> None:
        if not self._allow_live:
            msg = f"{why}: make the client with allow_live=True to say that you mean it"
            raise RuleError(msg, path="allow_live", rule="arming", evidence=("behaviour.arming",))

    def _request(self, operation: Any, call: dict[str, Any], **known: Any) -> Request:
        with self._lock:  # by the time, so that revisions of another process compare as well
            self._revision = max(self._revision + 1, int(self.clock.now().timestamp() * 1_000_000))
            revision = self._revision
        return Request(
            operation=operation,
            method=call["method"].upper(),
            path=self._prefix + call["url"],
            body=msgspec.json.encode(call["json"]) if "json" in call else b"",
            revision=revision,
            **known,
        )

    # --- revisions: a late repeat must not undo a cancellation (behaviour.revision_order) ----------------------------

    def _event_keys(self, request: Request) -> list[tuple[str, str, str]]:
        mode = request.mode.value if request.mode else ""
        return [(request.molecule_id, mode, id_key(event_id)) for event_id in request.ids]

    def _note_revision(self, request: Request) -> None:
        with self._lock:
            for key in self._event_keys(request):
                self._newest[key] = max(request.revision, self._newest.get(key, 0))
                self._newest.move_to_end(key)
            while len(self._newest) > _REVISIONS_KEPT:
                self._newest.popitem(last=False)

    def _is_outdated(self, request: Request) -> bool:
        newest = self._newest
        return bool(request.slots) and any(newest.get(key, 0) > request.revision for key in self._event_keys(request))

    # --- running -----------------------------------------------------------------------------------------------------

    def _run(self, request: Request, read: Callable[[Request, Answer], T]) -> Flow[T]:
        if request.slots:
            self._note_revision(request)
        return self._flow(request, read)

    def _flow(self, request: Request, read: Callable[[Request, Answer], T]) -> Flow[T]:
        submitted_at = self.clock.now()
        attempts = 0
        while True:
            attempts += 1
            result = yield Attempt(request)
            if isinstance(result, Answer):
                self._check_clock(request, result)
                if 200 <= result.status <= 299:  # noqa: PLR2004
                    self._budget.succeeded()
                    return read(request, result)
            if not isinstance(result, Answer | Failure):
                msg = "a shell must send an Answer or a Failure for each Attempt"
                raise TypeError(msg)
            wait = self._wait_before_repeat(request, result, attempts, submitted_at)
            if wait is None:
                raise _error(request, result, attempts, self.clock.now())
            if wait:
                yield Pause(wait)
            if self._is_too_late(request, submitted_at, timedelta(0)) or self._is_outdated(request):
                raise _error(request, result, attempts, self.clock.now())

    def _wait_before_repeat(
        self, request: Request, result: Answer | Failure, attempts: int, submitted_at: datetime
    ) -> float | None:
        """Seconds to wait before the request may be sent again by itself; None when it must not be."""
        affordable = self._budget.failed()
        asked = _retry_after(result, self.clock.now())
        if not _may_repeat(request, result, asked) or attempts >= self._retry.attempts or not affordable:
            return None
        if asked is not None and asked > self._retry.longest_retry_after:
            return None
        wait = max(self._retry.delay(attempts), asked or 0.0)
        if self._is_too_late(request, submitted_at, timedelta(seconds=wait)) or self._is_outdated(request):
            return None
        return wait

    def _is_too_late(self, request: Request, submitted_at: datetime, wait: timedelta) -> bool:
        """Whether a repeat after `wait` would come too late for one of the slots (behaviour.no_late_repeat)."""
        if not request.slots:
            return False
        latest = min(
            slot.end if slot.cancelled or slot.start <= submitted_at else slot.start for slot in request.slots
        )
        return self.clock.now() + wait >= latest

    def _check_clock(self, request: Request, answer: Answer) -> None:
        if self._on_drift is None or "date" not in answer.headers:
            return
        try:
            theirs = parsedate_to_datetime(answer.headers["date"])
            skew = answer.received_at - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC))
        except (ValueError, TypeError, OverflowError, IndexError):
            return
        if abs(skew) > MAX_SKEW:
            detail = f"the clock here is {skew.total_seconds():+.0f} s against the Date of the answer"
            self._drift("clock_skew", request.operation, "headers.date", detail)

    def _drift(self, kind: Any, operation: str, path: str, detail: str) -> None:
        report(self._on_drift, Drift(kind=kind, operation=operation, path=path, detail=detail))

    # --- reading -----------------------------------------------------------------------------------------------------

    def _devices(self, request: Request, answer: Answer) -> DeviceList:
        devices = read_device_list(request.molecule_id, answer, self._drift)
        if devices is None:
            msg = f"{_head(request)}: HTTP {answer.status} with a body that is no device list{_sample(answer)}"
            raise UnexpectedResponseError(msg, request=request, answer=answer)
        return devices

    def _dispatch_receipt(self, request: Request, answer: Answer) -> DispatchReceipt:
        mode = request.mode or DispatchMode.TEST
        receipt = read_dispatch_receipt(request.molecule_id, mode, request.slots, answer, self._statuses, self._drift)
        return _unless_rejected(request, receipt)

    def _command_receipt(self, request: Request, answer: Answer) -> CommandReceipt:
        receipt = read_command_receipt(
            request.molecule_id,
            request.ids[0],
            request.duration_s or 0,
            request.commands,
            answer,
            self._statuses,
            self._drift,
        )
        return _unless_rejected(request, receipt)


R = TypeVar("R", DispatchReceipt, CommandReceipt)


def _unless_rejected(request: Request, receipt: R) -> R:
    if receipt.outcome is not Outcome.REJECTED:
        return receipt
    reasons = [f"{item.item_id}: {item.message or item.status_text}" for item in receipt.items]
    msg = f"{_head(request)}: Molecule rejected it. {receipt.message or ''} ({'; '.join(reasons)})"
    raise RejectedError(msg, request=request, answer=receipt.raw, receipt=receipt)


# --- what an attempt without a 2xx means ---------------------------------------------------------------------------------


def _retry_after(result: Answer | Failure, now: datetime) -> float | None:
    if isinstance(result, Failure) or result.status not in (429, 503):
        return None
    return read_retry_after(result.headers.get("retry-after"), now)


def _may_repeat(request: Request, result: Answer | Failure, asked: float | None) -> bool:
    if isinstance(result, Failure):
        return not result.sent or (not request.is_post and result.transient)
    if result.status == 429 or (result.status == 503 and asked is not None):  # noqa: PLR2004
        return True
    return not request.is_post and result.status >= 500  # noqa: PLR2004


def _error(request: Request, result: Answer | Failure, attempts: int, now: datetime) -> MosVPPError:
    """What becomes of a request that is not sent again."""
    head = _head(request) + (f" ({attempts} attempts)" if attempts > 1 else "")
    if isinstance(result, Failure):
        return _failure_error(request, result, attempts, head)
    status, found = result.status, _sample(result)
    asked = _retry_after(result, now)
    refused = 400 <= status <= 499 and not (status == 409 and request.is_post and attempts > 1)  # noqa: PLR2004
    if refused or (status == 503 and asked is not None):  # noqa: PLR2004
        wait = f" Wait {asked:.0f} s." if asked else ""
        msg = f"{head}: HTTP {status}, nothing was done.{wait}{_REMEDIES.get(status, '')}{found}"
        return RejectedError(msg, request=request, answer=result, attempts=attempts, retry_after=asked)
    if request.is_post and status >= 400:  # noqa: PLR2004
        msg = f"{head}: HTTP {status}, so that it is not known whether it took effect.{_UNKNOWN}{found}"
        return OutcomeUnknownError(msg, request=request, answer=result, attempts=attempts)
    msg = f"{head}: HTTP {status} makes no sense here; is base_url the origin of MosVPP?{found}"
    return UnexpectedResponseError(msg, request=request, answer=result, attempts=attempts)


def _failure_error(request: Request, failure: Failure, attempts: int, head: str) -> MosVPPError:
    known: dict[str, Any] = {"request": request, "answer": failure.answer, "attempts": attempts}
    if not failure.sent:
        return UnreachableError(f"{head}: {failure.reason}. Nothing was sent, so that it is safe to try again.", **known)
    if request.is_post:
        return OutcomeUnknownError(f"{head}: {failure.reason}; it may have been received.{_UNKNOWN}", **known)
    if failure.answer is not None:
        return UnexpectedResponseError(f"{head}: {failure.reason}", **known)
    return UnreachableError(f"{head}: {failure.reason}. It changes nothing, so that it is safe to try again.", **known)


_UNKNOWN = " Look at the site's telemetry; client.resend(error.request) sends the identical request once more."
_REMEDIES = {
    401: " Check the key.",
    403: " Check that the key may do this, and that this machine's address is on Molecule's allowlist.",
    404: " Check the molecule_id and api_version.",
}


def _head(request: Request) -> str:
    return f"{request.operation} for {request.molecule_id}"


def _sample(answer: Answer) -> str:
    """The beginning of an answer, for the message of an error: a problem's words, else the first characters."""
    problem = answer.problem
    if problem is not None:
        words = [str(problem[key]) for key in ("title", "detail") if problem.get(key)]
        faults = problem.get("errors")
        if isinstance(faults, dict):
            words += [f"{path}: {found}" for path, found in list(faults.items())[:3]]
        return f" It says: {' '.join(words)[:500]}" if words else ""
    text = " ".join(answer.body[:200].decode("utf-8", "replace").split())
    return f" It says: {text}" if text else " Its body is empty."


# --- arguments -----------------------------------------------------------------------------------------------------------


def _site(molecule_id: object) -> str:
    pattern = document()["components"]["parameters"]["MoleculeId"]["schema"]["pattern"]
    if isinstance(molecule_id, str) and _matches(pattern, molecule_id):
        return molecule_id
    msg = f"{molecule_id!r} is no molecule_id; it looks like fecd0001c031e7e8"
    raise RuleError(msg, path="molecule_id", rule="pattern", evidence=("transport.molecule_id_segment",))


def _matches(pattern: str, text: str) -> bool:
    import re

    return re.search(pattern, text, re.ASCII) is not None and not text.endswith("\n")


def _tuple_of(kind: type[T], given: Any, *, path: str, example: str) -> tuple[T, ...]:
    if isinstance(given, kind):
        return (given,)
    try:
        items = tuple(given)
    except TypeError:
        items = (given,)
    for item in items:
        if not isinstance(item, kind):
            msg = f"{item!r} is no {kind.__name__}; make one with {example}"
            raise RuleError(msg, path=path, rule="type")
    return items


def _seconds(duration: object) -> int:
    if not isinstance(duration, timedelta):
        msg = f"{duration!r} is no timedelta, as in timedelta(minutes=15)"
        raise RuleError(msg, path="duration", rule="type", evidence=("command.scmd_secs",))
    if duration % timedelta(seconds=1):
        msg = f"{duration} is no whole number of seconds"
        raise RuleError(msg, path="duration", rule="whole_seconds", evidence=("command.scmd_secs",))
    return duration // timedelta(seconds=1)
