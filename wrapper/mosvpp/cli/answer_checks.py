"""The HTTP part of `mosvpp doctor`: one GET devicesync with the SDK's client, and its answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mosvpp._answers import Answer
from mosvpp._calls import MAX_SKEW
from mosvpp._failures import sample
from mosvpp.client import Client
from mosvpp.errors import RejectedError, UnexpectedResponseError, UnreachableError

from .checks import Check, failed, ok, skipped

__all__ = ["NAMES", "check_answer"]

NAMES = ("http", "key", "access", "site", "devices", "clock")
_ALLOWLIST = ("transport.ip_allowlist",)
_WEB_PAGE = " The answer is a web page, so a proxy or firewall wrote it and not the API."


def check_answer(client: Client, site: str, *, leaving: str, api_version: str) -> Iterator[Check]:
    """Ask for the devices once, and read the answer. `leaving` says by which address this machine leaves."""
    started = time.monotonic()
    try:
        devices = client.sync_devices(site)
    except UnreachableError as error:
        yield _no_answer(str(error), time.monotonic() - started, leaving)
        yield from (skipped(name, "there is no answer to read") for name in NAMES[1:])
        return
    except (RejectedError, UnexpectedResponseError) as error:
        answer, count = error.answer, None
        why = str(error)
    else:
        answer, count, why = devices.raw, len(devices), ""
    assert answer is not None  # both errors come with one
    yield ok("http", f"HTTP {answer.status} in {time.monotonic() - started:.2f} s")
    if count is None:
        yield from _no_devices(answer, why, leaving=leaving, api_version=api_version, site=site)
    else:
        yield ok("key", "accepted")
        yield ok("access", "allowed")
        yield ok("site", f"{site} is known")
        yield ok("devices", f"{count} listed")
    yield _clock(answer)


def _no_answer(why: str, seconds: float, leaving: str) -> Check:
    if "Timeout" in why:
        found = f"connected, but there was no answer within {seconds:.0f} s"
        remedy = "try again with a longer --timeout, then ask Molecule whether the service has a problem"
    else:
        found = f"connected, but {why.partition(': ')[2].partition('. It changes')[0]}"
        remedy = "try again: it may have been a single fault"
    return failed(
        "http",
        found,
        remedy,
        f"have Molecule put this machine's address on its allowlist: {leaving}",
        evidence=_ALLOWLIST,
    )


def _no_devices(answer: Answer, why: str, *, leaving: str, api_version: str, site: str) -> Iterator[Check]:
    status, not_known = answer.status, f"HTTP {answer.status} does not tell"
    says = _WEB_PAGE if _is_html(answer) else sample(answer)
    if status == 401:
        yield failed(
            "key",
            f"refused (HTTP 401).{says}",
            "compare the key with the one that Molecule issued, for this environment and base URL",
            "ask Molecule whether it was withdrawn or replaced",
            evidence=("transport.api_key", "errors.unauthorized"),
        )
        yield from (skipped(name, "the key was refused first") for name in NAMES[2:5])
    elif status == 403:
        yield skipped("key", not_known)
        yield failed(
            "access",
            f"forbidden (HTTP 403).{says}",
            f"have Molecule put this machine's address on its allowlist: {leaving}",
            "ask Molecule whether the key may use this site",
            evidence=("transport.ip_allowlist", "errors.forbidden"),
        )
        yield from (skipped(name, "access was refused first") for name in NAMES[3:5])
    elif status == 404:
        yield skipped("key", not_known)
        yield skipped("access", not_known)
        yield failed(
            "site",
            f"not found (HTTP 404).{says}",
            f"check the site id {site}, letter by letter",
            f"check the version in the path: {api_version} is inferred, Molecule never spells it out",
            "check --base-url",
            evidence=("errors.not_found", "transport.api_version", "transport.base_url"),
        )
        yield skipped("devices", "the site was not found")
    else:
        yield from (skipped(name, not_known) for name in NAMES[1:4])
        yield _odd_answer(answer, why, says)


def _odd_answer(answer: Answer, why: str, rest: str) -> Check:
    status = answer.status
    base_url = "check --base-url: is this MosVPP, or a proxy or a login page in front of it?"
    if status == 429:
        wait = answer.headers.get("retry-after")
        pause = f"wait {wait} s" if wait and wait.isdigit() else "wait a while"
        found = f"too many requests (HTTP 429).{rest}"
        return failed(
            "devices",
            found,
            f"{pause}, and see who else uses this key",
            evidence=("errors.too_many_requests",),
        )
    if status >= 500:
        found = f"a fault on the other side (HTTP {status}).{rest}"
        return failed(
            "devices", found, "try again later, then ask Molecule", evidence=("errors.server_error",)
        )
    if 300 <= status <= 399:
        where = answer.headers.get("location", "somewhere else")
        found = f"redirected to {where} (HTTP {status}), where the SDK does not follow with the key"
        return failed("devices", found, base_url, evidence=("transport.base_url",))
    if not 200 <= status <= 299:
        found = f"refused (HTTP {status}).{rest}"
    elif " off" in why:  # what the client says of an answer that broke off, or that was cut off
        return failed("devices", why, "try again: it may have been a single fault")
    else:
        found = f"HTTP {status}, but the body is no device list.{rest}"
    return failed("devices", found, base_url, evidence=("transport.base_url", "devices.reply"))


def _is_html(answer: Answer) -> bool:
    return "html" in answer.headers.get("content-type", "") or answer.body[:100].lstrip().startswith(b"<")


def _clock(answer: Answer) -> Check:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
        theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
        skew = (answer.received_at - theirs).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return skipped("clock", "the answer has no readable Date to compare with")
    if abs(skew) <= MAX_SKEW.total_seconds():
        return ok("clock", f"within {MAX_SKEW.total_seconds():g} s of the Date of the answer")
    way = "ahead of" if skew > 0 else "behind"
    here = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC here"
    found = f"this machine's clock is {_amount(abs(skew))} {way} the Date of the answer ({here})"
    remedy = "set the clock, and keep it set with NTP"
    if "x-mosvpp-sandbox-evidence" in answer.headers:
        remedy = "none is needed for the sandbox that answered: its time is simulated; dispatch in its time"
    return failed("clock", found, remedy, evidence=("behaviour.clock_skew",))


def _amount(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
