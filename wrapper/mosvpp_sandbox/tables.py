"""The tables of states, choices, profiles and faults in Markdown, as the guide prints them.

`python -m mosvpp_sandbox.tables` writes all of them; a test compares the guide with them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from .choices import CHOICES
from .faults import CALL_FAULTS, PUSH_FAULTS
from .profiles import PROFILES
from .states import TRANSITIONS

__all__ = ["choices", "faults", "profiles", "states"]


def states() -> str:
    """How an event gets from one state to another."""
    rows = ((one.source or "–", one.target, one.when, "yes" if one.is_told else "") for one in TRANSITIONS)
    return _table(("from", "to", "when", "told by an execution response"), rows)


def choices() -> str:
    """What MosVPP leaves open; the first variant is the default."""
    rows = (
        (f"`{name}`" if index == 0 else "", f"`{variant}`", meaning, f"`{evidence}`" if index == 0 else "")
        for name, (evidence, variants) in CHOICES.items()
        for index, (variant, meaning) in enumerate(variants.items())
    )
    return _table(("choice", "variant", "meaning", "evidence"), rows)


def profiles() -> str:
    """The shapes that messages may have."""
    rows = ((f"`{one.name}`", one.meaning, f"`{one.evidence}`") for one in PROFILES.values())
    return _table(("profile", "meaning", "evidence"), rows)


def faults(which: Mapping[str, tuple[str, float | None, str]]) -> str:
    """What may go wrong, and the value that each takes."""
    rows = (
        (f"`{name}`", meaning, "" if value is None else f"{value:g} ({of_what})")
        for name, (meaning, value, of_what) in which.items()
    )
    return _table(("fault", "what happens", "value"), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(head), ("---",) * len(tuple(head)), *(tuple(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    parts = (states(), choices(), profiles(), faults(CALL_FAULTS), faults(PUSH_FAULTS))
    sys.stdout.write("\n\n".join(parts) + "\n")
