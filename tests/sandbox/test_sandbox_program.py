"""`python -m mosvpp_sandbox` as a process of its own."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import corpus
from mosvpp import webhooks
from mosvpp.events import DataPush
from mosvpp.signatures import SharedHeaders
from receiving import Receiver

PROGRAM = [sys.executable, "-m", "mosvpp_sandbox"]


@contextmanager
def started(*options: str, end: int = signal.SIGINT) -> Iterator[tuple[str, list[str]]]:
    """The URL that it printed, and its other lines, complete once it has ended."""
    lines: list[str] = []
    with subprocess.Popen(
        [*PROGRAM, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        try:
            url = re.match(r"MosVPP sandbox: (http://\S+) ", process.stdout.readline())
            assert url, process.stderr.read()
            yield url[1], lines
        finally:
            process.send_signal(end)
            lines += process.stdout.read().splitlines()
            said = process.stderr.read()
    assert said == ""
    assert process.returncode == 0


def refused(*options: str) -> str:
    done = subprocess.run([*PROGRAM, *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_quietly(end: int) -> None:
    with started(end=end) as (url, lines):
        answer = httpx.get(
            f"{url}/v1/api/gateway/fecd0001c031e7e8/devicesync", headers={"X-API-Key": "sandbox-key"}
        )
        assert answer.status_code == 200
        assert httpx.get(f"{url}/elsewhere").status_code == 404
    printed = "\n".join(lines)
    assert "X-API-Key: sandbox-key" in printed
    assert "fecd0001c031e7e8, 5 simulated devices" in printed
    assert f"curl -H 'X-API-Key: sandbox-key' {url}/v1/api/gateway/fecd0001c031e7e8/devicesync" in printed
    assert "GET /v1/api/gateway/fecd0001c031e7e8/devicesync: 200" in printed
    assert "GET /elsewhere: 404" in printed


def test_it_does_what_its_options_say() -> None:
    with Receiver() as receiver:
        options = {
            "--api-key": "another-key",
            "--data-push-url": receiver.url + "/data",
            "--execution-response-url": receiver.url + "/execution",
            "--speed": "3600",
            "--push-every": "300",
            "--seed": "7",
            "--host": "localhost",
        }
        headers = ["--header", "X-API-Key=partner=secret", "--header", "X-Site-Group=north"]
        with started(*(part for pair in options.items() for part in pair), *headers) as (url, lines):
            assert url.startswith("http://localhost:")
            received = receiver.wait("/data", 2)[0]
            refused = httpx.post(
                f"{url}/v1/api/gateway/fecd0001c031e7e8/dr",
                headers={"X-API-Key": "another-key"},
                json=corpus.INVALID["submit_dispatch.request.mode_unknown"].value,
            )
            assert refused.status_code == 400
    verifier = SharedHeaders({"X-API-Key": "partner=secret", "X-Site-Group": "north"})
    assert isinstance(webhooks.parse(received.body, received.headers, verifier=verifier), DataPush)
    printed = "\n".join(lines)
    assert "data push: 200" in printed
    assert "3600 × real time" in printed
    assert "partner=secret" not in printed


def test_it_plays_what_its_options_choose(tmp_path: Path) -> None:
    sites = tmp_path / "sites.yaml"
    sites.write_text("[{molecule_id: here, devices: [{kind: meter, device_id: '1'}]}, {molecule_id: there}]")
    options = {
        "--sites": str(sites),
        "--start": "2026-01-15T17:00:00Z",
        "--profile": "html_errors",
        "--choice": "repeated_command=restart",
        "--fault": "error_json:times=1,value=502",
        "--state": str(tmp_path / "state.json"),
        "--control-token": "chosen",
        "--retry-after": "",
        "--signing-secret": "whsec_" + b64encode(b"k" * 32).decode(),
    }
    with started("--manual", *(part for pair in options.items() for part in pair)) as (url, lines):
        control = httpx.Client(base_url=url + "/sandbox/", headers={"Authorization": "Bearer chosen"})
        with control:
            seen = control.get("").json()
            moved = control.post("clock", json={"advance_s": 60}).json()
        path = f"{url}/v1/api/gateway/here/devicesync"
        answers = [httpx.get(path, headers={"X-API-Key": "sandbox-key"}).status_code for _ in range(2)]
        assert httpx.get(f"{url}/sandbox/").status_code == 401
    assert (seen["sites"], seen["first_site"], seen["profile"]) == (2, "here", "html_errors")
    assert seen["choices"]["repeated_command"] == "restart"
    assert moved["now"] == "2026-01-15T17:01:00Z"
    assert answers == [502, 200]
    assert (tmp_path / "state.json").exists()
    printed = "\n".join(lines)
    assert "here and 1 more, 1 simulated devices" in printed
    assert "2026-01-15 17:00:00 UTC, moved by hand" in printed


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    options = ["--manual", "--state", str(tmp_path / "state.json")]
    for expected in ("2026-01-15T17:01:00Z", "2026-01-15T17:02:00Z"):
        with started(*options, "--start", "2026-01-15T17:00:00Z") as (url, _):
            moved = httpx.post(f"{url}/sandbox/clock", json={"advance_s": 60}).json()
        assert moved["now"] == expected


def test_a_port_in_use_is_told_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--port", str(port))
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in said
    assert "without --port a free one is taken" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--host", "192.0.2.1"],
            "192.0.2.1 is not loopback; name it if you mean it (--allow-host 192.0.2.1",
        ),
        (["--data-push-url", "http://partner.example/x"], "partner.example is not loopback"),
        (["--header", "X-API-Key"], "argument --header: write it as NAME=VALUE"),
        (["--header", "Host=x"], "'Host' cannot be a header of yours"),
        (["--speed", "0"], "speed is a number above 0"),
        (["--push-every", "0"], "data pushes are at least a simulated second apart"),
        (["--push-every", "1e99"], "argument --push-every: write a number of seconds"),
        (["--push-every", "often"], "argument --push-every: write a number of seconds"),
        (["--port", "70000"], "port"),
        (["--sites", "0"], "there is at least one site"),
        (["--sites", "nowhere.yaml"], "nowhere.yaml: No such file or directory"),
        (["--profile", "soap"], "there is no profile 'soap'; there are inferred, flat"),
        (["--choice", "ids=numbers"], "ids is one of values, text, not 'numbers'"),
        (["--choice", "colour=red"], "there is no choice 'colour'"),
        (["--choice", "opt_out=much"], "could not convert"),
        (["--choice", "ids"], "argument --choice: write it as NAME=VALUE"),
        (["--fault", "explode"], "there is no fault 'explode'"),
        (["--start", "soon"], "argument --start: write it as 2026-01-15T17:00:00Z"),
        (["--retry-after", "soon"], "argument --retry-after: write seconds with commas between"),
        (["--retry-after=-1"], "pauses of 0 or more"),
        (["--timeout", "0"], "a time-out above 0"),
        (["--signing-secret", "short"], "must be whsec_"),
        (["--manual", "--speed", "2"], "--manual and --speed"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(options: list[str], said: str) -> None:
    assert said in refused(*options)


def test_a_fault_ends_it_with_a_sentence_and_its_trace() -> None:
    """Without it the program would wait for ever, answering nobody."""
    fault = "from mosvpp_sandbox.world import World; World.advance = lambda _: {}['the fault']"
    program = f"import sys; {fault}; from mosvpp_sandbox.__main__ import main; sys.exit(main([]))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout.startswith("MosVPP sandbox: http://127.0.0.1:")
    assert "KeyError: 'the fault'" in done.stderr
    assert done.stderr.endswith("The sandbox has ended by a fault of its own.\n")


def test_its_help_explains_every_option() -> None:
    done = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, check=True)
    for option in ("port", "host", "api-key", "data-push-url", "execution-response-url", "header", "speed"):
        assert f"--{option}" in done.stdout
    for option in ("sites", "start", "manual", "profile", "choice", "fault", "state", "control-token"):
        assert f"--{option}" in done.stdout
    for option in ("push-every", "seed", "allow-host", "retry-after", "timeout", "signing-secret"):
        assert f"--{option}" in done.stdout
