"""Take secrets out of a text before it is stored or shown: a traceback quotes whatever an error says."""

from __future__ import annotations

import os
import re
import traceback

__all__ = ["traceback_of", "without_secrets"]

_MASK = "[removed]"
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|DSN|DATABASE_URL", re.IGNORECASE)
_SHORTEST = 6  # shorter values of the environment are more likely words than secrets
_LONGEST_TRACEBACK = 16_000

_PATTERNS = [
    # What stands before the secret stays, in group 1.
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE),
    re.compile(r"(\bBearer\s+)[\w.~+/=-]+", re.IGNORECASE),
    re.compile(r"(\bBasic\s+)[A-Za-z0-9+/=]{8,}", re.IGNORECASE),
    re.compile(r"(\bwhsec_)[A-Za-z0-9+/=]+"),
    re.compile(
        r"""((?:x-api-key|api[_-]?key|secret|token|password|passwd|authorization)"""
        r"""['"]?\s*[:=]\s*(?:b?['"])?+)(?!\[removed)[^\s'",;)}&]+""",
        re.IGNORECASE,
    ),
]


def without_secrets(text: str) -> str:
    """The text without what looks like a secret, and without the values of secret environment variables."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _SECRET_NAME.search(name):
            text = text.replace(value, _MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{_MASK}", text)
    return text


def traceback_of(error: BaseException) -> str:
    """The traceback as Python prints it, secrets removed, its beginning cut off where it is very long."""
    return without_secrets("".join(traceback.format_exception(error)))[-_LONGEST_TRACEBACK:]
