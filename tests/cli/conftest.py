"""The command line as people and scripts use it, against a real sandbox and real loopback servers."""

from __future__ import annotations

import codecs
import functools
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from typer import testing
from typer.testing import CliRunner

from mosvpp.cli.app import app
from mosvpp_sandbox import Sandbox

SITE = "fecd0001c031e7e8"
KEY = "canary-7f3a91-key"

# The tree of all commands is built once: for each run anew, that takes longer than most commands do.
testing._get_command = functools.cache(testing._get_command)


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        return json.loads(self.out)

    @property
    def states(self) -> dict[str, str]:
        """How the checks of `doctor` or `verify` ended."""
        return {check["name"]: check["state"] for check in self.json["checks"]}

    def check(self, name: str) -> dict[str, Any]:
        """One of the checks."""
        return next(check for check in self.json["checks"] if check["name"] == name)

    @property
    def words(self) -> str:
        """Everything that was printed, without the line breaks of an 80-column terminal."""
        return " ".join((self.out + self.err).split())


@pytest.fixture
def site() -> str:
    return SITE


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a command writes by itself go there; and no terminal that we serve is narrower."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("MOSVPP_API_KEY", KEY)


@pytest.fixture
def run() -> Callable[..., Ran]:
    """Run a command in this process, and never show the key."""

    def run(*arguments: object, stdin: str | bytes | None = None) -> Ran:
        result = CliRunner().invoke(app, list(map(str, arguments)), prog_name="mosvpp", input=stdin)
        ran = Ran(result.exit_code, result.stdout, result.stderr)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert KEY not in ran.out + ran.err
        assert "Traceback" not in ran.out + ran.err
        return ran

    return run


def _without_time(text: str) -> str:
    """A minute may pass between the two runs."""
    return re.sub(r"\d\d:\d\d UTC", "", text)


CHECKS = ["configuration", "dns", "tcp", "tls", "http", "key", "access", "site", "devices", "clock"]


@pytest.fixture
def diagnosed(run: Callable[..., Ran]) -> Callable[..., Ran]:
    """Run `doctor` in both forms, which must agree; the one with the object."""

    def diagnosed(*arguments: object) -> Ran:
        shown, told = run("doctor", *arguments), run("doctor", *arguments, "--json")
        assert shown.code == told.code
        assert list(told.states) == CHECKS
        failed = [name for name, state in told.states.items() if state == "failed"]
        assert told.code == (1 if failed else 0)
        assert ("No: " + ", ".join(failed) if failed else "Yes.") in shown.words
        for check in told.json["checks"]:
            assert check["found"] in shown.words or check["name"] in ("tcp", "http", "clock")  # times differ
            assert (
                check["remedies"] or check["state"] in ("ok", "skipped") or check["name"] == "configuration"
            )
            assert all(_without_time(remedy) in _without_time(shown.words) for remedy in check["remedies"])
        return told

    return diagnosed


@pytest.fixture
def no_devices() -> Callable[[str], bytes]:
    """The answer for a site without devices."""
    return lambda site: json.dumps({"molecule_id": site, "devices": []}).encode()


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Start the command as a process of its own."""

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        options = {"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe, "text": True, **options}
        return subprocess.Popen([sys.executable, "-m", "mosvpp", *map(str, arguments)], **options)

    return start


@pytest.fixture(scope="session")
def vpp() -> Iterator[Sandbox]:
    with Sandbox(api_key=KEY) as running:
        yield running


@dataclass
class Answer:
    """What a scripted server says; `None` as status: it closes the connection without a word."""

    status: int | None = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    date: str | None = None
    hangs: bool = False


@dataclass
class Server:
    """A scripted server, and what it received."""

    url: str
    port: int
    received: list[tuple[str, str, bytes]]
    got_one: Event
    let_go: Event


def _handler(answers: list[Answer], server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = answers[min(len(server.received), len(answers) - 1)]
            server.received.append((self.command, self.path, body))
            server.got_one.set()
            if answer.hangs:
                server.let_go.wait(30)
            self.close_connection = True
            if answer.hangs or answer.status is None:
                return
            self.send_response_only(answer.status)
            if answer.date != "none":
                self.send_header("Date", answer.date or self.date_time_string())
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = answer  # noqa: N815  the base class's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away, or does not trust the certificate, is what is being tested."""


@contextmanager
def serving(*answers: Answer, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Server]:
    """Serve those answers in turn, the last one again and again, on a free port."""
    server = Server("", 0, [], Event(), Event())
    listener = _Listener((host, 0), _handler(list(answers), server))
    if tls is not None:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    server.port = listener.server_address[1]
    server.url = f"{'https' if tls else 'http'}://{host}:{server.port}"
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.let_go.set()
        listener.shutdown()
        listener.server_close()
        thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start scripted servers that end with the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda *answers, **options: stack.enter_context(serving(*answers, **options))


@pytest.fixture
def closed_port() -> int:
    """A port of this machine at which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


# The terminal has to be the one that controls the process, so that Ctrl-C reaches it as a key.
_AT_A_TERMINAL = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("mosvpp", run_name="__main__")
"""


class Pty:
    """A command at a terminal of 80 columns, and somebody who types."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {**os.environ, "TERM": "xterm", **environment}
        env.pop("COLUMNS", None)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _AT_A_TERMINAL, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=env,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def wait_for(self, text: str) -> None:
        """Read until a text shows."""
        while text not in self.seen:
            assert self._read(), f"{text!r} never came: {self.seen}"

    def type(self, text: str) -> None:
        """Type something; the character 3 is Ctrl-C."""
        os.write(self._ours, text.encode())

    def end(self) -> int:
        """Read the rest; the exit code."""
        while self._read():
            pass
        os.close(self._ours)
        return self._process.wait(30)

    def _read(self) -> bool:
        with suppress(OSError):  # Linux says so when the other side has closed
            data = os.read(self._ours, 65536)
            self.seen += self._decoder.decode(data)  # a character may come in two parts
            return bool(data)
        return False


@pytest.fixture
def terminal() -> type[Pty]:
    return Pty
