import asyncio
import os
import sqlite3

import nats

from mosvpp import DataPush, errors
from mosvpp.receiver.forwarding import STREAM, event_of


def apply(database: sqlite3.Connection, key: str, subject: str, body: bytes) -> None:
    """Once, however often the message is handed out: its key and its effect are one transaction."""
    try:
        event = event_of(subject, body)
    except errors.PayloadError:
        event = None  # no JSON: it will not get better, and the inbox keeps it with the dead letters
    with database:
        is_new = database.execute("INSERT OR IGNORE INTO applied VALUES (?)", [key]).rowcount
        if is_new and isinstance(event, DataPush):
            site = "INSERT INTO sites VALUES (?, 1) ON CONFLICT DO UPDATE SET pushes = pushes + 1"
            database.execute(site, [event.molecule_id])


async def main() -> None:
    database = sqlite3.connect(os.environ["DATABASE"])
    database.execute("CREATE TABLE IF NOT EXISTS applied (key TEXT PRIMARY KEY)")
    database.execute("CREATE TABLE IF NOT EXISTS sites (molecule_id TEXT PRIMARY KEY, pushes INTEGER)")
    client = await nats.connect(os.environ["MOSVPP_NATS"].split(","), max_reconnect_attempts=-1)
    stream = client.jetstream()
    messages = await stream.pull_subscribe("mosvpp.data_push.*", durable="telemetry", stream=STREAM)
    while True:
        try:
            batch = await messages.fetch(100, timeout=5)
        except TimeoutError:
            continue
        for message in batch:
            apply(database, message.headers["Nats-Msg-Id"], message.subject, message.data)
            await message.ack()


if __name__ == "__main__":
    asyncio.run(main())
