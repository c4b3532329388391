"""The three endpoints: what they answer, and each way in which they refuse."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

import corpus
import verdicts
from mosvpp_sandbox import Answered, ManualClock, Sandbox, messages
from mosvpp_sandbox.api import LARGEST_BODY

SCHEMAS = "openapi.yaml#/components/schemas/"
DISPATCH = corpus.EXAMPLES["submit_dispatch.request.page_sample"].raw
COMMAND = corpus.EXAMPLES["submit_site_command.request.battery_and_relay"].raw


def is_problem(answer: httpx.Response, status: int, said: str) -> dict[str, Any]:
    """Insist on problem details as the specification has them."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers[messages.EVIDENCE_HEADER].startswith("inferred (errors.")
    problem = answer.json()
    assert not verdicts.errors(SCHEMAS + "Problem", problem)
    assert problem["status"] == status
    assert problem["instance"] == answer.request.url.path
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", problem["traceId"])
    assert said in problem["detail"]
    return problem


def test_device_sync_lists_the_devices_of_the_page_first(send, gateway) -> None:
    answer = send("GET", f"{gateway}/devicesync")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert not verdicts.errors(SCHEMAS + "DeviceSyncReply", answer.json())
    battery, relay = corpus.EXAMPLES["sync_devices.reply.page_sample"].value["devices"]
    devices = answer.json()["devices"]
    assert devices[0] == battery
    assert {name: devices[1][name] for name in ("device_id", "device_type", "name")} == {
        name: relay[name] for name in ("device_id", "device_type", "name")
    }
    assert [device["device_type"] for device in devices] == [10, 14, 12, 11, 13]


@pytest.mark.parametrize(
    ("path", "body", "schema"),
    [("dr", DISPATCH, "DispatchReply"), ("sitecmd", COMMAND, "SiteCommandReply")],
)
def test_a_receipt_follows_the_specification_to_the_last_field(send, gateway, path, body, schema) -> None:
    answer = send("POST", f"{gateway}/{path}", content=body)
    assert answer.status_code == 200
    assert not verdicts.errors(SCHEMAS + schema, answer.json())
    listed = verdicts.resolve(f"#/components/schemas/{schema}")["properties"]
    assert set(answer.json()) == set(listed)


def test_answers_say_how_sure_their_shape_is(send, gateway) -> None:
    def evidence(*request: str, **more: bytes) -> str:
        return send(*request, **more).headers["X-MosVPP-Sandbox-Evidence"]

    assert evidence("GET", f"{gateway}/devicesync") == "documented (devices.reply)"
    assert evidence("POST", f"{gateway}/dr", content=DISPATCH) == "inferred (receipt.dispatch_shape)"
    assert evidence("POST", f"{gateway}/sitecmd", content=COMMAND) == "inferred (receipt.command_shape)"
    assert evidence("GET", "/nowhere") == "inferred (errors.not_found)"
    assert evidence("DELETE", f"{gateway}/dr") == "inferred (errors.problem_json)"


def test_what_is_said_of_the_evidence_is_what_the_ledger_says() -> None:
    ledger = {fact["id"]: fact["status"] for fact in verdicts.LEDGER["facts"]}
    for mark in messages.EVIDENCE.values():
        named = [re.fullmatch(r"(\w+) \((\S+)\)", part).groups() for part in mark.split(", ")]
        assert all(ledger[fact] == status for status, fact in named)


def test_the_date_of_an_answer_is_simulated_time(send, clock: ManualClock) -> None:
    assert parsedate_to_datetime(send("GET", "/nothing").headers["date"]) == clock.now()
    clock.advance(timedelta(days=1))
    assert parsedate_to_datetime(send("GET", "/nothing").headers["date"]) == clock.now()


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/v1/api/gateway/fecd0001c031e7e8",
        "/v1/api/gateway/fecd0001c031e7e8/dr/",
        "/v1/api/gateway/fecd0001c031e7e8/DR",
        "/v2/api/gateway/fecd0001c031e7e8/dr",
        "/v1/api/gateway//dr",
    ],
)
def test_an_unknown_path_is_not_found(send, path) -> None:
    is_problem(send("POST", path, content=DISPATCH), 404, "Not Found")


@pytest.mark.parametrize("path", ["dr", "sitecmd", "devicesync"])
def test_an_unknown_site_is_not_found(send, path) -> None:
    method = "GET" if path == "devicesync" else "POST"
    is_problem(send(method, f"/v1/api/gateway/0000000000000000/{path}"), 404, "no site with this id")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "dr", "POST"), ("PUT", "sitecmd", "POST"), ("POST", "devicesync", "GET, HEAD")],
)
def test_another_method_is_refused_and_told_which_one_is_right(send, gateway, method, path, allowed) -> None:
    answer = send(method, f"{gateway}/{path}")
    is_problem(answer, 405, "Method Not Allowed")
    assert ", ".join(sorted(answer.headers["allow"].split(", "))) == allowed


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-API-Key", "")],
        [("X-API-Key", "wrong")],
        [("X-API-Key", "sandbox-key ü".encode())],
        [("X-API-Key", "sandbox-key-and-more")],
        [("X-API-Key", "sandbox-key"), ("X-API-Key", "sandbox-key")],
        [("Authorization", "Bearer sandbox-key")],
    ],
    ids=["missing", "empty", "wrong", "not ASCII", "too long", "twice", "elsewhere"],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "devicesync"), ("POST", "dr"), ("POST", "sitecmd")])
def test_without_the_one_right_key_nothing_is_told(send, method, path, headers) -> None:
    """Not even whether a site exists."""
    answer = send(method, f"/v1/api/gateway/0000000000000000/{path}", headers=headers)
    is_problem(answer, 401, "key is not known" if "X-API-Key" in dict(headers) else "is missing")
    assert "sandbox-key" not in answer.text


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        (None, None),
        ("text/plain", None),
        ("application/json; charset=latin-1", None),
        ("application/problem+json", None),
        ("application/json", "gzip"),
        ("application/json; charset*" + "9" * 5000 + "=a", None),
    ],
)
@pytest.mark.parametrize("path", ["dr", "sitecmd"])
def test_a_body_that_is_not_announced_as_plain_json_is_refused(
    send, vpp, gateway, path, content_type, encoding
) -> None:
    headers = {"X-API-Key": vpp.api_key, "Content-Type": content_type, "Content-Encoding": encoding}
    given = {name: value for name, value in headers.items() if value is not None}
    is_problem(send("POST", f"{gateway}/{path}", content=DISPATCH, headers=given), 400, "Send the body")


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON", 'application/json;charset="UTF-8"']
)
def test_json_may_be_announced_in_any_correct_way(send, vpp, gateway, content_type) -> None:
    headers = {"X-API-Key": vpp.api_key, "Content-Type": content_type, "Content-Encoding": "identity"}
    assert send("POST", f"{gateway}/dr", content=DISPATCH, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["dr", "sitecmd"])
def test_a_quantity_that_the_schema_allows_and_no_unit_holds_is_no_fault(send, gateway, path) -> None:
    operation, case = {
        "dr": ("submit_dispatch", "page_sample"),
        "sitecmd": ("submit_site_command", "battery_and_relay"),
    }[path]
    sample = next(one for one in corpus.select(operation, "request") if case in one.name)
    huge = json.dumps(sample.value).replace('"kW"', '"MW"')
    huge = re.sub(r'"(event|cmd)_quantity": [\d.]+', r'"\1_quantity": 1.7e308', huge)
    assert send("POST", f"{gateway}/{path}", content=huge).status_code == 200


def test_a_body_up_to_the_limit_is_read(send, gateway) -> None:
    padded = DISPATCH + b" " * (LARGEST_BODY - len(DISPATCH))
    assert send("POST", f"{gateway}/dr", content=padded).status_code == 200


def test_a_body_over_the_limit_is_refused_before_it_is_read(send, gateway) -> None:
    async def never() -> AsyncIterator[bytes]:
        pytest.fail("the body was read")
        yield b""

    headers = {
        "X-API-Key": "sandbox-key",
        "Content-Type": "application/json",
        "Content-Length": str(LARGEST_BODY + 1),
    }
    is_problem(send("POST", f"{gateway}/dr", content=never(), headers=headers), 400, "larger than")


def test_an_announced_length_may_have_any_number_of_digits(send, vpp, gateway) -> None:
    headers = {"X-API-Key": vpp.api_key, "Content-Type": "application/json", "Content-Length": "9" * 5000}
    is_problem(send("POST", f"{gateway}/dr", content=DISPATCH, headers=headers), 400, "larger than")


def test_a_body_over_the_limit_is_refused_although_nothing_announced_it(send, gateway) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY // 1024 + 1):
            yield b" " * 1024

    is_problem(send("POST", f"{gateway}/dr", content=chunks()), 400, "larger than")


def test_a_body_that_breaks_off_is_refused_quietly(vpp: Sandbox, gateway) -> None:
    headers = [(b"x-api-key", b"sandbox-key"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{gateway}/dr",
        "query_string": b"",
        "headers": headers,
        "scheme": "http",
        "server": ("sandbox", 80),
        "root_path": "",
        "http_version": "1.1",
    }
    incoming = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(incoming)

    async def collect(message: Any) -> None:
        sent.append(message)

    asyncio.run(vpp.app(scope, receive, collect))
    assert sent[0]["status"] == 400
    assert b"broke off" in sent[1]["body"]


@pytest.mark.parametrize("path", ["dr", "sitecmd"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"mode": "test", "mode": "live"}', "'mode' occurs twice"),
        (b'{"mode": NaN}', "NaN is not JSON"),
        (b'{"mode": -Infinity}', "-Infinity is not JSON"),
        (b'{"mode": 1e400}', "too large"),
        (b'{"mode": ' + b"9" * 5000 + b"}", "too large"),
        (b'{"mode": "\xff"}', "not UTF-8"),
        (b'{"mode": "\\ud800"}', "surrogate"),
        (b"[" * 100 + b"]" * 100, "levels deep"),
        (b"[" * 100_000, "levels deep"),
    ],
)
def test_what_is_no_acceptable_json_is_refused_with_the_reason(send, gateway, path, body, said) -> None:
    is_problem(send("POST", f"{gateway}/{path}", content=body), 400, said)


def test_an_invalid_request_is_told_every_fault_with_path_rule_and_evidence(send, gateway) -> None:
    body = json.loads(DISPATCH)
    body["event_slots"][0] |= {"priority": 120, "event_unit": "mW"}
    problem = is_problem(send("POST", f"{gateway}/dr", json=body), 400, "does not follow the specification")
    assert problem["title"] == "One or more validation errors occurred."
    assert set(problem["errors"]) == {"$.event_slots[0].priority", "$.event_slots[0].event_unit"}
    assert "120 is greater than the maximum of 99" in problem["errors"]["$.event_slots[0].priority"][0]
    assert {
        "path": "$.event_slots[0].priority",
        "rule": "maximum",
        "evidence": ["dispatch.priority"],
    } in problem["faults"]


def test_nothing_of_an_invalid_request_takes_effect(send, gateway, vpp) -> None:
    body = corpus.INVALID["submit_dispatch.request.second_event_at_fault"].raw
    assert send("POST", f"{gateway}/dr", content=body).status_code == 400
    assert not list(vpp.sites[vpp.molecule_id].events["test"])


def test_a_site_command_is_taken_once(send, gateway) -> None:
    """errors.conflict is our reading; ids are compared as values."""
    body = json.loads(COMMAND)
    assert send("POST", f"{gateway}/sitecmd", json=body).status_code == 200
    body["scmd_id"] = body["scmd_id"].lower()
    is_problem(send("POST", f"{gateway}/sitecmd", json=body), 409, "taken before")


def test_a_fault_of_the_sandbox_is_a_problem_too(send, gateway, vpp, monkeypatch) -> None:
    monkeypatch.setattr(vpp.sites[vpp.molecule_id], "device_list", lambda: {}["missing"])
    is_problem(send("GET", f"{gateway}/devicesync"), 500, "fault")


def test_trace_ids_differ_and_follow_the_seed(call, clock) -> None:
    def trace_ids(seed: int) -> list[str]:
        vpp = Sandbox(clock=clock, seed=seed)
        return [call(vpp, "GET", "/nothing").json()["traceId"] for _ in range(3)]

    assert len({*trace_ids(1), *trace_ids(2)}) == 6
    assert trace_ids(1) == trace_ids(1)


def test_the_sandbox_remembers_what_it_was_asked(send, gateway, vpp, clock) -> None:
    send("GET", f"{gateway}/devicesync")
    clock.advance(timedelta(minutes=1))
    send("POST", f"{gateway}/dr", content=b"{}")
    start = clock.now() - timedelta(minutes=1)
    assert vpp.answered == (
        Answered(start, "GET", f"{gateway}/devicesync", 200),
        Answered(clock.now(), "POST", f"{gateway}/dr", 400),
    )
