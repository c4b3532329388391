"""What nobody should send, over real sockets, to the servers that `mosvpp receive` runs and to one of WSGI.

Each request has its answer. None is a 5xx, none leaves the receiver worse off for the next one.
"""

from __future__ import annotations

import gzip
import resource
import select
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deliveries import SECRET, push_body
from mosvpp.receiver import SqlInbox
from not_run import ALL, needs_linux
from serving import Serving

PATIENCE_S = 30  # only a failing test waits so long
DEADLINE_S = 1
SERVERS = ["granian", "uvicorn", "granian-wsgi"]

KEY = f"X-API-Key: {SECRET}"
JSON = "Content-Type: application/json"
GZIP = "Content-Encoding: gzip"
CHUNKED = "Transfer-Encoding: chunked"

TEN_MB = b"[" + b"1," * 5_000_000 + b"1]"
BOMB = gzip.compress(b"[" + b"0," * 25_000_000 + b"0]", 1)


class Receive(Serving):
    """`mosvpp receive` as a partner starts it, with short deadlines."""

    def __init__(self, folder: Path, store: str, server: str) -> None:
        super().__init__(folder, store, server=server)
        keys = folder / "keys.txt"
        keys.write_text(SECRET + "\n", "utf-8")
        options = {
            "--store": store,
            "--port": self.port,
            "--header-file": f"X-API-Key={keys}",
            "--server": server,
            "--header-deadline": f"{DEADLINE_S}s",
            "--body-deadline": f"{DEADLINE_S}s",
        }
        words = [str(word) for pair in options.items() for word in pair]
        self._command = [sys.executable, "-m", "mosvpp", "receive", "--inflate", *words]


class Target(NamedTuple):
    server: str
    running: Serving
    store: str


@pytest.fixture(scope="module", params=SERVERS)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp(request.param)
    store = f"sqlite:///{folder}/inbox.db"
    running: Serving
    if request.param == "granian-wsgi":
        deadlines: dict[str, Any] = {"header_deadline": DEADLINE_S, "body_deadline": DEADLINE_S}
        running = Serving(folder, store, server=request.param, inflate=True, **deadlines)
    else:
        running = Receive(folder, store, request.param)
    with running:
        yield Target(request.param, running, store)


def request_of(
    *headers: str,
    body: bytes = b"",
    method: str = "POST",
    path: str = "/data-push",
    sized: bool = True,
) -> bytes:
    length = [f"Content-Length: {len(body)}"] if sized else []
    lines = [f"{method} {path} HTTP/1.1", "Host: receiver", *headers, *length, "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(body: bytes, size: int = 60_000) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])


def answer_to(port: int, sent: bytes) -> int | None:
    """The status; None where the connection is closed without one."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.setblocking(False)
        found = b""
        while b"\r\n\r\n" not in found:
            readable, writable, _ = select.select([connection], [connection] if sent else [], [], PATIENCE_S)
            assert readable or writable, "neither an answer nor an end"
            if not readable:
                try:
                    sent = sent[connection.send(sent) :]
                except ConnectionError:
                    sent = b""  # it is closed at the other end, but an answer may have come before
                continue
            try:
                part = connection.recv(65_536)
            except ConnectionError:
                part = b""
            if not part:
                break
            found, sent = found + part, b""  # whoever has an answer sends no more
        return int(found.split()[1]) if found else None


# Each has its answer

ROWS: dict[str, tuple[int, bytes]] = {
    "what is right": (200, request_of(KEY, JSON, body=push_body())),
    "what is right, in chunks": (200, request_of(KEY, JSON, CHUNKED, sized=False) + chunked(push_body(1), 9)),
    "wrong path": (404, request_of(KEY, JSON, path="/data-pushes", body=push_body())),
    "GET": (405, request_of(KEY, method="GET", sized=False)),
    "HEAD": (405, request_of(KEY, method="HEAD", sized=False)),
    "PUT": (405, request_of(KEY, JSON, method="PUT", body=push_body())),
    "10 MB, announced": (413, request_of(KEY, JSON, body=TEN_MB)),
    "10 MB, in chunks": (413, request_of(KEY, JSON, CHUNKED, sized=False) + chunked(TEN_MB)),
    "a gzip bomb": (413, request_of(KEY, JSON, GZIP, body=BOMB)),
    "a gzip bomb, in chunks": (413, request_of(KEY, JSON, GZIP, CHUNKED, sized=False) + chunked(BOMB)),
    "damaged gzip": (400, request_of(KEY, JSON, GZIP, body=b"no gzip")),
    "another encoding": (415, request_of(KEY, JSON, "Content-Encoding: br", body=push_body())),
    "another type": (415, request_of(KEY, "Content-Type: text/plain", body=push_body())),
    "no credentials": (401, request_of(JSON, body=push_body())),
    "wrong credentials": (401, request_of(f"{KEY}!", JSON, body=push_body())),
    "credentials twice": (401, request_of(KEY, KEY, JSON, body=push_body())),
    "two lengths": (400, request_of(KEY, JSON, "Content-Length: 5", body=push_body())),
    "a negative length": (400, request_of(KEY, JSON, "Content-Length: -1", sized=False)),
    "no HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_request_has_its_answer(target: Target, row: str) -> None:
    status, sent = ROWS[row]
    assert answer_to(target.running.port, sent) == status
    assert target.running.asked("/readyz") == 200


UNREADABLE: dict[str, tuple[str, bytes]] = {
    "100,000 deep": ("too_deep", b"[" * 100_000 + b"]" * 100_000),
    "objects, 40,000 deep": ("too_deep", b'{"a":' * 40_000 + b"1" + b"}" * 40_000),
    "NaN": ("not_finite", push_body().replace(b"82.5", b"NaN")),
    "Infinity": ("not_finite", push_body().replace(b"82.5", b"-Infinity")),
    "duplicate keys": ("duplicate_keys", push_body().replace(b"{", b'{"molecule_id": "x", ', 1)),
    "invalid UTF-8": ("invalid_utf8", push_body().replace(b"20000", b"\xff\xfe")),
    "cut off": ("not_json", push_body()[:-9]),
    "empty": ("empty", b""),
}


@pytest.mark.parametrize("row", UNREADABLE)
def test_what_cannot_be_read_is_stored_answered_200_and_a_dead_letter(target: Target, row: str) -> None:
    reason, body = UNREADABLE[row]
    assert answer_to(target.running.port, request_of(KEY, JSON, body=body)) == 200
    assert reason_of(target, body) == reason


def reason_of(target: Target, body: bytes) -> str | None:
    """Why that body is with the dead letters, once it is. `mosvpp receive` sorts it itself."""
    until = time.monotonic() + PATIENCE_S
    with SqlInbox(target.store) as inbox:
        if target.server == "granian-wsgi":
            for _ in inbox.deliveries(wait=False):
                pass  # a worker of the partner's finds what cannot be read
        while True:
            (found,) = [one for one in inbox.find() if one.body == body]
            if found.state == "dead":
                return found.reason
            assert time.monotonic() < until, found
            time.sleep(0.05)


def test_two_ways_to_say_how_long_it_is(target: Target) -> None:
    """They are refused, or the length is ignored, as RFC 9112 (6.3) allows: granian hides it from us.

    Either way no other delivery can be hidden in the body of this one.
    """
    visible, hidden = push_body(65), request_of(KEY, JSON, body=push_body(66))
    body = chunked(visible + hidden)
    length = f"Content-Length: {body.index(hidden)}"
    for framing in ([CHUNKED, length], [length, CHUNKED]):
        sent = request_of(KEY, JSON, *framing, sized=False) + body
        assert answer_to(target.running.port, sent) == (400 if target.server == "uvicorn" else 200)
    with SqlInbox(target.store) as inbox:
        assert push_body(66) not in [one.body for one in inbox.find()]
        assert answer_to(target.running.port, hidden) == 200
        assert push_body(66) in [one.body for one in inbox.find()]  # where it was not hidden


def test_chunks_that_are_none(target: Target) -> None:
    sent = request_of(KEY, JSON, CHUNKED, sized=False) + b"zz\r\n{}\r\n0\r\n\r\n"
    if target.server == "granian-wsgi":  # shows it as the end of the body, which is then a dead letter
        assert answer_to(target.running.port, sent) == 200
    else:
        assert answer_to(target.running.port, sent) == 400


def test_headers_of_a_megabyte(target: Target) -> None:
    sent = request_of(KEY, JSON, "X-Long: " + "x" * 1_000_000, body=push_body(2))
    assert answer_to(target.running.port, sent) in (400, 431, None)


# Who is slow


# uvicorn waits for ever, which is why it needs a proxy in front.
@pytest.mark.parametrize("target", ["granian", "granian-wsgi"], indirect=True, scope="module")
def test_slow_headers_end_the_connection(target: Target) -> None:
    assert answer_to(target.running.port, b"POST /data-push HTTP/1.1\r\nHost: receiver\r\n") is None


# WSGI gives no way to stop waiting for a part of a body: there it is the proxy's business.
@pytest.mark.parametrize("target", ["granian", "uvicorn"], indirect=True, scope="module")
@pytest.mark.parametrize("framing", ["Content-Length: 1000", CHUNKED])
def test_a_slow_body_is_answered_408(target: Target, framing: str) -> None:
    sent = request_of(KEY, JSON, framing, sized=False) + b"1\r\n{"
    assert answer_to(target.running.port, sent) == 408


# Memory

FLOOD = 2000 if ALL else 400
WARM_UP = 100
GROWTH = FLOOD * 0.25 * 0.6  # MB; what is stored of the flood has nearly twice as many


def flood(port: int, numbers: Iterable[int]) -> None:
    """Everything from above, and bodies that are as large as allowed and nothing but brackets."""
    for number in numbers:
        deep = f"{'[' * 130_000}{number}{']' * 130_000}".encode()
        assert answer_to(port, request_of(KEY, JSON, body=deep)) == 200
        if number % 20 == 0:
            for status, sent in ROWS.values():
                assert answer_to(port, sent) == status


def memory(program: Serving) -> float:
    """MB of a program, of all its processes."""
    pages = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        pages += int(after_name[21]) if int(after_name[2]) == program.pid else 0
    return pages * resource.getpagesize() / 2**20


def growth(running: Serving) -> float:
    """What a flood leaves behind, after a first one has filled all that is kept for later."""
    flood(running.port, range(WARM_UP))
    before = calm(running)
    flood(running.port, range(WARM_UP, WARM_UP + FLOOD))
    return calm(running) - before


def calm(running: Serving) -> float:
    """The memory that is in use once what has come is looked through."""
    seen = []
    for _ in range(6):
        time.sleep(0.25)
        seen.append(memory(running))
    return min(seen)


@needs_linux
def test_a_flood_leaves_no_memory_behind(target: Target) -> None:
    assert growth(target.running) < GROWTH


@needs_linux
def test_control_who_keeps_what_comes_is_seen_to_grow(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/inbox.db"
    with Serving(tmp_path, store, variant="remembers", inflate=True) as running:
        assert growth(running) > GROWTH
