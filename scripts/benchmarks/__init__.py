"""Benchmarks for scripts/bench.py: one module each, with `GOALS` and `measure`, listed here by name.

`GOALS` has a `Goal` for each ratio; `measure(rounds=None, quick=False)` gives a `Measured`. How many rounds
that takes is each benchmark's own business.
"""

from __future__ import annotations

NAMES = ("core", "fleet", "receiver", "sandbox")
