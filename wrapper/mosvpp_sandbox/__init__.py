"""A sandbox that plays Molecule, to try and test a partner's side without MosVPP. No official simulator.

    >>> with Sandbox() as vpp, Client(vpp.api_key, base_url=vpp.url) as client:
    ...     client.sync_devices(vpp.molecule_id)

Or as a program of its own: `python -m mosvpp_sandbox`. Needs the extra `sandbox`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import Answered
    from .choices import Choices
    from .clock import ManualClock, RunningClock, SandboxClock
    from .control import Control
    from .faults import Fault
    from .outbox import Retries, Sent
    from .sandbox import Sandbox
    from .site import Delivery, Site
    from .site_specs import SiteSpec
    from .webhook_builder import Webhook, WebhookBuilder

_HOMES = {
    "Answered": "api",
    "Choices": "choices",
    "Control": "control",
    "Delivery": "site",
    "Fault": "faults",
    "ManualClock": "clock",
    "Retries": "outbox",
    "RunningClock": "clock",
    "Sandbox": "sandbox",
    "SandboxClock": "clock",
    "Sent": "outbox",
    "Site": "site",
    "SiteSpec": "site_specs",
    "Webhook": "webhook_builder",
    "WebhookBuilder": "webhook_builder",
}

__all__ = [
    "Answered",
    "Choices",
    "Control",
    "Delivery",
    "Fault",
    "ManualClock",
    "Retries",
    "RunningClock",
    "Sandbox",
    "SandboxClock",
    "Sent",
    "Site",
    "SiteSpec",
    "Webhook",
    "WebhookBuilder",
]


def __getattr__(name: str) -> object:
    """Load a public name from its home; the server's libraries are asked for no earlier than that."""
    from importlib import import_module

    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("starlette", "uvicorn"):
            raise
        msg = f"the sandbox needs {missing}, which comes with its extra: pip install 'mosvpp[sandbox]'"
        raise ImportError(msg) from None
