"""`python -m mosvpp`, and the `mosvpp` command."""

from __future__ import annotations

import sys
from io import TextIOWrapper

__all__ = ["main"]


def main() -> None:
    """Run the command line, or say what to install for it."""
    try:
        import rich  # noqa: F401  to import it is the test
        import typer  # noqa: F401  to import it is the test
    except ImportError:
        sys.stderr.write("The mosvpp command needs the extra `cli`: pip install 'mosvpp[cli]'\n")
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a character that it cannot write must not hide an outcome
            stream.reconfigure(errors="backslashreplace")
    try:
        from mosvpp.cli.app import app

        app(prog_name="mosvpp")
    except KeyboardInterrupt:  # before the program could take care of it itself
        sys.exit(130)


if __name__ == "__main__":
    main()
