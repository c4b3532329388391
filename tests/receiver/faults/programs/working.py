"""A worker as a partner writes it: each delivery has one effect, in the transaction that notes its key.

`SETTINGS` in the environment is JSON: `store`, and `effects`, a SQLite file. `calls` are noted there without
a key, as the effects of a worker that does not look at it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from datetime import timedelta
from typing import Any

from mosvpp import DataPush
from mosvpp.receiver import SqlInbox, StoredDelivery

settings: dict[str, Any] = json.loads(os.environ["SETTINGS"])

inbox = SqlInbox(settings["store"])
effects = sqlite3.connect(settings["effects"], timeout=30, isolation_level=None)
effects.execute("PRAGMA synchronous=OFF")  # nobody cuts the power here


@inbox.handler(
    DataPush,
    ordered_by="molecule_id",
    at_once=16,
    attempts=100,
    lease=timedelta(seconds=1),
    first_pause=timedelta(milliseconds=20),
    poll=timedelta(milliseconds=50),
)
async def apply(_push: DataPush, delivery: StoredDelivery) -> None:
    number = json.loads(delivery.body)["push"]
    effects.execute("INSERT INTO calls VALUES (?, ?)", [number, os.getpid()])
    await asyncio.sleep(0.05)  # a good moment to be killed
    effects.execute("BEGIN IMMEDIATE")
    noted = effects.execute("INSERT INTO noted VALUES (?) ON CONFLICT DO NOTHING", [delivery.key])
    if noted.rowcount:
        effects.execute("INSERT INTO effects VALUES (?, ?)", [number, os.getpid()])
    effects.execute("COMMIT")


if __name__ == "__main__":
    inbox.work()
