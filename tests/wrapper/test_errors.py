from __future__ import annotations

from typing import Any

import pytest

from mosvpp.errors import shown


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError


nest: list[Any] = []
nest.append(nest)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        ("a\nb", r"'a\nb'"),
        ("x" * 60, f"'{'x' * 59}…"),
        (nest, "[[...]]"),
        (10**5000, "<int that cannot be shown>"),
        (Unshowable(), "<Unshowable that cannot be shown>"),
    ],
    ids=["number", "text", "long text", "nest", "very long number", "broken repr"],
)
def test_any_value_can_be_shown_in_a_message(value: Any, text: str) -> None:
    assert shown(value) == text
