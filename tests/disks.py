"""File systems of their own for tests that cut their power or fill them; mounting needs root on Linux."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["CutDisk", "SmallDisk", "cannot_mount"]

PATIENCE_S = 30  # only a failing test waits so long
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_WITHOUT_THE_LOG = struct.pack("I", 2)  # what is on its way does not get there, not even the journal


def cannot_mount(folder: Path) -> str | None:
    """Why no file system can be mounted here, or None. Being root in a container is often not enough."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "one must be root on Linux"
    missing = [name for name in ("mkfs.ext4", "mount", "umount") if shutil.which(name) is None]
    if missing:
        return f"{missing[0]} is missing"
    try:
        with CutDisk(folder, megabytes=8) as disk:
            disk.cut()
    except (subprocess.CalledProcessError, OSError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return f"{said.strip().splitlines()[0]}"
    return None


class _Disk:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "disk"

    def __enter__(self) -> Self:
        self.path.mkdir()
        self._mount()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._unmount()
        self.path.rmdir()

    def _mount(self) -> None:
        raise NotImplementedError

    def _unmount(self) -> None:
        until = time.monotonic() + PATIENCE_S
        while True:
            done = subprocess.run(["umount", str(self.path)], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            assert time.monotonic() < until, done.stderr  # a process that was killed has not ended yet
            time.sleep(0.05)


class CutDisk(_Disk):
    """An ext4 file system in a file, whose power can be cut.

    After `cut` everything fails with an input/output error, as with a disk that is gone. `repair` mounts it
    again: what is there is what had reached the disk at the moment of the cut.
    """

    def __init__(self, folder: Path, *, megabytes: int = 512) -> None:
        super().__init__(folder)
        self._image = folder / "image"
        self._megabytes = megabytes

    def __enter__(self) -> Self:
        with self._image.open("wb") as file:
            file.truncate(self._megabytes * 2**20)
        _run("mkfs.ext4", "-q", str(self._image))
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._image.unlink()

    def cut(self) -> None:
        """The power is off, now."""
        import fcntl  # not on Windows

        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _WITHOUT_THE_LOG)
        finally:
            os.close(descriptor)

    def repair(self) -> None:
        """The power is back. Whoever had a file open must have ended."""
        self._unmount()
        self._mount()

    def _mount(self) -> None:
        _run("mount", "-t", "ext4", "-o", "loop", str(self._image), str(self.path))


class SmallDisk(_Disk):
    """A file system in memory that is soon full; `fill` takes all that is left, `empty` gives it back."""

    def __init__(self, folder: Path, *, megabytes: int) -> None:
        super().__init__(folder)
        self._megabytes = megabytes

    def _mount(self) -> None:
        _run("mount", "-t", "tmpfs", "-o", f"size={self._megabytes}m,mode=0755", "tmpfs", str(self.path))

    def fill(self) -> None:
        """Not a byte is free."""
        with (self.path / "filler").open("wb", buffering=0) as file:
            for size in (2**16, 2**12, 1):
                while True:
                    try:
                        file.write(b"\0" * size)
                    except OSError:
                        break

    def empty(self) -> None:
        """As before."""
        (self.path / "filler").unlink()


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True)
