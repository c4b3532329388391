"""The disk is full: 503 until there is room again, and nothing that was acknowledged is lost.

The full disk is a real one where file systems can be mounted. Everywhere else files may not grow any more,
which looks the same to the store.
"""

from __future__ import annotations

import signal
from pathlib import Path

from deliveries import new
from disks import SmallDisk
from mosvpp.receiver import SqlInbox
from not_run import needs_linux
from postgresql import PostgresServer
from pushing import Pushing, body_of, doubled, lost
from serving import Serving

PATIENCE_S = 30  # only a failing test waits so long
FEW_PAGES = 160  # of 4 KiB


def insist_that_all_is_there(sender: Pushing, store: str) -> None:
    assert lost(sender.acknowledged, store) == set()
    assert doubled(store) == []
    assert sender.statuses() == {200, 503}


def test_sqlite_that_may_grow_no_more(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/inbox.db"
    with (
        Serving(tmp_path, store, pages=FEW_PAGES) as receiver,
        Pushing(receiver.port) as sender,
    ):
        sender.wait_for_answer(503)
        sender.wait_for_answer(503)
        receiver.stop()
        assert "disk is full" in receiver.said()
        assert "Traceback" not in receiver.said(), "the log may be on that disk as well"
        assert lost(set(sender.acknowledged), store) == set()
        receiver.start(pages=None)  # there is room again
        sender.wait_for(100)
    insist_that_all_is_there(sender, store)


def test_sqlite_on_a_full_disk(tmp_path: Path, small_disk: SmallDisk) -> None:
    store = f"sqlite:///{small_disk.path}/inbox.db"
    with Serving(tmp_path, store) as receiver, Pushing(receiver.port) as sender:
        for _ in range(3):
            sender.wait_for(100)
            small_disk.fill()
            sender.wait_for_answer(503)
            small_disk.empty()
        sender.wait_for(100)
        assert not receiver.has_ended()
    insist_that_all_is_there(sender, store)


@needs_linux
def test_postgresql_whose_files_may_grow_no_more(tmp_path: Path) -> None:
    with PostgresServer(longest_file=2**20) as server:
        store = server.url()
        with SqlInbox(store) as inbox:  # nearly as much as there is room for
            earlier = [inbox.put(new(body_of(-number), at=inbox.now())) for number in range(1, 1500)]
            assert all(pending.result(PATIENCE_S) for pending in earlier)
        with Serving(tmp_path, store) as receiver, Pushing(receiver.port) as sender:
            sender.wait_for_answer(503)
            server.longest_file = None
            server.stop(signal.SIGINT)
            server.start()
            sender.wait_for(100)
            assert not receiver.has_ended()
        insist_that_all_is_there(sender, store)


def test_postgresql_on_a_full_disk(tmp_path: Path, small_disk: SmallDisk) -> None:
    settings = {"min_wal_size": "32MB", "max_wal_size": "32MB"}
    with PostgresServer(settings, data=small_disk.path / "data") as server:
        store = server.url()
        with Serving(tmp_path, store) as receiver, Pushing(receiver.port) as sender:
            for _ in range(2):
                sender.wait_for(100)
                small_disk.fill()
                sender.wait_for_answer(503)
                small_disk.empty()
                if server.has_ended():  # it gives up where it cannot even write its log
                    server.start()
            sender.wait_for(100)
            assert not receiver.has_ended()
        insist_that_all_is_there(sender, store)


def test_control_who_acknowledges_before_the_commit_loses_some(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/inbox.db"
    with (
        Serving(tmp_path, store, variant="early", pages=FEW_PAGES) as receiver,
        Pushing(receiver.port) as sender,
    ):
        sender.wait_for(1500)  # more than there is room for
        receiver.stop()
    assert lost(sender.acknowledged, store)
