"""File systems to break."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from disks import CutDisk, SmallDisk, cannot_mount
from not_run import NOT_RUN


@pytest.fixture(scope="session")
def _mounting(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Go on only where file systems can be mounted."""
    reason = cannot_mount(tmp_path_factory.mktemp("mounting"))
    if reason is not None:
        pytest.skip(f"{NOT_RUN}breaks a file system, which cannot be mounted here: {reason}")


@pytest.fixture
def _open_folder(_mounting: None) -> Iterator[Path]:
    """A folder that PostgreSQL may read as well, which does not run as root."""
    with tempfile.TemporaryDirectory(prefix="mosvpp-disk-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def cut_disk(_open_folder: Path) -> Iterator[CutDisk]:
    with CutDisk(_open_folder) as disk:
        yield disk


@pytest.fixture
def small_disk(_open_folder: Path) -> Iterator[SmallDisk]:
    with SmallDisk(_open_folder, megabytes=96) as disk:
        yield disk
