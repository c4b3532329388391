"""Sends what the simulation wants to tell to the partner's two URLs.

How often MosVPP tries again, and after how long, is not known (unknown.delivery_rules): `Retries` says how
it is here. A delivery counts as taken when the partner answers exactly 200, which is what the pages ask for
(push.answer_200). Redirects are not followed. Pauses are simulated time, so that an outage of an hour takes
a minute at `speed` 60, and with a clock that is moved by hand a repeat comes when the clock has been moved;
the time-out is real time, since the partner's server is real.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from heapq import heappop, heappush
from zlib import crc32

from mosvpp._complaints import Complaints
from mosvpp.clock import SystemClock
from mosvpp.signatures import sign

from . import messages
from .exchanges import Exchange, hidden
from .posting import Posting
from .pushes import KINDS, written_push
from .site import Delivery, Kind
from .world import World

__all__ = ["REMEMBERED", "Outbox", "Retries", "Sent"]

WAITING = 1000
REMEMBERED = 1000
LANES = 8
_TROUBLED = 3
_WORTH_A_LINE = 20  # sites; with more, only what went wrong is worth one

_log = logging.getLogger("mosvpp_sandbox")


@dataclass(frozen=True)
class Retries:
    """How long an answer may take, in real seconds, and the simulated pauses before each repeat.

    The default is four repeats, after 1, 5, 30 and 120 s.
    """

    timeout_s: float = 5.0
    pauses_s: Sequence[float] = (1.0, 5.0, 30.0, 120.0)

    def __post_init__(self) -> None:
        if not self.timeout_s > 0 or any(not 0 <= pause < 10**7 for pause in self.pauses_s):
            raise ValueError("retries have a time-out above 0 and pauses of 0 or more, in seconds")


@dataclass(frozen=True)
class Sent:
    """How a delivery went: the status of the last attempt, or None without an answer, and the reason."""

    delivery: Delivery
    attempts: int
    status: int | None
    reason: str = ""

    @property
    def is_acknowledged(self) -> bool:
        """Whether the partner answered exactly 200."""
        return self.status == 200


@dataclass(eq=False)
class _Job:
    delivery: Delivery
    body: bytes
    exchange: Exchange
    url: str
    headers: dict[str, str]


class Outbox:
    """Lanes for each URL, so that neither holds up the other; a site keeps its lane, and so its order.

    For one event loop.
    """

    def __init__(
        self,
        world: World,
        urls: Mapping[Kind, str],
        headers: Mapping[str, str],
        sent: deque[Sent],
        *,
        retries: Retries | None = None,
        signing_secret: str | None = None,
    ) -> None:
        self._world = world
        self._urls = dict(urls)
        self.headers: Mapping[str, str] = dict(headers)  # replaced when a partner configures others
        self._sent = sent
        self._retries = retries or Retries()
        self._signing_secret = signing_secret
        count = min(LANES, len(world.sites))
        self._lanes: dict[Kind, list[asyncio.Queue[_Job]]] = {
            kind: [asyncio.Queue() for _ in range(count)] for kind in urls
        }
        self._later: list[tuple[datetime, int, _Job]] = []
        self._postponed = 0
        self._held: dict[tuple[Kind, str], _Job] = {}
        self._moved = asyncio.Event()
        self._troubles = 0
        self._complaints = Complaints(SystemClock())
        self._loudness = logging.INFO if len(world.sites) <= _WORTH_A_LINE else logging.DEBUG
        self.on_postponed: Callable[[], None] = lambda: None

    def put(self, delivery: Delivery) -> None:
        """Have it sent, unless a fault has it otherwise; without a URL for its kind it is only noted."""
        operation = f"receive_{delivery.kind}"
        key = f"{delivery.molecule_id}/{delivery.number}"
        faults = self._world.faults.strike(operation, delivery.molecule_id, key)
        body = written_push(self._world.profile, delivery, faults)
        job = self._job(delivery, body, faults)
        if not job.url:
            job.exchange.state, job.exchange.verdict = "done", "not sent: there is no URL"
        elif "lose" in faults:
            job.exchange.state, job.exchange.verdict = "given_up", "lost by a fault"
        else:
            self._send_soon(job, faults)
        self._world.exchanges.changed(job.exchange)

    def repeat(self, exchange: Exchange) -> Exchange:
        """Send the same bytes once more; returns the new exchange. Raises `ValueError`."""
        kind = KINDS.get(exchange.operation)
        if kind is None or not self._urls.get(kind):
            raise ValueError("there is no URL to send that to")
        now = self._world.clock.now()
        job = self._job(Delivery(kind, exchange.molecule_id, now, {}), exchange.body, {})
        job.exchange.repeats = exchange.number
        self._line_up(job)
        self._world.exchanges.changed(job.exchange)
        return job.exchange

    def _job(self, delivery: Delivery, body: bytes, faults: Mapping[str, float]) -> _Job:
        url = self._urls.get(delivery.kind, "")
        exchange = self._world.exchanges.open(
            "sent",
            delivery.at,
            operation=f"receive_{delivery.kind}",
            molecule_id=delivery.molecule_id,
            method="POST",
            url=url,
            body=body,
            faults=list(faults),
        )
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "mosvpp-sandbox",
            messages.EVIDENCE_HEADER: messages.EVIDENCE[delivery.kind],
            **self.headers,
        }
        if "wrong_header" in faults:
            headers |= dict.fromkeys(self.headers, "wrong")
        return _Job(delivery, body, exchange, url, headers)

    def _send_soon(self, job: _Job, faults: Mapping[str, float]) -> None:
        place = (job.delivery.kind, job.delivery.molecule_id)
        if "delay" in faults:
            self._postpone(job, faults["delay"])
        elif "reorder" in faults and place not in self._held:
            job.exchange.verdict = "held back until the next one"
            self._held[place] = job
            return
        else:
            self._line_up(job)
            if "duplicate" in faults:
                self._line_up(self._job(job.delivery, job.body, {"duplicate": 0}))
        if (held := self._held.pop(place, None)) is not None:
            self._line_up(held)

    @property
    def is_busy(self) -> bool:
        """Whether so much is waiting that the simulation does well to wait, too.

        It does not wait for a partner that does not answer: what is too much then is dropped.
        """
        return self._troubles < _TROUBLED and any(
            lane.qsize() > WAITING // 2 for lanes in self._lanes.values() for lane in lanes
        )

    async def progress(self) -> None:
        """Wait until something was sent, or given up."""
        self._moved.clear()
        await self._moved.wait()

    def release(self, now: datetime) -> datetime | None:
        """Line up what was postponed until now; returns when there will be more."""
        while self._later and self._later[0][0] <= now:
            self._line_up(heappop(self._later)[2])
        return self._later[0][0] if self._later else None

    async def drained(self) -> None:
        """Wait until nothing that is due is waiting or on its way."""
        for lanes in self._lanes.values():
            for lane in lanes:
                await lane.join()

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as senders:
            for kind, lanes in self._lanes.items():
                for lane in lanes:
                    senders.create_task(self._send_all(self._urls[kind], lane))
            await asyncio.Event().wait()  # also with no lane at all: ending would end the sandbox

    def _line_up(self, job: _Job) -> None:
        lanes = self._lanes[job.delivery.kind]
        lane = lanes[crc32(job.delivery.molecule_id.encode()) % len(lanes)]
        if lane.qsize() >= WAITING:
            self._end(job, Sent(job.delivery, job.exchange.attempts, None, f"{WAITING} others are waiting"))
        else:
            lane.put_nowait(job)

    def _postpone(self, job: _Job, pause_s: float) -> None:
        self._postponed += 1
        at = self._world.clock.now() + timedelta(seconds=pause_s)
        heappush(self._later, (at, self._postponed, job))
        self.on_postponed()

    async def _send_all(self, url: str, lane: asyncio.Queue[_Job]) -> None:
        posting = Posting(url)
        try:
            while True:
                job = await lane.get()
                try:
                    await self._attempt(posting, job)
                finally:
                    lane.task_done()
                    self._moved.set()
        finally:
            posting.close()

    async def _attempt(self, posting: Posting, job: _Job) -> None:
        exchange, status, reason = job.exchange, None, ""
        headers = (
            job.headers if self._signing_secret is None else {**job.headers, **self._signature(job.body)}
        )
        exchange.headers = hidden(headers.items(), self.headers)
        exchange.attempts += 1
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._retries.timeout_s):
                status, answer_headers = await posting.post(headers.items(), job.body)
                exchange.answer_headers = hidden(answer_headers)
        except Exception as error:  # noqa: BLE001  no answer of a partner may end the sandbox
            status, reason = None, type(error).__name__
        exchange.seconds, exchange.status = time.monotonic() - began, status
        self._troubles = 0 if status is not None else self._troubles + 1
        if status == 200:
            self._end(job, Sent(job.delivery, exchange.attempts, status))
        elif exchange.attempts <= len(self._retries.pauses_s):
            pause_s = self._retries.pauses_s[exchange.attempts - 1]
            exchange.verdict = f"{reason or 'not answered 200'}; again after {pause_s:g} s"
            self._world.exchanges.changed(exchange)
            if pause_s:
                self._postpone(job, pause_s)
            else:
                self._line_up(job)
        else:
            sent = Sent(job.delivery, exchange.attempts, status, reason or "the partner did not answer 200")
            self._end(job, sent)

    def _end(self, job: _Job, sent: Sent) -> None:
        self._sent.append(sent)
        exchange = job.exchange
        exchange.state = "done" if sent.is_acknowledged else "given_up"
        exchange.verdict = "acknowledged" if sent.is_acknowledged else sent.reason
        self._world.exchanges.changed(exchange)
        kind = sent.delivery.kind.replace("_", " ")
        if sent.is_acknowledged:
            _log.log(self._loudness, "%s: %s", kind, sent.status)
        else:
            self._complain(kind, sent, job.url)

    def _complain(self, kind: str, sent: Sent, url: str) -> None:
        """Once in a while: where nobody listens, every push of every site fails alike."""
        passed_over = self._complaints.due(f"{kind} {sent.status} {sent.reason}")
        if passed_over is not None:
            _log.warning(
                "%s was not delivered to %s: %s (%s)%s",
                kind,
                url,
                sent.status or "no answer",
                sent.reason,
                f"; {passed_over:,} more since the last line like this" if passed_over else "",
            )

    def _signature(self, body: bytes) -> dict[str, str]:
        """By the clock of the machine, since the partner's program checks it by that one."""
        message_id = f"msg_{blake2b(body, digest_size=12).hexdigest()}"
        secret = self._signing_secret or ""
        return sign(body, secret=secret, message_id=message_id, timestamp=datetime.now(UTC))
