"""Makes one check after the other, within a time limit, and notices when the receiver is no longer there."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from errno import ENOENT
from typing import Protocol

from .catalogue import CHECKS
from .check import Check, NotApplicableError, Result, Verdict
from .play import Play
from .process import ListingError, ReceiverProcess
from .report import Report
from .sender import Sender
from .target import Side, Target

__all__ = ["Watcher", "certify", "described"]

RETURN_S = 10.0  # how long a supervisor has to start a receiver again


class Watcher(Protocol):
    """Sees what happens while it happens."""

    def begins(self, check: Check) -> None:
        """A check begins."""
        ...

    def sent(self, result: Result) -> None:
        """A delivery of it was sent."""
        ...

    def ends(self, result: Result) -> None:
        """It has ended."""
        ...


class _Nobody:
    def begins(self, check: Check) -> None:
        pass

    def sent(self, result: Result) -> None:
        pass

    def ends(self, result: Result) -> None:
        pass


async def certify(
    target: Target, *, checks: Sequence[Check] = CHECKS, watcher: Watcher | None = None
) -> Report:
    """Make the checks. Raises `OSError` where the receiver, or a program to run, is not there."""
    for command in (target.command, target.list_command, target.dispatcher_command):
        if command and shutil.which(command[0]) is None:
            raise FileNotFoundError(ENOENT, "there is no such program", command[0])
    began, began_at = time.monotonic(), datetime.now(UTC)
    process = ReceiverProcess(target) if target.command else None
    try:
        if process is not None:
            await process.start()
        async with Sender(target) as sender:
            asked = [check for check in checks if check.side in target.sides]
            results = await _Run(target, Play(target, sender, process), watcher or _Nobody()).all(asked)
    finally:
        if process is not None:
            process.stop()
    return Report(target, tuple(results), began_at, time.monotonic() - began)


class _Run:
    def __init__(self, target: Target, play: Play, watcher: Watcher) -> None:
        self._play = play
        self._watcher = watcher
        self._end = time.monotonic() + target.deadline
        self._deadline = target.deadline
        self._blocked: dict[Side, str] = {}  # why what comes next cannot be made

    async def all(self, checks: Sequence[Check]) -> list[Result]:
        if not await self._play.is_there(patience=0):
            raise OSError("the receiver does not answer; is it running, and are the URLs right?")
        return [await self._one(check) for check in checks]

    async def _one(self, check: Check) -> Result:
        result = Result(check, Verdict.PASSED)
        self._watcher.begins(check)
        began = time.monotonic()
        if check.side in self._blocked:
            result.verdict = Verdict.BLOCKED
            result.notes.append(self._blocked[check.side])
        else:
            self._play.begin(result, lambda: self._watcher.sent(result))
            await self._make(check, result)
            await self._look_after(result)
        result.seconds = time.monotonic() - began
        self._watcher.ends(result)
        return result

    async def _make(self, check: Check, result: Result) -> None:
        try:
            async with asyncio.timeout(max(0.0, self._end - time.monotonic())):
                await check.body(self._play)
        except NotApplicableError as error:
            result.verdict = Verdict.SKIPPED
            result.notes.append(str(error))
        except TimeoutError:
            over = f"the certification may take {self._deadline:g} s (--deadline), and they were over"
            self._blocked = {"receiver": over, "dispatcher": over}
            result.faults.append(over)
        except (ListingError, OSError) as error:  # of the partner's commands
            result.faults.append(described(error))
        if result.faults:
            result.verdict = Verdict.FAILED

    async def _look_after(self, result: Result) -> None:
        """After a delivery without an answer, see whether the receiver is there; if not, start it again."""
        silent = any(exchange.answer.status is None for exchange in result.exchanges)
        if self._blocked or not silent or await self._play.is_there(0 if self._play.process else RETURN_S):
            return
        result.verdict = Verdict.FAILED
        process = self._play.process
        if process is None:
            result.faults.append(
                f"the receiver was gone afterwards, and did not come back within {RETURN_S:g} s"
            )
            self._blocked["receiver"] = f"the receiver was gone after {result.check.name}"
            return
        result.faults.append("the receiver was gone afterwards; it was started again for the next check")
        try:
            await process.restart()
        except OSError as error:
            self._blocked["receiver"] = f"after {result.check.name}: {described(error)}"


def described(error: Exception) -> str:
    """An error in a sentence; of a command that does not start only the program, not its arguments."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
