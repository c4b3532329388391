"""Who sent this: the verifiers of what Molecule sends to the partner's endpoints.

Molecule documents static headers that the partner has configured, for example `X-API-Key`
(push.auth_headers), and no signature (push.no_signature). `SharedHeaders` checks the first. `HmacSignature`
is for a partner whose own gateway signs.

Secrets are compared in constant time, and never shown: not in a repr, not in an error, not in the local
variables of the frames that an error passes through, which some tools record. A verifier cannot be pickled.
"""

from __future__ import annotations

import hmac
import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, NoReturn, ParamSpec, Protocol, TypeAlias, TypeVar

from .errors import AuthenticationError, RuleError, shown

__all__ = ["Headers", "HeadersLike", "HmacSignature", "Secrets", "SharedHeaders", "Verifier", "sign"]

HeadersLike: TypeAlias = (
    "Headers | Mapping[str, Any] | Mapping[bytes, Any] | Iterable[tuple[str | bytes, str | bytes]]"
)
"""What frameworks offer: a mapping (to texts, bytes, or lists of them), or pairs of names and values."""

Secrets: TypeAlias = "str | bytes | Sequence[str | bytes] | Callable[[], str | bytes | Sequence[str | bytes]]"
"""One secret, several (current and previous, while rotating), or a function that is asked each time."""

MAX_SIGNATURES = 16
MAX_FIELD = 4096  # bytes in a header that HmacSignature reads
MIN_KEY = 24  # bytes, by the Standard Webhooks specification
EASILY_GUESSED = 16  # characters: what is shorter may be a word

_FULL_STOP = ord(".")
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MESSAGE_ID = re.compile(rf"[!-\-/-~]{{1,{MAX_FIELD}}}")

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _without_frames(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a `RuleError` out without the frames below it, whose local variables hold secrets."""

    @wraps(function)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except RuleError as error:
            fault = error.with_traceback(None)
        del args, kwargs
        raise fault

    return guarded


class Headers:
    """The headers of one delivery. Names compare without case, values are the bytes of the wire.

    Raises `RuleError` for what is neither a mapping nor pairs of names and values.
    """

    __slots__ = ("_values",)

    def __init__(self, headers: HeadersLike) -> None:
        values = _by_name(headers)
        if values is None:
            del headers
            msg = "headers are a mapping, or pairs of a name and a value, as your framework gives them"
            raise RuleError(msg, path="headers", rule="type")
        self._values = values

    def __repr__(self) -> str:
        return f"Headers({', '.join(getattr(self, '_values', ()))})"

    def all(self, name: str) -> list[bytes]:
        """Every value that was sent with that name."""
        found = list(map(_wire_bytes, _several(self._values.get(_lower(name)))))
        values = [value for value in found if value is not None]
        if len(values) < len(found):
            del found, values
            raise RuleError("the value of a header is text or bytes", path="headers", rule="type")
        return values

    def one(self, name: str) -> bytes:
        """The value of a header that must be there exactly once. Raises `AuthenticationError`."""
        value = self._values.get(name)
        if type(value) is str and value.isascii():
            return value.encode()
        if type(value) is bytes:
            return value
        del value
        values = self.all(name)
        count = len(values)
        if count == 1:
            return values[0]
        del values
        if count:
            raise AuthenticationError(f"the header {name} was sent more than once", reason="repeated_header")
        raise AuthenticationError(f"the header {name} is missing", reason="missing_header")


class Verifier(Protocol):
    """What `parse` needs to know who sent a delivery. Write your own for another scheme."""

    @property
    def needs_body(self) -> bool:
        """Whether the body takes part; where not, a sender can be turned away before the body is read."""
        ...

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        """Raise `AuthenticationError` unless the sender proves who it is; `now` is aware."""
        ...


class _SecretKeeper:
    def __reduce__(self) -> NoReturn:
        msg = f"a {type(self).__name__} holds secrets and cannot be pickled; make one where it is needed"
        raise TypeError(msg)


class SharedHeaders(_SecretKeeper):
    """Checks the headers that the partner has configured with Molecule, as it documents (push.auth_headers).

        SharedHeaders({"X-API-Key": ["current", "previous"], "X-Site-Group": os.environ["SITE_GROUP"]})

    Every name must be there, once, with one of its secrets. They prove that the sender knows them, not that
    the body is unchanged. Raises `RuleError` for an empty configuration or secret; what a function of yours
    raises comes through.
    """

    needs_body = False

    _names = ""

    is_guessable: bool = False
    """Whether each of the headers takes a secret below 16 characters; not asked of functions."""

    @_without_frames
    def __init__(self, headers: Mapping[str, Secrets]) -> None:
        if not isinstance(headers, Mapping):
            raise RuleError("give a mapping of names to secrets", path="headers", rule="type")
        names = list(headers)
        if not names:
            msg = 'say which headers to expect, as in SharedHeaders({"X-API-Key": "the secret"})'
            raise RuleError(msg, path="headers", rule="required", evidence=("push.validate_headers",))
        for name in names:
            if not _is_name(name):
                raise RuleError(f"{shown(name)} is no name of a header", path="headers", rule="format")
        if len({name.lower() for name in names}) < len(names):
            raise RuleError(
                "one header is named twice; its case does not count", path="headers", rule="unique"
            )
        self._names = ", ".join(names)
        self._expected = [(name.lower(), _supply(secrets, _as_is, name)) for name, secrets in headers.items()]
        self.is_guessable = all(
            not callable(given) and min(map(len, secrets())) < EASILY_GUESSED
            for given, (_, secrets) in zip(headers.values(), self._expected, strict=True)
        )

    def __repr__(self) -> str:
        return f"SharedHeaders({self._names})"

    @property
    def names(self) -> tuple[str, ...]:
        """The headers that hold secrets: whoever keeps headers leaves these out."""
        return tuple(self._names.split(", "))

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        """Raise `AuthenticationError` unless all headers match; `body` and `now` do not matter."""
        matches = True
        for name, secrets in self._expected:
            matches &= _is_among(headers.one(name), secrets())
        if not matches:
            msg = f"no secret that is configured for {self._names} matches"
            raise AuthenticationError(msg, reason="wrong_secret")


class HmacSignature(_SecretKeeper):
    """Checks a Standard Webhooks signature, version v1 (HMAC-SHA256).

    Molecule documents no signature (push.no_signature): this is an offer of ours, for partners whose own
    gateway signs what it passes on. A secret is `whsec_` and the base64 of at least 24 bytes. `tolerance` is
    how far the signed time may be from now, in the past and in the future. Raises `RuleError` for secrets and
    tolerances that are none.
    """

    needs_body = True

    _tolerance_s = 0.0

    @_without_frames
    def __init__(self, secrets: Secrets, *, tolerance: timedelta = timedelta(minutes=5)) -> None:
        if not _is_tolerance(tolerance):
            raise RuleError("the tolerance is a timedelta above zero", path="tolerance", rule="minimum")
        self._signers = _supply(secrets, _signer, "the signature")
        self._tolerance_s = tolerance.total_seconds()

    def __repr__(self) -> str:
        return f"HmacSignature(tolerance={timedelta(seconds=self._tolerance_s)})"

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        """Raise `AuthenticationError` unless one of the signatures is right and its time is near."""
        message_id = headers.one("webhook-id")
        timestamp = headers.one("webhook-timestamp")
        signatures = headers.one("webhook-signature")
        # A full stop in the id would let two messages have one signed content.
        if not message_id or len(message_id) > MAX_FIELD or _FULL_STOP in message_id:
            raise _malformed("webhook-id", "a text without full stops")
        if not timestamp.isdigit() or len(timestamp) > 12:
            raise _malformed("webhook-timestamp", "whole seconds since 1970, in ASCII digits only")
        given = signatures.split(b" ") if len(signatures) <= MAX_FIELD else []
        if not 0 < len(given) <= MAX_SIGNATURES:
            raise _malformed("webhook-signature", f"at most {MAX_SIGNATURES} signatures separated by spaces")
        if not now.tzinfo:
            aware(now, path="now")
        if not abs(now.timestamp() - int(timestamp)) <= self._tolerance_s:
            msg = f"the delivery was signed more than {self._tolerance_s:g} s from now; is a clock wrong?"
            raise AuthenticationError(msg, reason="stale")
        # Compared as text: other versions do not match, nor does any other spelling of the same base64.
        content = b".".join((message_id, timestamp, body))
        if not _is_signed(content, self._signers(), given):
            raise AuthenticationError("no signature is right for this body", reason="wrong_signature")


@_without_frames
def sign(body: bytes, *, secret: str, message_id: str, timestamp: datetime) -> dict[str, str]:
    """The headers of a Standard Webhooks signature (v1), for gateways and tests; Molecule documents none.

    `message_id` stays the same when a message is sent again; `timestamp` is aware, and cut to whole seconds.
    Raises `RuleError`.
    """
    if not isinstance(body, bytes):
        raise RuleError("sign the raw bytes that are sent", path="body", rule="type")
    if not _is_message_id(message_id):
        msg = "a message id is printable ASCII text without spaces and full stops"
        raise RuleError(msg, path="message_id", rule="format")
    seconds = int(aware(timestamp, path="timestamp").timestamp())
    if seconds < 0:
        raise RuleError("the time lies before 1970", path="timestamp", rule="minimum")
    content = b"%b.%d.%b" % (message_id.encode(), seconds, body)
    signer = _signer(_secret_bytes(secret, "the signature"), "the signature")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": _signature(signer, content).decode(),
    }


def aware(when: object, *, path: str) -> datetime:
    """Insist on a datetime with a time zone."""
    if isinstance(when, datetime) and when.utcoffset() is not None:
        return when
    raise RuleError(
        "an aware datetime is needed, as datetime.now(UTC) gives it", path=path, rule="aware_time"
    )


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _is_tolerance(tolerance: object) -> bool:
    return isinstance(tolerance, timedelta) and tolerance > timedelta(0)


def _is_message_id(text: object) -> bool:
    return isinstance(text, str) and _MESSAGE_ID.fullmatch(text) is not None


def _pairs(headers: Any) -> Iterable[tuple[Any, Any]]:
    # httpx joins repeated headers in items(), not in multi_items().
    for name in ("multi_items", "items"):
        method = getattr(headers, name, None)
        if method is not None:
            return method()  # type: ignore[no-any-return]  # whoever unpacks it finds out
    return headers  # type: ignore[no-any-return]  # the same


def _by_name(headers: Any) -> dict[str, Any] | None:
    """The values by name in lower case, several of them in a list; None for what are no headers."""
    values: dict[str, Any] = {}
    if type(headers) is dict:  # as most offer them, and mostly with nothing odd about the names
        for name, value in headers.items():
            if type(name) is not str or not name.isascii():
                break
            values[name.lower()] = value
        if len(values) == len(headers):
            return values
        values = {}
    repeated: dict[str, list[object]] = {}
    try:
        for given, value in _pairs(headers):
            name = _lower(given)
            if name in values:
                if name not in repeated:  # a new list: what is there may be one of the caller's
                    values[name] = repeated[name] = [*_several(values[name])]
                repeated[name].extend(_several(value))
            else:
                values[name] = value
    except (TypeError, ValueError):
        return None
    return values


def _lower(name: object) -> str:
    """A name in lower case. Only ASCII has cases here: the Kelvin sign is no k."""
    if isinstance(name, str):  # or what frameworks derive from it
        return str.lower(name) if name.isascii() else name.translate(_LOWER)
    return str(name, "latin-1").translate(_LOWER)  # type: ignore[call-overload,no-any-return]  # else a TypeError


def _several(value: object) -> Sequence[object]:
    if isinstance(value, list | tuple):
        return value
    return () if value is None else (value,)


def _wire_bytes(value: object) -> bytes | None:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        return None
    try:
        return value.encode("latin-1")  # as WSGI and ASGI frameworks decode it
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def _is_among(found: bytes, secrets: Iterable[bytes]) -> bool:
    """Whether a secret was found. All are compared, so that the time does not tell which one it was.

    `compare_digest` takes as long as its second argument is, so that it does not tell how long a secret is.
    """
    matches = False
    for secret in secrets:
        matches |= hmac.compare_digest(secret, found)
    return matches


def _supply(secrets: Secrets, prepare: Callable[[bytes, str], _T], what: str) -> Callable[[], Sequence[_T]]:
    """Check and prepare fixed secrets once; those of a function each time."""

    @_without_frames
    def prepared(secrets: object) -> list[_T]:
        several = (
            secrets if isinstance(secrets, Sequence) and not isinstance(secrets, str | bytes) else (secrets,)
        )
        if not several:
            raise RuleError(f"there is no secret for {what}", path="secrets", rule="required")
        return [prepare(_secret_bytes(secret, what), what) for secret in several]

    if callable(secrets):
        return lambda: prepared(secrets())
    ready = prepared(secrets)
    return lambda: ready


def _secret_bytes(secret: object, what: str) -> bytes:
    """The bytes of a secret. The errors say what is wrong with it, never what it is."""
    if secret is None or secret in ("", b""):
        msg = f"the secret for {what} is empty; is the environment variable set?"
        raise RuleError(msg, path="secrets", rule="required", evidence=("push.validate_headers",))
    if isinstance(secret, str) and secret.isascii():
        secret = secret.encode()
    if not isinstance(secret, bytes):
        raise RuleError(f"the secret for {what} is ASCII text, or bytes", path="secrets", rule="type")
    if secret != secret.strip():
        msg = f"the secret for {what} begins or ends with white space; was a line break read with it?"
        raise RuleError(msg, path="secrets", rule="format")
    return secret


def _as_is(secret: bytes, _what: str) -> bytes:
    return secret


def _signer(secret: bytes, what: str) -> hmac.HMAC:
    prefix, encoded = secret[:6], secret[6:]
    try:
        key = a2b_base64(encoded)
    except Base64Error:
        key = b""
    if prefix != b"whsec_" or len(key) < MIN_KEY or b2a_base64(key, newline=False) != encoded:
        msg = f"the secret for {what} must be whsec_ and the base64 of at least {MIN_KEY} bytes"
        raise RuleError(msg, path="secrets", rule="format")
    return hmac.new(key, digestmod="sha256")


def _signature(signer: hmac.HMAC, content: bytes) -> bytes:
    signing = signer.copy()  # half the work of an HMAC of few bytes is to set up its key
    signing.update(content)
    return b"v1," + b2a_base64(signing.digest(), newline=False)


def _is_signed(content: bytes, signers: Iterable[hmac.HMAC], given: Iterable[bytes]) -> bool:
    """Whether a signature is that of one of the keys. All are compared, as in `_is_among`."""
    matches = False
    for signer in signers:
        expected = _signature(signer, content)
        for signature in given:
            matches |= hmac.compare_digest(expected, signature)
    return matches


def _malformed(name: str, should_be: str) -> AuthenticationError:
    return AuthenticationError(f"the header {name} must be {should_be}", reason="malformed_header")
