"""Forwarding to a real cluster: what is published, what is refused, and what is never doubled."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import nats
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js import api
from sqlalchemy import text

from deliveries import BEGINNING, SITE, new, push_body, report_body
from manual_clock import ManualClock
from mosvpp.errors import RuleError, StoreError
from mosvpp.events import DataPush, ExecutionReport
from mosvpp.receiver import SqlInbox
from mosvpp.receiver._forward_store import Horizon
from mosvpp.receiver._storing import row_of, store_rows
from mosvpp.receiver._tables import SCHEMA
from mosvpp.receiver.forwarding import Forwarded, Forwarder, event_of, forget, forward, progress, subject_of
from mosvpp.store import Database
from nats_cluster import NatsCluster, NatsServer
from postgresql import PostgresServer
from receiving import wait_until

CONSUMER = Path(__file__).parents[2] / "spec" / "docs" / "receivers" / "nats_consumer.py"


@pytest.fixture(scope="module")
def three_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with NatsCluster(tmp_path_factory.mktemp("nats")) as cluster:
        yield cluster


@pytest.fixture
def cluster(three_servers: NatsCluster) -> Iterator[NatsCluster]:
    """Three servers without a stream."""
    yield three_servers
    three_servers.remove_streams()


def stored(url: str, bodies: list[bytes], *, kind: str = "data_push", **more: Any) -> None:
    with SqlInbox(url) as inbox:
        for pending in [inbox.put(new(body, kind=kind, **more)) for body in bodies]:
            pending.result()


def pushes(count: int, sites: int = 5, *, first: int = 0) -> list[bytes]:
    return [push_body(number, f"site{number % sites}") for number in range(first, first + count)]


def forward_once(url: str, cluster: NatsCluster, **options: Any) -> Forwarded:
    return forward(url, cluster.urls, monitor_urls=cluster.monitor_urls, once=True, **options)


# What is published


def test_every_delivery_is_in_the_stream_once_and_in_order(store_url: str, cluster: NatsCluster) -> None:
    stored(store_url, pushes(600))
    stored(store_url, [report_body(), b"no json"], kind="execution_response")
    assert forward_once(store_url, cluster).published == 602
    assert forward_once(store_url, cluster) == Forwarded()
    messages = cluster.messages()
    with SqlInbox(store_url) as inbox:
        found = list(inbox.find())
    assert sorted(message.id for message in messages) == sorted(one.key for one in found)
    for subject in {message.subject for message in messages}:
        here = [(message.id, message.body) for message in messages if message.subject == subject]
        assert here == [
            (one.key, one.body) for one in found if subject_of(one.kind, one.molecule_id) == subject
        ]
    assert {message.subject for message in messages} == {
        *(f"mosvpp.data_push.site{number}" for number in range(5)),
        f"mosvpp.execution_response.{SITE}",
        "mosvpp.execution_response._",
    }


def test_a_message_can_be_read_as_the_event_that_it_is(tmp_path: Path, cluster: NatsCluster) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, [push_body()])
    stored(url, [report_body()], kind="execution_response")
    forward_once(url, cluster)
    push, report = (event_of(message.subject, message.body) for message in cluster.messages())
    assert isinstance(push, DataPush)
    assert isinstance(report, ExecutionReport)
    assert cluster.messages()[0].headers["Mosvpp-Received-At"] == BEGINNING.isoformat()


@pytest.mark.parametrize(
    ("molecule_id", "token"),
    [
        (SITE, SITE),
        ("Site-7_b", "Site-7_b"),
        ("a.b", "a%2Eb"),
        ("a b", "a%20b"),
        ("*", "%2A"),
        (">", "%3E"),
        ("_", "%5F"),
        ("100%", "100%25"),
        ("é", "%C3%A9"),
        (None, "_"),
    ],
)
def test_each_site_has_a_subject_of_its_own(molecule_id: str | None, token: str) -> None:
    assert subject_of("data_push", molecule_id) == f"mosvpp.data_push.{token}"


@given(st.text(min_size=1), st.text(min_size=1))
def test_whatever_the_ids_subjects_are_valid_and_differ(one: str, other: str) -> None:
    subject = subject_of("data_push", one)
    assert re.fullmatch(r"mosvpp\.data_push\.[A-Za-z0-9%_-]+", subject)
    assert (subject == subject_of("data_push", other)) == (one == other)
    assert subject != subject_of("data_push", None)


def test_what_is_older_or_purged_is_left_out(tmp_path: Path, cluster: NatsCluster) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, pushes(3))
    stored(url, pushes(2, first=3), at=BEGINNING + timedelta(hours=1))
    done = forward_once(url, cluster, since=BEGINNING + timedelta(minutes=1))
    assert (done.published, done.passed_over) == (2, 3)


def test_what_was_forwarded_may_count_as_done(store_url: str, cluster: NatsCluster) -> None:
    stored(store_url, pushes(3))
    forward_once(store_url, cluster, finish=True)
    with SqlInbox(store_url) as inbox:
        assert {one.state for one in inbox.find()} == {"done"}
        assert inbox.backlog()["data_push"].unfinished == 0


def test_the_consumer_of_the_guide_does_everything_once_though_it_is_killed(
    tmp_path: Path, cluster: NatsCluster
) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, pushes(200))
    forward_once(url, cluster)
    cluster.make_consumer("telemetry", ack_wait=1)  # otherwise half a minute: what it held comes again then
    environment = {**os.environ, "DATABASE": f"{tmp_path}/effect.db", "MOSVPP_NATS": ",".join(cluster.urls)}
    applied = 0
    for least in (30, 200):
        consumer = subprocess.Popen([sys.executable, str(CONSUMER)], env=environment)
        wait_until(lambda least=least: effect(tmp_path) >= least)
        consumer.kill()
        consumer.wait()
        applied = effect(tmp_path)
    assert applied == 200


def effect(folder: Path) -> int:
    """How many pushes were counted."""
    with closing(sqlite3.connect(folder / "effect.db", timeout=30)) as database:
        try:
            return database.execute("SELECT coalesce(sum(pushes), 0) FROM sites").fetchone()[0]
        except sqlite3.OperationalError:  # it has not begun yet
            return 0


# What PostgreSQL commits late


def test_what_commits_late_is_not_passed_over(postgresql: PostgresServer) -> None:
    """A number is given out before its transaction ends: the later one is seen first."""
    url = postgresql.url()
    database = Database(url, SCHEMA)
    database.open()
    horizon = Horizon(database)
    with database.write() as slow:
        store_rows(slow, [row_of(new(push_body(1)))])
        with database.write() as fast:
            store_rows(fast, [row_of(new(push_body(2)))])
        with database.read() as connection:
            seen = connection.scalars(text("SELECT seq FROM mosvpp_deliveries")).all()
        assert len(seen) == 1  # who went on from here would never see the other one
        assert horizon.advance() < seen[0]
        assert horizon.is_waiting
    assert horizon.advance() == seen[0]
    assert not horizon.is_waiting
    with database.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM mosvpp_deliveries")) == 2
    database.close()


def test_who_only_reads_or_writes_elsewhere_holds_nothing_up(postgresql: PostgresServer) -> None:
    url, elsewhere = postgresql.url(), postgresql.url()
    stored(url, pushes(1))
    stored(elsewhere, pushes(1))
    database, other = Database(url, SCHEMA), Database(elsewhere, SCHEMA)
    database.open()
    other.open()
    with other.write() as writing, database.read() as reading:
        store_rows(writing, [row_of(new(push_body(9)))])
        reading.execute(text("SELECT count(*) FROM mosvpp_deliveries"))
        assert Horizon(database).advance() == 1
    database.close()
    other.close()


# What is never doubled


def test_what_was_published_is_found_long_after_the_stream_has_forgotten_its_ids(
    store_url: str, cluster: NatsCluster
) -> None:
    """A forwarder died after the stream had answered, and stayed away for long."""
    stored(store_url, pushes(100))
    forward_once(store_url, cluster)
    stored(store_url, pushes(100, first=100))
    before = marks(store_url)
    forward_once(store_url, cluster)
    set_marks(store_url, before)  # as if it had died before it could store this
    cluster.forget_ids()
    # Control: nothing but its order keeps the stream from taking it again.
    again = cluster.publish_again(cluster.messages()[-1], with_order=False)
    assert not again.duplicate
    cluster.remove(again.seq)
    stored(store_url, pushes(50, first=200))
    done = forward_once(store_url, cluster)
    assert (done.published, done.found) == (50, 100)
    ids = [message.id for message in cluster.messages()]
    assert len(ids) == len(set(ids)) == 250


def test_a_late_repetition_is_refused_by_the_stream(tmp_path: Path, cluster: NatsCluster) -> None:
    """A forwarder that slept while another one took over wakes up and sends what it had in hand."""
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, pushes(20, sites=2))
    forward_once(url, cluster)
    cluster.forget_ids()
    for message in cluster.messages():
        with pytest.raises(nats.js.errors.APIError) as refused:
            cluster.publish_again(message)
        assert refused.value.err_code == 10071  # wrong last sequence
    assert len(cluster.messages()) == 20


def test_a_stream_that_lost_its_end_gets_what_is_new(
    tmp_path: Path, cluster: NatsCluster, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, pushes(20))
    forward_once(url, cluster)
    cluster.remove_streams()
    stored(url, pushes(5, first=20))
    assert forward_once(url, cluster).published == 5
    assert "shorter than it was" in caplog.text


def marks(url: str) -> tuple[int, int]:
    database = Database(url, SCHEMA)
    database.open()
    with database.read() as connection:
        row = connection.execute(text("SELECT seq, log_seq FROM mosvpp_forwarding")).one()
    database.close()
    return row[0], row[1]


def set_marks(url: str, marks: tuple[int, int]) -> None:
    database = Database(url, SCHEMA)
    database.open()
    with database.write() as connection:
        values = {"seq": marks[0], "log_seq": marks[1]}
        connection.execute(text("UPDATE mosvpp_forwarding SET seq = :seq, log_seq = :log_seq"), values)
    database.close()


# Whose turn it is


@contextmanager
def running(url: str, cluster: NatsCluster, **options: Any) -> Iterator[Forwarder]:
    """A forwarder in a thread of its own, stopped in order."""
    made: list[tuple[Forwarder, asyncio.AbstractEventLoop]] = []
    failed: list[BaseException] = []
    is_made = threading.Event()

    async def run() -> None:
        forwarder = Forwarder(url, cluster.urls, **{"monitor_urls": cluster.monitor_urls, **options})
        made.append((forwarder, asyncio.get_running_loop()))
        is_made.set()
        try:
            await forwarder.run()
        except StoreError as error:
            failed.append(error)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert is_made.wait(60)
    forwarder, loop = made[0]
    try:
        yield forwarder
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(forwarder.stop)
        thread.join()
    if failed:
        raise failed[0]


def test_it_goes_on_with_what_comes_and_another_takes_over(store_url: str, cluster: NatsCluster) -> None:
    stored(store_url, pushes(10))
    short = {"lease": timedelta(seconds=1)}
    with running(store_url, cluster, **short) as first:
        wait_until(lambda: first.done.published == 10)
        with running(store_url, cluster, **short) as second:
            stored(store_url, pushes(10, first=10))
            wait_until(lambda: first.done.published == 20)
            assert second.done == Forwarded()
            with pytest.raises(StoreError, match="another forwarder fills MOSVPP") as held:
                forward_once(store_url, cluster, **short)
            assert held.value.reason == "held"
            first.stop()  # an event that is set from another thread: it looks once a moment
            stored(store_url, pushes(10, first=20))
            wait_until(lambda: second.done.published + first.done.published == 30)
    assert len(cluster.messages()) == 30


def test_a_store_that_is_away_for_a_while_is_waited_for(
    postgresql: PostgresServer, cluster: NatsCluster, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgresql.url()
    stored(url, pushes(10))
    with running(url, cluster) as forwarder:
        wait_until(lambda: forwarder.done.published == 10)
        for number in range(1, 4):
            postgresql.cut_connections()
            stored(url, pushes(10, first=10 * number))
        wait_until(lambda: forwarder.done.published == 40)
    assert len(cluster.messages()) == 40


# What is owed


def test_what_a_stream_is_to_get_is_not_purged(
    store_url: str, cluster: NatsCluster, clock: ManualClock
) -> None:
    stored(store_url, pushes(3))
    forward_once(store_url, cluster, finish=True)
    stored(store_url, pushes(2, first=3))
    clock.advance(30 * 86_400)
    with SqlInbox(store_url, clock=clock) as inbox:
        assert inbox.purge(older_than=timedelta(days=1), state="waiting") == 0
        assert inbox.purge(older_than=timedelta(days=1)) == 3
    (owed,) = progress(store_url)
    assert (owed.stream, owed.behind, owed.holder) == ("MOSVPP", 2, None)
    assert forget(store_url)
    assert not forget(store_url)
    with SqlInbox(store_url, clock=clock) as inbox:
        assert inbox.purge(older_than=timedelta(days=1), state="waiting") == 2


def test_an_inbox_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, pushes(1))
    with SqlInbox(url) as inbox:
        inbox.quarantine("data_push", push_body(1), {"date": "x"}, reason="wrong_secret", delivery_id=b"id")
        inbox.check().result(30)
        before = list(inbox.quarantined())
    database = Database(url, SCHEMA)
    database.open()
    with database.write() as connection:
        connection.execute(text("DROP TABLE mosvpp_forwarding"))
        connection.execute(text("CREATE TABLE before AS SELECT * FROM mosvpp_quarantine"))
        connection.execute(text("DROP TABLE mosvpp_quarantine"))
        connection.execute(text(_FIRST_QUARANTINE))
        connection.execute(text("INSERT INTO mosvpp_quarantine SELECT * FROM before"))
        connection.execute(text("DROP TABLE before"))
        connection.execute(text("UPDATE mosvpp_schemas SET version = 1 WHERE name = 'inbox'"))
    database.close()
    assert progress(url) == []
    with SqlInbox(url) as inbox:
        assert list(inbox.quarantined()) == before != []
        assert inbox.release([before[0].seq]) == 1
        inbox.quarantine("data_push", push_body(2), {}, reason="wrong_secret", delivery_id=None)
        inbox.check().result(30)
        (stranger,) = inbox.quarantined()
        assert stranger.seq > before[0].seq


_FIRST_QUARANTINE = """
CREATE TABLE mosvpp_quarantine (
    seq INTEGER NOT NULL PRIMARY KEY, kind TEXT NOT NULL, received_at BIGINT NOT NULL, reason TEXT NOT NULL,
    delivery_id BLOB, headers TEXT NOT NULL, body BLOB NOT NULL
)"""


# What is refused


def test_a_server_that_acknowledges_before_it_syncs_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, pushes(3))
    with NatsCluster(tmp_path, size=1, sync="sync_interval: 10s") as alone:
        with pytest.raises(StoreError, match="sync_interval: always") as refused:
            forward_once(url, alone, replicas=1)
        assert refused.value.reason == "unsafe"
        with pytest.raises(RuleError, match="where the monitors are"):
            forward(url, alone.urls, once=True, replicas=1)
        done = forward(url, alone.urls, once=True, replicas=1, allow_unsynced=True)
        assert done.published == 3
        alone.servers[0].stop()
        alone.configure(sync="sync_interval: always")
        alone.start()
        with pytest.raises(StoreError, match="sync_interval"), running_until_unsafe(url, alone):
            pass


@contextmanager
def running_until_unsafe(url: str, alone: NatsCluster) -> Iterator[None]:
    """A server that is good at first comes back with another configuration."""
    with running(url, alone, replicas=1, look_every=timedelta(milliseconds=50)) as forwarder:
        wait_until(lambda: progress(url)[0].holder is not None)
        alone.servers[0].stop()
        alone.configure(sync="sync_interval: 2m")
        alone.start()
        wait_until(lambda: forwarder._unsafe is not None)
    yield


def test_a_monitor_that_does_not_answer_is_told(
    tmp_path: Path, cluster: NatsCluster, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, pushes(1))
    nobody = f"http://127.0.0.1:{NatsServer('nobody', tmp_path).ports['monitor']}"
    with pytest.raises(StoreError, match="no monitor answers") as refused:
        forward(url, cluster.urls, monitor_urls=[nobody], once=True)
    assert refused.value.reason == "log_unavailable"
    forward(url, cluster.urls, monitor_urls=[*cluster.monitor_urls[:2], nobody], once=True)
    assert "does its server sync?" in caplog.text
    forward(url, cluster.urls, monitor_urls=cluster.monitor_urls[:1], once=True)
    assert "n2, n3 hold the stream too" in caplog.text


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"num_replicas": 1}, "has 1 instead of 3 replicas"),
        ({"storage": api.StorageType.MEMORY}, "kept in memory"),
        ({"retention": api.RetentionPolicy.WORK_QUEUE}, "drops what was consumed"),
        ({"no_ack": True}, "acknowledges before it has stored, or never"),
        ({"duplicate_window": 1}, "recognises repetitions for 1 s only"),
        ({"subjects": ["mosvpp.data_push.*"]}, "does not take mosvpp.>"),
    ],
)
def test_a_stream_that_would_lose_or_double_is_refused(
    tmp_path: Path, cluster: NatsCluster, config: dict[str, Any], why: str
) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, pushes(1))
    cluster.make_stream(**config)
    with pytest.raises(StoreError, match=re.escape(why)) as refused:
        forward_once(url, cluster)
    assert refused.value.reason == "unsafe"
    assert "nats stream edit MOSVPP" in str(refused.value) or "remove it" in str(refused.value)


def test_fewer_replicas_may_be_asked_for(tmp_path: Path, cluster: NatsCluster) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, pushes(1))
    cluster.make_stream(num_replicas=1)
    assert forward_once(url, cluster, replicas=1).published == 1


def test_the_stream_that_is_made_is_replicated_on_disk(tmp_path: Path, cluster: NatsCluster) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, [])
    forward_once(url, cluster)
    config = cluster.stream().config
    assert (config.num_replicas, config.storage, config.retention) == (3, "file", "limits")
    assert (config.discard, config.duplicate_window) == ("new", 120)


def test_a_delivery_that_is_too_large_for_nats_stops_it_by_name(tmp_path: Path, cluster: NatsCluster) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    cluster.make_stream(max_msg_size=2000)
    stored(url, [push_body(0, more="x" * 2000)])
    with pytest.raises(StoreError, match="max_msg_size") as refused:
        forward_once(url, cluster)
    assert refused.value.reason == "too_large"
    stored(url, [push_body(1, "elsewhere", more="x" * 2**20)])
    cluster.remove_streams()
    with pytest.raises(StoreError, match="max_payload"):
        forward_once(url, cluster)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"servers": []}, "servers"),
        ({"servers": "nats://127.0.0.1"}, "servers"),
        ({"monitor_urls": ["127.0.0.1:8222"]}, "monitor_urls"),
        ({"monitor_urls": ["http://user:secret@127.0.0.1:8222"]}, "monitor_urls"),
        ({"monitor_urls": ["http://127.0.0.1:8222/varz"]}, "monitor_urls"),
        ({"monitor_urls": ["http://[::1"]}, "monitor_urls"),
        ({"monitor_urls": []}, "monitor_urls"),
        ({"stream": "a.b"}, "stream"),
        ({"replicas": 0}, "replicas"),
        ({"since": BEGINNING.replace(tzinfo=None)}, "since"),
        ({"url": "mysql://host/name"}, "url"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(change: dict[str, Any], path: str) -> None:
    good = {
        "url": "sqlite:///none.db",
        "servers": ["nats://127.0.0.1"],
        "monitor_urls": ["http://127.0.0.1:8222"],
    }
    arguments = {**good, **change}
    with pytest.raises(RuleError) as refused:
        Forwarder(arguments.pop("url"), arguments.pop("servers"), **arguments)
    assert refused.value.path == path


# Secrets

CANARY = "canary-5d1f"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a connection in vain tries it three times: a refusal may get lost in a reset."""
    monkeypatch.setattr("mosvpp.receiver._forward_log._CONNECTING_S", 2.5)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("authorization", "options", "user_info"),
    [
        (f'authorization {{ token: "{CANARY}-good" }}', {"token": f"{CANARY}-good"}, ""),
        (
            f'authorization {{ user: mosvpp, password: "{CANARY}-good" }}',
            {"user": "mosvpp", "password": f"{CANARY}-good"},
            "",
        ),
        (f'authorization {{ user: mosvpp, password: "{CANARY}-good" }}', {}, f"mosvpp:{CANARY}-good@"),
    ],
)
def test_secrets_let_it_in_and_are_never_shown(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    authorization: str,
    options: dict[str, str],
    user_info: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"sqlite:///{tmp_path}/inbox.db"
    stored(url, pushes(1))
    with NatsCluster(tmp_path, size=1, authorization=authorization) as alone:
        server = alone.urls[0].replace("//", f"//{user_info}")
        asked = {"monitor_urls": alone.monitor_urls, "replicas": 1}
        assert forward(url, [server], once=True, options=options, **asked).published == 1
        wrong = {name: value.replace("good", "wrong") for name, value in options.items()}
        with pytest.raises(StoreError) as refused:
            forward(url, [server.replace("good", "wrong")], once=True, options=wrong, **asked)
        forwarder = Forwarder(url, [server], options=options, **asked)
    assert "it refused user, password or token" in str(refused.value)
    shown = f"{refused.value}{refused.value.__cause__}{forwarder!r}{vars(refused.value)}{caplog.text}"
    assert CANARY not in shown


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_not_there_is_told(tmp_path: Path, cluster: NatsCluster) -> None:
    url = f"sqlite:///{tmp_path}/inbox.db"
    nobody = NatsServer("nobody", tmp_path).url
    with pytest.raises(StoreError, match="cannot be reached") as refused:
        forward(url, [nobody], monitor_urls=cluster.monitor_urls, once=True)
    assert refused.value.reason == "log_unavailable"


def test_a_missing_extra_is_named_in_one_sentence() -> None:
    program = "import sys; sys.modules['nats'] = None\nimport mosvpp.receiver.forwarding"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert "pip install 'mosvpp[receiver,nats]'" in last
