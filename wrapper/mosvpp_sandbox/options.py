"""The options of `python -m mosvpp_sandbox`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from .choices import CHOICES
from .faults import CALL_FAULTS, PUSH_FAULTS
from .profiles import PROFILES

__all__ = ["arguments", "parser"]


def parser() -> argparse.ArgumentParser:
    """What may be written after the name of the program."""
    made = argparse.ArgumentParser(
        prog="python -m mosvpp_sandbox",
        description="Plays Molecule on this machine: the three endpoints of MosVPP for simulated sites, "
        "execution responses and data pushes. What Molecule does not document is our choice; each message "
        "says in the header X-MosVPP-Sandbox-Evidence how sure its shape is.",
        epilog="Commands of its own, each with --help: `run` plays a named scenario on simulated time, "
        "`certify` named checks against a receiver and a dispatcher of yours.",
    )
    _listening(made.add_argument_group("listening"))
    _simulated(made.add_argument_group("what is simulated"))
    _sending(made.add_argument_group("sending to you"))
    _undocumented(made.add_argument_group("what is not documented, and what goes wrong"))
    return made


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `Sandbox`. Raises `ValueError`."""
    from .choices import Choices
    from .clock import ManualClock, RunningClock
    from .faults import read_fault
    from .outbox import Retries

    given = {
        name: getattr(options, name)
        for name in (
            *("api_key", "data_push_url", "execution_response_url", "signing_secret", "push_every", "seed"),
            *("profile", "state", "host", "port", "control_token"),
        )
    }
    if options.manual and options.speed != 1:
        raise ValueError("give --manual and --speed not together: a clock that is moved by hand has no speed")
    if options.manual:
        given["clock"] = ManualClock(options.start or datetime.now(UTC).replace(microsecond=0))
    elif options.start:
        given["clock"] = RunningClock(options.speed, options.start)
    else:
        given["speed"] = options.speed
    chosen = {name: float(value) if name == "opt_out" else value for name, value in options.choice}
    return {
        **given,
        "sites": int(options.sites) if options.sites.isdecimal() else options.sites,
        "headers": dict(options.header),
        "allow_hosts": options.allow_host,
        "choices": Choices().changed(**chosen),
        "faults": [read_fault(text) for text in options.fault],
        "retries": Retries(options.timeout, options.retry_after),
    }


def _listening(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="port to listen on (default: a free one)")
    add(
        "--api-key",
        metavar="KEY",
        default="sandbox-key",
        help="what callers must send (default: %(default)s)",
    )
    add(
        "--control-token",
        metavar="TOKEN",
        help="what callers of /sandbox/ must send; needed where others can reach the sandbox",
    )
    add(
        "--allow-host",
        metavar="HOST",
        help="a host beyond loopback to listen on or to push to (may be repeated)",
        action="append",
        default=[],
    )


def _simulated(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--sites", metavar="N|FILE", default="1", help="how many, or a YAML or JSON file (default: 1)")
    add("--seed", metavar="N", type=int, default=0, help="another number is another weather (default: 0)")
    add("--speed", metavar="N", type=float, default=1.0, help="simulated seconds in a real one (default: 1)")
    add("--start", metavar="TIME", type=_instant, help="when simulated time begins (default: now)")
    add("--manual", action="store_true", help="time stands still until POST /sandbox/clock moves it")
    add(
        "--push-every",
        metavar="SECONDS",
        type=_duration,
        default="60",
        help="simulated time between data pushes (default: 60)",
    )
    add(
        "--state",
        metavar="FILE",
        help="keep the state there and go on from it (without: nothing is written)",
    )


def _sending(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--data-push-url", metavar="URL", help="where to push telemetry")
    add("--execution-response-url", metavar="URL", help="where to tell what became of an event")
    add(
        "--header",
        metavar="NAME=VALUE",
        type=_pair,
        help="header to send with both, as the partner configured it (may be repeated)",
        action="append",
        default=[],
    )
    add(
        "--signing-secret",
        metavar="whsec_…",
        help="sign as Standard Webhooks does; ours, Molecule documents no signature",
    )
    add("--timeout", metavar="SECONDS", type=float, default=5.0, help="how long you may take (default: 5)")
    add(
        "--retry-after",
        metavar="S,S,…",
        type=_pauses,
        default="1,5,30,120",
        help="simulated pauses before each repeat (default: %(default)s); none: ''",
    )


def _undocumented(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    shapes = ", ".join(PROFILES)
    add("--profile", metavar="NAME", default="inferred", help=f"the shapes of messages: {shapes}")
    add(
        "--choice",
        metavar="NAME=VARIANT",
        type=_pair,
        help=f"how something undocumented is played: {_variants()}; opt_out=SHARE (may be repeated)",
        action="append",
        default=[],
    )
    add(
        "--fault",
        metavar="NAME[:KEY=VALUE,…]",
        help="something that goes wrong, such as drop:probability=0.1,times=3 (may be repeated). "
        f"With calls: {', '.join(CALL_FAULTS)}. With pushes: {', '.join(PUSH_FAULTS)}.",
        action="append",
        default=[],
    )


def _variants() -> str:
    return "; ".join(f"{name}={'|'.join(variants)}" for name, (_, variants) in CHOICES.items())


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("write it as NAME=VALUE")
    return name, value


def _duration(text: str) -> timedelta:
    try:
        return timedelta(seconds=float(text))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("write a number of seconds") from None


def _pauses(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part)
    except ValueError:
        raise argparse.ArgumentTypeError("write seconds with commas between, such as 1,5,30") from None


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("write it as 2026-01-15T17:00:00Z") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
