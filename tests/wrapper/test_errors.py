from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from mosvpp import Request
from mosvpp.errors import OutcomeUnknownError, RejectedError, shown


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


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize(
    ("kind", "more"),
    [(OutcomeUnknownError, {}), (RejectedError, {"retry_after": 3.0})],
    ids=["unknown", "no"],
)
def test_an_error_of_a_call_is_copied_and_pickled_with_all_that_it_knows(
    kind: Any, more: dict[str, Any], again: Callable[[Any], Any]
) -> None:
    request = Request(operation="submit_dispatch", method="POST", path="/x", molecule_id="site", ids=("1",))
    error = kind("what happened", request=request, attempts=2, **more)
    error.add_note("seen by night")
    other = again(error)
    assert (type(other), str(other), vars(other)) == (kind, "what happened", vars(error))
    assert other.request == request
