"""The receiver inside FastAPI, Flask and Django, on real servers, behind API Gateway."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest

from deliveries import SECRET, InboxFactory, push_body, report_body
from mosvpp.errors import StoreError
from mosvpp.receiver import SqlInbox, lambda_handler, wsgi
from mosvpp.receiver._wsgi import WsgiReceiver
from mosvpp.signatures import SharedHeaders

PATIENCE_S = 30
KEY = {"X-API-Key": SECRET}
JSON = {**KEY, "Content-Type": "application/json"}
STRANGER = {"Content-Type": "application/json"}
VERIFIER = SharedHeaders({"X-API-Key": SECRET})

# FastAPI, as the documentation shows it

FASTAPI = """
import sys
from fastapi import FastAPI
from mosvpp import ExecutionReport, receiver
from mosvpp.receiver import SqlInbox
from mosvpp.signatures import SharedHeaders

def read_keys():
    return ["the secret of the partner"]

inbox = SqlInbox("sqlite:///inbox.db")                     # or postgresql://…
app = FastAPI(lifespan=inbox.lifespan)
app.mount("/mosvpp", receiver.asgi(inbox, verifier=SharedHeaders({"X-API-Key": read_keys})))
@inbox.handler(ExecutionReport)
async def settle(report, delivery):
    print(report.results[0].status, delivery.key, flush=True)
"""

ALONE = """
from mosvpp import receiver
from mosvpp.receiver import SqlInbox
from mosvpp.signatures import SharedHeaders
inbox = SqlInbox("sqlite:///inbox.db")
app = receiver.asgi(inbox, verifier=SharedHeaders({"X-API-Key": "the secret of the partner"}))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command_of(server: str, port: int) -> list[str]:
    if server == "granian":
        quiet = ["--log-level", "error", "--no-access-log"]
        return [
            sys.executable,
            "-m",
            "granian",
            "app:app",
            "--interface",
            "asgi",
            "--port",
            str(port),
            *quiet,
        ]
    return [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "error"]


@contextlib.contextmanager
def served(folder: Path, program: str, server: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """The program, on a real server, in a process of its own."""
    (folder / "app.py").write_text(program, encoding="utf-8")
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    process = subprocess.Popen(
        command_of(server, port), cwd=folder, env=environment, text=True, stdout=subprocess.PIPE
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE_S) as client:
            until = time.monotonic() + PATIENCE_S
            while True:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < until, "the server does not answer"
                with contextlib.suppress(httpx.TransportError):
                    client.get("/healthz")
                    break
                time.sleep(0.05)
            yield client, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)


def test_the_program_of_the_documentation_runs_inside_fastapi(tmp_path: Path) -> None:
    with served(tmp_path, FASTAPI, "uvicorn") as (client, process):
        for _ in range(3):
            assert (
                client.post("/mosvpp/execution-response", content=report_body(), headers=JSON).status_code
                == 200
            )
        assert client.post("/mosvpp/data-push", content=push_body(), headers=JSON).status_code == 200
        assert client.post("/mosvpp/data-push", content=push_body()).status_code == 401
        assert client.get("/mosvpp/readyz").json() == {"ok": True, "store": "writable"}
        assert process.stdout is not None
        status, key = process.stdout.readline().split()
    assert status == "completed"
    with SqlInbox(f"sqlite:///{tmp_path}/inbox.db") as inbox:
        assert {one.kind: one.state for one in inbox.find()} == {
            "execution_response": "done",
            "data_push": "waiting",
        }
        assert inbox.get(key) is not None


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_faults_are_answered_alike_on_real_servers(tmp_path: Path, server: str) -> None:
    with served(tmp_path, ALONE, server) as (client, process):
        answers = {
            "stored": client.post("/data-push", content=push_body(), headers=JSON),
            "again": client.post("/data-push", content=push_body(), headers=JSON),
            "path": client.post("/nothing", headers=JSON),
            "method": client.put("/data-push", headers=JSON),
            "head": client.head("/data-push", headers=JSON),
            "large": client.post("/data-push", content=b"x" * 10_000_000, headers=JSON),
            "counted": client.post("/data-push", content=(b"x" * 1000 for _ in range(300)), headers=JSON),
            "type": client.post("/data-push", content=b"{}", headers={**JSON, "Content-Type": "text/plain"}),
            "encoding": client.post(
                "/data-push", content=b"{}", headers={**JSON, "Content-Encoding": "gzip"}
            ),
            "nobody": client.post("/data-push", content=b"{}"),
            "twice": client.post("/data-push", content=b"{}", headers=[*JSON.items(), ("X-API-Key", SECRET)]),
            "deep": client.post("/data-push", content=b"[" * 100_000, headers=JSON),
            "empty": client.post("/data-push", headers=JSON),
        }
        assert {name: answer.status_code for name, answer in answers.items()} == {
            "stored": 200,
            "again": 200,
            "path": 404,
            "method": 405,
            "head": 405,
            "large": 413,
            "counted": 413,
            "type": 415,
            "encoding": 415,
            "nobody": 401,
            "twice": 401,
            "deep": 200,
            "empty": 200,
        }
        unclear = b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        # granian drops the length, reads the chunks and closes the connection, as RFC 9112 also allows.
        assert raw_status(client, unclear) == {"granian": 200, "uvicorn": 400}[server]
        assert process.poll() is None
    with SqlInbox(f"sqlite:///{tmp_path}/inbox.db") as inbox:
        assert [one.body for one in inbox.find()] == [push_body(), b"[" * 100_000, b""]


def raw_status(client: httpx.Client, rest: bytes) -> int:
    """The status of a request that no client would send."""
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0), PATIENCE_S) as connection:
        head = f"POST /data-push HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\n".encode()
        connection.sendall(head + b"Content-Type: application/json\r\n" + rest)
        return int(connection.recv(1000).split(b" ")[1])


# WSGI


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def wsgi_client(app: Any) -> Iterator[httpx.Client]:
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


def flask_app(inbox: SqlInbox) -> Any:
    from flask import Flask
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    app = Flask("partner")
    app.wsgi_app = DispatcherMiddleware(
        app.wsgi_app, {"/mosvpp": wsgi(inbox, verifier=VERIFIER, quarantine=True)}
    )
    return app


def django_app(inbox: SqlInbox) -> Any:
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF="no_urls", SECRET_KEY="x", USE_TZ=True)
        sys.modules["no_urls"] = type(sys)("no_urls")
        sys.modules["no_urls"].urlpatterns = []
        django.setup()
    site, ours = WSGIHandler(), wsgi(inbox, verifier=VERIFIER, quarantine=True)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith("/mosvpp/"):
            return ours(
                {**environ, "PATH_INFO": environ["PATH_INFO"].removeprefix("/mosvpp")}, start_response
            )
        return site(environ, start_response)

    return application


@pytest.mark.parametrize("make_app", [flask_app, django_app])
def test_wsgi_frameworks_mount_it(make_inbox: InboxFactory, make_app: Any) -> None:
    inbox = make_inbox()
    with wsgi_client(make_app(inbox)) as client:
        sent = client.post("/mosvpp/data-push", content=push_body(), headers=JSON)
        assert (sent.status_code, sent.content) == (200, b"OK\n")
        assert client.post("/mosvpp/data-push", content=push_body(), headers=JSON).status_code == 200
        assert client.post("/mosvpp/data-push", content=push_body(1), headers=STRANGER).status_code == 401
        assert client.post("/mosvpp/data-push", content=b"x" * 300_000, headers=JSON).status_code == 413
        assert client.put("/mosvpp/data-push", headers=JSON).headers["allow"] == "POST"
        assert client.get("/mosvpp/readyz").status_code == 200
        head = client.head("/mosvpp/healthz")
        assert (head.status_code, head.content) == (200, b"")
        assert client.get("/elsewhere").status_code == 404
    assert [one.body for one in inbox.find()] == [push_body()]
    inbox.sites()
    assert [one.body for one in inbox.quarantined()] == [push_body(1)]
    assert inbox.counters.refused == {"missing_header": 1, "too_large": 1, "method": 1}


def call_wsgi(app: WsgiReceiver, body: Any, **environ: Any) -> tuple[str, dict[str, str], bytes]:
    said: list[Any] = []
    whole = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/data-push",
        "CONTENT_TYPE": "application/json",
        "HTTP_X_API_KEY": SECRET,
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body,
        **environ,
    }
    answer = b"".join(app(whole, lambda *arguments: said.append(arguments)))
    status, headers = said[0]
    return status, dict(headers), answer


def test_bodies_without_a_length_are_read_where_the_server_ends_them(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    app = wsgi(inbox, verifier=VERIFIER)
    ended = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    assert call_wsgi(app, push_body(), **ended)[0] == "200 OK"
    assert call_wsgi(app, push_body(1))[0] == "200 OK"  # nothing is announced, so nothing is read
    assert [one.body for one in inbox.find()] == [push_body(), b""]


class Faulty(io.RawIOBase):
    def __init__(self, pause: float) -> None:
        self._pause = pause

    def read(self, size: int = -1) -> bytes:
        if not self._pause:
            raise ConnectionResetError
        time.sleep(self._pause)
        return b"x"


def test_wsgi_bodies_that_do_not_come(make_inbox: InboxFactory) -> None:
    from datetime import timedelta

    inbox = make_inbox()
    app = wsgi(inbox, verifier=VERIFIER, body_deadline=timedelta(milliseconds=20))
    assert call_wsgi(app, Faulty(0.005), CONTENT_LENGTH="100000")[0] == "408 Request Timeout"
    assert call_wsgi(app, Faulty(0), CONTENT_LENGTH="10")[0] == "408 Request Timeout"
    assert call_wsgi(app, b"short", CONTENT_LENGTH="10")[0] == "400 Bad Request"
    assert list(inbox.find()) == []


def test_wsgi_does_not_acknowledge_what_is_not_stored(
    make_inbox: InboxFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = make_inbox()
    app = wsgi(inbox, verifier=VERIFIER)

    def fail(error: Exception) -> Any:
        def put(_: object) -> None:
            raise error

        return put

    monkeypatch.setattr(inbox, "put", fail(StoreError("x", reason="full")))
    status, headers, _ = call_wsgi(app, push_body(), CONTENT_LENGTH=str(len(push_body())))
    assert (status, headers["retry-after"]) == ("503 Service Unavailable", "5")
    monkeypatch.setattr(inbox, "put", fail(ZeroDivisionError()))
    assert call_wsgi(app, push_body())[0] == "503 Service Unavailable"
    assert inbox.counters.refused == {"store_full": 1, "store_failed": 1}


def failing() -> list[str]:
    raise OSError("no answer from the vault")


def test_where_the_secrets_cannot_be_had_nothing_is_acknowledged(make_inbox: InboxFactory) -> None:
    inbox, verifier = make_inbox(), SharedHeaders({"X-API-Key": failing})
    status, headers, _ = call_wsgi(wsgi(inbox, verifier=verifier), push_body())
    assert (status, headers["retry-after"]) == ("503 Service Unavailable", "5")
    answer = lambda_handler(inbox, verifier=verifier)(event_v1(), None)
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "5")
    assert inbox.counters.refused == {"verifier": 2}


# Lambda


def event_v1(**more: Any) -> dict[str, Any]:
    return {
        "httpMethod": "POST",
        "path": "/data-push",
        "headers": JSON,
        "multiValueHeaders": {name: [value] for name, value in JSON.items()},
        "requestContext": {"identity": {"sourceIp": "203.0.113.7"}, "stage": "prod"},
        "body": push_body().decode(),
        "isBase64Encoded": False,
        **more,
    }


def event_v2(**more: Any) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": "/prod/data-push",
        "headers": {name.lower(): value for name, value in JSON.items()},
        "requestContext": {"http": {"method": "POST", "sourceIp": "203.0.113.7"}},
        "body": base64.b64encode(push_body(1)).decode(),
        "isBase64Encoded": True,
        **more,
    }


def test_events_of_both_formats_are_stored(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    handle = lambda_handler(inbox, verifier=VERIFIER, mounted_at="/prod", allowed=["203.0.113.0/24"])
    assert handle(event_v1(), None) == {
        "statusCode": 200,
        "headers": {"content-type": "text/plain", "content-length": "3"},
        "body": "OK\n",
        "isBase64Encoded": False,
    }
    assert handle(event_v2(), None)["statusCode"] == 200
    assert [one.body for one in inbox.find()] == [push_body(), push_body(1)]


def test_faulty_events_get_the_same_answers(make_inbox: InboxFactory) -> None:
    inbox = make_inbox()
    handle = lambda_handler(inbox, verifier=VERIFIER)
    twice = {**{name: [value] for name, value in JSON.items()}, "X-API-Key": [SECRET, SECRET]}
    answers = [
        handle(event_v1(multiValueHeaders=twice), None),
        handle(event_v1(multiValueHeaders=None, headers=None), None),
        handle(event_v1(path="/"), None),
        handle(event_v1(body="x" * 300_000), None),
        handle(event_v1(body="no base64", isBase64Encoded=True), None),
        handle({}, None),
        handle(event_v1(path="/healthz", httpMethod="GET"), None),
        handle(event_v1(body=None), None),
    ]
    assert [answer["statusCode"] for answer in answers] == [401, 401, 404, 413, 400, 404, 200, 200]
    assert json.loads(answers[6]["body"]) == {"ok": True}


# Only what is needed


@pytest.mark.parametrize(
    ("missing", "program", "hint"),
    [
        ("sqlalchemy", "import mosvpp.receiver", "mosvpp[receiver]"),
        (
            "psycopg",
            "from mosvpp.receiver import SqlInbox; SqlInbox('postgresql://h/d').open()",
            "[receiver,postgres]",
        ),
        ("prometheus_client", "import mosvpp.receiver.metrics", "mosvpp[receiver,metrics]"),
        ("opentelemetry", "from mosvpp.receiver import tracing; tracing.tracer()", "mosvpp[receiver,otel]"),
    ],
)
def test_a_missing_extra_is_named_in_one_sentence(missing: str, program: str, hint: str) -> None:
    block = f"import sys; sys.modules[{missing!r}] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", block + program],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert re.fullmatch(r"ImportError: .* comes with an extra: pip install 'mosvpp\[.*\]'", last), done.stderr
    assert hint in last


def test_receiving_loads_no_client_and_the_client_no_database() -> None:
    program = """
import sys
import mosvpp.receiver
heavy = {"httpx", "httpcore", "prometheus_client", "opentelemetry", "psycopg", "granian"}
assert not heavy & set(sys.modules)
for name in [name for name in sys.modules if name.startswith("mosvpp")]:
    del sys.modules[name]
del sys.modules["sqlalchemy"]
import mosvpp.webhooks, mosvpp.client
assert not {"sqlalchemy", "mosvpp.store", "mosvpp.receiver"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_forks_opens_its_own_store(tmp_path: Path) -> None:
    program = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from deliveries import new, push_body
from mosvpp.receiver import SqlInbox
inbox = SqlInbox("sqlite:///{tmp_path}/inbox.db")
inbox.put(new(push_body(1))).result(30)
child = os.fork()
if child == 0:
    inbox.put(new(push_body(2))).result(30)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(len(list(inbox.find())))
inbox.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.stdout == "2\n", done.stderr
