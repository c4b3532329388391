"""Shapes that we do not know become examples, and nothing of what they held is in them."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries import InboxFactory, new, push_body, report_body
from mosvpp.errors import RuleError
from mosvpp.receiver import SqlInbox, _following, fixtures, write_fixtures
from mosvpp.receiver.fixtures import capturing, redacted

PATIENCE_S = 30
EXAMPLES = Path(__file__).parents[2] / "spec" / "examples"


def fill(inbox: SqlInbox, *bodies: object) -> None:
    for body in bodies:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        inbox.put(new(raw)).result(PATIENCE_S)


@pytest.mark.parametrize(
    "value",
    [
        {"timestamp": "2024-01-05T01:00:30.1234567+01:00", "state": "COMPLETED", "unit": "kW", "n": 4.8},
        {"list": [1, True, None, -0.5, "ok", ""], "date": "2024-01-05"},
    ],
)
def test_the_shape_stays(value: Any) -> None:
    assert redacted(value) == value


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"siteId": "fecd0001c031e7e8"}, r"[a-f]{4}\d{4}[a-f]\d{3}[a-f]\d[a-f]\d"),
        ({"x": "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"}, r"\d[A-F]\d[A-F]{2}\d[A-F]\d-.{4}-.{4}-.{4}-.{12}"),
        ({"device_id": 20000}, r"[1-9]{5}"),
        ({"meter": "SN 4711-08155"}, r"[A-Z]{2} \d{4}-\d{5}"),
        ({"owner_email": "jo@example.org"}, r"[a-z]{2}@[a-z]{7}\.[a-z]{3}"),
        ({"lat": 51.4779}, r"0\.0"),
        ({"comment": "Jo is on holiday"}, r"a text of 16 characters"),
        ({"authToken": "canary", "n": 1}, r"\[removed\]"),
        ({"api_key": 4711}, "0"),
    ],
    ids=str,
)
def test_what_is_private_gets_another_value_of_its_form(value: dict[str, Any], form: str) -> None:
    name = next(iter(value))
    made = redacted(value)
    assert re.fullmatch(form, str(made[name]))
    assert made[name] != value[name]


def test_the_same_id_stays_the_same_also_as_a_name() -> None:
    made = redacted({"a": {"id": "device-20000"}, "readings": {"device-20000": {"id": "device-20000"}}})
    assert made["a"]["id"] == next(iter(made["readings"])) == made["readings"][made["a"]["id"]]["id"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_json)
def test_whatever_it_is_it_can_be_redacted(value: Any) -> None:
    made = redacted(value)
    assert type(made) is type(value)
    json.dumps(made)


def test_each_unknown_shape_gets_one_file_fit_for_the_examples(
    make_inbox: InboxFactory, tmp_path: Path
) -> None:
    inbox = make_inbox()
    body = {"site": "fecd0001c031e7e8", "values": [{"name": "Main Relay", "kw": 1.5}]}
    fill(inbox, body, {**body, "site": "other"}, push_body(), push_body(1, extra=1), b"\xff", b"[1e999]", [1])
    inbox.put(new(report_body(), kind="execution_response")).result(PATIENCE_S)
    written = list(write_fixtures(inbox.find(), tmp_path / "made"))
    assert len(written) == 3  # two of the same shape, a push with a field that is not known, and a list
    names = {path.stem.rpartition(".")[0] for path in EXAMPLES.glob("receive_*.json")}
    for path in written:
        prefix, _, case = path.stem.rpartition(".")
        assert prefix in names
        assert re.fullmatch(r"[a-z0-9_]+", case)
        text = path.read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), indent=2) + "\n"
        assert "fecd0001c031e7e8" not in text
        assert "Main Relay" not in text


def test_nothing_is_overwritten(make_inbox: InboxFactory, tmp_path: Path) -> None:
    inbox = make_inbox()
    fill(inbox, {"a": "one"})
    (written,) = write_fixtures(inbox.find(), tmp_path)
    written.write_text("edited by hand", encoding="utf-8")
    fill(inbox, {"a": "two"})
    assert list(write_fixtures(inbox.find(), tmp_path)) == []
    assert written.read_text(encoding="utf-8") == "edited by hand"


def test_there_are_never_too_many(
    make_inbox: InboxFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixtures, "MOST_FILES", 2)
    inbox = make_inbox()
    fill(inbox, *({letter: 1} for letter in "abcd"))
    assert len(list(write_fixtures(inbox.find(), tmp_path))) == 2


def test_a_folder_that_cannot_be_is_told(make_inbox: InboxFactory, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RuleError, match="cannot be written"):
        list(write_fixtures(make_inbox().find(), tmp_path / "file"))


def test_what_comes_while_capturing_is_captured_and_nothing_older(
    make_inbox: InboxFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_following, "_LOOK_EVERY_S", 0.01)
    inbox, folder = make_inbox(), tmp_path / "made"
    fill(inbox, {"older": 1})
    with capturing(inbox, folder):
        fill(inbox, {"seen": 1})
        until = time.monotonic() + PATIENCE_S
        while not list(folder.iterdir()):
            assert time.monotonic() < until
            time.sleep(0.01)
        fill(inbox, {"last": 1})
    found = {next(iter(json.loads(path.read_text(encoding="utf-8")))) for path in folder.iterdir()}
    assert found == {"seen", "last"}
