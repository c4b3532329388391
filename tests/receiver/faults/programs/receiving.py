"""A receiver as an application, as a partner writes it: `app` for ASGI and `wsgi_app` for WSGI.

`SETTINGS` in the environment is JSON: `store`, and `variant`, which is one of the faults below. They are the
controls: each breaks what a test proves, so that the test is seen to notice. With `pages`, a SQLite file may
have no more than so many: the disk is full.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from deliveries import SECRET
from mosvpp import receiver
from mosvpp.receiver import SqlInbox
from mosvpp.receiver.deliveries import NewDelivery
from mosvpp.signatures import SharedHeaders
from mosvpp.store import Line, Pending, database

settings: dict[str, Any] = json.loads(os.environ["SETTINGS"])


class AcknowledgesEarly(SqlInbox):
    """Says that a delivery is stored as soon as it waits to be; and storing takes a while."""

    def put(self, delivery: NewDelivery) -> Pending[bool]:
        super().put(delivery)
        done: Pending[bool] = Pending()
        done._settle(True)
        return done

    def _commit(self, line: Line, tasks: Sequence[Any]) -> Sequence[Any]:
        time.sleep(0.1)
        return super()._commit(line, tasks)


class Remembers(SqlInbox):
    """Keeps every body in memory, so that memory grows with what comes."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._kept: list[bytes] = []

    def put(self, delivery: NewDelivery) -> Pending[bool]:
        self._kept.append(bytes(bytearray(delivery.body)))
        return super().put(delivery)


class NotSafe(SqlInbox):
    """Takes a commit for durable that is not: SQLite does not wait for the disk, PostgreSQL is not asked."""

    def __init__(self, url: str) -> None:
        database._prepare_sqlite = _also(database._prepare_sqlite, "PRAGMA synchronous=NORMAL")
        database._check_durability = lambda _connection, _record: None
        super().__init__(url)


def _also(prepare: Any, statement: str) -> Any:
    def prepare_differently(connection: Any, record: object) -> None:
        prepare(connection, record)
        connection.execute(statement)

    return prepare_differently


VARIANTS = {
    None: SqlInbox,
    "early": AcknowledgesEarly,
    "remembers": Remembers,
    "unsafe": NotSafe,
}

if settings.get("pages"):
    limit = f"PRAGMA max_page_count={settings['pages']}"
    database._prepare_sqlite = _also(database._prepare_sqlite, limit)

inbox = VARIANTS[settings.get("variant")](settings["store"])
_verifier = SharedHeaders({"X-API-Key": SECRET})
_options: Any = {"inflate": settings.get("inflate", False)}
if "body_deadline" in settings:
    _options["body_deadline"] = timedelta(seconds=settings["body_deadline"])
app = receiver.asgi(inbox, verifier=_verifier, **_options)
wsgi_app = receiver.wsgi(inbox, verifier=_verifier, **_options)
