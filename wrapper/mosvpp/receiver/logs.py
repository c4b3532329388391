"""Logs as one JSON object a line, for programs that collect them.

Everything here is logged under `mosvpp.receiver`, with its facts (`key`, `kind`, `reason`, `attempts`,
`count`) as attributes.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from .redaction import without_secrets

__all__ = ["JsonFormatter"]

_FACTS = ("key", "kind", "reason", "attempts", "count")


class JsonFormatter(logging.Formatter):
    """Writes time, level, logger, message, facts and traceback, secrets removed.

    handler.setFormatter(JsonFormatter())
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        line |= {name: getattr(record, name) for name in _FACTS if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, default=str)
