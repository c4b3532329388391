"""A partner's endpoints for a scenario: they know two secrets, notice doubles and late ones, may be down."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from mosvpp import webhooks
from mosvpp.errors import AuthenticationError, PayloadError
from mosvpp.events import DataPush, ExecutionReport
from mosvpp.ids import id_key
from mosvpp.signatures import SharedHeaders

__all__ = ["PartnerEndpoint"]


class PartnerEndpoint:
    """`counts` has taken, duplicates, late, unreadable, refused and down; `words` what was said of events."""

    def __init__(self, secrets: dict[str, list[str]]) -> None:
        self.secrets = secrets
        self.is_up = True
        self.counts: Counter[str] = Counter()
        self.pushes: Counter[str] = Counter()
        self.words: defaultdict[str, list[str]] = defaultdict(list)
        self.quantities: dict[str, float | None] = {}
        self._seen: set[bytes] = set()
        self._newest: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    def url(self, kind: str) -> str:
        """The URL of one of the two."""
        return f"http://127.0.0.1:{self._server.server_port}/{kind.replace('_', '-')}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes, headers: Any) -> int:
        """The status to answer with."""
        if not self.is_up:
            self.counts["down"] += 1
            return 503
        try:
            event = webhooks.parse(body, headers, verifier=SharedHeaders(self.secrets))
        except AuthenticationError:
            self.counts["refused"] += 1
            return 401
        except PayloadError:
            self.counts["unreadable"] += 1
            return 200
        with self._lock:
            if body in self._seen:
                self.counts["duplicates"] += 1
                return 200
            self._seen.add(body)
            self.counts["taken"] += 1
            if isinstance(event, DataPush):
                self._note_push(event)
            elif isinstance(event, ExecutionReport):
                self._note_report(event)
        return 200

    def _note_push(self, push: DataPush) -> None:
        self.pushes[push.molecule_id] += 1
        newest = self._newest.get(push.molecule_id)
        if newest is not None and push.timestamp < newest:
            self.counts["late"] += 1
        else:
            self._newest[push.molecule_id] = push.timestamp

    def _note_report(self, report: ExecutionReport) -> None:
        for result in report.results:
            self.words[id_key(result.event_id)].append(result.status.value)
            power = result.executed_power
            self.quantities[id_key(result.event_id)] = None if power is None else power.kilowatts


def _handler(endpoint: PartnerEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(endpoint.take(body, self.headers.items()))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name that it has
            pass

    return Handler
