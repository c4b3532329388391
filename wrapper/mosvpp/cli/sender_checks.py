"""Who sent a captured webhook: each header and the signature on its own, without showing a secret."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mosvpp.errors import AuthenticationError
from mosvpp.signatures import Headers, HmacSignature, SharedHeaders

from .arguments import Secret
from .checks import Check, failed, ok, skipped

__all__ = ["check_shared_header", "check_signature"]

_SHARED = ("push.auth_headers", "push.validate_headers")
_SIGNED = ("push.no_signature",)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_shared_header(
    name: str, secrets: list[Secret], headers: Headers, pairs: list[tuple[str, str]]
) -> Check:
    """Whether one of the headers that the partner configured is there, once, with one of its secrets."""
    values = headers.all(name)
    if not values:
        return _missing(name, secrets, pairs)
    if len(values) > 1:
        remedy = "find out what adds it: a proxy in front of you, or a second entry in what Molecule sends"
        return failed(
            "header", f"{name} was sent {len(values)} times, so it proves nothing", remedy, evidence=_SHARED
        )
    for secret in secrets:
        if _matches(name, secret.value, values[0]):
            return ok("header", f"{name} holds the secret from the {secret.source}")
    found = f"{name} is there, and its value is {_how_wrong(values[0], secrets)}"
    remedy = "compare what you configured with Molecule with what you gave here"
    return failed("header", found, remedy, evidence=_SHARED)


def _matches(name: str, secret: str, value: bytes) -> bool:
    try:
        SharedHeaders({name: secret}).verify(b"", Headers([(name, value)]), _EPOCH)
    except AuthenticationError:
        return False
    return True


def _missing(name: str, secrets: list[Secret], pairs: list[tuple[str, str]]) -> Check:
    for other, value in pairs:
        if any(secret.value and secret.value in value for secret in secrets):
            remedy = f"configure it with Molecule as {name}, or expect {other}"
            return failed(
                "header", f"{name} is missing, but its secret came in {other}", remedy, evidence=_SHARED
            )
    there = ", ".join(sorted({other for other, _ in pairs})) or "no header at all"
    return failed(
        "header",
        f"{name} is missing; there is: {there}",
        "check that the headers were captured completely: some proxies and log files leave them out",
        f"configure {name} with Molecule",
        evidence=_SHARED,
    )


def _how_wrong(value: bytes, secrets: list[Secret]) -> str:
    """In which way a value is not the secret, told without telling either."""
    if not value:
        return "empty: was it blanked out in the capture?"
    for secret in secrets:
        wanted = secret.value.encode()
        whose = f"the secret from the {secret.source}"
        if value.strip(b" \t\r\n\"'") == wanted:
            return f"{whose} with white space or quotes around it"
        if value.rpartition(b" ")[2] == wanted:
            return f"{whose} with a word in front, such as Bearer"
        if value.lower() == wanted.lower():
            return f"{whose} in another case"
    return f"none of the {len(secrets)} secrets" if len(secrets) > 1 else "not the secret"


def check_signature(
    secrets: list[Secret], headers: Headers, body: bytes, now: datetime, tolerance: timedelta
) -> Iterator[Check]:
    """Whether a Standard Webhooks signature is right, and apart from that, whether it is fresh."""
    verifier = HmacSignature([secret.value for secret in secrets], tolerance=tolerance)
    parts = {name: headers.all(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    odd = {name: len(values) for name, values in parts.items() if len(values) != 1}
    for name, count in odd.items():
        found = f"{name} was sent {count} times" if count else f"{name} is missing"
        remedy = "Molecule documents no signature: is there a gateway of yours that signs?"
        yield failed("signature", found, remedy, evidence=_SIGNED)
    if odd:
        return
    signed_at = _signed_at(parts["webhook-timestamp"][0])
    fault = _fault(verifier, body, headers, signed_at or now)
    if fault is None:
        yield ok("signature", "right for this body")
    elif fault.reason == "wrong_signature":
        yield _wrong_signature(verifier, headers, body, signed_at or now, len(secrets))
    else:
        yield failed(
            "signature", str(fault), "mend what signs; see Standard Webhooks, version v1", evidence=_SIGNED
        )
    yield _age(signed_at, now, tolerance)


def _signed_at(value: bytes) -> datetime | None:
    try:
        return _EPOCH + timedelta(seconds=int(value)) if value.isdigit() else None
    except (ValueError, OverflowError):
        return None


def _fault(
    verifier: HmacSignature, body: bytes, headers: Headers, now: datetime
) -> AuthenticationError | None:
    try:
        verifier.verify(body, headers, now)
    except AuthenticationError as error:
        return error
    return None


def _wrong_signature(
    verifier: HmacSignature, headers: Headers, body: bytes, signed_at: datetime, count: int
) -> Check:
    for what, other in (
        ("without the line break at its end", body.removesuffix(b"\n").removesuffix(b"\r")),
        ("with a line break at its end", body + b"\n"),
        ("with LF instead of CRLF", body.replace(b"\r\n", b"\n")),
    ):
        if other != body and _fault(verifier, other, headers, signed_at) is None:
            found = f"right for the body {what}: the capture changed the bytes"
            remedy = "capture the raw bytes, for example with curl --data-binary and not --data"
            return failed("signature", found, remedy, evidence=_SIGNED)
    versions = {entry.partition(b",")[0] for entry in headers.one("webhook-signature").split(b" ")}
    found = f"wrong for this body with {'all ' + str(count) + ' secrets' if count > 1 else 'the secret'}"
    if b"v1" not in versions:
        found = "there is no v1 signature among those sent"
    return failed(
        "signature",
        found,
        "verify the raw bytes, before any framework decodes them",
        "compare the secret with that of the gateway that signs",
        evidence=_SIGNED,
    )


def _age(signed_at: datetime | None, now: datetime, tolerance: timedelta) -> Check:
    if signed_at is None:
        return skipped("age", "webhook-timestamp is no time")
    away = (now - signed_at).total_seconds()
    found = f"signed {_amount(abs(away))} {'before' if away >= 0 else 'after'} the moment of checking"
    if abs(away) <= tolerance.total_seconds():
        return ok("age", found)
    return failed(
        "age",
        f"{found}, more than the tolerance of {_amount(tolerance.total_seconds())}",
        f"for an old capture say when it came: --received-at {signed_at:%Y-%m-%dT%H:%M:%SZ}",
        "compare the clock here with that of the gateway that signs",
        evidence=_SIGNED,
    )


def _amount(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
