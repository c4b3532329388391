"""Surprises are data: what Molecule sends and we do not know is handed to the partner, not raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

__all__ = ["Drift", "DriftKind", "OnDrift", "report"]

DriftKind: TypeAlias = Literal[
    "unknown_field", "unknown_word", "unexpected_shape", "time_without_offset", "clock_skew"
]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One surprise.

    `operation` is the operation of the spec (`submit_dispatch`, `receive_data_push`, …), `path` the JSON path
    of the surprise, `detail` the field name, the word, or a sentence.
    """

    kind: DriftKind
    operation: str
    path: str
    detail: str


OnDrift: TypeAlias = Callable[[Drift], object]


def report(on_drift: OnDrift | None, drift: Drift) -> None:
    """Hand a surprise to the partner's function; a fault in it is logged and loses no receipt or delivery."""
    if on_drift is None:
        return
    try:
        on_drift(drift)
    except Exception:
        import logging  # late, so that receiving starts fast

        log = logging.getLogger("mosvpp")
        log.exception("on_drift raised an error for %s at %s", drift.kind, drift.path)
