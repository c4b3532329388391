"""What a receiver decides, without any input or output: the same for ASGI, WSGI and Lambda.

    step = intake.begin(Request(method, path, headers, peer), now)      # limits, then who it is
    step = reception.feed(chunk)                                        # the body, counted
    step = reception.finish()                                           # what to store

Each step gives an `Answer`, or goes on. What costs least is looked at first, and the body of a sender who
did not prove who it is is not even read, where the verifier does not need it.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict

from mosvpp.errors import AuthenticationError, RuleError
from mosvpp.signatures import HmacSignature, Verifier

from ._wire_headers import Pairs, WireHeaders, wire_name
from .addresses import client_address, is_among, networks
from .deliveries import KINDS, Kind, NewDelivery

__all__ = [
    "LONGER",
    "PATHS",
    "Answer",
    "Intake",
    "Options",
    "Probe",
    "Reception",
    "Request",
    "Stranger",
    "VerifierFault",
    "answer",
    "stored",
]

_log = logging.getLogger("mosvpp.receiver")

Probe: TypeAlias = Literal["healthz", "readyz", "metrics"]

PATHS: dict[str, Kind] = {"/data-push": "data_push", "/execution-response": "execution_response"}
_PROBES: dict[str, Probe] = {"/healthz": "healthz", "/readyz": "readyz", "/metrics": "metrics"}

LONGER = "agree on 16 or more random characters with Molecule"

KEPT_HEADERS = (
    "content-type",
    "date",
    "traceparent",
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
    "x-request-id",
)
_SECRET_HEADERS = frozenset(
    {
        b"authorization",
        b"cookie",
        b"proxy-authorization",
        b"webhook-signature",
        b"x-api-key",
        b"x-forwarded-for",
    }
)
_LONGEST_KEPT = 1024
_LONGEST_LENGTH = 18  # digits


class Options(TypedDict, total=False):
    """What can be set at each way of mounting.

    `paths`: path below the mount to kind, `PATHS` if left out. `max_body`: bytes, 256 KiB. `body_deadline`:
    for the whole body, 10 s. `store_deadline`: until the store must have answered, 4 s. `keep_headers`:
    more names to store. `id_header`: the header with the sender's id of a delivery; with `HmacSignature` it
    is webhook-id. `inflate`: take gzip and deflate, `max_body` is then that of the inflated body too.
    `trusted_proxies` and `allowed`: networks such as "10.0.0.0/8"; X-Forwarded-For is read only from the
    first, and only clients of the second are let in, everyone if it is empty. `quarantine`: keep the latest
    deliveries of unrecognised senders. `metrics`: serve /metrics here, to everyone who can reach it.
    `tracer`: see `mosvpp.receiver.tracing`.
    """

    paths: Mapping[str, Kind]
    max_body: int
    body_deadline: timedelta
    store_deadline: timedelta
    keep_headers: Collection[str]
    id_header: str | None
    inflate: bool
    trusted_proxies: Iterable[str]
    allowed: Iterable[str]
    quarantine: bool
    metrics: bool
    tracer: Any


class Answer(NamedTuple):
    """What to answer; `reason` is a word to count by, None for a stored delivery."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    reason: str | None


class Request(NamedTuple):
    """The head of a request.

    `path` is that below the mount, names of `headers` are in lower case, `peer` is the connection's other
    end.
    """

    method: str
    path: str
    headers: Pairs
    peer: str | None


class Stranger(NamedTuple):
    """A delivery whose sender was not recognised, for the quarantine; the answer is 401 all the same."""

    kind: Kind
    body: bytes
    headers: dict[str, str]
    reason: str
    delivery_id: bytes | None


class VerifierFault(Exception):  # noqa: N818  the cause is the error
    """The verifier, or a function that gives it secrets, has failed: nobody knows who the sender is."""


# By reason: the status, and a sentence that helps the sender. That of 401 never says what was wrong.
_ANSWERS: dict[str, tuple[int, str]] = {
    "path": (404, "there is nothing here; deliveries go to /data-push or /execution-response"),
    "method": (405, "deliveries are sent with POST"),
    "probe_method": (405, "ask with GET"),
    "slow_body": (408, "the body took too long"),
    "too_large": (413, "the body is too large"),
    "media_type": (415, "deliveries are JSON: Content-Type: application/json"),
    "encoding": (415, "the body must not be compressed"),
    "framing": (400, "the length of the body is not clear"),
    "damaged": (400, "the compressed body is damaged"),
    "denied": (403, "this address is not allowed here"),
    "unauthenticated": (401, "the credentials are missing or wrong"),
    "store": (503, "the delivery could not be stored; send it again later"),
    "verifier": (503, "the sender could not be checked; send it again later"),
    "not_ready": (503, "the store is not ready"),
}
_EXTRA: dict[str, list[tuple[bytes, bytes]]] = {
    "method": [(b"allow", b"POST")],
    "probe_method": [(b"allow", b"GET, HEAD")],
    "store": [(b"retry-after", b"5")],
    "verifier": [(b"retry-after", b"5")],
    "not_ready": [(b"retry-after", b"5")],
}
_LEAVE_UNREAD = (b"connection", b"close")  # or the server would go on reading a body that nobody wants


def answer(reason: str, *, count_as: str | None = None, unread: bool = False) -> Answer:
    """The answer for a reason."""
    status, sentence = _ANSWERS[reason]
    body = sentence.encode() + b"\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    headers += _EXTRA.get(reason, ())
    return Answer(status, [*headers, _LEAVE_UNREAD] if unread else headers, body, count_as or reason)


def stored() -> Answer:
    """The answer for a delivery that is stored."""
    # A list of its own each time: middleware may add to it.
    return Answer(200, [(b"content-type", b"text/plain"), (b"content-length", b"3")], b"OK\n", None)


class Intake:
    """The decisions of one mounted receiver. Raises `RuleError` for options that make no sense."""

    def __init__(
        self,
        verifier: Verifier,
        *,
        paths: Mapping[str, Kind] | None = None,
        max_body: int = 256 * 1024,
        body_deadline: timedelta = timedelta(seconds=10),
        store_deadline: timedelta = timedelta(seconds=4),
        keep_headers: Collection[str] = (),
        id_header: str | None = None,
        inflate: bool = False,
        trusted_proxies: Iterable[str] = (),
        allowed: Iterable[str] = (),
        quarantine: bool = False,
        metrics: bool = False,
        tracer: Any = None,
    ) -> None:
        if not hasattr(verifier, "verify"):
            msg = "give a verifier, for example SharedHeaders; nothing is taken without one"
            raise RuleError(msg, path="verifier", rule="required", evidence=("push.validate_headers",))
        if getattr(verifier, "is_guessable", False):
            _log.warning("every secret of %s is so short that it can be guessed: %s", verifier, LONGER)
        if max_body < 1:
            raise RuleError("max_body is at least 1", path="max_body", rule="minimum")
        for name, deadline in (("body_deadline", body_deadline), ("store_deadline", store_deadline)):
            if deadline <= timedelta(0):
                raise RuleError(f"{name} is longer than nothing", path=name, rule="minimum")
        self.verifier: Verifier = verifier
        self.max_body: int = max_body
        self.body_deadline_s: float = body_deadline.total_seconds()
        self.store_deadline_s: float = store_deadline.total_seconds()
        self.quarantine: bool = quarantine
        self.tracer: Any = tracer
        self._kept_names = _kept_names(keep_headers, verifier)
        # Most requests of a sender have the same ones.
        self._kept = lru_cache(maxsize=64)(partial(_kept, self._kept_names))
        self.id_header: bytes | None = _id_header(id_header, verifier)
        self._kinds = _kinds(PATHS if paths is None else paths)
        self._probes: dict[str, Probe] = {
            path: name for path, name in _PROBES.items() if metrics or name != "metrics"
        }
        self._encodings = (b"", b"gzip", b"deflate") if inflate else (b"",)
        self._trusted = networks(trusted_proxies, path="trusted_proxies")
        self._allowed = networks(allowed, path="allowed")

    def begin(self, request: Request, now: datetime) -> Answer | Probe | Reception:
        """Look at the head of a request. Raises `VerifierFault`."""
        kind = self._kinds.get(request.path) or self._kinds.get(request.path.rstrip("/"))
        if kind is None:
            return self._begin_probe(request)
        fields = WireHeaders(request.headers)
        fault = self._fault(request, fields)
        if fault is not None:
            return answer(fault, unread=True)
        reception = Reception(self, kind, fields, now)
        if not self.verifier.needs_body:
            stranger = reception.check(b"")
            if stranger is not None and not self.quarantine:
                return answer("unauthenticated", count_as=stranger, unread=True)
        return reception

    def _begin_probe(self, request: Request) -> Answer | Probe:
        probe = self._probes.get(request.path)
        if probe is None:
            return answer("path", unread=True)
        return probe if request.method in ("GET", "HEAD") else answer("probe_method", unread=True)

    def _fault(self, request: Request, fields: WireHeaders) -> str | None:
        """What is wrong with a head, whoever sent it."""
        first = fields.first
        if request.method != "POST":
            return "method"
        if self._allowed and not self._is_allowed(request.peer, fields):
            return "denied"
        length = _announced(fields)
        if length is None:
            return "framing"
        if length > self.max_body:
            return "too_large"
        if not _is_json(first.get(b"content-type", b"")):
            return "media_type"
        takes_encoding = b"content-encoding" not in first or self.encoding(fields) in self._encodings
        return None if takes_encoding else "encoding"

    def _is_allowed(self, peer: str | None, fields: WireHeaders) -> bool:
        forwarded = [value.decode("latin-1") for value in fields.values(b"x-forwarded-for")]
        address = client_address(peer, forwarded, self._trusted)
        return address is not None and is_among(address, self._allowed)

    def kept(self, fields: WireHeaders) -> dict[str, str]:
        """The headers of the allow-list, which are stored. Not to be changed: others may have the same."""
        return self._kept(tuple(map(fields.first.get, self._kept_names)))

    @staticmethod
    def encoding(fields: WireHeaders) -> bytes:
        """How the body is compressed, if it is."""
        several = b",".join(fields.values(b"content-encoding")).lower().replace(b" ", b"")
        return b"" if several == b"identity" else several


class Reception:
    """One request whose head was accepted."""

    __slots__ = (
        "_arrived",
        "_chunks",
        "_fields",
        "_inflater",
        "_intake",
        "_now",
        "_size",
        "_stranger",
        "kind",
    )

    def __init__(self, intake: Intake, kind: Kind, fields: WireHeaders, now: datetime) -> None:
        self.kind: Kind = kind
        self._intake = intake
        self._fields = fields
        self._now = now  # asked once: the clock of a virtual machine can be slow
        self._inflater: Any = None
        if b"content-encoding" in fields.first and intake.encoding(fields):
            self._inflater = zlib.decompressobj(wbits=47)  # gzip or zlib, told apart by the beginning
        self._chunks: list[bytes] = []
        self._arrived = self._size = 0
        self._stranger: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are kept: those of the allow-list."""
        return self._intake.kept(self._fields)

    def check(self, body: bytes) -> str | None:
        """Ask the verifier; the reason why the sender is not recognised, or None. Raises `VerifierFault`."""
        try:
            self._intake.verifier.verify(body, self._fields, self._now)
        except AuthenticationError as error:
            self._stranger = error.reason
        except Exception as error:
            raise VerifierFault from error
        return self._stranger

    def feed(self, chunk: bytes) -> Answer | None:
        """Take a part of the body, or refuse it."""
        limit = self._intake.max_body
        self._arrived += len(chunk)
        if self._arrived > limit:
            return answer("too_large", unread=True)
        if self._inflater is not None:
            try:
                # One byte more than allowed is enough to know; what a bomb would become is never made.
                chunk = self._inflater.decompress(chunk, limit + 1 - self._size)
            except zlib.error:
                return answer("damaged", unread=True)
        self._size += len(chunk)
        if self._size > limit:
            return answer("too_large", unread=True)
        if chunk:
            self._chunks.append(chunk)
        return None

    def finish(self) -> Answer | NewDelivery | Stranger:
        """The body is complete: what to store. Raises `VerifierFault`."""
        if self._inflater is not None and (not self._inflater.eof or self._inflater.unused_data):
            return answer("damaged")  # cut off; or what stands behind the end would be acknowledged and lost
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        if self._intake.verifier.needs_body:
            self.check(body)
        delivery_id = None
        if self._intake.id_header is not None:
            ids = self._fields.values(self._intake.id_header)
            delivery_id = ids[0] if len(ids) == 1 and ids[0] else None
        if self._stranger is None:
            return NewDelivery(
                kind=self.kind,
                body=body,
                headers=self.headers,
                received_at=self._now,
                delivery_id=delivery_id,
            )
        if self._intake.quarantine:
            return Stranger(self.kind, body, self.headers, self._stranger, delivery_id)
        return answer("unauthenticated", count_as=self._stranger)


def _announced(fields: WireHeaders) -> int | None:
    """The length of the body, 0 if it is not announced, None if it is not clear."""
    length = fields.first.get(b"content-length")
    if length is None:
        return 0
    if not length.isdigit() or len(length) > _LONGEST_LENGTH or b"transfer-encoding" in fields.first:
        return None
    if fields.is_repeated and len(fields.values(b"content-length")) > 1:
        return None
    return int(length)


@lru_cache(maxsize=64)
def _is_json(content_type: bytes) -> bool:
    media_type = content_type.partition(b";")[0].strip().lower()
    return media_type in (b"", b"application/json", b"text/json") or (
        media_type.endswith(b"+json") and b"/" in media_type
    )


def _kinds(paths: Mapping[str, Kind]) -> dict[str, Kind]:
    if not paths:
        raise RuleError("there is no path to receive at", path="paths", rule="required")
    for path, kind in paths.items():
        if not path.startswith("/") or path in _PROBES:
            raise RuleError(f"{path!r} is no path for deliveries", path="paths", rule="format")
        if kind not in KINDS:
            raise RuleError(f"{kind!r} is none of {', '.join(KINDS)}", path="paths", rule="enum")
    return {path.rstrip("/"): kind for path, kind in paths.items()}


def _kept(names: Sequence[bytes], values: Sequence[bytes | None]) -> dict[str, str]:
    return {
        name.decode("latin-1"): value[:_LONGEST_KEPT].decode("latin-1")
        for name, value in zip(names, values, strict=True)
        if value is not None
    }


def _kept_names(more: Collection[str], verifier: Verifier) -> tuple[bytes, ...]:
    if isinstance(more, str):
        raise RuleError('give a list, as in ["X-Request-Id"]', path="keep_headers", rule="type")
    secret = _SECRET_HEADERS | {wire_name(name) for name in getattr(verifier, "names", ())}
    for name in more:
        if wire_name(name) in secret:
            raise RuleError(f"{name} can hold a secret and is not stored", path="keep_headers", rule="secret")
    return tuple(sorted({wire_name(name) for name in (*KEPT_HEADERS, *more)} - secret))


def _id_header(name: str | None, verifier: Verifier) -> bytes | None:
    if name is None:
        return b"webhook-id" if isinstance(verifier, HmacSignature) else None
    return wire_name(name)
