"""Durable rows: what the inbox and other parts that must not forget stand on (extra `receiver`).

    failures      errors of the database and of its driver, as `StoreError`
    schemas       versions of a schema, and the steps from one to the next
    lines         connections that one thread keeps, because it commits again and again
    database      one SQLite file or one PostgreSQL database, safe and up to date once it is opened
    group_commit  many callers, one transaction: what waits is written together

This package knows nothing of deliveries or dispatches. SQLAlchemy 2.1 Core does the talking.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("sqlalchemy") is None:
    raise ImportError(
        "storing needs SQLAlchemy, which comes with an extra: pip install 'mosvpp[receiver]'",
        name="sqlalchemy",
    )

from .database import Database, Dialect, is_in_memory
from .group_commit import GroupCommit, Pending
from .lines import Line
from .schemas import Migration, Schema

__all__ = ["Database", "Dialect", "GroupCommit", "Line", "Migration", "Pending", "Schema", "is_in_memory"]
