from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosvpp.errors import RuleError
from mosvpp.ids import id_key, id_text

ID = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
KEY = "8a7da4d35ad642f6bcad6194bbd2f68d"


@pytest.mark.parametrize(
    "text",
    [ID, f"{{{ID}}}", f"urn:uuid:{ID}", ID.replace("-", ""), KEY, ID.lower(), UUID(ID)],
    ids=repr,
)
def test_the_spellings_of_one_id_have_one_key(text: Any) -> None:
    assert id_key(text) == KEY


@pytest.mark.parametrize(
    "text",
    [
        *("", "order 7", f" {ID}", f"{ID} ", f"{ID}\n", f"{{{ID}", f"{ID}}}", f"{{{{{ID}}}}}", f"uuid:{ID}"),
        *("0x" + KEY[2:], "8_" + KEY[2:], "+" + KEY[1:], " " + KEY[1:], "-".join(KEY), f"{{{KEY}\n"),
        ID.replace("7", "\u0667"),
        KEY.replace("7", "\u0667"),
        f"urn:uuid:{{{ID}}}",
    ],
    ids=ascii,
)
def test_what_is_no_uuid_stands_for_itself(text: str) -> None:
    assert id_key(text) == text


@given(st.uuids())
def test_the_key_is_the_value(value: UUID) -> None:
    assert id_key(str(value).upper()) == id_key(value) == value.hex


@pytest.mark.parametrize(
    "value", [10**5000, "x" * 10_000, "line\nline\x1b", None], ids=["number", "long", "lines", "none"]
)
def test_what_is_no_id_is_refused_in_a_short_line(value: Any) -> None:
    with pytest.raises(RuleError) as caught:
        id_text(value, path="$.event_id")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250
