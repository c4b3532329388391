"""The stream in NATS JetStream: made, checked, published to, and looked into."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mosvpp.errors import StoreError

try:
    import nats
    import nats.errors
    from nats.js import api
    from nats.js import errors as js_errors
    from nats.js.api import StreamInfo
except ModuleNotFoundError:
    raise ImportError(
        "forwarding needs nats-py, which comes with an extra: pip install 'mosvpp[receiver,nats]'",
        name="nats",
    ) from None

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

__all__ = ["Log", "StreamInfo", "Tail", "Unsure"]

_log = logging.getLogger("mosvpp.receiver")

DUPLICATES_S = 120.0
SUBJECTS = "mosvpp.>"
_COVERING = {SUBJECTS, "mosvpp.*.*", ">"}
_CONNECTING_S = 5.0
_ANSWER_S = 5.0
_ASKING_S = 2.0
_ELECTION_S = 20.0  # more than a cluster needs to find a new leader
_SHORTEST_DUPLICATES_S = 30.0  # several times what a publication may be on its way
_REFUSED = "it refused user, password or token"
_TOO_LARGE = {10054}  # JSStreamMessageExceedsMaximum
_NO_CLUSTER = 10074  # JSStreamReplicasNotSupported
_FAILURES = (nats.errors.Error, js_errors.Error, OSError, TimeoutError)


class Unsure(Exception):  # noqa: N818  no error: it is asked again
    """It may have been published or not; a look into the stream tells."""


@dataclass
class Tail:
    """The newest message of a subject, and the ids of the messages since a place in the stream."""

    seq: int = 0
    ids: set[str] = field(default_factory=set)


class Log:
    """A connection to a stream. `options` are those of `nats.connect`."""

    def __init__(
        self, servers: Sequence[str], *, stream: str, replicas: int, options: dict[str, Any]
    ) -> None:
        self._servers = list(servers)
        self._stream = stream
        self._replicas = replicas
        self._options = options
        self._nats: Client | None = None
        self._js: JetStreamContext | None = None
        self._is_closing = False
        self._last_fault = "no answer in time"

    @property
    def shown(self) -> str:
        """The servers without what may be a secret."""
        return ", ".join(_host(server) for server in self._servers)

    async def open(self) -> None:
        """Connect. Raises `StoreError`."""
        connecting = nats.connect(
            self._servers,
            name="mosvpp inbox forward",
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=3,
            error_cb=self._note,
            disconnected_cb=self._note_loss,
            reconnected_cb=_note_return,
            **self._options,
        )
        try:
            self._nats = await asyncio.wait_for(connecting, _CONNECTING_S)
        except (*_FAILURES, ValueError) as error:
            why = self._last_fault if isinstance(error, TimeoutError) else _said(error)
            msg = f"NATS at {self.shown} cannot be reached: {why}"
            raise StoreError(msg, reason="log_unavailable") from None
        self._js = self._nats.jetstream(timeout=_ANSWER_S)

    async def _note(self, error: Exception) -> None:
        said = _said(error)
        if self._js is not None:  # before, it is told by `open`
            _log.warning("NATS: %s", said)
        elif self._last_fault != _REFUSED:  # a server that refuses may reset the connection as well
            self._last_fault = said

    async def _note_loss(self) -> None:
        if not self._is_closing:
            _log.warning("the connection to NATS is lost; what is stored waits")

    async def close(self) -> None:
        """Disconnect; what was published without an answer is looked for the next time."""
        self._is_closing = True
        if self._nats is not None:
            with contextlib.suppress(*_FAILURES):
                await self._nats.close()

    async def prepare(self) -> StreamInfo:
        """The stream, made where it is missing. Raises `StoreError` for one that loses or doubles."""
        until = monotonic() + _ELECTION_S
        while True:
            try:
                info = await asyncio.wait_for(self._found_or_made(), _ASKING_S)
            except _FAILURES as error:
                if getattr(error, "err_code", None) == _NO_CLUSTER:
                    msg = (
                        f"NATS at {self.shown} is a single server, which cannot hold {self._replicas} "
                        "replicas: run a cluster, or accept one copy with replicas=1 (--replicas 1)"
                    )
                    raise StoreError(msg, reason="unsafe") from None
                if monotonic() >= until:
                    msg = f"the stream {self._stream} can be neither found nor made: {_said(error)}"
                    raise StoreError(msg, reason="log_unavailable") from None
                await asyncio.sleep(0.5)
            else:
                self._check(info.config)
                return info

    async def _found_or_made(self) -> StreamInfo:
        js = self._context()
        with contextlib.suppress(js_errors.NotFoundError):
            return await js.stream_info(self._stream)
        return await js.add_stream(
            api.StreamConfig(
                name=self._stream,
                subjects=[SUBJECTS],
                num_replicas=self._replicas,
                storage=api.StorageType.FILE,
                retention=api.RetentionPolicy.LIMITS,
                discard=api.DiscardPolicy.NEW,
                duplicate_window=DUPLICATES_S,
            )
        )

    def _check(self, config: api.StreamConfig) -> None:
        edit = f"nats stream edit {self._stream}"
        replicas, window = config.num_replicas or 1, config.duplicate_window or 0
        faults = {
            f"has {replicas} instead of {self._replicas} replicas; "
            f"`{edit} --replicas {self._replicas}` mends it, or ask for fewer": replicas < self._replicas,
            "is kept in memory; remove it, and one on disk is made": config.storage != api.StorageType.FILE,
            "drops what was consumed, so that nobody can see what was in it; remove it, and one that keeps "
            "it is made": config.retention != api.RetentionPolicy.LIMITS,
            "acknowledges before it has stored, or never; remove it, and one that stores first is made": (
                bool(config.no_ack) or config.persist_mode == "async"
            ),
            f"does not take {SUBJECTS}; `{edit} --subjects '{SUBJECTS}'` mends it": (
                not _COVERING & set(config.subjects or [])
            ),
            f"recognises repetitions for {window:g} s only; `{edit} --dupe-window 2m` mends it": (
                window < _SHORTEST_DUPLICATES_S
            ),
        }
        for fault, is_so in faults.items():
            if is_so:
                raise StoreError(f"the stream {self._stream} {fault}", reason="unsafe")

    async def publish(self, subject: str, body: bytes, headers: dict[str, str], *, after: int) -> int:
        """The number in the stream, once it is on the disks of a majority of its servers.

        `after` is the number of the newest message with this subject: another one there refuses this one.
        Raises `Unsure`, and `StoreError` for what can never be published.
        """
        headers = {**headers, "Nats-Expected-Last-Subject-Sequence": str(after)}
        try:
            answer = await self._context().publish(
                subject, body, timeout=_ANSWER_S, stream=self._stream, headers=headers
            )
        except nats.errors.MaxPayloadError:
            raise self._too_large(headers, body) from None
        except js_errors.APIError as error:
            if error.err_code in _TOO_LARGE:
                raise self._too_large(headers, body) from None
            raise Unsure(_said(error)) from error
        except (*_FAILURES, ValueError) as error:  # ValueError: an answer that is no JSON
            raise Unsure(_said(error)) from error
        return answer.seq

    def _too_large(self, headers: dict[str, str], body: bytes) -> StoreError:
        return StoreError(
            f"the delivery {headers['Nats-Msg-Id']} of {len(body):,} bytes is larger than NATS allows: "
            "raise `max_payload` of the servers and `max_msg_size` of the stream",
            reason="too_large",
        )

    async def tails(self, subjects: Sequence[str], *, since: int) -> dict[str, Tail]:
        """What the stream holds of these subjects. Raises `Unsure`."""
        tails = {subject: Tail() for subject in subjects}
        try:
            for seq, subject, id_ in await self._scan(subjects, "last_per_subject"):
                tails[subject] = Tail(seq, {id_})
            busy = [subject for subject, tail in tails.items() if tail.seq > since]
            if busy:
                for seq, subject, id_ in await self._scan(busy, "by_start_sequence", since + 1):
                    tails[subject].ids.add(id_)
                    tails[subject].seq = max(tails[subject].seq, seq)
        except (*_FAILURES, ValueError) as error:
            raise Unsure(_said(error)) from error
        return tails

    async def _scan(
        self, subjects: Sequence[str], policy: str, start: int | None = None
    ) -> list[tuple[int, str, str]]:
        """Number, subject and id of messages, through a consumer that is gone afterwards."""
        js = self._context()
        config = api.ConsumerConfig(
            deliver_policy=api.DeliverPolicy(policy),
            opt_start_seq=start,
            ack_policy=api.AckPolicy.NONE,
            filter_subjects=list(subjects),
            headers_only=True,
            inactive_threshold=30,
            num_replicas=1,
            mem_storage=True,
        )
        consumer = await js.add_consumer(self._stream, config, timeout=_ANSWER_S)
        found: list[tuple[int, str, str]] = []
        left = consumer.num_pending or 0
        subscription = await js.pull_subscribe_bind(consumer.name, self._stream)
        try:
            while left > 0:
                for message in await subscription.fetch(min(left, 500), timeout=_ANSWER_S):
                    id_ = (message.headers or {}).get("Nats-Msg-Id", "")
                    found.append((message.metadata.sequence.stream, message.subject, id_))
                    left = message.metadata.num_pending
        finally:
            with contextlib.suppress(*_FAILURES):
                await subscription.unsubscribe()
                await js.delete_consumer(self._stream, consumer.name)
        return found

    def _context(self) -> JetStreamContext:
        assert self._js is not None, "open() first"
        return self._js


def _host(server: str) -> str:
    try:
        parts = urlsplit(server if "//" in server else f"//{server}")
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        return "an address that is none"


def _said(error: BaseException) -> str:
    """What a server said, or the kind of the error: other texts may hold an address with a password."""
    said = getattr(error, "description", None)
    if said:
        return str(said)
    if isinstance(error, json.JSONDecodeError):
        return "an answer that is no JSON"
    if isinstance(error, nats.errors.NoRespondersError | js_errors.NoStreamResponseError):
        return "no server leads the stream at present"
    if "authorization" in f"{type(error).__name__} {error}".lower():
        return _REFUSED
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


async def _note_return() -> None:
    _log.info("the connection to NATS is back")
