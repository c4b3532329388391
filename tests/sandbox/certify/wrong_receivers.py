"""A receiver of webhooks as somebody might write it in an afternoon, and ways to get it wrong.

    python wrong_receivers.py VARIANT PORT FILE

Deliveries go into FILE, one JSON object a line, as `mosvpp inbox export` prints them. Each answer repeats the
secret that came, which no report may.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import math
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SECRETS = ("the current secret", "the previous secret")
SIGNING_SECRET = "whsec_" + base64.b64encode(b"a signing secret of 32 bytes ...").decode()
FIELDS = {
    "data-push": {"timestamp", "molecule_id", "devices"},
    "execution-response": {
        *("molecule_id", "mode", "timestamp", "status", "message", "event_slots", "event_id"),
        *("start_time", "end_time", "executed_quantity", "event_unit", "devices"),
    },
}
VARIANT, FILE = sys.argv[1], Path(sys.argv[3])

lock = threading.Lock()
seen: set[bytes] = set()


class Handler(BaseHTTPRequestHandler):
    """Everything is right in it but what the variant gets wrong."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take a delivery."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status = self.take(body)
        except Exception:  # noqa: BLE001  what a framework makes of an error that nobody catches
            status = 500
        self.send_response(status)
        repeated = self.headers.get("X-API-Key", "").encode()
        self.send_header("X-Repeated", repeated.decode())
        self.send_header("Content-Length", str(len(repeated)))
        self.end_headers()
        self.wfile.write(repeated)

    def take(self, body: bytes) -> int:
        """The status to answer with."""
        secret = self.headers.get("X-API-Key", "")
        known = any(hmac.compare_digest(secret, one) for one in SECRETS)
        if not (secret if VARIANT == "accepts_forged" else known):
            return 401
        if VARIANT in ("signed", "verifies_rewritten") and not self.is_signed(body):
            return 401
        if VARIANT == "slow":  # it reads all before it answers, and that takes its time
            time.sleep(len(body) / 60_000)
        if VARIANT == "fails_on_unknown_fields" and self.has_unknown_fields(body):
            return 500
        if VARIANT == "crashes_on_nan" and not_finite(body):
            raise ValueError("out of range")
        if VARIANT == "dies_on_nan" and not_finite(body):
            os._exit(1)
        if VARIANT == "refuses_duplicates":
            with lock:
                if body in seen:
                    return 409
                seen.add(body)
        if VARIANT == "answers_before_storing":
            threading.Timer(0.4, store, [body]).start()
        else:
            store(body)
        return 202 if VARIANT == "answers_202" else 200

    def is_signed(self, body: bytes) -> bool:
        """Whether the Standard Webhooks signature is right."""
        if VARIANT == "verifies_rewritten":
            with contextlib.suppress(ValueError, RecursionError):
                body = json.dumps(json.loads(body), separators=(",", ":")).encode()
        stamp = self.headers.get("webhook-timestamp", "0")
        if abs(time.time() - int(stamp)) > 300:
            return False
        text = f"{self.headers.get('webhook-id')}.{stamp}.".encode() + body
        key = base64.b64decode(SIGNING_SECRET.removeprefix("whsec_"))
        wanted = b"v1," + base64.b64encode(hmac.digest(key, text, hashlib.sha256))
        given = self.headers.get("webhook-signature", "").encode().split(b" ")
        return any(hmac.compare_digest(one, wanted) for one in given)

    def has_unknown_fields(self, body: bytes) -> bool:
        """As a class with fixed fields has it; bytes that are no JSON are not its matter."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            return False
        return isinstance(data, dict) and not data.keys() <= FIELDS[self.path.removeprefix("/")]

    def log_message(self, *_: Any) -> None:
        """Quietly."""


def not_finite(body: bytes) -> bool:
    """Whether a sum over all numbers would be none."""
    found: list[str] = []
    try:
        json.loads(body, parse_constant=lambda word: found.append(word) or math.nan)
    except (ValueError, RecursionError):
        return False
    return bool(found)


def store(body: bytes) -> None:
    """Write it down so that it survives."""
    line = json.dumps({"body": base64.b64encode(body).decode()}) + "\n"
    with lock, FILE.open("a", encoding="ascii") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


class Server(ThreadingHTTPServer):
    """A new connection for each delivery, many at once."""

    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    FILE.touch()
    Server(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
