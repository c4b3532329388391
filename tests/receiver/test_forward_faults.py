"""Forwarders and servers that are killed while deliveries come in: nothing is lost, nothing doubled."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from deliveries import new, push_body
from mosvpp.receiver import SqlInbox
from mosvpp.receiver.forwarding import forward, subject_of
from nats_cluster import Message, NatsCluster
from not_run import needs_all
from receiving import wait_until

SITES = 40
PROGRAM = """
import json, sys
from datetime import timedelta
from mosvpp.receiver.forwarding import forward
forward(**json.loads(sys.argv[1]), lease=timedelta(seconds=1))
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    with NatsCluster(tmp_path) as cluster:
        yield cluster


class Coming:
    """Deliveries that come in through two receivers at once, until it ends."""

    def __init__(self, url: str) -> None:
        self._inboxes = [SqlInbox(url), SqlInbox(url)]
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(place,)) for place in (0, 1)]
        self.count = 0

    def __enter__(self) -> Self:
        for inbox in self._inboxes:
            inbox.open()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        for inbox in self._inboxes:
            inbox.close()

    def _send(self, place: int) -> None:
        number = place
        while not self._end.wait(0.02):
            burst = [
                self._inboxes[place].put(new(push_body(number + 2 * step, f"site{(number + step) % SITES}")))
                for step in range(20)
            ]
            for pending in burst:
                assert pending.result(30)
            number += 40
            self.count += len(burst)


def start(url: str, cluster: NatsCluster, log: Path) -> subprocess.Popen[bytes]:
    settings = {"url": url, "servers": cluster.urls, "monitor_urls": cluster.monitor_urls}
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(settings)], stdout=file, stderr=file
        )


def length(cluster: NatsCluster) -> int:
    """How many messages the servers that answer have; nothing is asked of the stream itself."""
    said = [one.ask("/jsz") for one in cluster.servers]
    return max((one["messages"] for one in said if one), default=0)


@pytest.fixture
def process() -> Iterator[list[subprocess.Popen[bytes]]]:
    """The forwarder that runs at present, killed at the end."""
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for one in running:
        one.kill()
        one.wait()


@pytest.mark.parametrize("store_url", [pytest.param("sqlite", marks=needs_all), "postgresql"], indirect=True)
def test_whoever_is_killed_each_delivery_is_there_once(
    store_url: str, cluster: NatsCluster, tmp_path: Path, process: list[subprocess.Popen[bytes]]
) -> None:
    """The forwarder three times, in the middle of its work, and the server that leads the stream."""
    log, chance = tmp_path / "forwarder.log", random.Random(store_url)
    process.append(start(store_url, cluster, log))
    with Coming(store_url) as coming:
        wait_until(lambda: length(cluster) > 50)
        for turn in range(3):
            if turn == 1:
                leader = cluster.leader()
                leader.stop()
            further = length(cluster) + chance.randrange(100, 400)
            wait_until(lambda further=further: length(cluster) > further)
            process[-1].kill()
            process[-1].wait()
            process[-1] = start(store_url, cluster, log)
        leader.start()
        further = length(cluster) + 100
        wait_until(lambda: length(cluster) > further)
        assert process[-1].poll() is None, log.read_text()
    process[-1].terminate()
    assert process[-1].wait(60) == 0, log.read_text()
    cluster.wait()
    forward(store_url, cluster.urls, monitor_urls=cluster.monitor_urls, once=True)
    with SqlInbox(store_url) as inbox:
        stored = [(one.key, subject_of(one.kind, one.molecule_id)) for one in inbox.find()]
    assert len(stored) == coming.count
    messages = cluster.messages()
    assert by_subject(stored) == by_subject([(one.id, one.subject) for one in messages])


def by_subject(keys: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, subject in keys:
        found.setdefault(subject, []).append(key)
    return found


def test_control_who_goes_by_the_highest_number_and_repeats_what_is_in_doubt_doubles(
    tmp_path: Path, cluster: NatsCluster
) -> None:
    """What a forwarder that only remembers a number does after a crash, once the stream's memory is over."""
    url = f"sqlite:///{tmp_path}/inbox.db"
    with SqlInbox(url) as inbox:
        for number in range(5):
            inbox.put(new(push_body(number))).result()
    forward(url, cluster.urls, monitor_urls=cluster.monitor_urls, once=True)
    messages: list[Message] = cluster.messages()
    cluster.forget_ids()
    for message in messages:
        cluster.publish_again(message, with_order=False)
    ids = [one.id for one in cluster.messages()]
    assert len(ids) == 2 * len(set(ids)) == 10
