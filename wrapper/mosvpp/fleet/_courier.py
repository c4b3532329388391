"""One request from its preparation to the journal's note of what it came to.

The order is what makes it safe. A request is noted durably before its first byte leaves; what it came to is
noted right after, together with what the same courier sends next, so that a site costs one commit, which all
couriers share.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from mosvpp._answers import Answer
from mosvpp._calls import Calls
from mosvpp._failures import readable
from mosvpp._requests import Attempt, Failure, Pause, Request
from mosvpp.clock import Clock
from mosvpp.errors import (
    MosVPPError,
    OutcomeUnknownError,
    RejectedError,
    RuleError,
    StoreError,
    UnexpectedResponseError,
    UnreachableError,
)
from mosvpp.receipts import DispatchReceipt, Outcome
from mosvpp.slots import EventSlot

from ._connections import Exchange
from ._journal_rows import Note, Obstacle
from .entries import Answered, Sent, Verdict
from .journal import Journal
from .results import SiteOutcome

__all__ = ["Carrier", "Courier", "Errand"]

_LONGEST_ANSWER = 4096
_LONGEST_MESSAGE = 1000
_VERDICTS: dict[Outcome, Verdict] = {Outcome.ACCEPTED: "accepted", Outcome.REJECTED: "rejected"}
_OF_ERRORS: dict[type[MosVPPError], Verdict] = {
    RejectedError: "rejected",
    UnreachableError: "not_sent",
    RuleError: "not_sent",  # a newer request overtook it before a byte of it was written
    OutcomeUnknownError: "unknown",
    UnexpectedResponseError: "unknown",
}


class Carrier(Protocol):
    """Makes one attempt."""

    async def send(self, exchange: Exchange) -> Answer | Failure:
        """Send it, and wait for the answer. Being cancelled is the one thing that escapes."""
        ...


class Errand(NamedTuple):
    """What is to be sent: an event to a site, or its cancellation. `number` is that of the dispatch."""

    number: int
    molecule_id: str
    slot: EventSlot
    mode: str


class _RefusedError(Exception):
    """The journal does not let the request leave. It never leaves this module."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle)
        self.obstacle: Obstacle = obstacle


class Courier:
    """Carries one errand after the other. `told` is called with each outcome once that is durable."""

    def __init__(
        self,
        calls: Calls,
        journal: Journal,
        carrier: Carrier,
        clock: Clock,
        told: Callable[[SiteOutcome], object],
    ) -> None:
        self._calls = calls
        self._journal = journal
        self._carrier = carrier
        self._clock = clock
        self._told = told
        self._held: tuple[Note, SiteOutcome] | None = None
        self._last: Request | None = None

    async def run(self, errand: Errand) -> None:
        """Carry an errand. What it came to is written with the next one, or by `finish`."""
        try:
            request = self._prepared(errand)
        except RuleError as error:
            self._told(_outcome(errand, "not_sent", error=error))
            return
        trip = _Trip(errand, request)
        try:
            receipt = await self._send(trip)
        except _RefusedError as refused:
            self._told(_outcome(errand, "not_sent", obstacle=refused.obstacle))
            if trip.attempts > 1:
                self._held = trip.ended(f"then {refused.obstacle}", self._clock.now())
        except StoreError:
            self._held = trip.ended("the journal failed", self._clock.now())
            raise
        except MosVPPError as error:
            self._held = trip.failed(error, self._clock.now())
        except BaseException:
            self._held = trip.ended("it was given up", self._clock.now())
            raise
        else:
            self._held = trip.received(receipt, self._clock.now())

    def _prepared(self, errand: Errand) -> Request:
        last = self._last
        if last is not None and last.slots[0] is errand.slot and last.mode == errand.mode:
            return self._calls.prepare_for_site(errand.molecule_id, last)
        last = self._last = self._calls.prepare_dispatch(errand.molecule_id, errand.slot, errand.mode)
        return last

    async def finish(self) -> None:
        """Write what the last errand came to."""
        if self._held is not None:
            note, outcome = self._held
            await self._journal.note(note)
            self._held = None
            self._told(outcome)

    def hand_over(self) -> None:
        """Leave what the last errand came to to the journal, without waiting for it."""
        if self._held is not None:
            (note, _), self._held = self._held, None
            self._journal.note(note)

    async def _send(self, trip: _Trip) -> DispatchReceipt:
        await self._begin(trip)
        # Not before: a flow that has begun makes older requests of this program give way.
        flow = self._calls.send_dispatch(trip.request)
        result: Answer | Failure | None = None
        try:
            while True:
                step = flow.send(result)
                if isinstance(step, Pause):
                    await self._pause(trip, result, step.seconds)
                    result = None
                else:
                    if trip.is_paused:
                        await self._begin(trip)
                    result = await self._attempt(trip, step)
        except StopIteration as done:
            receipt: DispatchReceipt = done.value
        return receipt

    async def _begin(self, trip: _Trip) -> None:
        """Let an attempt leave, and write what the errand before came to. Raises `_RefusedError`."""
        trip.attempts += 1
        trip.is_paused = False
        sent = Sent(
            at=self._clock.now(),
            revision=trip.request.revision,
            attempt=trip.attempts,
            cancels=trip.errand.slot.cancelled,
            body=trip.request.body.decode(),
        )
        held, self._held = self._held, None
        notes = () if held is None else (held[0],)
        obstacle = await self._journal.begin(trip.errand.number, sent, notes=notes)
        if held is not None:
            self._told(held[1])
        if obstacle is not None:
            raise _RefusedError(obstacle)

    async def _attempt(self, trip: _Trip, step: Attempt) -> Answer | Failure:
        exchange = Exchange(step)
        try:
            return await self._carrier.send(exchange)
        finally:
            trip.so_far = "unknown" if exchange.is_written else trip.so_far

    async def _pause(self, trip: _Trip, result: Answer | Failure | None, seconds: float) -> None:
        """Wait until it may be sent again: it did nothing, and that is written first."""
        trip.is_paused = True
        trip.so_far = "rejected" if isinstance(result, Answer) else "not_sent"
        status = result.status if isinstance(result, Answer) else None
        await self._journal.note(trip.note("refused_for_now", self._clock.now(), status=status))
        await self._clock.sleep_async(seconds)


class _Trip:
    """A request on its way. `so_far` is what it came to if it ends here."""

    def __init__(self, errand: Errand, request: Request) -> None:
        self.errand = errand
        self.request = request
        self.attempts = 0
        self.is_paused = False
        self.so_far: Verdict = "not_sent"

    def received(self, receipt: DispatchReceipt, now: datetime) -> tuple[Note, SiteOutcome]:
        """It ended with a receipt."""
        verdict = _VERDICTS.get(receipt.outcome, "unknown")
        note = self.note(verdict, now, **_of_receipt(receipt))
        return note, _outcome(self.errand, verdict, receipt=receipt)

    def failed(self, error: MosVPPError, now: datetime) -> tuple[Note, SiteOutcome]:
        """It ended with an error."""
        verdict = _OF_ERRORS.get(type(error), "unknown")
        known: dict[str, Any] = {}
        receipt = error.receipt if isinstance(error, RejectedError) else None
        answer: Answer | None = getattr(error, "answer", None)
        if isinstance(receipt, DispatchReceipt):
            known = _of_receipt(receipt)
        elif answer is not None:
            known = {"status": answer.status, "answer": _kept(answer)}
        known["message"] = readable(str(error), _LONGEST_MESSAGE)
        return self.note(verdict, now, **known), _outcome(self.errand, verdict, error=error)

    def ended(self, message: str, now: datetime) -> tuple[Note, SiteOutcome]:
        """It ended without an answer of its own."""
        note = self.note(self.so_far, now, message=message)
        return note, _outcome(self.errand, self.so_far)

    def note(self, verdict: Verdict, now: datetime, **known: Any) -> Note:
        """The entry for the journal."""
        entry = Answered(at=now, revision=self.request.revision, verdict=verdict, **known)
        return Note(self.errand.number, entry)


def _outcome(errand: Errand, verdict: Verdict, **known: Any) -> SiteOutcome:
    return SiteOutcome(
        molecule_id=errand.molecule_id,
        event_id=errand.slot.event_id,
        verdict=verdict,
        cancels=errand.slot.cancelled,
        **known,
    )


def _of_receipt(receipt: DispatchReceipt) -> dict[str, Any]:
    item = receipt.items[0] if receipt.items else None
    return {
        "certainty": receipt.certainty,
        "status": receipt.raw.status,
        "said": item.status_text if item else None,
        "message": (item.message if item else None) or receipt.message,
        "answer": _kept(receipt.raw),
    }


def _kept(answer: Answer) -> str:
    return answer.body[:_LONGEST_ANSWER].decode("utf-8", "replace").replace("\0", "\ufffd")
