"""Fixtures for partners' tests; pytest finds them by the entry point `mosvpp` once the SDK is installed.

    mosvpp_sandbox           a running sandbox that plays Molecule
    mosvpp_site              its first site
    mosvpp_clock             its time, which stands still until `advance` is called
    mosvpp_webhooks          builds what Molecule sends to you, authentic and forged

    mosvpp_webhook_headers   the headers that you have configured with Molecule: override it in conftest.py
    mosvpp_sandbox_options   arguments of `Sandbox`, such as your URLs: override it likewise

Nothing is imported before a fixture is used, so that tests without them start as fast as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mosvpp_sandbox import ManualClock, Sandbox, Site, WebhookBuilder


@pytest.fixture
def mosvpp_clock() -> ManualClock:
    """Simulated time that stands still at 17:00 UTC on 15 January 2026, until you call `advance`."""
    from datetime import UTC, datetime

    from mosvpp_sandbox import ManualClock

    return ManualClock(datetime(2026, 1, 15, 17, 0, tzinfo=UTC))


@pytest.fixture
def mosvpp_webhook_headers() -> dict[str, str]:
    """The headers that Molecule sends along, as you configured them. Override it with your own names."""
    return {"X-API-Key": "a webhook secret for tests"}


@pytest.fixture
def mosvpp_sandbox_options() -> dict[str, Any]:
    """More arguments for `Sandbox`, such as `execution_response_url`. Override it where you need some."""
    return {}


@pytest.fixture
def mosvpp_sandbox(
    mosvpp_clock: ManualClock,
    mosvpp_webhook_headers: dict[str, str],
    mosvpp_sandbox_options: dict[str, Any],
) -> Iterator[Sandbox]:
    """A sandbox on a free port of this machine: give `url` and `api_key` to your client."""
    from mosvpp_sandbox import Sandbox

    options = {"clock": mosvpp_clock, "headers": mosvpp_webhook_headers, **mosvpp_sandbox_options}
    with Sandbox(**options) as vpp:
        yield vpp


@pytest.fixture
def mosvpp_site(mosvpp_sandbox: Sandbox) -> Site:
    """The first site of the sandbox; its `molecule_id` is what you dispatch to."""
    return mosvpp_sandbox.sites[mosvpp_sandbox.molecule_id]


@pytest.fixture
def mosvpp_webhooks(mosvpp_clock: ManualClock, mosvpp_webhook_headers: dict[str, str]) -> WebhookBuilder:
    """Builds deliveries with your headers: `body, headers = mosvpp_webhooks.execution_response(slot)`."""
    from mosvpp_sandbox import WebhookBuilder

    return WebhookBuilder(mosvpp_webhook_headers, now=mosvpp_clock.now)
