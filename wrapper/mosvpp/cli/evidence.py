"""How sure the facts are that the command line speaks of; the whole ledger is spec/evidence.yaml."""

from __future__ import annotations

__all__ = ["MARKS", "marked"]

MARKS: dict[str, str] = {
    "behaviour.clock_skew": "inferred",
    "behaviour.json_only": "inferred",
    "devices.reply": "documented",
    "errors.forbidden": "inferred",
    "errors.not_found": "inferred",
    "errors.server_error": "inferred",
    "errors.too_many_requests": "inferred",
    "errors.unauthorized": "inferred",
    "execution.shape": "inferred",
    "push.auth_headers": "documented",
    "push.body": "documented",
    "push.no_signature": "inferred",
    "push.validate_headers": "documented",
    "transport.api_key": "documented",
    "transport.api_version": "inferred",
    "transport.base_url": "documented",
    "transport.ip_allowlist": "documented",
    "transport.molecule_id_segment": "inferred",
}
"""Each id that is named here, as the ledger marks it; a test compares them."""


def marked(ids: tuple[str, ...]) -> str:
    """`transport.api_key (documented), …`, for people."""
    return ", ".join(f"{name} ({MARKS[name]})" if name in MARKS else name for name in ids)
