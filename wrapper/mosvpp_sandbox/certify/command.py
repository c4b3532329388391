"""`python -m mosvpp_sandbox certify`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """0 when every check passed, 1 when one did not, 2 when there was nothing to check."""
    _parser().parse_args(arguments)
    return 2


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog="python -m mosvpp_sandbox certify")
