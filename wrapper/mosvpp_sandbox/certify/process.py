"""The receiver as a process that the certification starts, kills with -9 and starts again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from base64 import b64decode
from binascii import Error as Base64Error
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from .target import Target

__all__ = ["ListingError", "ReceiverProcess", "listed"]

START_S = 30.0
STOP_S = 10.0
LIST_S = 60.0


class ReceiverProcess:
    """Started by the partner's command, without a shell; what it prints is not read, it may hold secrets."""

    def __init__(self, target: Target) -> None:
        self._command = list(target.command)
        self._addresses = target.addresses
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it listens. Raises `OSError` with what happened instead."""
        if self._process is None and any(_listens(*address) for address in self._addresses):
            raise OSError("something listens there already; end it, --command starts the receiver itself")
        self._process = subprocess.Popen(  # noqa: ASYNC220, S603  quick, and given by who certifies
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = asyncio.get_running_loop().time() + START_S
        while not all([await asyncio.to_thread(_listens, *address) for address in self._addresses]):
            if (code := self._process.poll()) is not None:
                msg = f"the receiver ended before it listened (exit code {code}); try its command by hand"
                raise OSError(msg)
            if asyncio.get_running_loop().time() > end:
                msg = f"the receiver did not listen within {START_S:g} s; try its command by hand"
                raise OSError(msg)
            await asyncio.sleep(0.05)

    @property
    def is_running(self) -> bool:
        """Whether the process that was started is still there."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """What a power cut does to a process, and to those that it has started."""
        if self._process is not None:
            _signal(self._process, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
            self._process.wait()

    async def restart(self) -> None:
        """Kill what is left of it, and start it again. Raises `OSError`."""
        self.kill()
        end = asyncio.get_running_loop().time() + STOP_S
        while any([await asyncio.to_thread(_listens, *address) for address in self._addresses]):
            if asyncio.get_running_loop().time() > end:
                raise OSError("something of the receiver goes on listening after it was killed")
            await asyncio.sleep(0.05)
        await self.start()

    def stop(self) -> None:
        """End it politely, and in the end by force."""
        if self._process is None:
            return
        if self._process.poll() is None:
            _signal(self._process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self.kill()


class ListingError(Exception):
    """What the list command gave is no list; the message does not repeat it."""


async def listed(command: Sequence[str]) -> Counter[bytes]:
    """The bodies that the receiver has stored, each as often as it is listed. Raises `ListingError`."""
    try:
        done = await asyncio.to_thread(
            subprocess.run,
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        msg = f"the list command took longer than {LIST_S:g} s"
        raise ListingError(msg) from None
    except OSError as error:
        msg = f"the list command does not start: {error.strerror}"
        raise ListingError(msg) from None
    if done.returncode != 0:
        msg = f"the list command ended with exit code {done.returncode}; try it by hand"
        raise ListingError(msg)
    return Counter(_body(line, number) for number, line in enumerate(done.stdout.splitlines(), 1) if line)


def _body(line: bytes, number: int) -> bytes:
    try:
        return b64decode(msgspec.json.decode(line, type=dict)["body"], validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, Base64Error, ValueError):
        msg = f"line {number} of the list is no JSON object with the raw bytes as base64 in `body`"
        raise ListingError(msg) from None


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """To the whole group where there are groups: a server may consist of several processes."""
    if sys.platform == "win32":
        process.send_signal(number)
        return
    with suppress(ProcessLookupError):  # all of them have ended already
        os.killpg(process.pid, number)
