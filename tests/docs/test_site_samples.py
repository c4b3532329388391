"""The tabs of a sample all say the same: what the example says."""

from __future__ import annotations

import json
import shlex
from typing import Any

import httpx
import pytest

import mosvpp
from mosvpp import Client, errors, shed
from mosvpp.commands import turn_off
from pages import readings, samples
from pages.sources import Call, Example, load

SOURCES = load()
REQUESTS = [(call, example) for call in SOURCES.calls for example in SOURCES.of(call.id, "request")]
EVENTS = [(webhook, example) for webhook in SOURCES.webhooks for example in SOURCES.of(webhook.id, "event")]


def name(value: object) -> str:
    return getattr(value, "name", "")


def tab(tabs: list[samples.Tab], title: str) -> str:
    return next(tab.code for tab in tabs if tab.title == title)


@pytest.mark.parametrize("title", ["Python", "Python async"])
@pytest.mark.parametrize(("call", "example"), REQUESTS, ids=name)
def test_the_python_of_a_sample_sends_exactly_the_example(
    call: Call, example: Example, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"status": "accepted"})

    monkeypatch.setenv("MOSVPP_API_KEY", "a key for this test")
    for client in (mosvpp.Client, mosvpp.AsyncClient):
        monkeypatch.setitem(client.__init__.__kwdefaults__, "transport", httpx.MockTransport(answer))
    exec(tab(samples.call_tabs(SOURCES, call, example), title), {"__name__": "__main__"})
    assert [json.loads(request.content) for request in sent] == [in_z(example.value)]
    assert sent[0].url.path == "/v1/api/gateway" + call.path.replace("{molecule_id}", samples.SITE)


def in_z(value: Any) -> Any:
    """UTC as the SDK writes it, which is one of the two ways that are allowed."""
    return json.loads(json.dumps(value).replace('+00:00"', 'Z"'))


@pytest.mark.parametrize(("call", "example"), REQUESTS, ids=name)
def test_the_curl_of_a_sample_sends_exactly_the_example(call: Call, example: Example) -> None:
    words = shlex.split(tab(samples.call_tabs(SOURCES, call, example), "curl"))
    assert words[0] == "curl"
    assert call.path.replace("{molecule_id}", samples.SITE) in words[2]
    assert json.loads(words[words.index("--data") + 1]) == example.value


@pytest.mark.parametrize(("webhook", "example"), EVENTS, ids=name)
def test_the_curl_of_a_webhook_sends_exactly_the_example(webhook: Any, example: Example) -> None:
    words = shlex.split(tab(samples.webhook_tabs(webhook, example), "curl"))
    assert words[2] == f"http://127.0.0.1:8000{webhook.address}"
    assert json.loads(words[words.index("--data") + 1]) == example.value


SITUATIONS = [
    pytest.param(
        method, situation, answer, id=f"{method}-{situation.what}-{answer and (answer[0], answer[2])}"
    )
    for method in ("GET", "POST")
    for situation in readings.situations(method)
    for answer in [*situation.answers, *([None] if situation.failure else [])]
]


@pytest.mark.parametrize(("method", "situation", "answer"), SITUATIONS)
def test_the_table_of_what_may_come_of_a_call_is_true(
    method: str, situation: readings.Situation, answer: tuple[int, dict[str, str], bytes] | None
) -> None:
    attempts = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal attempts
        attempts += 1
        if answer is None:
            raise situation.failure("it failed", request=request)
        status, headers, body = answer
        return httpx.Response(status, headers=headers, content=body)

    transport = httpx.MockTransport(handle)
    with Client(
        "a key for this test", transport=transport, allow_live=True, clock=readings.Hurried()
    ) as client:
        given = outcome(client, method)
    if isinstance(given, errors.MosVPPError):
        assert type(given).__name__ == situation.gives
    else:
        assert situation.gives in {"receipt", "devices"}
    unknown = isinstance(given, errors.OutcomeUnknownError) or getattr(given, "outcome", None) == "unknown"
    assert unknown == ("unknown" in situation.done)
    assert attempts == (3 if situation.again == readings.THRICE else 1)


def outcome(client: Client, method: str) -> Any:
    """What came back, or the error."""
    try:
        return call_one(client, method)
    except errors.MosVPPError as error:
        return error


def call_one(client: Client, method: str) -> Any:
    if method == "GET":
        return client.sync_devices(samples.SITE)
    start = readings.far_ahead()
    slot = shed(5 * mosvpp.kW, start=start, duration=readings.HOUR, priority=50)
    return client.submit_dispatch(samples.SITE, slot, mode="test")


def test_every_error_of_a_call_is_in_the_table_of_situations() -> None:
    told = {situation.gives for method in ("GET", "POST") for situation in readings.situations(method)}
    webhook_side = {"AuthenticationError", "MosVPPError", "PayloadError", "StoreError", "WebhookError"}
    assert told | webhook_side | {"RuleError"} == {*errors.__all__, "receipt", "devices"}
    with pytest.raises(errors.RuleError), Client("a key for this test") as client:
        client.submit_site_command(samples.SITE, turn_off("21000"), duration=readings.HOUR)
