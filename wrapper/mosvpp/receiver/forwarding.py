"""Publish what is stored to a stream of NATS JetStream, each delivery once (extra `nats`).

    forward("postgresql://mosvpp@db/mosvpp", ["nats://n1", "nats://n2", "nats://n3"],
            monitor_urls=["http://n1:8222", "http://n2:8222", "http://n3:8222"])

The store acknowledges to Molecule; the stream is where many programs read. Deliveries go to
`mosvpp.<kind>.<molecule_id>` in the order of storing within a site, with the delivery's key as
`Nats-Msg-Id`.

Why each is there once, however often a forwarder dies: progress is stored after the stream has answered, so
that nothing is passed over. What was published after the last stored progress is looked for in the stream,
by key, before anything is published again, so that it does not matter how long the forwarder was away. And
each publication names the newest message of its subject, so that a second forwarder, or a late repetition,
is refused by the stream itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection

from mosvpp import webhooks
from mosvpp.clock import Clock, SystemClock
from mosvpp.errors import RuleError, StoreError
from mosvpp.events import Delivery
from mosvpp.signatures import aware
from mosvpp.store import Database

from . import _forward_store as store
from ._forward_log import Log, StreamInfo
from ._forward_publisher import Forwarded, Publisher, subject_of
from ._forward_safety import Look, check_monitor_url, look
from ._forward_store import Forwarding, Horizon, Mark, Row
from ._tables import SCHEMA
from .deliveries import KINDS, CheckedBefore, Kind

__all__ = [
    "STREAM",
    "Forwarded",
    "Forwarder",
    "Forwarding",
    "event_of",
    "forget",
    "forward",
    "progress",
    "subject_of",
]

_log = logging.getLogger("mosvpp.receiver")
R = TypeVar("R")

STREAM = "MOSVPP"

_BATCH = 256  # what a crash leaves in doubt is within the next so many deliveries
_LEASE = timedelta(seconds=10)
_LOOK_EVERY = timedelta(minutes=1)
_TRIES_ONCE = 8  # quarters of a lease: enough for that of a forwarder that was killed
_PASSING = {"unavailable", "busy", "full", "timeout"}
_POLL_S = 0.5
_SETTLING_S = 0.005  # about as long as a commit takes
_LONGEST_PAUSE_S = 2.0


class Forwarder:
    """Publishes what is in a store to a stream, as `forward` does, in an event loop of yours.

    `servers` are those of one cluster, `monitor_urls` their monitors, one for each server. The stream is
    made with `replicas` where it is missing. A server whose monitor says that it acknowledges before it
    syncs is refused, and so is a cluster without monitors, unless `allow_unsynced`. `since` leaves out what
    arrived earlier. With `finish`, what was forwarded counts as done: for stores that no worker reads.
    `options` are those of `nats.connect`: user, password, token, tls, user_credentials, ….

    Several may run for one store: one works, the others take over when it stops. Raises `RuleError`.
    """

    def __init__(
        self,
        url: str,
        servers: Sequence[str],
        *,
        monitor_urls: Sequence[str] = (),
        stream: str = STREAM,
        replicas: int = 3,
        allow_unsynced: bool = False,
        since: datetime | None = None,
        finish: bool = False,
        lease: timedelta = _LEASE,
        look_every: timedelta = _LOOK_EVERY,
        on_progress: Callable[[Forwarded], object] | None = None,
        options: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        if isinstance(servers, str) or not servers:
            raise RuleError("give a list of servers: nats://host:4222", path="servers", rule="required")
        if not monitor_urls and not allow_unsynced:
            msg = (
                "say where the monitors are, so that it can be seen that the servers sync before they "
                "acknowledge: http://host:8222 for each; or allow what a power cut may lose"
            )
            raise RuleError(msg, path="monitor_urls", rule="required")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", stream):
            msg = "the name of a stream is made of letters, digits, - and _"
            raise RuleError(msg, path="stream", rule="format")
        if replicas not in range(1, 6):
            raise RuleError("a stream has 1 to 5 replicas", path="replicas", rule="range")
        self._database = Database(url, SCHEMA)
        self._log = Log(servers, stream=stream, replicas=replicas, options=dict(options or {}))
        self._stream = stream
        self._monitor_urls = [check_monitor_url(one) for one in monitor_urls]
        self._allow_unsynced = allow_unsynced
        self._since = None if since is None else aware(since, path="since")
        self._finish = finish
        self._lease = lease
        self._on_progress = on_progress
        self._clock: Clock = clock or SystemClock()
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._horizon = Horizon(self._database)
        self._mark = Mark(0, 0)
        self._saved_at = 0.0
        self._finished: list[int] = []
        self._look_every = look_every.total_seconds()
        self._unsafe: StoreError | None = None
        self._stop = asyncio.Event()
        self.done: Forwarded = Forwarded()
        self._publisher = Publisher(self._log, self.done)

    def __repr__(self) -> str:
        return f"Forwarder({self._database!r}, stream={self._stream!r})"

    def stop(self) -> None:
        """Let `run` end soon, with its progress stored. Call it in the event loop."""
        self._stop.set()

    async def run(self, *, once: bool = False) -> Forwarded:
        """Forward until `stop`; with `once`, until everything that is stored now is in the stream.

        While NATS or the store is away, deliveries wait where they are. Raises `StoreError` where going on
        would lose something, and where nothing answers at the beginning.
        """
        await asyncio.to_thread(self._database.open)
        try:
            seen = await self._first_look()
            await self._log.open()
            info = await self._log.prepare()
            self._warn_of_unseen(info, seen)
            try:
                await self._until_stopped(once=once, length=info.state.last_seq)
            finally:
                with suppress(StoreError):  # the lease runs out by itself
                    await self._store(lambda c: store.let_go(c, self._stream, self._holder))
        finally:
            await self._log.close()
            await asyncio.to_thread(self._database.close)
        if self._unsafe is not None:
            raise self._unsafe
        return self.done

    async def _until_stopped(self, *, once: bool, length: int) -> None:
        watch = asyncio.ensure_future(self._keep_watching())
        try:
            await self._take(Mark(0, length), once=once)
            self._distrust_if_shorter(length)
            target = await self._settle_all() if once else None
            while not self._stop.is_set():
                try:
                    moved = await self._step(target)
                except StoreError as error:
                    if error.reason not in _PASSING:
                        raise
                    _log.warning("%s; trying again", error, extra={"reason": error.reason})
                    await self._pause(_LONGEST_PAUSE_S)
                    continue
                if target is not None and self._mark.seq >= target:
                    return
                if not moved:
                    await self._pause(_SETTLING_S if self._horizon.is_waiting else _POLL_S)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    # Whose turn it is, and how far it is

    async def _take(self, beginning: Mark, *, once: bool = False) -> None:
        """Wait until it is this one's turn, or until it is stopped."""

        def take(connection: Connection) -> Mark | None:
            now, lease = self._clock.now(), self._lease
            return store.take(
                connection, self._stream, self._holder, beginning=beginning, now=now, lease=lease
            )

        tries = 0
        while not self._stop.is_set():
            mark = await self._store(take)
            if mark is not None:
                self._mark, self._saved_at = mark, self._clock.monotonic()
                return
            tries += 1
            if once and tries > _TRIES_ONCE:
                msg = f"another forwarder fills {self._stream} from this store: leave it to that, or stop it"
                raise StoreError(msg, reason="held")
            if tries == 1:
                _log.info("another forwarder fills %s; this one takes over when it stops", self._stream)
            await self._pause(self._lease.total_seconds() / 4)

    async def _save(self, seqs: Sequence[int] = (), *, if_due: bool = False) -> bool:
        """Store the progress, and with it the right to go on; False when it was another's turn meanwhile."""
        self._finished.extend(seqs if self._finish else ())
        if if_due and self._clock.monotonic() - self._saved_at < self._lease.total_seconds() / 3:
            return True

        def write(connection: Connection) -> bool:
            now, lease = self._clock.now(), self._lease
            held = store.save(connection, self._stream, self._holder, self._mark, now=now, lease=lease)
            if held and self._finished:
                store.finish(connection, self._finished, now)
            return held

        held = await self._store(write)
        self._saved_at, self._finished = self._clock.monotonic(), []
        if not held:
            _log.warning("another forwarder has taken over %s", self._stream)
            await self._take(self._mark)
        return held

    def _distrust_if_shorter(self, length: int) -> None:
        if self._mark.log_seq <= length:
            return
        _log.error(
            "the stream %s is shorter than it was: was it made anew? What is missing in it is in the store, "
            "as far as it was not purged",
            self._stream,
        )
        self._mark = Mark(self._mark.seq, 0)

    # Forwarding

    async def _settle_all(self) -> int:
        """The number up to which everything was stored when this began."""
        settled = await asyncio.to_thread(self._horizon.advance)
        while self._horizon.is_waiting and not self._stop.is_set():
            await self._pause(_SETTLING_S)
            settled = await asyncio.to_thread(self._horizon.advance)
        return settled

    async def _step(self, target: int | None) -> bool:
        """Forward the next deliveries; False where there are none, or where it is to begin again."""
        until = await asyncio.to_thread(self._horizon.advance) if target is None else target
        rows = await asyncio.to_thread(self._rows, until)
        if not rows:
            if target is not None:  # what had that number was purged, or never came to be
                self._mark = Mark(max(self._mark.seq, target), self._mark.log_seq)
            await self._save(if_due=target is None)
            return False
        highest = await self._publisher.publish(
            self._wanted(rows), since=self._mark.log_seq, go_on=self._may_go_on
        )
        if highest is None:
            return False
        self._mark = Mark(rows[-1].seq, max(highest, self._mark.log_seq))
        self.done.behind = max(until - self._mark.seq, 0)
        await self._save([row.seq for row in rows])
        if self._on_progress is not None:
            self._on_progress(self.done)
        return True

    def _wanted(self, rows: Sequence[Row]) -> list[Row]:
        since = self._since
        wanted = [row for row in rows if row.body is not None and (since is None or row.received_at >= since)]
        self.done.passed_over += len(rows) - len(wanted)
        return wanted

    async def _may_go_on(self) -> bool:
        return not self._stop.is_set() and await self._save(if_due=True)

    def _rows(self, until: int) -> list[Row]:
        with self._database.read() as connection:
            return store.rows_after(connection, self._mark.seq, until=until, limit=_BATCH)

    # Whether the servers sync

    async def _first_look(self) -> Look:
        if self._allow_unsynced:
            return Look()
        seen = await asyncio.to_thread(look, self._monitor_urls)
        if not seen.synced:
            why = ", ".join(f"{url}: {cause}" for url, cause in seen.silent.items())
            msg = f"no monitor answers, so nobody knows whether the servers sync ({why})"
            raise StoreError(msg, reason="log_unavailable")
        for url, cause in seen.silent.items():
            _log.warning("the monitor %s does not answer (%s): does its server sync?", url, cause)
        return seen

    async def _keep_watching(self) -> None:
        """A server may come back with another configuration than it had."""
        while not self._allow_unsynced:
            await asyncio.sleep(self._look_every)
            try:
                await asyncio.to_thread(look, self._monitor_urls)
            except StoreError as error:
                self._unsafe = error
                self._stop.set()
                return

    def _warn_of_unseen(self, info: StreamInfo, seen: Look) -> None:
        cluster = info.cluster
        if self._allow_unsynced or cluster is None:
            return
        holders = {cluster.leader, *(peer.name for peer in cluster.replicas or [])} - {None}
        unseen = sorted(str(name) for name in holders - seen.synced - {None})
        if unseen and not seen.silent:
            _log.warning(
                "%s hold the stream too, and nobody asked whether they sync: give their monitors as well",
                ", ".join(unseen),
            )

    # Small things

    async def _store(self, work: Callable[[Connection], R]) -> R:
        return await asyncio.to_thread(self._database.commit, work)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)


def forward(url: str, servers: Sequence[str], *, once: bool = False, **options: Any) -> Forwarded:
    """Forward until the process is told to stop (Ctrl-C, SIGTERM), or `once` until all is in the stream.

    `options` are the arguments of `Forwarder`. Raises `RuleError` and `StoreError`.
    """

    async def run() -> Forwarded:
        forwarder = Forwarder(url, servers, **options)
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            with suppress(NotImplementedError):  # Windows: Ctrl-C cancels this function instead
                loop.add_signal_handler(signal.SIGTERM, forwarder.stop)
                loop.add_signal_handler(signal.SIGINT, forwarder.stop)
        return await forwarder.run(once=once)

    return asyncio.run(run())


def progress(url: str, *, clock: Clock | None = None) -> list[Forwarding]:
    """How far each stream is that was ever filled from this store. Raises `StoreError`."""
    now = (clock or SystemClock()).now()
    with _opened(url) as database, database.read() as connection:
        return store.overview(connection, now)


def forget(url: str, stream: str = STREAM) -> bool:
    """Give up forwarding to a stream, so that it holds up no purge any more; False if there was nothing.

    A forwarder that is started later begins with what is stored then. Raises `StoreError`.
    """
    with _opened(url) as database:
        return database.commit(lambda connection: store.forget(connection, stream))


def event_of(subject: str, body: bytes) -> Delivery:
    """Read a message of the stream; its sender was checked before it was stored. Raises `PayloadError`."""
    kind: Kind | None = next((kind for kind in KINDS if subject.startswith(f"mosvpp.{kind}.")), None)
    return webhooks.parse(body, (), verifier=CheckedBefore(), expect=kind)


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = Database(url, SCHEMA)
    database.open()
    try:
        yield database
    finally:
        database.close()
