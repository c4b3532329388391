"""What holds for every test: the machine is not left, no setting of the person at the keyboard counts."""

from __future__ import annotations

import _socket
import functools
import ipaddress
import logging
import os
import signal
import socket
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

from browsing import chromium  # noqa: F401  a fixture for every test that asks for it
from not_run import NOT_RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Times are no result: a busy machine must not fail a test. A property that deserves more examples says so as
# a multiple, `@settings(max_examples=25 * settings().max_examples)`: 400 are then 10,000 in CI.
_patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("local", max_examples=100, **_patient)
settings.register_profile("ci", settings.get_profile("ci"), max_examples=400, **_patient)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# A shell starts what runs in the background with Ctrl-C ignored, and programs that tests start inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_abroad: list[str] = []


def _stay_on_this_machine(owner: Any, function: str, host_of: Callable[[tuple[Any, ...]], object]) -> None:
    """Let a function refuse every other machine.

    An audit hook would see more. But Python asks one in the middle of sys.settrace, where another thread that
    starts then fails, and coverage calls that in every thread.
    """
    original = getattr(owner, function)

    @functools.wraps(original)
    def guarded(*arguments: Any, **options: Any) -> Any:
        host = host_of(arguments)
        name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
        if name.endswith(".invalid"):  # reserved for names that do not exist; no server has to be asked
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if not _is_this_machine(name):
            _abroad.append(f"{function} {name}")
            raise OSError(f"tests stay on this machine, {name} is another one")
        return original(*arguments, **options)

    setattr(owner, function, guarded)


def _host(arguments: tuple[Any, ...]) -> object:
    """Of an address of the internet, which is a tuple; a path of this machine is none."""
    return arguments[-1][0] if isinstance(arguments[-1], tuple) else None


def _is_this_machine(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name == "localhost"
    return address.is_loopback or address.is_unspecified


_stay_on_this_machine(_socket, "getaddrinfo", lambda arguments: arguments[0])
for _function in ("connect", "connect_ex", "sendto"):
    _stay_on_this_machine(socket.socket, _function, _host)


@pytest.fixture(autouse=True)
def _nobody_went_abroad() -> Iterator[None]:
    """Fail a test that tried to reach another machine, even if the code under test swallowed the refusal."""
    _abroad.clear()
    yield
    assert not _abroad


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        ours = name.startswith("MOSVPP_") and name != "MOSVPP_ALL_TESTS"
        if ours or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_log_outlives_its_test() -> Iterator[None]:
    """Undo what a program set up for its log: it may write to the captured output of its own test."""

    def loggers() -> list[logging.Logger]:
        known = list(logging.root.manager.loggerDict.values())  # a thread may add one meanwhile
        return [logger for logger in known if isinstance(logger, logging.Logger)]

    before = {logger: (logger.handlers[:], logger.propagate) for logger in loggers()}
    yield
    for logger in loggers():
        handlers, propagates = before.get(logger, ([], True))
        for handler in logger.handlers[:]:
            # A library that was imported meanwhile keeps its NullHandler.
            if isinstance(handler, logging.StreamHandler) and handler not in handlers:
                logger.removeHandler(handler)
        logger.propagate = propagates


@pytest.fixture(autouse=True)
def _properties_are_not_measured(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave coverage to the other tests: what a property reaches is chance, and measuring takes as long."""
    measuring = Coverage.current() if request.node.get_closest_marker("hypothesis") else None
    if measuring:
        measuring.stop()
    yield
    if measuring:
        measuring.start()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what this machine could not show: nobody shall take it for seen."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    ours = {reason: count for reason, count in reasons.items() if reason.startswith(NOT_RUN)}
    if ours:
        terminalreporter.section("NOT RUN HERE", yellow=True, bold=True)
        for reason, count in ours.items():
            terminalreporter.line(f"{count:3} × {reason.removeprefix(NOT_RUN)}", yellow=True)
