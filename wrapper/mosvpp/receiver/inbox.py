"""The inbox: where deliveries are stored before they are acknowledged, and handed out afterwards."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, Unpack, overload

from mosvpp._complaints import Complaints
from mosvpp.clock import Clock, SystemClock
from mosvpp.drift import OnDrift
from mosvpp.errors import RuleError
from mosvpp.events import DataPush, ExecutionReport
from mosvpp.statuses import check_statuses
from mosvpp.store import Pending

from ._bell import Bell
from ._inspection import Backlog, Silence, Site
from ._loops import Deliveries
from ._quarantine import Quarantined
from ._queue import Claim, Verdict
from ._workers import Handler, run_handlers, run_until_signal
from .counters import Counters
from .deliveries import Filter, Kind, NewDelivery, StoredDelivery
from .policies import HandOut

__all__ = ["Inbox", "OnProgress"]

OnProgress: TypeAlias = Callable[[int], object]
"""Called now and then during long work with how many are done."""

_Push = Callable[[DataPush, StoredDelivery], "Awaitable[object] | object"]
_Report = Callable[[ExecutionReport, StoredDelivery], "Awaitable[object] | object"]
_PushHandler = TypeVar("_PushHandler", bound=_Push)
_ReportHandler = TypeVar("_ReportHandler", bound=_Report)

KIND_OF: dict[type, Kind] = {DataPush: "data_push", ExecutionReport: "execution_response"}


class Inbox(ABC):
    """Stores deliveries durably, and hands each out at least once until it is done.

    `SqlInbox` is the one to deploy, `MemoryInbox` the one for tests. Everything may be called from any
    thread. What gives a `Pending` can be awaited, or asked with `.result()`; all else waits for the store.
    Whatever the store cannot do raises `StoreError`.

    `on_drift` and `statuses` are those of `mosvpp.webhooks.parse`; `clock` says what time it is.
    """

    def __init__(
        self,
        *,
        on_drift: OnDrift | None = None,
        statuses: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        tracer: Any = None,
    ) -> None:
        check_statuses(statuses)
        self.on_drift = on_drift
        self.statuses = statuses
        self.clock: Clock = clock or SystemClock()
        self.tracer = tracer
        self.counters: Counters = Counters()
        self.bell: Bell = Bell()
        self.complaints: Complaints = Complaints(self.clock)
        self._handlers: dict[Kind, Handler] = {}

    # Opening

    @abstractmethod
    def open(self) -> None:
        """Connect, check that nothing acknowledged can be lost, bring the tables up to date; once is enough.

        Raises `StoreError` (`unsafe`, `newer_schema`, `unavailable`). Without it, the first use opens.
        """

    @abstractmethod
    def close(self) -> None:
        """Store what waits, and let go of the database."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Open, run the handlers while the application runs, finish what is in hand, close.

        As in `FastAPI(lifespan=inbox.lifespan)`.
        """
        await asyncio.to_thread(self.open)
        try:
            async with run_handlers(self, list(self._handlers.values())):
                yield
        finally:
            await asyncio.to_thread(self.close)

    # Storing

    @abstractmethod
    def put(self, delivery: NewDelivery) -> Pending[bool]:
        """Store a delivery; True if it is new, False if it was there. Durable when the result is there."""

    @abstractmethod
    def check(self) -> Pending[None]:
        """Write something and forget it: whether the store takes what comes."""

    # Handing out

    @overload
    def handler(
        self, event: type[DataPush], hand_out: HandOut | None = None, /, **changes: Any
    ) -> Callable[[_PushHandler], _PushHandler]: ...
    @overload
    def handler(
        self, event: type[ExecutionReport], hand_out: HandOut | None = None, /, **changes: Any
    ) -> Callable[[_ReportHandler], _ReportHandler]: ...
    def handler(
        self, event: type, hand_out: HandOut | None = None, /, **changes: Any
    ) -> Callable[[Any], Any]:
        """Have deliveries handled by a function, async or not, that takes the event and the delivery.

            @inbox.handler(DataPush, ordered_by="molecule_id")
            async def keep(push, delivery): ...

        Returning means done, raising means again later. It may be called more than once for one delivery,
        so let what it does depend on `delivery.key`. `changes` are fields of `HandOut`. Bodies that cannot
        be read, or are of unknown shape, go to the dead letters instead. Raises `RuleError` for a second
        handler of one type.
        """
        kind = _kind_of(event)
        rules = _changed(hand_out, changes)

        def register(function: Any) -> Any:
            _insist_on_two_arguments(function)
            if kind in self._handlers:
                raise RuleError(f"{event.__name__} has a handler already", path="event", rule="unique")
            self._handlers[kind] = Handler(kind, function, rules)
            return function

        return register

    def work(self) -> None:
        """Run the handlers until the process is told to stop (Ctrl-C, SIGTERM): a process that only works."""
        if not self._handlers:
            msg = "there is no handler; register one with @inbox.handler(DataPush)"
            raise RuleError(msg, path="handlers", rule="required")
        run_until_signal(self, list(self._handlers.values()))

    def deliveries(
        self,
        event: type[DataPush | ExecutionReport] | None = None,
        hand_out: HandOut | None = None,
        /,
        *,
        wait: bool = True,
        **changes: Any,
    ) -> Deliveries:
        """Take deliveries one by one, with `for` or `async for`.

            for delivery in inbox.deliveries(DataPush, ordered_by="molecule_id"):
                save(delivery.key, delivery.event)

        Going on to the next one means done; leaving the loop, by `break` or by an error, means again later.
        To leave with the current one done, call `finish` first. With `wait=False` the loop ends when
        nothing is due. Without `event` both kinds are handed out.
        """
        kinds = tuple(KIND_OF.values()) if event is None else (_kind_of(event),)
        return Deliveries(self, kinds, _changed(hand_out, changes), wait=wait)

    @abstractmethod
    def claim(self, claim: Claim) -> Pending[list[StoredDelivery]]:
        """Lease what is due."""

    @abstractmethod
    def finish(self, delivery: StoredDelivery) -> Pending[bool]:
        """Mark a delivery that was handed out as done; False if its lease had gone to another."""

    @abstractmethod
    def settle(self, delivery: StoredDelivery, verdict: Verdict) -> Pending[bool]:
        """Put a delivery that was handed out back, or bury it; False as with `finish`."""

    @abstractmethod
    def bury(self, stored: StoredDelivery, verdict: Verdict) -> Pending[bool]:
        """Put a delivery that nobody was handed with the dead letters; False if somebody was."""

    @abstractmethod
    def renew(self, handed: Sequence[StoredDelivery], lease: timedelta) -> Pending[set[int]]:
        """Lengthen leases; the `seq` of those that were still held."""

    # Looking and tidying

    @abstractmethod
    def find(
        self,
        *,
        after: int | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        **wanted: Unpack[Filter],
    ) -> Iterator[StoredDelivery]:
        """The deliveries that match, in the order of storing. Nothing is handed out by this.

        `after` is a `seq` behind which to begin, in the direction that is asked for. Memory stays flat,
        however many there are.
        """

    def get(self, key: str) -> StoredDelivery | None:
        """One delivery by its key, or None."""
        return next(self.find(keys=[key]), None)

    @abstractmethod
    def count(self, **wanted: Unpack[Filter]) -> int:
        """How many deliveries match. Looks at each of them, so it takes a while where there are millions."""

    @abstractmethod
    def requeue(
        self, *, only_count: bool = False, on_progress: OnProgress | None = None, **wanted: Unpack[Filter]
    ) -> int:
        """Hand out anew what matches, dead letters if nothing else is said; how many.

        Left alone are those that are leased, and those whose body was purged. With `only_count` nothing is
        changed.
        """

    @abstractmethod
    def purge(
        self,
        *,
        older_than: timedelta,
        only_count: bool = False,
        on_progress: OnProgress | None = None,
        **wanted: Unpack[Filter],
    ) -> int:
        """Remove what is done or dead and arrived longer ago; how many.

        What arrived within the last seven days keeps its key, so that a repetition is still recognised. With
        `state="waiting"` also what nobody has handled goes. With `only_count` nothing is changed.
        """

    @abstractmethod
    def backlog(self) -> dict[str, Backlog]:
        """What is left to do, by kind."""

    @abstractmethod
    def sites(self) -> list[Site]:
        """Every site that ever pushed, with its last push, the longest silent first."""

    @abstractmethod
    def silent(self, *, older_than: timedelta) -> list[Site]:
        """The sites whose last push is longer ago."""

    @abstractmethod
    def silence(self, *, older_than: timedelta) -> Silence:
        """How many those are, for monitoring: however many sites there are, they are not held in memory."""

    @abstractmethod
    def forget_site(self, molecule_id: str) -> bool:
        """Take a site that is gone for good out of `sites` and `silent`; False if it is not there.

        Its deliveries stay, and its next push puts it back.
        """

    @abstractmethod
    def restore(self, batch: Sequence[StoredDelivery]) -> int:
        """Put in deliveries from another inbox as they were there; how many were new."""

    # The quarantine

    @abstractmethod
    def quarantine(
        self, kind: Kind, body: bytes, headers: dict[str, str], *, reason: str, delivery_id: bytes | None
    ) -> None:
        """Keep a delivery whose sender was not recognised, as one of the latest; nobody waits for it."""

    @abstractmethod
    def quarantined(self, seqs: Iterable[int] | None = None) -> Iterator[Quarantined]:
        """What is in the quarantine, or some of it, oldest first; as it is read, page by page."""

    @abstractmethod
    def release(self, seqs: Iterable[int]) -> int:
        """Take deliveries that you know to be genuine from the quarantine; how many the inbox did not have.

        Many go in several transactions, the oldest first: where one fails, what it held and what comes after
        it stay in the quarantine. Raises `StoreError`.
        """

    def now(self) -> datetime:
        """The present, by the clock of this inbox."""
        return self.clock.now()


def _insist_on_two_arguments(function: Any) -> None:
    """A handler that cannot be called would fail on every delivery, as often as it is handed out."""
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        name = getattr(function, "__name__", "the handler")
        msg = f"{name} has to take two arguments: the event, and the delivery that it came in"
        raise RuleError(msg, path="function", rule="type") from None
    except ValueError:  # a function that does not tell
        return


def _kind_of(event: type) -> Kind:
    if event in KIND_OF:
        return KIND_OF[event]
    msg = "deliveries are DataPush or ExecutionReport; others go to the dead letters"
    raise RuleError(msg, path="event", rule="enum")


def _changed(hand_out: HandOut | None, changes: Mapping[str, Any]) -> HandOut:
    try:
        return dataclasses.replace(hand_out or HandOut(), **changes)
    except TypeError:
        known = {field.name for field in dataclasses.fields(HandOut)}
        unknown = ", ".join(sorted(set(changes) - known)) or "hand_out"
        raise RuleError(f"HandOut has no {unknown}", path="hand_out", rule="enum") from None
