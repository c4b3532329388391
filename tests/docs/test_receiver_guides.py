"""What the guides of the receiver promise, configure and tell to type is so."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner, Result

from deliveries import SECRET, new, push_body, report_body
from mosvpp.cli.app import app
from mosvpp.receiver import SqlInbox
from not_run import NOT_RUN
from pages.contents import DOCS
from postgresql import PostgresServer
from serving import Program, Serving, free_port

ROOT = DOCS.parents[1]
GUIDE = (DOCS / "guides" / "receiver.md").read_text("utf-8")
RUNBOOK = (DOCS / "guides" / "runbook.md").read_text("utf-8")
PROMISED = re.findall(r"^- \*\*.*\*\*<br>`(tests/\S+?)` `(\w+)`$", GUIDE, re.MULTILINE)
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin:/usr/bin")
PATIENCE_S = 30


def block(page: str, language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return found


# The promises


def test_every_promise_names_a_test() -> None:
    promises = GUIDE.partition("{ #promises }")[2].partition("\n## ")[0]
    assert promises.count("\n- ") == len(PROMISED) > 10


@pytest.mark.parametrize(("file", "test"), PROMISED, ids=[test for _, test in PROMISED])
def test_the_test_of_a_promise_exists(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)


# The configurations


class Nginx(Program):
    """The sample of the guide, with ports, certificate and changes of a test, in the foreground."""

    def __init__(self, folder: Path, receiver: int, changes: dict[str, str]) -> None:
        assert NGINX is not None
        self.port = free_port()
        self._authority = trustme.CA()
        certificate = self._authority.issue_cert("webhooks.example.com")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
        sample = re.sub(r"/etc/ssl/\S+(?=;)", str(folder / "both.pem"), block(GUIDE, "nginx"))
        here = {"443 ssl": f"127.0.0.1:{self.port} ssl", "127.0.0.1:8080": f"127.0.0.1:{receiver}"}
        for shown, other in {**here, **changes}.items():
            assert shown in sample
            sample = sample.replace(shown, other)
        folders = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off;\npid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{folders}{sample}}}\n"
        )
        command = [NGINX, "-p", str(folder), "-c", str(config), "-e", "stderr"]
        super().__init__(command, {}, folder / "nginx.log")

    def start(self, **settings: object) -> None:
        super().start(**settings)
        until = time.monotonic() + PATIENCE_S
        while self.answer_to(b"GET / HTTP/1.1\r\nHost: webhooks.example.com\r\n\r\n") != 404:
            assert not self.has_ended(), self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.05)

    def answer_to(self, sent: bytes) -> int | None:
        """The status; None where nobody answers."""
        trust = ssl.create_default_context()
        self._authority.configure_trust(trust)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as plain,
                trust.wrap_socket(plain, server_hostname="webhooks.example.com") as connection,
            ):
                connection.sendall(sent)
                return int(connection.recv(65_536).split()[1])
        except OSError:
            return None

    def post(self, path: str, body: bytes, *more: str, announced: int | None = None) -> int | None:
        """The status of a delivery, of which more may be announced than comes."""
        length = len(body) if announced is None else announced
        lines = [f"POST {path} HTTP/1.1", "Host: webhooks.example.com", f"X-API-Key: {SECRET}", *more]
        lines += ["Content-Type: application/json", f"Content-Length: {length}", "", ""]
        return self.answer_to("\r\n".join(lines).encode() + body)


@pytest.mark.skipif(NGINX is None, reason=f"{NOT_RUN}nginx is missing, so nobody tried the sample for it")
def test_nginx_with_the_sample_passes_on_what_it_should_and_nothing_else(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/inbox.db"
    with Serving(tmp_path, store) as receiver:
        with Nginx(tmp_path, receiver.port, {}) as strict:
            assert strict.post("/data-push", push_body(1)) == 403  # not from one of Molecule's addresses
            assert "warn" not in strict.said()
        with Nginx(tmp_path, receiver.port, {"203.0.113.0/24": "127.0.0.0/8"}) as nginx:
            assert nginx.post("/data-push", push_body(2)) == 200
            assert nginx.post("/execution-response", report_body()) == 200
            assert nginx.post("/data-push", b"", announced=262_145) == 413
            assert nginx.post("/data-push", b"0\r\n\r\n", "Transfer-Encoding: chunked") == 400
            for path in ("/readyz", "/metrics", "/data-push/x"):
                assert nginx.post(path, push_body(3)) == 404
        assert receiver.asked("/readyz") == 200
        with Nginx(tmp_path, free_port(), {"203.0.113.0/24": "127.0.0.0/8"}) as alone:
            assert alone.post("/data-push", push_body(4)) == 502
    with SqlInbox(store) as inbox:
        assert [one.body for one in inbox.find()] == [push_body(2), report_body()]


def test_the_unit_of_systemd_starts_a_receiver_that_takes_its_options() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read_string(block(GUIDE, "ini"))
    assert list(unit) == ["DEFAULT", "Unit", "Service", "Install"]
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert program.endswith("/bin/mosvpp")
    assert taken(arguments)


def test_the_programs_of_the_guide_take_their_options() -> None:
    commands = [line for line in shell(GUIDE) if line.startswith("mosvpp ")]
    assert {command.split(" --")[0] for command in commands} == {
        "mosvpp receive",
        "mosvpp inbox list",
        "mosvpp inbox forward",
    }
    for command in commands:
        assert taken(shlex.split(command)[1:])


def taken(arguments: list[str]) -> bool:
    """Whether a command knows every option that it is given."""
    words = [word for word in arguments if word.startswith("--")]
    verbs = arguments[: next(index for index, word in enumerate(arguments) if word.startswith("--"))]
    told = mosvpp([*verbs, "--help"], {"COLUMNS": "200"}).output
    return set(words) <= set(re.findall(r"--[a-z-]+", told))


# The commands of the runbook


def shell(page: str) -> Iterator[str]:
    """The lines of all shell blocks, those that end with a backslash joined."""
    for found in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield from found.replace("\\\n", " ").splitlines()


def mosvpp(arguments: list[str], environment: dict[str, str]) -> Result:
    return CliRunner().invoke(app, arguments, env=environment)


def test_every_command_of_the_runbook_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with SqlInbox("sqlite:///inbox.db") as inbox:
        for body in (b"no json", b"nor this", *(push_body(number) for number in range(3))):
            inbox.put(new(body, at=inbox.now())).result()
        assert len(list(inbox.deliveries(wait=False))) == 3  # the first two are dead now
        inbox.quarantine("data_push", push_body(9), {}, reason="wrong_secret", delivery_id=None)
    ended: dict[str, tuple[int, str]] = {}
    with PostgresServer() as server:
        there = server.url()
        environment: dict[str, str] = {}
        for line in shell(RUNBOOK):
            program, *arguments = shlex.split(line.replace("postgresql://mosvpp@db/mosvpp", there))
            if program == "export":
                name, _, value = arguments[0].partition("=")
                environment[name] = value
                continue
            assert program == "mosvpp"
            done = mosvpp(arguments, environment)
            ended[line] = (done.exit_code, done.output)
        with SqlInbox(there) as moved, SqlInbox("sqlite:///inbox.db") as old:
            assert [one.key for one in moved.find()] == [one.key for one in old.find()]
            assert len(list(moved.find())) == 6
    assert len(ended) == 14
    for line, (code, words) in ended.items():
        assert code == 0, f"{line}\n{words}"
    said = {line.removeprefix("mosvpp inbox "): words for line, (_, words) in ended.items()}
    assert "not_json" in said["show 1"]
    assert "1 delivery" in said["requeue 1"]
    assert "1 delivery" in said["requeue --all-dead"]  # the other one
    assert "3 deliveries" in said["requeue --state done --since 24h --kind data_push"]
    assert "Nothing was ever forwarded" in said["forwarded"]


SQLITE = shutil.which("sqlite3")


@pytest.mark.skipif(SQLITE is None, reason=f"{NOT_RUN}sqlite3 is missing, so nothing was saved with it")
def test_what_can_be_read_of_a_damaged_file_is_saved(tmp_path: Path) -> None:
    file = tmp_path / "inbox.db"
    with SqlInbox(f"sqlite:///{file}") as inbox:
        for stored in [inbox.put(new(push_body(number), at=inbox.now())) for number in range(300)]:
            stored.result()
        was = {one.key for one in inbox.find()}
    pages = bytearray(file.read_bytes())
    half = len(pages) // 2 // 4096 * 4096
    pages[half : half + 2 * 4096] = b"\xff" * (2 * 4096)
    file.write_bytes(pages)

    aside, *rest = re.findall(r"^```bash\n(.*?)^```$", RUNBOOK, re.MULTILINE | re.DOTALL)
    typed(aside, tmp_path)
    with SqlInbox(f"sqlite:///{file}") as inbox:  # receiving goes on
        inbox.put(new(push_body(1000), at=inbox.now())).result()
    for commands in rest:
        typed(commands, tmp_path)

    with SqlInbox(f"sqlite:///{file}") as inbox:
        found = list(inbox.find())
        assert len({one.key for one in found} - was) == 1
        assert len(found) > 200
        assert {one.state for one in found} == {"waiting"}
    assert (tmp_path / "damaged.db").read_bytes() == pages


def typed(commands: str, folder: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
