"""A gateway of many sites on loopback, each of which answers as a test wants."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from hostile_server import Connection, HostileServer

Act = str
"""accept, reject, unclear, refuse, busy, broken, moved, drop, or hang."""


class Gateway:
    """Plays sites. `acts` are what each does with its next requests, in order; the last is kept, or `accept`.

    `received` are the events that arrived, in order, as (molecule_id, event); `on_request` is called with
    each before it is answered.
    """

    def __init__(self, acts: dict[str, list[Act]] | None = None) -> None:
        self.acts = defaultdict(lambda: ["accept"], acts or {})
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.on_request: Callable[[str, dict[str, Any]], object] = lambda *_: None
        self._lock = threading.Lock()

    def of(self, molecule_id: str) -> list[dict[str, Any]]:
        """The events that arrived for a site."""
        return [event for site, event in self.received if site == molecule_id]

    def serve(self, connection: Connection) -> None:
        """What `HostileServer` does with a connection."""
        while request := connection.read_request():
            head, _, body = request.partition(b"\r\n\r\n")
            site = head.split(b" ")[1].decode().split("/")[-2]
            sent = json.loads(body)
            (event,) = sent["event_slots"]
            with self._lock:
                self.received.append((site, event | {"mode": sent["mode"]}))
                acts = self.acts[site]
                act = acts.pop(0) if len(acts) > 1 else acts[0]
            self.on_request(site, event)
            if not self._act(connection, act, site, sent):
                return

    def _act(self, connection: Connection, act: Act, site: str, sent: dict[str, Any]) -> bool:
        """Answer. False when the connection is of no use any more."""
        if act in ("accept", "reject"):
            word = {"accept": "accepted", "reject": "rejected"}[act]
            verdicts = [{"event_id": slot["event_id"], "status": word} for slot in sent["event_slots"]]
            receipt = {"molecule_id": site, "mode": sent["mode"], "status": word, "event_slots": verdicts}
            connection.answer(json.dumps(receipt).encode(), "Content-Type: application/json")
        elif act == "unclear":
            connection.answer(b"<p>OK</p>")
        elif act == "busy":
            connection.answer(b"", "Retry-After: 0", status="503 Service Unavailable")
        elif act in ("refuse", "broken", "moved"):
            status = {"refuse": "400 Bad Request", "broken": "500 Oops", "moved": "302 Found"}[act]
            connection.answer(b"", "Location: /elsewhere", status=status)
        elif act == "drop":
            connection.reset()
            return False
        else:
            connection.hang()
            return False
        return True


def serving(gateway: Gateway) -> HostileServer:
    """A server for the gateway, to be used in a `with` block."""
    return HostileServer(gateway.serve)
