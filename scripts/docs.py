"""Build the documentation site into site/ (git-ignored), serve it, or check it.

    python3 scripts/docs.py             builds site/
    python3 scripts/docs.py --serve     builds, and serves it with a sandbox, so that the console works
    python3 scripts/docs.py --check     builds afresh into a temporary folder and says what is wrong with it,
                                        and what is stale in site/, if there is one

Exit status: 0 all is as it should be, 1 the check found something, 2 the site could not be built.
"""

import _setup

if __name__ == "__main__":
    _setup.ensure("dev")

import argparse
import sys
import tempfile
from pathlib import Path

from pages import checks, serve
from pages.build import BuildError, build

SITE = _setup.ROOT / "site"
STALE = (
    "site/ is from an earlier build, and somebody may read it. Build it again: python3 scripts/docs.py\n"
    "Or delete it: git ignores it, and where there is none, as in a clone, nothing is stale."
)


def main() -> int:
    """Do what the arguments ask for."""
    parser = argparse.ArgumentParser(
        usage="docs.py [--check | --serve] [--port N]", description=__doc__.split("\n")[0]
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--check", action="store_true", help="build into a temporary folder and check it")
    either.add_argument("--serve", action="store_true", help="build, then serve with a sandbox until Ctrl-C")
    parser.add_argument("--port", type=int, default=0, help="port to serve on (default: a free one)")
    arguments = parser.parse_args()
    if arguments.check:
        return check()
    contents = build(SITE)
    print(f"{len(contents)} pages; open {SITE.relative_to(_setup.ROOT)}/index.html")
    if arguments.serve:
        serve.forever(SITE, arguments.port)
    return 0


def check() -> int:
    """Build afresh, and report every fault."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "site"
        contents = build(fresh)
        faults, stale = checks.faults(fresh, contents), checks.stale(SITE, fresh)
    print(*faults, *stale, sep="\n", end="\n" * bool(faults or stale))
    if stale:
        print(f"\n{STALE}\n")
    print(
        f"{len(contents)} pages, {len(faults)} faults" + f", {len(stale)} stale files in site/" * bool(stale)
    )
    return 1 if faults or stale else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BuildError, _setup.SetupError) as error:
        sys.stderr.write(f"\n{error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        print()
        sys.exit(0)
