"""`python -m mosvpp_sandbox`: the sandbox as a program of its own."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING

from .options import arguments, parser

if TYPE_CHECKING:
    from .sandbox import Sandbox

__all__ = ["main"]

# Each has a module with a `main` of its own, loaded only when it is asked for.
_COMMANDS = {"certify": ".certify.command", "run": ".scenarios.command"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM; 0 when it ran, 1 when a fault ended it, 2 when it could not start.

    A first argument that is the name of a command (`certify`, `run`) is run instead, with the rest.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in _COMMANDS:
        command: Callable[[Sequence[str]], int] = import_module(_COMMANDS[given[0]], __package__).main
        return command(given[1:])
    options = parser().parse_args(given)
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        vpp = _started(options)
    except (ImportError, ValueError, OverflowError) as error:
        return _refused(str(error))
    except OSError as error:
        if error.filename is not None:
            return _refused(f"{error.filename}: {error.strerror}")
        where = f"{options.host} port {options.port}"
        return _refused(f"cannot listen on {where}: {error.strerror}; without --port a free one is taken")
    try:
        _log_to_stdout()
        sys.stdout.write(_greeting(vpp, options))
        sys.stdout.flush()
        while vpp.is_running and not stopped.wait(0.5):  # Windows hears Ctrl-C only with a time-out
            pass
    except KeyboardInterrupt:
        sys.stdout.write("\n")
    finally:
        status = _ended(vpp)
    return status


def _ended(vpp: Sandbox) -> int:
    by_itself = not vpp.is_running
    try:
        vpp.stop()
    except Exception:  # noqa: BLE001  whatever it is, it is a fault of the sandbox
        traceback.print_exc()
        by_itself = True
    if by_itself:
        sys.stderr.write("The sandbox has ended by a fault of its own.\n")
    return 1 if by_itself else 0


def _started(options: argparse.Namespace) -> Sandbox:
    from . import Sandbox

    vpp = Sandbox(**arguments(options))
    vpp.start()
    return vpp


def _log_to_stdout() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", stream=sys.stdout
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _greeting(vpp: Sandbox, options: argparse.Namespace) -> str:
    devices = sum(len(site.plant.devices) for site in vpp.sites.values())
    more = f" and {len(vpp.sites) - 1:,} more" if len(vpp.sites) > 1 else ""
    url = f"{vpp.url}/v1/api/gateway/{vpp.molecule_id}/devicesync"
    speed = "moved by hand" if options.manual else f"{options.speed:g} × real time"
    return f"""\
MosVPP sandbox: {vpp.url}   (plays Molecule; not made by Molecule Systems)
  site       {vpp.molecule_id}{more}, {devices:,} simulated devices
  key        X-API-Key: {vpp.api_key}
  data push  {options.data_push_url or "off (--data-push-url)"}
  execution  {options.execution_response_url or "off (--execution-response-url)"}
  time       {vpp.now():%Y-%m-%d %H:%M:%S} UTC, {speed}, in the Date of each answer
  console    {vpp.url}/   (for people; for programs {vpp.url}/sandbox/)
  try        curl -H 'X-API-Key: {vpp.api_key}' {url}
Ctrl-C ends it.
"""


def _refused(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
