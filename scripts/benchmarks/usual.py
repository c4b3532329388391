"""What one would write without a receiver: FastAPI, pydantic, a SQLAlchemy session, a commit a request.

As durable as ours on purpose, so that speed is all that differs: SQLite in WAL mode with `synchronous=FULL`.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel
from sqlalchemy import JSON, DateTime, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


class Device(BaseModel):
    """One device of a push."""

    device_id: str
    metrics: dict[str, float | str]


class Push(BaseModel):
    """The body of a data push."""

    timestamp: datetime
    molecule_id: str
    devices: list[Device]


class Base(DeclarativeBase):
    """Where the table is registered."""


class StoredPush(Base):
    """One row for each push."""

    __tablename__ = "usual_pushes"

    id: Mapped[int] = mapped_column(primary_key=True)
    molecule_id: Mapped[str] = mapped_column(index=True)
    timestamp: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    body: Mapped[dict[str, Any]] = mapped_column(JSON)


url = os.environ["BENCH_STORE"]
engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
sessions = sessionmaker(engine)
app = FastAPI()

if engine.dialect.name == "sqlite":

    @event.listens_for(engine, "connect")
    def make_durable(connection: Any, _record: object) -> None:
        """What is committed has reached the disk."""
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")


Base.metadata.create_all(engine)


def session() -> Iterator[Session]:
    """A session for one request."""
    with sessions() as one:
        yield one


@app.post("/data-push")
def take(
    push: Push, x_api_key: Annotated[str, Header()], session: Annotated[Session, Depends(session)]
) -> dict[str, str]:
    """Check the key, store, acknowledge."""
    if not hmac.compare_digest(x_api_key.encode(), os.environ["BENCH_KEY"].encode()):
        raise HTTPException(401)
    stored = StoredPush(
        molecule_id=push.molecule_id, timestamp=push.timestamp, body=push.model_dump(mode="json")
    )
    session.add(stored)
    session.commit()
    return {"status": "ok"}
