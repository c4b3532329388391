"""The shapes of the profiles, to the letter where that is the point."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

import corpus
import verdicts
from mosvpp_sandbox import ManualClock, Sandbox
from mosvpp_sandbox.profiles import PROFILES

from .conftest import due

NOON = datetime(2024, 1, 5, 12, 0, tzinfo=UTC)
DISPATCH = json.loads(corpus.EXAMPLES["submit_dispatch.request.page_sample"].raw)
DISPATCH["event_slots"][0] |= {"start_time": "2024-01-05T12:00:00Z", "end_time": "2024-01-05T13:00:00Z"}


@pytest.fixture(params=PROFILES)
def told(request: pytest.FixtureRequest, call: Any) -> dict[str, Any]:
    """What a sandbox of each profile says: a receipt, two errors, an execution response."""
    clock = ManualClock(NOON)
    vpp = Sandbox(clock=clock, profile=request.param)
    path = f"/v1/api/gateway/{vpp.molecule_id}/dr"
    clock.advance(hours=0)
    answers = {
        "profile": request.param,
        "receipt": call(vpp, "POST", path, json=DISPATCH),
        "invalid": call(vpp, "POST", path, json={**DISPATCH, "mode": "wet"}),
        "missing": call(vpp, "GET", "/v1/api/gateway/nowhere/devicesync"),
    }
    clock.advance(hours=1)
    (done,) = [one for one in due(vpp) if one.kind == "execution_response"]
    return {**answers, "done": PROFILES[request.param].written_push("execution_response", done.body)}


def test_each_profile_looks_as_its_name_says(told: dict[str, Any]) -> None:
    check = {
        "inferred": _inferred,
        "flat": _flat,
        "http_only": _http_only,
        "aspnet_problem": _aspnet,
        "camel_case": _camel_case,
        "nested": _nested,
        "html_errors": _html_errors,
    }[told["profile"]]
    check(told)


def test_each_profile_keeps_the_status_and_says_how_sure_it_is(told: dict[str, Any]) -> None:
    assert [told[name].status_code for name in ("receipt", "invalid", "missing")] == [200, 400, 404]
    assert told["receipt"].headers["X-MosVPP-Sandbox-Evidence"] == "inferred (receipt.dispatch_shape)"


def test_each_profile_names_evidence_that_there_is() -> None:
    ledger = {fact["id"] for fact in verdicts.LEDGER["facts"]}
    assert {profile.evidence for profile in PROFILES.values()} <= ledger
    assert all(profile.meaning for profile in PROFILES.values())


def test_another_profile_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="no profile 'soap'; there are inferred, flat"):
        Sandbox(profile="soap")


def test_the_profile_may_be_changed_on_the_way(vpp: Sandbox, call: Any) -> None:
    assert vpp.profile == "inferred"
    vpp.profile = "html_errors"
    assert call(vpp, "GET", "/nowhere").headers["content-type"] == "text/html; charset=utf-8"


def _inferred(told: dict[str, Any]) -> None:
    assert told["receipt"].json()["event_slots"][0]["status"] == "accepted"
    assert told["invalid"].json()["faults"]


def _flat(told: dict[str, Any]) -> None:
    receipt, done = told["receipt"].json(), json.loads(told["done"])
    for flat in (receipt, done):
        assert flat["event_id"] == DISPATCH["event_slots"][0]["event_id"]
        assert "event_slots" not in flat
    assert not verdicts.errors("asyncapi.yaml#/components/schemas/ExecutionResponseFlatPayload", done)


def _http_only(told: dict[str, Any]) -> None:
    assert told["receipt"].content == told["invalid"].content == told["missing"].content == b""


def _aspnet(told: dict[str, Any]) -> None:
    problem = told["invalid"].json()
    assert list(problem) == ["type", "title", "status", "traceId", "errors"]
    assert list(problem["errors"]) == ["mode"]
    assert re.fullmatch(r".{19}\.0000000Z", told["receipt"].json()["timestamp"])
    slot = json.loads(told["done"])["event_slots"][0]
    assert slot["event_id"] == DISPATCH["event_slots"][0]["event_id"].lower()
    assert slot["end_time"] == "2024-01-05T13:00:00.0000000Z"


def _camel_case(told: dict[str, Any]) -> None:
    assert set(told["receipt"].json()) == {
        "moleculeId",
        "mode",
        "timestamp",
        "status",
        "message",
        "eventSlots",
    }
    assert b'"executedQuantity"' in told["done"]
    assert b"_" not in told["done"].replace(b"in_progress", b"").replace(b"partially_completed", b"")


def _nested(told: dict[str, Any]) -> None:
    assert set(told["receipt"].json()) == {"success", "data"}
    assert told["missing"].json()["error"]["code"] == 404
    assert json.loads(told["done"])["type"] == "execution_response"


def _html_errors(told: dict[str, Any]) -> None:
    for name in ("invalid", "missing"):
        assert told[name].headers["content-type"] == "text/html; charset=utf-8"
        assert told[name].text.startswith("<!DOCTYPE html>")
    assert told["receipt"].json()["status"] == "accepted"
