"""A captured webhook under inspection: what `parse` says of it, and each reason on its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mosvpp import webhooks
from mosvpp.drift import Drift
from mosvpp.errors import AuthenticationError, PayloadError, WebhookError
from mosvpp.events import DataPush, Delivery, UnknownDelivery
from mosvpp.signatures import Headers, HmacSignature, SharedHeaders, Verifier

from .arguments import Secret, naming
from .checks import Check, failed, ok, skipped, warning
from .json_faults import place_of
from .sender_checks import check_shared_header, check_signature

__all__ = ["Capture", "Verdict"]


class _Anyone:
    """Takes every sender, to look at the body of one that did not prove who it is."""

    needs_body = False

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        """Accept it."""


class _All:
    """Several verifiers, of which each must agree."""

    needs_body = True

    def __init__(self, verifiers: list[Verifier]) -> None:
        self._verifiers = verifiers

    def verify(self, body: bytes, headers: Headers, now: datetime) -> None:
        """Raise `AuthenticationError` when one of them does."""
        for verifier in self._verifiers:
            verifier.verify(body, headers, now)


@dataclass(frozen=True)
class Verdict:
    """What a receiver with this SDK would make of it."""

    delivery: Delivery | None
    error: WebhookError | None
    drifts: tuple[Drift, ...]
    is_sender_checked: bool

    @property
    def is_good(self) -> bool:
        """Accepted, and of a shape that we know."""
        return self.delivery is not None and not isinstance(self.delivery, UnknownDelivery)

    @property
    def answer(self) -> int:
        """The HTTP status with which a receiver answers."""
        return 200 if self.error is None else self.error.status_hint

    @property
    def reason(self) -> str | None:
        """A word to count by, where it is not good."""
        if isinstance(self.delivery, UnknownDelivery):
            return self.delivery.reason
        return getattr(self.error, "reason", None)

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        provided = "" if self.is_sender_checked else ", if the sender is who it should be"
        if self.is_good:
            return f"Yes: a receiver answers 200{provided}."
        if self.error is None:
            return f"Taken, but not understood: a receiver keeps it and answers 200{provided}."
        return f"No: a receiver answers {self.answer}."


@dataclass(frozen=True)
class Capture:
    """A webhook as it was captured, and how to know its sender; without any secret every sender will do."""

    body: bytes
    pairs: list[tuple[str, str]]
    shared: dict[str, list[Secret]]
    signing: list[Secret]
    tolerance: timedelta
    now: datetime
    kind: Literal["data_push", "execution_response"] | None

    def verdict(self) -> Verdict:
        """What `mosvpp.webhooks.parse` says."""
        return self._parse(self._verifier())

    def checks(self) -> Iterator[Check]:
        """Every reason on its own, also those that `parse` does not come to."""
        yield self._captured()
        headers = Headers(self.pairs)
        for name, secrets in self.shared.items():
            yield check_shared_header(name, secrets, headers, self.pairs)
        if self.signing:
            yield from check_signature(self.signing, headers, self.body, self.now, self.tolerance)
        if not self.shared and not self.signing:
            yield skipped("sender", "not checked, as you said")
        yield from self._body_checks()

    def _captured(self) -> Check:
        count = len(self.pairs)
        found = f"{len(self.body)} bytes, {count or 'no'} header{'' if count == 1 else 's'}"
        if not self.pairs and (self.shared or self.signing):
            return warning(
                "capture", found, "give the headers that came with it: --headers FILE, or -H NAME=VALUE"
            )
        return ok("capture", found)

    def _verifier(self) -> Verifier:
        verifiers: list[Verifier] = []
        if self.shared:
            named = {name: [secret.value for secret in secrets] for name, secrets in self.shared.items()}
            with naming("--shared-header"):
                verifiers.append(SharedHeaders(named))
        if self.signing:
            secrets = [secret.value for secret in self.signing]
            with naming(secrets="--signing-secret"):
                verifiers.append(HmacSignature(secrets, tolerance=self.tolerance))
        return _All(verifiers)

    def _parse(self, verifier: Verifier) -> Verdict:
        drifts: list[Drift] = []
        delivery: Delivery | None = None
        fault: WebhookError | None = None
        try:
            delivery = webhooks.parse(
                self.body,
                self.pairs,
                verifier=verifier,
                expect=self.kind,
                now=self.now,
                on_drift=drifts.append,
            )
        except (AuthenticationError, PayloadError) as error:
            fault = error
        return Verdict(delivery, fault, tuple(drifts), bool(self.shared or self.signing))

    def _body_checks(self) -> Iterator[Check]:
        seen = self._parse(_Anyone())
        if isinstance(seen.error, PayloadError):
            place = place_of(seen.error, self.body)
            found = f"{seen.error}; {place}" if place else str(seen.error)
            yield failed(
                "json", found, *_JSON_REMEDIES.get(seen.error.reason, ()), evidence=("behaviour.json_only",)
            )
            yield skipped("shape", "there is no JSON to look at")
            return
        yield ok("json", "acceptable")
        yield _shape(seen.delivery)


def _shape(delivery: Delivery | None) -> Check:
    if isinstance(delivery, UnknownDelivery):
        return failed(
            "shape",
            f"{delivery.detail} ({delivery.reason})",
            "if --kind is wrong: check which URL it came to",
            "if Molecule sends this: keep it, and report the shape, since it is documented nowhere",
            evidence=("push.body", "execution.shape"),
        )
    if isinstance(delivery, DataPush):
        return ok("shape", "a data push, as Molecule documents it")
    return ok("shape", "an execution response, in a shape that we infer")


_JSON_REMEDIES = {
    "empty": ("check that the body was captured: some frameworks read it before you can",),
    "invalid_utf8": ("capture the raw bytes, without changing the encoding",),
    "not_json": ("check that the capture holds the body only, and all of it",),
}
