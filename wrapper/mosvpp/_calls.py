"""The calls without their I/O: a generator asks for what is to be done, and a thin shell does it.

A flow yields `Attempt` (send this, give me an `Answer` or a `Failure`) and `Pause` (wait so long), and ends
with the result or one of our errors. `Client`, `AsyncClient` and other senders drive the same flows, so that
what is checked, what is sent again and what an answer means is written once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from copy import copy
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from mosvpp_api.models.dispatch_mode import DispatchMode

from . import _wire, rules
from ._answers import Answer
from ._contract import document, server_path
from ._failures import error_for, head, is_trouble, may_repeat, readable, retry_after, sample
from ._readings import read_command_receipt, read_device_list, read_dispatch_receipt
from ._requests import Attempt, Failure, Pause, Request
from ._revisions import Revisions
from .auth import ApiKey, Key
from .clock import Clock
from .commands import DeviceCommand
from .drift import Drift, OnDrift, report
from .errors import RejectedError, RuleError, UnexpectedResponseError
from .ids import id_text, new_id
from .models import DeviceList
from .receipts import CommandReceipt, DispatchReceipt, Outcome
from .retry import RetryBudget, RetryPolicy, read_http_date
from .slots import EventSlot
from .statuses import check_statuses

__all__ = ["Attempt", "Calls", "Failure", "Flow", "Pause", "Request", "site_of"]

MAX_SKEW = timedelta(seconds=5)
"""Difference of clocks that is reported (behaviour.clock_skew)."""

T = TypeVar("T")

Flow: TypeAlias = Generator[Attempt | Pause, "Answer | Failure | None", T]


class Calls:
    """What a client knows between calls: its key, its rules for repeating, the newest revisions it sent."""

    def __init__(
        self,
        *,
        key: ApiKey,
        api_version: str,
        allow_live: bool,
        retry: RetryPolicy,
        clock: Clock,
        on_drift: OnDrift | None,
        statuses: Mapping[str, str] | None,
        revisions: Revisions,
    ) -> None:
        check_statuses(statuses)
        self.key = key
        self.clock = clock
        self._prefix = server_path(_version(api_version))
        self._allow_live = allow_live
        self._retry = retry
        self._budget = RetryBudget(retry.budget)
        self._on_drift = on_drift
        self._statuses = dict(statuses) if statuses else None
        self._revisions = revisions

    def with_retry(self, retry: RetryPolicy) -> Calls:
        """The same, with other rules for repeating."""
        other = copy(self)
        other._retry, other._budget = retry, RetryBudget(retry.budget)  # noqa: SLF001  its own class
        return other

    # --- preparing: everything is checked here, before anything is sent

    def sync_devices(self, molecule_id: str) -> Flow[DeviceList]:
        """GET devicesync."""
        return self._flow(self._prepare_sync(molecule_id), self._read_devices)

    def _prepare_sync(self, molecule_id: str) -> Request:
        return self._request(
            _wire.DEVICE_SYNC, _wire.device_call(site_of(molecule_id)), molecule_id=molecule_id
        )

    def submit_dispatch(self, molecule_id: str, slots: Any, mode: str) -> Flow[DispatchReceipt]:
        """POST dr."""
        return self.send_dispatch(self.prepare_dispatch(molecule_id, slots, mode))

    def send_dispatch(self, request: Request) -> Flow[DispatchReceipt]:
        """Send what `prepare_dispatch` made."""
        return self._flow(request, self._read_dispatch)

    def prepare_dispatch(self, molecule_id: str, slots: Any, mode: Any) -> Request:
        """Check a dispatch request and write its body."""
        events = _tuple_of(EventSlot, slots, path="slots", example="discharge(5 * kW, …)")
        if mode not in ("test", "live"):
            msg = f"{mode!r} is no mode; say mode='test' or mode='live'"
            raise RuleError(msg, path="$.mode", rule="enum", evidence=("dispatch.mode",))
        if mode == "live":
            self._insist_on_arming("live dispatch moves real devices")
        call = _wire.dispatch_call(site_of(molecule_id), events, DispatchMode(mode))
        rules.check("DispatchRequest", call["json"])
        return self._request(
            _wire.DISPATCH,
            call,
            molecule_id=molecule_id,
            ids=tuple(slot.event_id for slot in events),
            mode=DispatchMode(mode),
            slots=events,
        )

    def prepare_for_site(self, molecule_id: str, like: Request) -> Request:
        """The same dispatch for another site: what was checked and written once is used again."""
        before, _, after = like.path.rpartition(f"/{like.molecule_id}/")
        return msgspec.structs.replace(
            like,
            molecule_id=molecule_id,
            path=f"{before}/{site_of(molecule_id)}/{after}",
            revision=self._revisions.next(self.clock.now()),
        )

    def cancel_dispatch(self, dispatch: Any) -> Flow[DispatchReceipt]:
        """POST dr with the same events, cancelled, in the mode they were sent in."""
        if not (isinstance(dispatch, DispatchReceipt | Request) and dispatch.slots):
            msg = f"{type(dispatch).__name__} is no dispatch; give its receipt, or the .request of an error"
            raise RuleError(msg, path="dispatch", rule="type")
        return self.submit_dispatch(
            dispatch.molecule_id, [slot.cancel() for slot in dispatch.slots], str(dispatch.mode)
        )

    def submit_site_command(
        self, molecule_id: str, commands: Any, duration: timedelta, scmd_id: str | UUID | None
    ) -> Flow[CommandReceipt]:
        """POST sitecmd."""
        own_id = new_id() if scmd_id is None else id_text(scmd_id, path="scmd_id")
        request = self.prepare_site_command(molecule_id, commands, _seconds(duration), own_id)
        return self._flow(request, self._read_command)

    def prepare_site_command(self, molecule_id: str, commands: Any, seconds: Any, scmd_id: str) -> Request:
        """Check a site command and write its body."""
        wanted = _tuple_of(DeviceCommand, commands, path="commands", example="commands.turn_off('21000')")
        self._insist_on_arming("a site command acts at once, and no test mode is documented")
        call = _wire.site_command_call(site_of(molecule_id), wanted, scmd_id=scmd_id, seconds=seconds)
        rules.check("SiteCommandRequest", call["json"])
        return self._request(
            _wire.SITE_COMMAND,
            call,
            molecule_id=molecule_id,
            ids=(scmd_id,),
            commands=wanted,
            duration_s=seconds,
        )

    def resend(self, sent: Any) -> Flow[DispatchReceipt | CommandReceipt]:
        """Send a request again, as it was; the caller decided so."""
        request = sent if isinstance(sent, Request) else self._request_of(sent)
        read: Callable[[Request, Answer, int], DispatchReceipt | CommandReceipt]
        if request.operation == _wire.DISPATCH:
            made = self.prepare_dispatch(request.molecule_id, request.slots, request.mode)
            read = self._read_dispatch
        elif request.operation == _wire.SITE_COMMAND:
            scmd_id = "".join(request.ids)
            made = self.prepare_site_command(
                request.molecule_id, request.commands, request.duration_s, scmd_id
            )
            read = self._read_command
        else:
            msg = f"{request.operation} changes nothing, so that there is nothing to decide: call it again"
            raise RuleError(msg, path="request", rule="type")
        # It may come out of a file: what it claims to be is what would be sent, byte for byte.
        if msgspec.structs.replace(made, revision=request.revision) != request:
            msg = "this request was changed, or made by another version: submit its slots or commands anew"
            raise RuleError(msg, path="request", rule="same_request")
        if self._revisions.is_outdated(request):
            raise _outdated()
        return self._flow(request, read, sent_before=True)

    def _request_of(self, receipt: Any) -> Request:
        """The request that was answered with a receipt which says nothing."""
        if not isinstance(receipt, DispatchReceipt | CommandReceipt):
            msg = f"{type(receipt).__name__} was not sent; give a receipt, or the .request of an error"
            raise RuleError(msg, path="request", rule="type")
        if receipt.outcome is not Outcome.UNKNOWN:
            msg = f"the receipt says {receipt.outcome}, and what was answered is not sent again"
            raise RuleError(msg, path="request", rule="unknown", evidence=("behaviour.repeat_post",))
        if isinstance(receipt, DispatchReceipt):
            made = self.prepare_dispatch(receipt.molecule_id, receipt.slots, receipt.mode)
        else:
            made = self.prepare_site_command(
                receipt.molecule_id, receipt.commands, receipt.duration_s, receipt.scmd_id
            )
        return msgspec.structs.replace(made, revision=receipt.revision)

    def _insist_on_arming(self, why: str) -> None:
        if not self._allow_live:
            msg = f"{why}: make the client with allow_live=True to say that you mean it"
            raise RuleError(msg, path="allow_live", rule="arming", evidence=("behaviour.arming",))

    def _request(self, operation: Any, call: dict[str, Any], **known: Any) -> Request:
        return Request(
            operation=operation,
            method=call["method"].upper(),
            path=self._prefix + call["url"],
            body=msgspec.json.encode(call["json"]) if "json" in call else b"",
            revision=self._revisions.next(self.clock.now()),
            **known,
        )

    # --- running

    def _flow(
        self, request: Request, read: Callable[[Request, Answer, int], T], *, sent_before: bool = False
    ) -> Flow[T]:
        self._revisions.note(request)
        submitted_at = self.clock.now()
        attempts = 0
        result: Answer | Failure | None = None
        while True:
            key = self._key_now(request, result, attempts, sent_before=sent_before)
            attempts += 1
            sent_at = self.clock.now()
            result = yield Attempt(request, key, lambda: not self._revisions.is_outdated(request))
            if isinstance(result, Answer):
                self._check_clock(request, result, sent_at)
                if 200 <= result.status <= 299:
                    self._budget.succeeded()
                    return read(request, result, attempts)
            if not isinstance(result, Answer | Failure):
                raise TypeError("a shell must send an Answer or a Failure for each Attempt")
            pause = self._plan(request, result, attempts, submitted_at)
            obstacle: str | None
            if isinstance(pause, Pause):
                yield pause
                obstacle = self._obstacle(request, submitted_at)
            else:
                obstacle = pause
            if obstacle is None:
                continue
            if isinstance(result, Failure) and not result.sent and self._revisions.is_outdated(request):
                raise _outdated()
            earlier = sent_before or attempts > 1
            raise error_for(request, result, attempts, self.clock.now(), earlier=earlier, why=obstacle)

    def _key_now(
        self, request: Request, result: Answer | Failure | None, attempts: int, *, sent_before: bool
    ) -> Key:
        """The key for the next attempt; where there is none, what the attempt before came to is told."""
        try:
            return self.key.current()
        except RuleError as error:
            if result is None:
                raise
            why = f"It was not sent again: {error}"
        earlier = sent_before or attempts > 1
        raise error_for(request, result, attempts, self.clock.now(), earlier=earlier, why=why)

    def _plan(
        self, request: Request, result: Answer | Failure, attempts: int, submitted_at: datetime
    ) -> Pause | str:
        """The pause after which the request may be sent again by itself; or why it must not be."""
        if is_trouble(result):
            self._budget.failed()
        asked = retry_after(result, self.clock.now())
        if not may_repeat(request, result, asked) or attempts >= self._retry.attempts:
            return ""
        if not self._budget.allows_repeat:
            return "It was not sent again, since too much has failed lately (retry.budget)."
        if asked is not None and asked > self._retry.longest_retry_after:
            return "It was not sent again: that is longer than retry.longest_retry_after."
        wait = (asked or 0.0) + self._retry.delay(attempts)
        return self._obstacle(request, submitted_at, timedelta(seconds=wait)) or Pause(wait)

    def _obstacle(
        self, request: Request, submitted_at: datetime, wait: timedelta = timedelta(0)
    ) -> str | None:
        """What forbids to send the request again after that time."""
        if self._revisions.is_outdated(request):
            return "It was not sent again: a newer revision of the event was (behaviour.revision_order)."
        if request.slots and self.clock.now() + wait >= _latest_repeat(request, submitted_at):
            return "It was not sent again: that would be too late for the event (behaviour.no_late_repeat)."
        return None

    def _check_clock(self, request: Request, answer: Answer, sent_at: datetime) -> None:
        """Report a Date that lies outside of the time in which the answer was made."""
        date = answer.headers.get("date") if self._on_drift is not None else None
        theirs = read_http_date(date) if date else None
        if theirs is None:
            return
        skew = max(sent_at - theirs, timedelta(0)) or min(answer.received_at - theirs, timedelta(0))
        if abs(skew) > MAX_SKEW:
            way = "ahead of" if skew > timedelta(0) else "behind"
            detail = f"the clock here is {abs(skew).total_seconds():.0f} s {way} the Date of the answer"
            self._drift("clock_skew", request.operation, "headers.date", detail)

    def _drift(self, kind: Any, operation: str, path: str, detail: str) -> None:
        report(self._on_drift, Drift(kind=kind, operation=operation, path=path, detail=detail))

    # --- reading

    def _read_devices(self, request: Request, answer: Answer, attempts: int) -> DeviceList:
        devices = read_device_list(request.molecule_id, answer, self._drift)
        if devices is None:
            what = "a body that is no device list of this site" if answer.body else "an empty body"
            msg = f"{head(request, attempts)}: HTTP {answer.status} with {what}."
            raise UnexpectedResponseError(
                msg + sample(answer), request=request, answer=answer, attempts=attempts
            )
        return devices

    def _read_dispatch(self, request: Request, answer: Answer, attempts: int) -> DispatchReceipt:
        return _unless_rejected(
            request, read_dispatch_receipt(request, answer, self._statuses, self._drift), attempts
        )

    def _read_command(self, request: Request, answer: Answer, attempts: int) -> CommandReceipt:
        return _unless_rejected(
            request, read_command_receipt(request, answer, self._statuses, self._drift), attempts
        )


R = TypeVar("R", DispatchReceipt, CommandReceipt)


def _unless_rejected(request: Request, receipt: R, attempts: int) -> R:
    if receipt.outcome is not Outcome.REJECTED:
        return receipt
    reasons = [f"{item.item_id}: {item.message or item.status_text}" for item in receipt.items[:3]]
    more = f"; and {len(receipt.items) - 3} more" if len(receipt.items) > 3 else ""
    said = readable(f"{receipt.message or ''} ({'; '.join(reasons)}{more})", 500)
    msg = f"{head(request, attempts)}: Molecule rejected it. {said}"
    raise RejectedError(msg, request=request, answer=receipt.raw, attempts=attempts, receipt=receipt)


def _latest_repeat(request: Request, submitted_at: datetime) -> datetime:
    """Until when a dispatch request may be repeated (behaviour.no_late_repeat).

    Until the first of its events starts, or ends where it had started when it was submitted. One that only
    cancels may be repeated until the last of its events ends: to stop one that is over does no harm.
    """
    limits = [
        slot.start if slot.start > submitted_at else slot.end for slot in request.slots if not slot.cancelled
    ]
    return min(limits) if limits else max(slot.end for slot in request.slots)


def _outdated() -> RuleError:
    msg = "a newer revision of this event was sent after this request was made; this one would undo it"
    return RuleError(msg, path="request", rule="revision_order", evidence=("behaviour.revision_order",))


# --- arguments

_LONGEST_SEGMENT = 200


def site_of(molecule_id: object) -> str:
    """A molecule_id that can stand in a path. Raises `RuleError`."""
    return _segment(
        molecule_id, "molecule_id", _site_pattern(), "fecd0001c031e7e8", "transport.molecule_id_segment"
    )


@cache
def _site_pattern() -> re.Pattern[str]:
    return re.compile(document()["components"]["parameters"]["MoleculeId"]["schema"]["pattern"])


def _version(api_version: object) -> str:
    pattern = re.compile("[0-9A-Za-z]+(?:[._-][0-9A-Za-z]+)*")
    return _segment(api_version, "api_version", pattern, "v1", "transport.api_version")


def _segment(value: object, name: str, pattern: re.Pattern[str], example: str, evidence: str) -> str:
    """A text that is one segment of a path, and cannot become more."""
    if isinstance(value, str) and len(value) <= _LONGEST_SEGMENT and pattern.fullmatch(value):
        return value
    msg = f"{value!r} is no {name}; it looks like {example}"
    raise RuleError(msg, path=name, rule="pattern", evidence=(evidence,))


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
