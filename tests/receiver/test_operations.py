"""What operators see and do: metrics, logs, spans, secrets that rotate, export and import."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
from datetime import timedelta
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client.parser import text_string_to_metric_families

from deliveries import SECRET, SITE, InboxFactory, new, push_body, report_body
from manual_clock import START, ManualClock
from mosvpp import DataPush, ExecutionReport
from mosvpp.errors import RuleError, StoreError
from mosvpp.receiver import SqlInbox, asgi, export_lines, import_lines, metrics, secrets_from_file, tracing
from mosvpp.receiver._queue import Claim, Verdict
from mosvpp.receiver.logs import JsonFormatter
from mosvpp.receiver.redaction import traceback_of, without_secrets
from mosvpp.signatures import Headers, SharedHeaders

PATIENCE_S = 30
NEVER_SECRET = "nothing here is secret"


def put(inbox: SqlInbox, body: bytes, **more: object) -> None:
    inbox.put(new(body, at=inbox.now(), **more)).result(PATIENCE_S)


# Metrics


def samples(text: bytes) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items()) or ''}": sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_metrics_tell_what_came_and_what_is_left(make_inbox: InboxFactory, clock: ManualClock) -> None:
    inbox = make_inbox(clock=clock)
    put(inbox, push_body(1, "a"))
    put(inbox, push_body(1, "a"))
    put(inbox, b"not JSON")
    assert len(list(inbox.deliveries(DataPush, wait=False))) == 1
    put(inbox, report_body(), kind="execution_response")
    clock.advance(1200)
    put(inbox, push_body(2, "b"))
    inbox.counters.count(inbox.counters.refused, "wrong_secret")
    found = samples(metrics.exposition(inbox))
    expected = {
        "mosvpp_deliveries_stored_total[('kind', 'data_push')]": 3,
        "mosvpp_deliveries_duplicate_total[('kind', 'data_push')]": 1,
        "mosvpp_requests_refused_total[('reason', 'wrong_secret')]": 1,
        "mosvpp_deliveries_handled_total[('kind', 'data_push'), ('outcome', 'done')]": 1,
        "mosvpp_deliveries_handled_total[('kind', 'data_push'), ('outcome', 'dead')]": 1,
        "mosvpp_deliveries_unfinished[('kind', 'data_push')]": 1,
        "mosvpp_queue_age_seconds[('kind', 'execution_response')]": 1200,
        "mosvpp_dead_letters[('kind', 'data_push')]": 1,
        "mosvpp_silent_sites": 1,
        "mosvpp_oldest_push_seconds": 1200,
        "mosvpp_commit_batch_size_count": 5,
        "mosvpp_commit_batch_size_sum": 5,
        "mosvpp_commit_batch_size_bucket[('le', '1')]": 5,
        "mosvpp_store_up": 1,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_metrics_of_an_empty_inbox(make_inbox: InboxFactory) -> None:
    found = samples(metrics.exposition(make_inbox()))
    assert found["mosvpp_silent_sites"] == found["mosvpp_oldest_push_seconds"] == 0


def test_counters_are_told_although_the_store_is_away(
    make_inbox: InboxFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = make_inbox()
    put(inbox, push_body())

    def away() -> None:
        raise StoreError("away", reason="unavailable")

    monkeypatch.setattr(inbox, "backlog", away)
    found = samples(metrics.exposition(inbox))
    assert found["mosvpp_store_up"] == 0
    assert found["mosvpp_deliveries_stored_total[('kind', 'data_push')]"] == 1
    assert "mosvpp_silent_sites" not in found


def test_metrics_are_served_where_wanted(make_inbox: InboxFactory) -> None:
    app = asgi(make_inbox(), verifier=SharedHeaders({"X-API-Key": SECRET}), metrics=True)
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": push_body()}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {"type": "http", "client": None, "headers": [(b"x-api-key", SECRET.encode())]}
    asyncio.run(app({**scope, "method": "POST", "path": "/data-push"}, receive, send))
    asyncio.run(app({**scope, "method": "GET", "path": "/metrics"}, receive, send))
    assert (sent[0]["status"], sent[2]["status"]) == (200, 200)
    body = sent[3]["body"]
    assert isinstance(body, bytes)
    found = samples(body)
    assert found["mosvpp_store_up"] == 1
    assert found["mosvpp_deliveries_received_total[('kind', 'data_push')]"] == 1
    assert found["mosvpp_deliveries_stored_total[('kind', 'data_push')]"] == 1


# Spans


def test_spans_follow_a_delivery_from_the_sender_to_its_handler(make_inbox: InboxFactory) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    inbox = make_inbox(tracer=tracer)
    app = asgi(inbox, verifier=SharedHeaders({"X-API-Key": SECRET}), tracer=tracer)
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    done = asyncio.Event()

    @inbox.handler(ExecutionReport)
    async def settle(report: ExecutionReport, delivery: object) -> None:
        done.set()

    async def story() -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": report_body()}

        async def send(message: object) -> None: ...

        headers = [
            (b"x-api-key", SECRET.encode()),
            (b"traceparent", f"00-{trace}-{parent}-01".encode()),
        ]
        scope = {"type": "http", "method": "POST", "path": "/execution-response", "headers": headers}
        await app(scope, receive, send)
        async with inbox.lifespan():
            await asyncio.wait_for(done.wait(), PATIENCE_S)

    asyncio.run(story()) if inbox._database._turn is not None else None
    received, handled = exporter.get_finished_spans()
    assert (received.name, received.kind) == ("receive execution_response", SpanKind.SERVER)
    assert f"{received.context.trace_id:032x}" == trace
    assert received.parent is not None
    assert f"{received.parent.span_id:016x}" == parent
    assert (handled.name, handled.kind) == ("handle execution_response", SpanKind.CONSUMER)
    assert [f"{link.context.trace_id:032x}" for link in handled.links] == [trace]
    assert handled.context.trace_id != received.context.trace_id
    assert handled.attributes is not None
    assert handled.attributes["mosvpp.attempt"] == 1
    exporter.clear()
    provider.shutdown()


def test_a_tracer_can_be_had() -> None:
    with tracing.tracer().start_as_current_span("x") as span:
        assert not span.is_recording()  # nobody has set up a provider


# Logs and secrets


def test_logs_are_one_object_a_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOLECULE_WEBHOOK_SECRET", "canary-of-the-environment")
    monkeypatch.setenv("SHORT_KEY", "abc")
    error = ValueError("password=canary1 canary-of-the-environment")
    said = ("X-API-Key: canary2 abc",)
    record = logging.LogRecord(
        "mosvpp.receiver", logging.ERROR, "x.py", 1, "%s", said, (ValueError, error, None)
    )
    record.key, record.reason = "00ff", "ValueError"
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "canary" not in line
    found = json.loads(line)
    assert (found["level"], found["key"], found["reason"]) == ("error", "00ff", "ValueError")
    assert found["message"] == "X-API-Key: [removed] abc"
    assert "kind" not in found


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:canary@host/db",
        "Authorization: Bearer canary.canary-canary",
        "Authorization: Basic Y2FuYXJ5Y2FuYXJ5",
        "whsec_canarycanarycanarycanary",
        "{'X-API-Key': 'canary'}",
        "{'X-API-Key': b'canary'}",
        'api_key="canary"',
        "token=canary&site=1",
    ],
)
def test_what_looks_like_a_secret_is_removed(text: str) -> None:
    assert "canary" not in without_secrets(text)
    assert "Y2FuYXJ5" not in without_secrets(text)
    assert without_secrets(NEVER_SECRET) == NEVER_SECRET
    assert without_secrets(without_secrets(text)) == without_secrets(text)


def test_tracebacks_are_cut_at_their_beginning() -> None:
    found = traceback_of(ValueError("x" * 20_000 + " the end"))
    assert len(found) <= 16_000
    assert found.endswith("the end\n")


def test_no_secret_is_stored_or_shown(make_inbox: InboxFactory, tmp_path: Path) -> None:
    canary = "canary-secret-of-the-partner"
    inbox = make_inbox()
    app = asgi(inbox, verifier=SharedHeaders({"X-API-Key": canary}), quarantine=True)

    async def story(key: bytes) -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": push_body()}

        async def send(message: object) -> None:
            assert canary not in str(message)

        headers = [(b"x-api-key", key), (b"authorization", key), (b"cookie", key), (b"x-forwarded-for", key)]
        await app({"type": "http", "method": "POST", "path": "/data-push", "headers": headers}, receive, send)

    asyncio.run(story(canary.encode()))
    asyncio.run(story(b"nearly " + canary.encode()))
    inbox.sites()
    (stored,) = inbox.find()
    (stranger,) = inbox.quarantined()
    shown = "".join(map(repr, (inbox, app, stored, stranger, stored.headers, stranger.headers)))
    assert canary not in shown + b"".join(export_lines(inbox.find())).decode()
    for file in tmp_path.iterdir():
        assert canary.encode() not in file.read_bytes()


# Secrets that rotate


def headers(key: str) -> Headers:
    return Headers({"X-API-Key": key})


def test_secrets_are_read_again_when_their_file_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys"
    file.write_text("old\n")
    verifier = SharedHeaders({"X-API-Key": secrets_from_file(file)})
    verifier.verify(b"", headers("old"), START)

    def replace(text: str | None) -> None:
        if text is None:
            file.unlink()
            return
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        fresh.replace(file)

    replace("new\n\nold\n")
    for key in ("new", "old"):
        verifier.verify(b"", headers(key), START)
    for broken in ("", None):
        replace(broken)
        verifier.verify(b"", headers("new"), START)
    assert caplog.text.count("stay as they were") == 2
    replace("newest\n")
    verifier.verify(b"", headers("newest"), START)
    os.utime(file)
    verifier.verify(b"", headers("newest"), START)


def test_a_file_without_secrets_is_refused_at_the_beginning(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="cannot be read"):
        secrets_from_file(tmp_path / "missing")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(RuleError, match="no secret"):
        secrets_from_file(tmp_path / "empty")


# Export and import


def fill(inbox: SqlInbox, clock: ManualClock) -> None:
    """One delivery in each state, and a purged one."""
    for number in range(5):
        put(inbox, push_body(number), headers={"date": "today"})
        clock.advance(1)
    put(inbox, b"\x00\xff")
    put(inbox, b"")
    claim = Claim(kind="data_push", limit=4, lease=timedelta(minutes=1), worker="w")
    done, dead, again, _ = inbox.claim(claim).result(PATIENCE_S)
    inbox.finish(done).result(PATIENCE_S)
    inbox.settle(dead, Verdict(state="dead", reason="ValueError", traceback="password=canary")).result(
        PATIENCE_S
    )
    later = Verdict(state="waiting", due_at=START + timedelta(hours=1), reason="ValueError")
    inbox.settle(again, later).result(PATIENCE_S)
    inbox.purge(older_than=timedelta(0), keys=[done.key])


def test_an_export_is_an_inbox(make_inbox: InboxFactory, clock: ManualClock, tmp_path: Path) -> None:
    inbox = make_inbox(clock=clock)
    fill(inbox, clock)
    lines = list(export_lines(inbox.find()))
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert [base64.b64decode(json.loads(line)["body"]) for line in lines][1:3] == [push_body(1), push_body(2)]
    assert b"canary" not in b"".join(lines)
    assert [json.loads(line).get("purged", False) for line in lines] == [True, *[False] * 6]
    seen: list[tuple[int, int]] = []
    with SqlInbox(f"sqlite:///{tmp_path}/other.db", clock=clock) as other:
        assert import_lines(other, [*lines, b"\n"], on_progress=lambda *both: seen.append(both)) == 7
        assert list(export_lines(other.find())) == lines
        assert import_lines(other, lines) == 0
        assert [one.state for one in other.find()] == [
            "done",
            "dead",
            *["waiting"] * 5,
        ]
        assert [site.molecule_id for site in other.sites()] == [SITE]
        assert other.requeue() == 1
    assert seen == [(7, 7)]


def test_a_long_import_tells_how_far_it_is(make_inbox: InboxFactory) -> None:
    inbox, seen = make_inbox(), list[tuple[int, int]]()
    for number in range(450):
        inbox.put(new(push_body(number)))
    inbox.check().result(PATIENCE_S)
    lines = list(export_lines(inbox.find()))
    assert import_lines(inbox, lines, on_progress=lambda *both: seen.append(both)) == 0
    assert seen == [(200, 0), (400, 0), (450, 0)]


LINE = {
    "key": "00",
    "kind": "data_push",
    "received_at": "2024-01-05T00:00:00Z",
    "state": "done",
    "body": "",
}


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON",
        b"{}",
        b"\xff",
        *(
            json.dumps(LINE | wrong).encode()
            for wrong in (
                {"key": "xy"},
                {"kind": "push"},
                {"received_at": "2024-01-05T00:00:00"},
                {"state": "lost"},
                {"body": "*"},
            )
        ),
    ],
)
def test_what_is_no_export_is_refused_with_its_line(make_inbox: InboxFactory, line: bytes) -> None:
    inbox = make_inbox()
    with pytest.raises(RuleError, match="line 2"):
        import_lines(inbox, [json.dumps(LINE).encode(), line])
    assert [one.key for one in inbox.find()] == ["00"]
    faults = list[RuleError]()
    last = json.dumps(LINE | {"key": "01"}).encode()
    assert import_lines(inbox, [json.dumps(LINE).encode(), line, last], on_fault=faults.append) == 1
    assert [fault.path for fault in faults] == ["line 2"]
