"""The power goes in the middle of the load: what was acknowledged is on the disk.

The file system is a real one, in a file; the cut leaves in it exactly what had been synced, or had got there
by itself. Nothing is acknowledged after the cut either: that is part of the count.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from disks import CutDisk
from not_run import needs_all
from postgresql import PostgresServer
from pushing import Pushing, doubled, lost
from serving import Serving

pytestmark = needs_all

CUTS = 3

Cut: TypeAlias = Callable[[Serving], None]


def lost_in_cuts(sender: Pushing, receiver: Serving, store: str, cut: Cut) -> set[int]:
    """What several cuts have cost."""
    moments, missing = random.Random(2), set[int]()
    for _ in range(CUTS):
        sender.wait_for(400)
        time.sleep(moments.uniform(0, 0.3))
        cut(receiver)
        missing |= lost(set(sender.acknowledged), store)
        if receiver.has_ended():
            receiver.start()
    return missing


@pytest.fixture
def cut_sqlite(cut_disk: CutDisk) -> Cut:
    def cut(receiver: Serving) -> None:
        cut_disk.cut()
        time.sleep(0.2)  # whoever would acknowledge something now, lets him
        receiver.kill()
        cut_disk.repair()

    return cut


@pytest.fixture
def server_on_disk(cut_disk: CutDisk) -> Iterator[PostgresServer]:
    settings = {"min_wal_size": "32MB", "max_wal_size": "64MB"}
    with PostgresServer(settings, data=cut_disk.path / "data") as server:
        yield server


def test_sqlite_loses_nothing_that_was_acknowledged(
    tmp_path: Path, cut_disk: CutDisk, cut_sqlite: Cut
) -> None:
    store = f"sqlite:///{cut_disk.path}/inbox.db"
    with Serving(tmp_path, store) as receiver, Pushing(receiver.port) as sender:
        assert lost_in_cuts(sender, receiver, store, cut_sqlite) == set()
        sender.wait_for(100)
    assert lost(sender.acknowledged, store) == set()
    assert doubled(store) == []


def test_control_sqlite_with_synchronous_normal_loses_some(
    tmp_path: Path, cut_disk: CutDisk, cut_sqlite: Cut
) -> None:
    store = f"sqlite:///{cut_disk.path}/inbox.db"
    with Serving(tmp_path, store, variant="unsafe") as receiver, Pushing(receiver.port) as sender:
        assert lost_in_cuts(sender, receiver, store, cut_sqlite)


def cut_of(server: PostgresServer, disk: CutDisk, **settings: str) -> Cut:
    def cut(receiver: Serving) -> None:
        disk.cut()
        time.sleep(0.2)
        server.kill()
        disk.repair()
        server.start(**settings)

    return cut


def test_postgresql_loses_nothing_that_was_acknowledged(
    tmp_path: Path, cut_disk: CutDisk, server_on_disk: PostgresServer
) -> None:
    store = server_on_disk.url()
    with Serving(tmp_path, store) as receiver, Pushing(receiver.port) as sender:
        cut = cut_of(server_on_disk, cut_disk)
        assert lost_in_cuts(sender, receiver, store, cut) == set()
        sender.wait_for(100)
    assert lost(sender.acknowledged, store) == set()
    assert doubled(store) == []
    assert sender.statuses() <= {200, 503}


def test_control_postgresql_without_synchronous_commit_loses_some(
    tmp_path: Path, cut_disk: CutDisk, server_on_disk: PostgresServer
) -> None:
    server_on_disk.stop()
    server_on_disk.start(synchronous_commit="off")
    store = server_on_disk.url()
    with Serving(tmp_path, store, variant="unsafe") as receiver, Pushing(receiver.port) as sender:
        # Back with it on, so that what counts the losses is let in.
        assert lost_in_cuts(sender, receiver, store, cut_of(server_on_disk, cut_disk))
