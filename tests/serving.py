"""A receiver on a real server, in processes of its own that can be killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Program", "Serving", "free_port"]

PATIENCE_S = 30  # only a failing test waits so long
PROGRAMS = Path(__file__).parent / "receiver" / "faults" / "programs"


class Program:
    """A Python program with settings, as a group of processes that ends as one."""

    def __init__(self, command: Sequence[str], settings: dict[str, Any], log: Path) -> None:
        self._command = list(command)
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PROGRAMS), str(PROGRAMS.parents[2])]),
        }
        self._settings = settings
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, **settings: Any) -> None:
        """Start it, with other settings where some are given. To wait until it is ready is up to others."""
        self._settings |= settings
        environment = {**self._environment, "SETTINGS": json.dumps(self._settings)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Of the first process of the group."""
        assert self._process is not None
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._process is None or self._process.poll() is not None

    def said(self) -> str:
        """What it printed."""
        return self._log.read_text("utf-8", "replace")

    def kill(self) -> None:
        """As a crash of the machine would: at once, every process of it."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            os.killpg(process.pid, how)
            process.wait(PATIENCE_S)
            os.killpg(process.pid, signal.SIGKILL)  # who did not end with the first one
        except ProcessLookupError:
            process.wait(PATIENCE_S)


class Serving(Program):
    """`programs/receiving.py` on a server, see there for what can be set; the port stays the same."""

    def __init__(
        self,
        folder: Path,
        store: str,
        *,
        server: str = "granian",
        before: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        self.port = free_port()
        command = [*before, sys.executable, str(PROGRAMS / "serve.py")]
        settings |= {"store": store, "server": server, "port": self.port}
        super().__init__(command, settings, folder / f"receiver-{self.port}.log")

    def start(self, **settings: Any) -> None:
        """Start, and wait until it is ready; with other settings where some are given."""
        super().start(**settings)
        try:
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def wait_until_ready(self) -> None:
        """Until it says that its store can be written."""
        until = time.monotonic() + PATIENCE_S
        while self.asked("/readyz") != 200:
            assert not self.has_ended(), self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.02)

    def asked(self, path: str) -> int | None:
        """The status that it answers there, None if it does not."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
