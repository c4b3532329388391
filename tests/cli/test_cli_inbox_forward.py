"""`mosvpp inbox forward` and `forwarded`, against a real server of NATS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deliveries import new, push_body
from mosvpp.cli.app import app
from mosvpp.receiver import SqlInbox
from mosvpp.receiver.forwarding import progress
from nats_cluster import NatsCluster
from receiving import wait_until

PASSWORD = "canary-9e2c-password"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    folder = tmp_path_factory.mktemp("nats")
    authorization = f'authorization {{ user: mosvpp, password: "{PASSWORD}" }}'
    access = {"user": "mosvpp", "password": PASSWORD}
    with NatsCluster(folder, size=1, authorization=authorization, access=access) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/inbox.db"
    with SqlInbox(url) as inbox:
        for number in range(3):
            inbox.put(new(push_body(number))).result()
    return url


def arguments(store: str, alone: NatsCluster, *more: str, stream: str) -> list[str]:
    where = ["--to", alone.urls[0], "--monitor-url", alone.monitor_urls[0], "--replicas", "1"]
    access = ["--user", "mosvpp", "--password", "env:NATS_PASSWORD"]
    return ["inbox", "forward", "--store", store, *where, *access, "--stream", stream, *more]


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"NATS_PASSWORD": PASSWORD, **environment})


def test_what_is_stored_is_forwarded_and_counted(store: str, alone: NatsCluster) -> None:
    done = run(*arguments(store, alone, "--once", "--finish", stream="MOSVPP"))
    assert done.exit_code == 0, done.output
    assert "3 published." in done.output
    again = json.loads(run(*arguments(store, alone, "--once", "--json", stream="MOSVPP")).stdout)
    assert (again["published"], again["found"], again["left_out"]) == (0, 0, 0)
    shown = run("inbox", "forwarded", "--store", store).output
    assert "MOSVPP" in shown
    assert "none" in shown
    (listed,) = json.loads(run("inbox", "forwarded", "--store", store, "--json").stdout)["streams"]
    assert (listed["stream"], listed["behind"], listed["holder"]) == ("MOSVPP", 0, None)
    assert run("inbox", "forwarded", "--store", store, "--forget", "MOSVPP").exit_code == 0
    assert run("inbox", "forwarded", "--store", store, "--forget", "MOSVPP").exit_code == 1
    assert "Nothing was ever forwarded" in run("inbox", "forwarded", "--store", store).output
    assert PASSWORD not in done.output + shown


def test_it_runs_until_it_is_told_to_stop(store: str, alone: NatsCluster) -> None:
    alone.remove_streams()
    process = subprocess.Popen(
        [sys.executable, "-m", "mosvpp", *arguments(store, alone, stream="MOSVPP")],
        env={**os.environ, "NATS_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: [one.behind for one in progress(store)] == [0])
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "3 published." in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"--to": None}, "--to"),
        ({"--to": " , "}, "--to"),
        ({"--monitor-url": None}, "--monitor-url"),
        ({"--monitor-url": "n1:8222"}, "--monitor-url"),
        ({"--password": None}, "--password"),
        ({"--password": "env:NOT_THERE"}, "--password"),
        ({"--password": "@not-there"}, "--password"),
        ({"--token": "t"}, "--token"),
        ({"--ca-file": "not-there.pem"}, "--ca-file"),
        ({"--replicas": "9"}, "--replicas"),
        ({"--stream": "a.b"}, "--stream"),
        ({"--since": "yesterday"}, "--since"),
        ({"--store": "sqlite:///not-there.db"}, "--store"),
        ({"--store": None}, "--store"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(
    store: str, alone: NatsCluster, change: dict[str, str | None], path: str
) -> None:
    words = arguments(store, alone, "--once", "--json", stream="MOSVPP")
    options: dict[str, Any] = dict(zip(words[2:-2:2], words[3:-2:2], strict=True)) | change
    given = [part for name, value in options.items() if value is not None for part in (name, value)]
    done = run("inbox", "forward", *given, "--once", "--json")
    assert done.exit_code == 2, done.output
    assert json.loads(done.stdout)["error"]["path"] == path
    assert PASSWORD not in done.output


def test_certificates_are_read_before_anything_is_sent(
    store: str, alone: NatsCluster, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("none")
    done = run(*arguments(store, alone, "--ca-file", str(tmp_path / "ca.pem"), stream="MOSVPP"))
    assert done.exit_code == 2
    assert "holds no certificates" in " ".join(done.output.split())


def test_a_wrong_password_is_told_without_it(store: str, alone: NatsCluster) -> None:
    wrong = f"{PASSWORD}-wrong"
    done = run(*arguments(store, alone, "--once", stream="MOSVPP"), NATS_PASSWORD=wrong)
    assert done.exit_code != 0
    assert "it refused user, password or token" in " ".join(done.output.split())
    assert PASSWORD not in done.output


def test_a_single_server_cannot_hold_replicas(store: str, alone: NatsCluster) -> None:
    alone.remove_streams()
    done = run(*arguments(store, alone, "--once", "--replicas", "3", stream="MOSVPP"))
    assert done.exit_code == 2
    words = " ".join(done.output.split())
    assert "is a single server, which cannot hold 3 replicas" in words
    assert "--replicas 1" in words


def test_a_missing_extra_is_told(store: str, alone: NatsCluster) -> None:
    program = "import sys; sys.modules['nats'] = None; from mosvpp.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments(store, alone, stream="MOSVPP")],
        env={**os.environ, "NATS_PASSWORD": PASSWORD, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'mosvpp[receiver,nats]'" in done.stderr
    assert "Traceback" not in done.stderr
