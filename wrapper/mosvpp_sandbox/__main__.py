"""`python -m mosvpp_sandbox`: the sandbox as a program of its own."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sandbox import Sandbox

__all__ = ["main"]

# Each has a module with a `main` of its own, loaded only when it is asked for.
_COMMANDS = {"certify": ".certify.command"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM; 0 when it ran, 1 when a fault ended it, 2 when it could not start.

    A first argument that is the name of a command (`certify`) is run instead, with the rest.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in _COMMANDS:
        command: Callable[[Sequence[str]], int] = import_module(_COMMANDS[given[0]], __package__).main
        return command(given[1:])
    options = _parser().parse_args(given)
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        vpp = _started(options)
    except (ImportError, ValueError, OverflowError) as error:
        return _refused(str(error))
    except OSError as error:
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

    vpp = Sandbox(
        api_key=options.api_key,
        data_push_url=options.data_push_url,
        execution_response_url=options.execution_response_url,
        headers=dict(options.header),
        speed=options.speed,
        push_every=options.push_every,
        seed=options.seed,
        host=options.host,
        port=options.port,
        allow_hosts=options.allow_host,
    )
    vpp.start()
    return vpp


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mosvpp_sandbox",
        description="Plays Molecule on this machine: the three endpoints of MosVPP for one simulated site, "
        "execution responses and data pushes. What Molecule does not document is our choice; each message "
        "says in the header X-MosVPP-Sandbox-Evidence how sure its shape is.",
        epilog="Commands of its own: `certify` plays named checks against a receiver of yours "
        "(python -m mosvpp_sandbox certify --help).",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="port to listen on (default: a free one)")
    add(
        "--api-key",
        metavar="KEY",
        default="sandbox-key",
        help="what callers must send (default: %(default)s)",
    )
    add("--data-push-url", metavar="URL", help="where to push telemetry")
    add("--execution-response-url", metavar="URL", help="where to tell what became of an event")
    add(
        "--header",
        metavar="NAME=VALUE",
        type=_header,
        help="header to send with both, as the partner configured it (may be repeated)",
        action="append",
        default=[],
    )
    add("--speed", metavar="N", type=float, default=1.0, help="simulated seconds in a real one (default: 1)")
    add(
        "--push-every",
        metavar="SECONDS",
        type=_duration,
        default="60",
        help="simulated time between data pushes (default: 60)",
    )
    add("--seed", metavar="N", type=int, default=0, help="another number is another weather (default: 0)")
    add(
        "--allow-host",
        metavar="HOST",
        help="a host beyond loopback to listen on or to push to (may be repeated)",
        action="append",
        default=[],
    )
    return parser


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("write it as NAME=VALUE")
    return name, value


def _duration(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("write a number of seconds") from None


def _log_to_stdout() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", stream=sys.stdout
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _greeting(vpp: Sandbox, options: argparse.Namespace) -> str:
    devices = len(vpp.sites[vpp.molecule_id].device_list()["devices"])
    url = f"{vpp.url}/v1/api/gateway/{vpp.molecule_id}/devicesync"
    return f"""\
MosVPP sandbox: {vpp.url}   (plays Molecule; not made by Molecule Systems)
  site       {vpp.molecule_id}, {devices} simulated devices
  key        X-API-Key: {vpp.api_key}
  data push  {options.data_push_url or "off (--data-push-url)"}
  execution  {options.execution_response_url or "off (--execution-response-url)"}
  time       {vpp.now():%Y-%m-%d %H:%M:%S} UTC, {options.speed:g} × real time, in the Date of each answer
  try        curl -H 'X-API-Key: {vpp.api_key}' {url}
Ctrl-C ends it.
"""


def _refused(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
