"""What the operating system saw: each 200 follows an fdatasync that follows the write of that delivery."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from not_run import needs_strace
from pushing import Pushing
from serving import Serving

CALLS = "read,recvfrom,readv,write,writev,sendto,sendmsg,pwrite64,pwritev,fdatasync,fsync"
NUMBER = re.compile(r'\\"push\\": (\d+)')
LINE = re.compile(
    r"(?P<thread>\d+) +(?:<\.\.\. \w+ resumed>)?"
    r"(?:(?P<call>\w+)\(\d+<(?P<file>[^>]*?(?:->[^>]*)?)>)?"  # connections have an arrow in their names
)
WRITES = {"write", "writev", "sendto", "sendmsg"}


class Log:
    """A log of strace, read from the first line to the last.

    A write counts from where it ends, an fdatasync covers what was written before it began and counts from
    where it ends, an answer counts from where it begins: where threads run side by side, that is the reading
    that finds most faults.
    """

    def __init__(self, text: str) -> None:
        self.answers = 0
        self.faults: list[int] = []
        self._asked: dict[str, int] = {}
        self._written: set[int] = set()
        self._durable: set[int] = set()
        self._begun: dict[str, tuple[str, str, set[int]]] = {}
        for line in text.splitlines():
            self._read(line)

    def _read(self, line: str) -> None:
        match = LINE.match(line)
        if match is None:
            return
        thread, call, file = match["thread"], match["call"], match["file"]
        numbers = {int(number) for number in NUMBER.findall(line)}
        if call is not None:
            if call in WRITES and file.startswith("TCP") and "HTTP/1.1 200" in line:
                self._answer(file)
            if call in ("fdatasync", "fsync"):
                numbers = set(self._written)
            self._begun[thread] = (call, file, numbers)
            if line.endswith("<unfinished ...>"):
                return
        if thread in self._begun:
            call, file, before = self._begun.pop(thread)
            self._end(call, file, before | numbers)

    def _answer(self, connection: str) -> None:
        if connection in self._asked:
            number = self._asked.pop(connection)
            self.answers += 1
            if number not in self._durable:
                self.faults.append(number)

    def _end(self, call: str, file: str, numbers: set[int]) -> None:
        if file.startswith("TCP") and call not in WRITES:
            self._asked |= dict.fromkeys([file], max(numbers)) if numbers else {}
        elif file.endswith("inbox.db-wal"):
            if call in ("fdatasync", "fsync"):
                self._durable |= numbers
            else:
                self._written |= numbers


def traced(folder: Path, server: str, variant: str | None = None) -> Log:
    """A receiver that is watched while it is pushed to."""
    file = folder / "strace.log"
    # -yy names connections and files, -s shows a whole page of the database.
    watch = [
        "strace",
        "-f",
        "-yy",
        "-s",
        "6000",
        "-e",
        f"trace={CALLS}",
        "-e",
        "signal=none",
        "-o",
        str(file),
    ]
    store = f"sqlite:///{folder}/inbox.db"
    with (
        Serving(folder, store, server=server, before=watch, variant=variant) as receiver,
        Pushing(receiver.port, senders=4) as sender,
    ):
        sender.wait_for(60)
    assert sender.statuses() == {200}
    log = Log(file.read_text("utf-8", "replace"))
    assert log.answers >= len(sender.acknowledged) >= 60, "not every answer was seen"
    return log


@needs_strace
@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_sqlite_is_on_the_disk_before_the_sender_is_told(tmp_path: Path, server: str) -> None:
    assert traced(tmp_path, server).faults == []


@needs_strace
@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_control_synchronous_normal_answers_before_the_disk_has_it(tmp_path: Path, server: str) -> None:
    assert len(traced(tmp_path, server, "unsafe").faults) > 30
