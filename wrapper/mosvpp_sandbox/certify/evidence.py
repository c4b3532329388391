"""How sure the facts are on which the checks rest; the whole ledger is spec/evidence.yaml."""

from __future__ import annotations

__all__ = ["MARKS", "marked"]

MARKS: dict[str, str] = {
    "behaviour.decoded_acceptance": "inferred",
    "behaviour.json_only": "inferred",
    "behaviour.receiver_answer": "inferred",
    "behaviour.repeat_post": "inferred",
    "dispatch.call": "documented",
    "dispatch.update_by_same_id": "inferred",
    "errors.retry_after": "inferred",
    "errors.too_many_requests": "inferred",
    "execution.shape": "inferred",
    "execution.two_forms": "inferred",
    "push.answer_200": "documented",
    "push.auth_headers": "documented",
    "push.body": "documented",
    "push.future_contents": "documented",
    "push.metric_names_open": "documented",
    "push.metrics": "sample",
    "push.no_signature": "inferred",
    "push.timestamp": "documented",
    "push.validate_headers": "documented",
    "receipt.dispatch_shape": "inferred",
    "status.words": "inferred",
    "times.reading": "inferred",
    "transport.api_key": "documented",
    "transport.base_url": "documented",
    "unknown.delivery_rules": "unknown",
    "unknown.limits": "unknown",
}
"""Each id that a check names, as the ledger marks it; a test compares them."""


def marked(ids: tuple[str, ...]) -> str:
    """`push.answer_200 (documented), …`, for people."""
    return ", ".join(f"{name} ({MARKS[name]})" for name in ids)
