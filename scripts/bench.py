"""Measure speed as ratios against named peers, all in one run.

    python3 scripts/bench.py core|fleet|receiver|sandbox [--json] [--rounds N] [--quick]

Machines are noisy, so a figure alone means little: each is a ratio of medians, taken from rounds in which
ours and the peer's take turns. The limits are goals that the project holds itself to; exit status 1 says that
one was missed.
"""

import _setup

if __name__ == "__main__":
    _setup.ensure("dev")

import argparse
import importlib
import json
import sys

import benchmarks
from benchmarks import measured


def main() -> int:
    """Run a set of benchmarks; see the top of the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=benchmarks.NAMES, help="what to measure")
    parser.add_argument("--rounds", type=int, help="rounds of which medians are taken")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller stores: a first look")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    chosen = importlib.import_module(f"benchmarks.{arguments.what}")
    found = chosen.measure(rounds=arguments.rounds, quick=arguments.quick)
    if arguments.json:
        print(json.dumps(measured.as_json(found, chosen.GOALS), indent=1))
    else:
        measured.show(found, chosen.GOALS)
    return 1 if measured.missed(found, chosen.GOALS) else 0


if __name__ == "__main__":
    sys.exit(main())
