"""Tests that need more than every machine has. Where one does not run, the last lines of the run say so.

`tests/conftest.py` prints every reason that begins with `NOT_RUN` under a heading of its own, also when
pytest is asked to be quiet.
"""

from __future__ import annotations

import os
import shutil
import sys

import pytest

__all__ = ["ALL", "NOT_RUN", "needs_all", "needs_linux", "needs_strace"]

NOT_RUN = "not run: "

ALL = bool(os.environ.get("MOSVPP_ALL_TESTS"))
"""Whether what takes long runs too: `scripts/test.py --all`."""


def _needs(there: bool, reason: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not there, reason=NOT_RUN + reason)


needs_all = _needs(ALL, "takes long: python3 scripts/test.py --all")
needs_linux = _needs(sys.platform == "linux", "reads /proc, which only Linux has")
needs_strace = _needs(
    sys.platform == "linux" and shutil.which("strace") is not None,
    "strace is missing, so nobody saw that a 200 follows the disk: apt-get install strace",
)
