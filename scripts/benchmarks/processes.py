"""Servers as processes of their own, their memory as the kernel sees it, and what a sync of a disk costs."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from _setup import ROOT

__all__ = ["Server", "sync_cost_s"]

PATIENCE_S = 30.0


class Server:
    """One of `receiver_servers`, ready when this is entered."""

    def __init__(self, which: str, url: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._command = [sys.executable, "-m", "benchmarks.receiver_servers", which, url, str(self.port)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=ROOT / "scripts")
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)

    def memory_mb(self, field: str = "VmRSS") -> float:
        """Of the server and its workers, what they share counted for each; `VmHWM` is the most ever."""
        return sum(_memory_kb(number, field) for number in _family(self._process.pid)) / 1024


def _family(number: int) -> list[int]:
    several = [number]
    for task in Path(f"/proc/{number}/task").iterdir():
        for child in (task / "children").read_text("ascii").split():
            several += _family(int(child))
    return several


def _memory_kb(number: int, field: str) -> int:
    for line in Path(f"/proc/{number}/status").read_text("ascii", "replace").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    return 0


def sync_cost_s(folder: Path) -> float:
    """What it costs to have 4 KiB on the disk that holds the folder: the median of 200 times."""
    costs = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            costs.append(time.perf_counter() - began)
    return statistics.median(costs)
