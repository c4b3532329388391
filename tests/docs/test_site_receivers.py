"""The receivers that the site shows take what a sandbox sends, over HTTP, and turn away what they must."""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
import uvicorn

from mosvpp import Client, DataPush, ExecutionReport, UnknownDelivery, discharge, kW
from mosvpp.events import Delivery
from mosvpp_sandbox import ManualClock, Sandbox
from pages.contents import DOCS, RECEIVERS

SECRET = "a secret for the receivers"
EXAMPLES = DOCS.parent / "examples"


def load(file: str) -> ModuleType:
    name = Path(file).stem
    spec = importlib.util.spec_from_file_location(name, DOCS / "receivers" / file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Django looks up its addresses by the name of the module
    spec.loader.exec_module(module)
    return module


@contextmanager
def serving(server: Any) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serving_asgi(app: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def gateway(handler: Any) -> ThreadingHTTPServer:
    """What API Gateway does for a function: HTTP in, an event of payload format 2.0, HTTP out."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                text, encoded = body.decode(), False
            except UnicodeDecodeError:
                text, encoded = base64.b64encode(body).decode(), True
            headers = {name.lower(): value for name, value in self.headers.items()}
            event = {"version": "2.0", "rawPath": self.path, "headers": headers, "body": text}
            answer = handler({**event, "isBase64Encoded": encoded}, None)
            content = answer.get("body", "").encode()
            self.send_response(answer["statusCode"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def no_other_urls() -> Iterator[None]:
    from django.test import override_settings

    with override_settings(ROOT_URLCONF="django_receiver", ALLOWED_HOSTS=["127.0.0.1"]):
        yield


@pytest.fixture(params=RECEIVERS.values())
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("DELIVERIES", str(tmp_path / "deliveries.jsonl"))
    module = load(request.param)
    if request.param.startswith("django"):
        # Django is configured once in a process, and another test may have been the first.
        request.getfixturevalue("no_other_urls")
    if request.param.startswith("fastapi"):
        running = serving_asgi(module.app)
    elif request.param.startswith("lambda"):
        running = serving(gateway(module.handler))
    else:
        running = serving(make_server("127.0.0.1", 0, module.app, handler_class=Quiet))
    with running as address:
        yield address


def stored(folder: Path) -> list[Delivery]:
    kinds = {"data_push": DataPush, "execution_response": ExecutionReport, "unknown": UnknownDelivery}
    file = folder / "deliveries.jsonl"
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [kinds[json.loads(line)["kind"]].from_json(line) for line in lines]


def test_a_receiver_stores_what_a_sandbox_sends_and_answers_200(url: str, tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 15, 17, 0, tzinfo=UTC))
    vpp = Sandbox(
        clock=clock,
        data_push_url=f"{url}/data-push",
        execution_response_url=f"{url}/execution-response",
        headers={"X-API-Key": SECRET},
    )
    with vpp, Client(vpp.api_key, base_url=vpp.url) as client:
        slot = discharge(3 * kW, start=vpp.now(), duration=timedelta(minutes=2), priority=50)
        client.submit_dispatch(vpp.molecule_id, slot, mode="test")
        clock.advance(timedelta(minutes=2))
        vpp.flush()
        assert {sent.status for sent in vpp.sent} == {200}
    deliveries = stored(tmp_path)
    assert any(isinstance(delivery, DataPush) for delivery in deliveries)
    reports = [delivery for delivery in deliveries if isinstance(delivery, ExecutionReport)]
    assert [report.result(slot.event_id).status for report in reports] == ["completed"]


@pytest.mark.parametrize(
    ("key", "body", "status"),
    [
        (SECRET, b'{"hello": "world"}', 200),
        ("another secret", b'{"hello": "world"}', 401),
        (SECRET, b"{", 400),
        (SECRET, b'{"hello": "\xff"}', 400),
    ],
    ids=["unknown shape", "wrong secret", "cut off", "no UTF-8"],
)
def test_a_receiver_answers_as_the_page_says(
    url: str, tmp_path: Path, key: str, body: bytes, status: int
) -> None:
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    answer = httpx.post(f"{url}/data-push", content=body, headers=headers, trust_env=False)
    assert answer.status_code == status
    assert "X-API-Key" not in answer.text  # what was wrong is for the log, not for who has proved nothing
    assert [delivery.kind for delivery in stored(tmp_path)] == (["unknown"] if status == 200 else [])


def test_nothing_but_a_post_is_taken(url: str, tmp_path: Path) -> None:
    assert httpx.get(f"{url}/data-push", trust_env=False).status_code in {405, 501}
    assert stored(tmp_path) == []
