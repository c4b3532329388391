"""`mosvpp receive` as a process of its own, with real requests."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from deliveries import push_body, report_body
from mosvpp.cli.exits import Exit
from mosvpp.cli.receive_running import logged_to_stderr
from mosvpp.receiver import SqlInbox
from mosvpp.signatures import sign
from postgresql import PostgresServer

Run = Callable[..., Any]

URL = "sqlite:///inbox.db"
SECRET = "canary-one"
PREVIOUS = "canary-previous"
WHSEC = "whsec_" + b64encode(b"canary-signing-secret-24").decode()
PATIENCE_S = 30
FILE = ("--header-file", "X-API-Key=key.txt")
posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that can be handled")


class Receiving:
    """A receiver that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        assert process.stdout is not None
        text = ""
        while not text.endswith("\n}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            text += line
        self.told: dict[str, Any] = json.loads(text)
        self.url: str = self.told["url"]
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=PATIENCE_S)

    def push(self, body: bytes = b"", secret: str | None = SECRET, **more: str) -> int:
        headers = {"Content-Type": "application/json", **more}
        if secret is not None:
            headers["X-API-Key"] = secret
        return self.client.post("/data-push", content=body or push_body(), headers=headers).status_code

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        """What it logged, once it has ended well."""
        self.client.close()
        self.process.send_signal(how)
        _, logged = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == Exit.OK, logged
        assert "canary" not in logged
        assert "Traceback" not in logged
        return logged


@pytest.fixture(autouse=True)
def _a_key_in_a_file(_in_an_empty_folder: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOSVPP_STORE", URL)
    Path("key.txt").write_text(SECRET + "\n", encoding="utf-8")


@pytest.fixture
def receive(_a_key_in_a_file: None) -> Iterator[Callable[..., Receiving]]:
    with ExitStack() as stack:

        def receive(*arguments: object, **environment: str) -> Receiving:
            process = subprocess.Popen(
                [sys.executable, "-m", "mosvpp", "receive", "--port", "0", "--json", *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **environment},
            )
            stack.callback(end, process)
            receiving = Receiving(process)
            stack.callback(receiving.client.close)
            return receiving

        yield receive


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=PATIENCE_S)


@contextmanager
def stored() -> Iterator[SqlInbox]:
    with SqlInbox(URL) as inbox:
        yield inbox


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_it_stores_what_it_acknowledges(receive: Callable[..., Receiving], server: str) -> None:
    receiving = receive(*FILE, "--server", server)
    assert receiving.told["paths"] == ["/data-push", "/execution-response"]
    assert receiving.told["sender"] == ["X-API-Key (1 secret)"]
    assert receiving.push() == 200
    assert receiving.push() == 200  # a repetition
    answer = receiving.client.post(
        "/execution-response", content=report_body(), headers={"X-API-Key": SECRET}
    )
    assert (answer.status_code, answer.content) == (200, b"OK\n")
    assert receiving.push(secret=None) == 401
    assert receiving.push(secret="wrong") == 401
    assert receiving.push(b"x" * 262_145) == 413
    assert receiving.client.get("/healthz").json() == {"ok": True}
    assert receiving.client.get("/readyz").json() == {"ok": True, "store": "writable"}
    assert 'mosvpp_deliveries_stored_total{kind="data_push"} 1.0' in receiving.client.get("/metrics").text
    logged = receiving.stop()
    for words in ("stored 1 data_push", "refused 1: missing_header", "refused 1: wrong_secret"):
        assert words in logged
    with stored() as inbox:
        assert [one.body for one in inbox.find()] == [push_body(), report_body()]


def test_a_person_is_told_where_to_point_molecule(terminal: Any, closed_port: int) -> None:
    person = terminal("receive", *FILE, "--header", "X-Group=north", "--port", closed_port)
    person.wait_for("can be guessed")
    person.type("\x03")
    assert person.end() == Exit.OK
    seen = " ".join(person.seen.split())
    for words in (
        "Ready for Molecule.",
        f"POST http://127.0.0.1:{closed_port}/data-push",
        f"POST http://127.0.0.1:{closed_port}/execution-response",
        "X-API-Key (1 secret), X-Group (1 secret)",
        "sqlite:///inbox.db",
        "0 unfinished, 0 with the dead letters",
        "Give Molecule the https address of the proxy in front.",
        "warning: a secret on the command line is seen",
        "warning: every secret is so short that it can be guessed",
        "stopping, after what is in hand",
    ):
        assert words in seen, words
    assert "north" not in seen


def test_secrets_change_without_a_restart(receive: Callable[..., Receiving]) -> None:
    receiving = receive(*FILE)
    assert receiving.push(secret=PREVIOUS) == 401
    Path("key.txt").write_text(f"{SECRET}-new\n{SECRET}\n", encoding="utf-8")
    assert receiving.push(secret=f"{SECRET}-new") == receiving.push() == 200
    Path("key.txt").write_text(f"{SECRET}-new\n", encoding="utf-8")
    assert receiving.push() == 401
    Path("key.txt").unlink()
    assert receiving.push(secret=f"{SECRET}-new") == 200
    assert "the secrets stay as they were" in receiving.stop()


def test_the_previous_secret_of_a_header_is_simply_one_more(receive: Callable[..., Receiving]) -> None:
    receiving = receive(*FILE, "--header", "x-api-key=env:OLD", OLD=PREVIOUS)
    assert receiving.told["sender"] == ["X-API-Key (2 secrets)"]
    assert receiving.push() == receiving.push(secret=PREVIOUS) == 200
    assert receiving.push(secret="neither") == 401


def test_headers_can_come_from_the_environment_alone(receive: Callable[..., Receiving]) -> None:
    receiving = receive(MOSVPP_RECEIVE_HEADERS=f"X-API-Key={SECRET}\nX-Group=@key.txt\n")
    assert receiving.push() == 401
    assert receiving.push(**{"X-Group": SECRET}) == 200


def test_signatures_are_an_offer_of_ours(receive: Callable[..., Receiving]) -> None:
    receiving = receive(*FILE, "--signing-secret", "env:SIGN", SIGN=WHSEC)
    assert "ours, Molecule documents none" in receiving.told["sender"][1]
    signed = sign(push_body(), secret=WHSEC, message_id="msg_1", timestamp=datetime.now(UTC))
    assert receiving.push() == 401
    assert receiving.push(**signed) == 200
    assert receiving.push(push_body(1), **signed) == 401
    assert receiving.push(secret="wrong", **signed) == 401
    with stored() as inbox:
        (kept,) = inbox.find()
    assert kept.key.startswith("ff")  # identified by the sender's own id
    assert not {"webhook-signature", "x-api-key"} & set(kept.headers)


def test_strangers_are_kept_aside_and_denied_ones_are_not(receive: Callable[..., Receiving]) -> None:
    receiving = receive(*FILE, "--quarantine", 2, "--allow", "203.0.113.0/24", "--trusted-proxy", "127.0.0.1")
    genuine = {"X-Forwarded-For": "203.0.113.7"}
    assert [receiving.push(push_body(number), "wrong", **genuine) for number in range(3)] == [401] * 3
    assert receiving.push(push_body(4), **{"X-Forwarded-For": "198.51.100.1"}) == 403
    assert receiving.push(push_body(5), **genuine) == 200
    assert "refused 1: denied" in receiving.stop()
    with stored() as inbox:
        assert [one.body for one in inbox.quarantined()] == [push_body(1), push_body(2)]


def test_unknown_shapes_become_fixtures(receive: Callable[..., Receiving]) -> None:
    receiving = receive(*FILE, "--capture", "captured")
    body = {"siteId": "fecd0001c031e7e8", "state": "COMPLETED", "power": {"kw": 4.8}, "apiKey": "canary"}
    assert receiving.push(json.dumps(body).encode()) == 200
    assert receiving.push(json.dumps({**body, "siteId": "fecd0001c031e7e9"}).encode()) == 200
    assert receiving.push() == receiving.push(b"no JSON") == 200
    logged = receiving.stop()
    (file,) = Path("captured").iterdir()
    assert str(file) in logged
    assert file.name.startswith("receive_data_push.event.unknown_")
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept == {**body, "siteId": kept["siteId"], "apiKey": "[removed]"}
    assert kept["siteId"] not in (body["siteId"], "fecd0001c031e7e9")


def test_logs_can_be_json(receive: Callable[..., Receiving]) -> None:
    receiving = receive(*FILE, "--log-format", "json")
    receiving.push(secret="wrong")
    lines = [json.loads(line) for line in receiving.stop().splitlines()]
    assert {"stopping, after what is in hand", "refused 1: wrong_secret"} <= {
        line["message"] for line in lines
    }
    refused = next(line for line in lines if line.get("reason"))
    assert (refused["level"], refused["reason"], refused["count"]) == ("warning", "wrong_secret", 1)


def test_metrics_can_be_left_out(receive: Callable[..., Receiving]) -> None:
    receiving = receive(*FILE, "--no-metrics")
    assert receiving.client.get("/metrics").status_code == 404
    assert receiving.told["probes"] == ["/healthz", "/readyz"]


# Stopping


@posix_only
@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_a_stop_finishes_what_is_in_hand(receive: Callable[..., Receiving], server: str) -> None:
    receiving = receive(*FILE, "--server", server)
    port = receiving.client.base_url.port or 0
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        head = f"POST /data-push HTTP/1.1\r\nHost: x\r\nX-API-Key: {SECRET}\r\n"
        body = push_body()
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:9])
        wait_for_request(receiving)
        stopped: list[str] = []
        stopping = threading.Thread(target=lambda: stopped.append(receiving.stop()))
        stopping.start()
        wait_until_refused(port)
        connection.sendall(body[9:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    stopping.join(PATIENCE_S)
    assert stopped
    with stored() as inbox:
        assert [one.body for one in inbox.find()] == [body]


def wait_for_request(receiving: Receiving) -> None:
    """Later requests have been answered, so the earlier one is in hand."""
    for _ in range(3):
        assert receiving.client.get("/healthz").status_code == 200


def wait_until_refused(port: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return
        time.sleep(0.01)
    pytest.fail("it still takes connections")


@posix_only
def test_slow_headers_are_cut_off(receive: Callable[..., Receiving]) -> None:
    receiving = receive(*FILE)
    with socket.create_connection(("127.0.0.1", receiving.client.base_url.port or 0), 60) as connection:
        connection.sendall(b"POST /data-push HTTP/1.1\r\nHos")
        assert connection.recv(100) in (b"", b"HTTP/1.1 408 Request Timeout\r\n")
    assert receiving.push() == 200


# Refusing to start


def test_without_credentials_it_does_not_start(run: Run) -> None:
    ran = run("receive")
    assert ran.code == Exit.NOT_SENT
    assert "no credentials, so anybody could send" in ran.words
    assert not Path("inbox.db").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--header", "X-API-Key"], "write NAME=@FILE"),
        (["--header", "=x"], "write NAME=@FILE"),
        (["--header", "X API=canary"], "is no name of a header"),
        (["--header", "X-API-Key= canary"], "begins or ends with white space"),
        (["--header", "X-API-Key=env:NOT_SET"], "NOT_SET is not set, or empty"),
        (["--header-file", "X-API-Key=missing.txt"], "missing.txt cannot be read: No such file"),
        (["--header-file", "key.txt"], "write NAME=PATH"),
        (["--signing-secret", "canary"], "must be whsec_"),
        ([*FILE, "--allow", "10.0.0.1/8"], "is no network"),
        ([*FILE, "--trusted-proxy", "x"], "is no network"),
        ([*FILE, "--host", "no-such-host.invalid"], "is no address of this machine"),
        ([*FILE, "--body-deadline", "soon"], "is no duration"),
        ([*FILE, "--body-deadline", "0s"], "longer than nothing"),
        ([*FILE, "--header-deadline", "soon"], "is no duration"),
        ([*FILE, "--header-deadline", "0s"], "longer than nothing"),
        ([*FILE, "--host", "", "--port", "0"], "is no address of this machine"),
        ([*FILE, "--host", "no-such-host.invalid", "--port", "0"], "is no address of this machine"),
        ([*FILE, "--store", "mysql://x"], "no store that we know"),
        ([*FILE, "--store", "sqlite://"], "is a store in memory"),
        ([*FILE, "--store", "sqlite:///:memory:"], "is a store in memory"),
        ([*FILE, "--quarantine", "9" * 20], "is from 1 to"),
        ([*FILE, "--capture", "key.txt"], "key.txt cannot be written"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_without_a_secret(run: Run, options: list[str], words: str) -> None:
    ran = run("receive", *options)
    assert ran.code == Exit.NOT_SENT
    assert words in ran.words
    assert "canary" not in ran.words
    assert "Ready" not in ran.words


def test_an_address_of_another_machine_is_told(start: Callable[..., Any]) -> None:
    process = start("receive", *FILE, "--host", "192.0.2.1", "--json")
    told, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == Exit.NOT_SENT
    assert "is no address of this machine" in json.loads(told)["error"]["message"]


def test_a_port_that_is_taken_is_told(run: Run) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ran = run("receive", *FILE, "--port", other.getsockname()[1])
    assert ran.code == Exit.NOT_SENT
    assert "is in use: stop the other program, or choose another port" in ran.words


def test_a_store_that_cannot_be_written_is_told(run: Run) -> None:
    ran = run("receive", *FILE, "--store", "sqlite:///no/such/folder/inbox.db")
    assert ran.code == Exit.UNREACHABLE
    assert "cannot be opened: No such file or directory" in ran.words


def test_a_newer_store_is_refused(run: Run) -> None:
    with stored():
        pass
    engine = create_engine(URL)
    with engine.begin() as connection:
        connection.execute(text("UPDATE mosvpp_schemas SET version = 99"))
    engine.dispose()
    ran = run("receive", *FILE, "--json")
    assert ran.code == Exit.NOT_SENT
    assert "pip install -U mosvpp" in ran.json["error"]["message"]


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit"])
def test_a_postgresql_that_forgets_is_refused(run: Run, setting: str) -> None:
    with PostgresServer({setting: "off"}) as server:
        ran = run("receive", *FILE, "--store", server.url())
    assert ran.code == Exit.NOT_SENT
    assert f"PostgreSQL runs with {setting} = off" in ran.words
    assert f"Set {setting} = on" in ran.words


def test_a_missing_server_is_named_with_its_remedy(start: Callable[..., Any]) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "sys.argv = ['mosvpp', 'receive', '--header-file', 'X-API-Key=key.txt', '--port', '0',"
        " '--server', 'uvicorn']\n"
        "from mosvpp.__main__ import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == Exit.NOT_SENT
    assert "uvicorn is not installed: pip install 'uvicorn'" in done.stderr


def test_the_log_of_the_process_is_afterwards_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever runs the command inside another program keeps that one's log."""
    log = logging.getLogger("mosvpp")
    before = (list(log.handlers), log.level, log.propagate)
    with logged_to_stderr("text", "error"):
        log.warning("not told")
        log.error("told with %s", "X-API-Key")
    assert (list(log.handlers), log.level, log.propagate) == before
    assert "ERROR told with" in (said := capsys.readouterr().err)
    assert "not told" not in said
