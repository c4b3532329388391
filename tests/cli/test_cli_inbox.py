"""Looking into an inbox and tidying it from the command line, on real files."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from deliveries import new, push_body, report_body
from mosvpp.cli.exits import Exit
from mosvpp.receiver import SqlInbox
from mosvpp.receiver._queue import Claim, Verdict
from mosvpp.receiver.deliveries import StoredDelivery

Run = Callable[..., Any]

URL = "sqlite:///inbox.db"
PATIENCE_S = 30
HANDED = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _no_folder_of_ones_own(_in_an_empty_folder: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOSVPP_STORE", URL)


@pytest.fixture
def inbox(_no_folder_of_ones_own: None) -> Iterator[SqlInbox]:
    """Three deliveries, stored a minute, two and three hours ago: waiting, dead, done."""
    with SqlInbox(URL) as made:
        now = datetime.now(UTC)
        made.put(new(push_body(1, "site-done"), at=now - timedelta(hours=3))).result(PATIENCE_S)
        made.put(new(push_body(2, "site-dead"), at=now - timedelta(hours=2))).result(PATIENCE_S)
        done, dead = made.claim(claim(2)).result(PATIENCE_S)
        made.finish(done).result(PATIENCE_S)
        verdict = Verdict(state="dead", reason="ValueError", traceback="boom\npassword=canary")
        made.settle(dead, verdict).result(PATIENCE_S)
        made.put(new(report_body(), kind="execution_response", at=now - timedelta(minutes=1))).result(
            PATIENCE_S
        )
        yield made


def claim(limit: int) -> Claim:
    return Claim(kind="data_push", limit=limit, lease=HANDED, worker="host:1")


def states(inbox: SqlInbox) -> list[str]:
    return [one.state for one in inbox.find()]


def one(inbox: SqlInbox, state: Any) -> StoredDelivery:
    return next(inbox.find(state=state))


def test_what_arrived_is_listed_newest_first(run: Run, inbox: SqlInbox) -> None:
    ran = run("inbox", "list")
    assert ran.code == Exit.OK
    numbers = [line.split()[0] for line in ran.out.splitlines()[1:4]]
    assert numbers == ["3", "2", "1"]
    for words in (
        "all 3",
        "dead ValueError",
        "site-done",
        "execution_response: 1 unfinished, the oldest due",
    ):
        assert words in ran.words
    assert all(len(line.rstrip()) <= 80 for line in ran.out.splitlines()[:5])


def test_a_list_with_json_is_one_object(run: Run, inbox: SqlInbox) -> None:
    told = run("inbox", "list", "--limit", 2, "--json").json
    assert [entry["number"] for entry in told["deliveries"]] == [3, 2]
    assert told["is_more"] is True
    assert told["backlog"]["data_push"] == {"unfinished": 0, "oldest_due_at": None, "dead": 1}
    assert told["deliveries"][1]["reason"] == "ValueError"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--kind", "execution_response"], [3]),
        (["--site", "site-dead"], [2]),
        (["--state", "done"], [1]),
        (["--since", "150m"], [3, 2]),
        (["--until", "150m"], [1]),
        (["--since", "2020-01-01T00:00:00Z", "--until", "now"], [3, 2, 1]),
        (["--site", "nobody"], []),
        (["--since", "99999d", "--state", "dead"], [2]),
    ],
    ids=str,
)
def test_a_list_can_be_narrowed(run: Run, inbox: SqlInbox, options: list[str], expected: list[int]) -> None:
    told = run("inbox", "list", *options, "--json").json
    assert [entry["number"] for entry in told["deliveries"]] == expected
    assert ("Nothing matches." in run("inbox", "list", *options).out) is not bool(expected)


def test_an_empty_store_says_so(run: Run) -> None:
    SqlInbox(URL).open()
    assert run("inbox", "list").out == "Nothing has arrived yet.\n"
    assert run("inbox", "silent").out == "No site has pushed yet.\n"
    assert run("inbox", "quarantine").out == "The quarantine is empty.\n"
    assert run("inbox", "requeue", "--all-dead").out == "0 deliveries will be handed out again.\n"
    assert run("inbox", "purge", "--older-than", "1d").out == "Nothing is that old.\n"
    assert run("inbox", "export", "-").out == ""


@pytest.mark.parametrize("by", ["number", "key"])
def test_one_delivery_is_shown_whole(run: Run, inbox: SqlInbox, by: str) -> None:
    dead = one(inbox, "dead")
    ran = run("inbox", "show", dead.seq if by == "number" else dead.key)
    for words in (
        "dead · ValueError",
        "content-type: application/json",
        '"state_of_charge": 82.5',
        "boom password=[removed]",
        f"body, {len(dead.body)} bytes",
        dead.key,
    ):
        assert words in ran.words
    told = run("inbox", "show", dead.key, "--json").json["delivery"]
    assert base64.b64decode(told["body"]) == dead.body
    assert told["traceback"] == "boom\npassword=[removed]"


def test_the_body_alone_is_written_byte_for_byte(inbox: SqlInbox) -> None:
    body = b"\xff\x00 no text\r\n"
    inbox.put(new(body)).result(PATIENCE_S)
    command = [sys.executable, "-m", "mosvpp", "inbox", "show", "4", "--body"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == body


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a": 1, "a": 1e999}', '"a": 1, "a": 1e999'),  # nothing is read into it
        (b"\x1b[31m\xff", r"\x1b[31m\xff"),
        (b"[" * 100_000, "no JSON, the first 65,536 characters"),
        (b"", "empty"),
    ],
    ids=["double key", "escapes", "deep", "empty"],
)
def test_any_body_can_be_shown(run: Run, inbox: SqlInbox, body: bytes, shown: str) -> None:
    inbox.put(new(body)).result(PATIENCE_S)
    ran = run("inbox", "show", 4)
    assert ran.code == Exit.OK
    assert shown in ran.words
    assert "\x1b" not in ran.out


def test_what_is_not_there_cannot_be_shown(run: Run, inbox: SqlInbox) -> None:
    assert "there is no delivery 99" in run("inbox", "show", 99).words
    assert "'zz' is no key" in run("inbox", "show", "zz").words
    assert run("inbox", "show", "9" * 19).code == Exit.NOT_SENT


def test_one_or_many_are_handed_out_again(run: Run, inbox: SqlInbox) -> None:
    ran = run("inbox", "requeue", 1, 99)
    assert ran.code == Exit.PARTLY
    assert ran.out == "1 delivery will be handed out again.\n"
    assert "1 of 2 not: unknown here" in ran.words
    assert states(inbox) == ["waiting", "dead", "waiting"]
    assert run("inbox", "requeue", one(inbox, "dead").key, "--json").json["requeued"] == 1
    assert states(inbox) == ["waiting"] * 3


def test_a_number_that_nothing_has_is_no_success(run: Run, inbox: SqlInbox) -> None:
    ran = run("inbox", "requeue", 99)
    assert ran.code == Exit.NO
    assert "1 of 1 not: unknown here" in ran.words
    assert run("inbox", "requeue", "00" * 24, "--json").json["exit_code"] == Exit.NO
    assert states(inbox) == ["done", "dead", "waiting"]


def test_options_alone_mean_dead_letters(run: Run, inbox: SqlInbox) -> None:
    assert run("inbox", "requeue", "--since", "1d", "--json").json["requeued"] == 1
    assert states(inbox) == ["done", "waiting", "waiting"]
    assert run("inbox", "requeue", "--state", "done", "--json").json["requeued"] == 1
    assert run("inbox", "requeue", "--all-dead", "--json").json["requeued"] == 0


def test_what_a_worker_has_in_hand_stays_there(run: Run, inbox: SqlInbox) -> None:
    inbox.requeue()
    inbox.claim(claim(1)).result(PATIENCE_S)
    assert run("inbox", "requeue", 2, "--json").code == Exit.NO
    assert one(inbox, "leased").seq == 2


@pytest.mark.parametrize("arguments", [[], ["1", "--all-dead"], ["--all-dead", "--site", "x"]])
def test_handing_out_again_has_to_say_what(run: Run, inbox: SqlInbox, arguments: list[str]) -> None:
    ran = run("inbox", "requeue", *arguments)
    assert ran.code == Exit.NOT_SENT
    assert "say which" in ran.words
    assert states(inbox) == ["done", "dead", "waiting"]


def test_purging_needs_a_yes_and_says_how_many(run: Run, inbox: SqlInbox) -> None:
    assert run("inbox", "purge", "--older-than", "1h").code == Exit.NOT_SENT
    assert run("inbox", "purge", "--older-than", "1h", "--dry-run").out == "2 deliveries would go.\n"
    assert all(delivery.body for delivery in inbox.find())
    ran = run("inbox", "purge", "--older-than", "150m", "--yes")
    assert ran.out == "1 delivery removed.\n"
    assert [delivery.is_purged for delivery in inbox.find()] == [True, False, False]
    assert [line["purged"] for line in run("inbox", "list", "--json").json["deliveries"]] == [
        False,
        False,
        True,
    ]
    assert "done purged" in run("inbox", "list").words
    assert "purged, only the key was kept" in run("inbox", "show", 1).words
    assert run("inbox", "show", 1, "--body").code == Exit.NOT_SENT
    assert run("inbox", "purge", "--older-than", "0s", "--state", "waiting", "--yes", "--json").json == {
        "ok": True,
        "exit_code": 0,
        "purged": 1,
        "found": 1,
    }


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_at_a_terminal_purging_asks(terminal: Any, inbox: SqlInbox, answer: str) -> None:
    person = terminal("inbox", "purge", "--older-than", "1h", MOSVPP_STORE=URL)
    person.wait_for("Remove 2 deliveries older than 1h for good? Type yes:")
    person.type(f"{answer}\n")
    assert person.end() == (Exit.OK if answer == "yes" else Exit.NOT_SENT)
    assert ("2 deliveries removed." in person.seen) is (answer == "yes")
    assert sum(not delivery.body for delivery in inbox.find()) == (2 if answer == "yes" else 0)


def test_silent_sites_end_with_one(run: Run, inbox: SqlInbox) -> None:
    assert run("inbox", "silent", "--older-than", "4h").out == "All 2 sites pushed within 4h.\n"
    ran = run("inbox", "silent", "--older-than", "150m")
    assert ran.code == Exit.NO
    assert "1 of 2 sites silent for longer than 150m." in ran.words
    told = run("inbox", "silent", "--older-than", "1h", "--json")
    assert (told.code, told.json["ok"], told.json["known"]) == (Exit.NO, False, 2)
    assert [site["molecule_id"] for site in told.json["silent"]] == ["site-done", "site-dead"]
    assert told.json["silent"][0]["silent_s"] >= 3 * 3600


def test_many_silent_sites_are_cut_short_for_people(run: Run, inbox: SqlInbox) -> None:
    old = datetime.now(UTC) - timedelta(days=1)
    for number in range(60):
        inbox.put(new(push_body(number, f"site-{number}"), at=old))
    inbox.check().result(PATIENCE_S)
    assert "… and 12 more; --json lists all" in run("inbox", "silent").words
    assert len(run("inbox", "silent", "--json").json["silent"]) == 62


# Export and import


def test_an_inbox_moves_to_another_store(run: Run, inbox: SqlInbox, tmp_path: Path) -> None:
    assert run("inbox", "export", "all.jsonl").out == "3 deliveries in all.jsonl.\n"
    assert list(tmp_path.glob(".mosvpp-*")) == []
    if os.name != "nt":
        assert Path("all.jsonl").stat().st_mode & 0o077 == 0  # it holds what partners were sent
    other = ("--store", "sqlite:///other.db")
    assert run("inbox", "import", "all.jsonl", *other).out == "3 new of 3 deliveries.\n"
    ran = run("inbox", "import", "all.jsonl", *other)
    assert (ran.code, ran.out) == (
        Exit.OK,
        "0 new of 3 deliveries.\n3 were there already and stayed as they are.\n",
    )
    with SqlInbox("sqlite:///other.db") as moved:
        assert states(moved) == states(inbox)
        assert [found.body for found in moved.find()] == [found.body for found in inbox.find()]
    assert run("inbox", "export", "-", *other).out == Path("all.jsonl").read_text(encoding="utf-8")


def test_an_export_holds_no_secret_and_can_be_narrowed(run: Run, inbox: SqlInbox) -> None:
    assert run("inbox", "export", "dead.jsonl", "--state", "dead", "--json").json["exported"] == 1
    (line,) = Path("dead.jsonl").read_bytes().splitlines()
    assert b"canary" not in line
    assert base64.b64decode(json.loads(line)["body"]) == one(inbox, "dead").body


def test_an_export_replaces_nothing(run: Run, inbox: SqlInbox) -> None:
    Path("all.jsonl").write_text("mine", encoding="utf-8")
    ran = run("inbox", "export", "all.jsonl")
    assert ran.code == Exit.NOT_SENT
    assert "exists already" in ran.words
    assert Path("all.jsonl").read_text(encoding="utf-8") == "mine"
    assert "No such file" in run("inbox", "export", "no/such/folder.jsonl").words
    assert run("inbox", "export", "-", "--json").code == Exit.NOT_SENT


def test_bad_lines_are_told_by_number_and_cost_no_other(run: Run, inbox: SqlInbox) -> None:
    run("inbox", "export", "all.jsonl")
    lines = Path("all.jsonl").read_bytes().splitlines(keepends=True)
    damaged = [b'{"a": 1}\n', lines[0], b"no JSON\n", *lines[1:], lines[0][:100]]
    Path("all.jsonl").write_bytes(b"".join(damaged))
    other = ("--store", "sqlite:///other.db")
    ran = run("inbox", "import", "all.jsonl", *other)
    assert ran.code == Exit.PARTLY
    for words in (
        "line 1 is no exported delivery: Object missing required field",
        "line 3 is no exported delivery: it is no JSON",
        "line 6 is no exported delivery: it is cut off",
        "3 new of 3 deliveries. 3 lines could not be read.",
    ):
        assert words in ran.words
    told = run("inbox", "import", "all.jsonl", *other, "--json")
    assert [fault["line"] for fault in told.json["faults"]] == [1, 3, 6]
    assert (told.json["read"], told.json["new"]) == (3, 0)


def test_what_is_no_export_at_all_is_refused(run: Run, inbox: SqlInbox) -> None:
    Path("photo.jpg").write_bytes(b"\xff\xd8\n" * 30)
    ran = run("inbox", "import", "photo.jpg")
    assert ran.code == Exit.NO
    assert "and 10 lines more" in ran.words
    assert run("inbox", "import", "nothing.jsonl").code == Exit.NOT_SENT
    assert len(states(inbox)) == 3


def test_lines_come_through_pipes(run: Run, inbox: SqlInbox) -> None:
    lines = run("inbox", "export", "-").out
    assert "3 new of 3" in run("inbox", "import", "-", "--store", "sqlite:///other.db", stdin=lines).out


def test_long_work_shows_how_far_it_is_where_somebody_watches(terminal: Any, inbox: SqlInbox) -> None:
    for number in range(2500):
        inbox.put(new(push_body(number)))
    inbox.check().result(PATIENCE_S)
    person = terminal("inbox", "export", "all.jsonl", MOSVPP_STORE=URL)
    assert person.end() == Exit.OK
    assert "100%" in person.seen
    assert "2,503 deliveries in all.jsonl." in person.seen


# The quarantine


def test_who_is_released_twice_is_there_once_and_it_is_told(run: Run, inbox: SqlInbox) -> None:
    for _ in range(3):
        inbox.quarantine("data_push", push_body(7), {}, reason="wrong_secret", delivery_id=None)
    inbox.check().result(PATIENCE_S)
    told = run("inbox", "quarantine", "--release-all").out
    assert told == "1 taken into the inbox. 2 more it had already, or another release took them.\n"
    assert [found.body for found in inbox.find()][3:] == [push_body(7)]


def test_an_inbox_in_memory_has_nothing_to_show(run: Run) -> None:
    ran = run("inbox", "list", "--store", "sqlite://")
    assert ran.code == Exit.NOT_SENT
    assert "is a store in memory" in ran.words


def test_the_quarantine_is_listed_shown_and_released(run: Run, inbox: SqlInbox) -> None:
    for number in (7, 8):
        inbox.quarantine("data_push", push_body(number), {}, reason="wrong_secret", delivery_id=None)
    inbox.check().result(PATIENCE_S)
    assert "2 kept" in run("inbox", "quarantine").words
    listed = run("inbox", "quarantine", "--json").json["quarantined"]
    assert [(one["number"], one["bytes"]) for one in listed] == [
        (1, len(push_body(7))),
        (2, len(push_body(8))),
    ]
    assert "body" not in listed[0]
    (shown,) = run("inbox", "quarantine", 2, "--json").json["quarantined"]
    assert (base64.b64decode(shown["body"]), shown["headers"]) == (push_body(8), {})
    assert '"molecule_id": "fecd0001c031e7e8"' in run("inbox", "quarantine", 2).words
    assert f"not in the quarantine: 3, {2**70}" in run("inbox", "quarantine", 3, 2, 2**70).words
    assert f"not in the quarantine: -{2**70}" in run("inbox", "quarantine", "--", -(2**70)).words
    for both in ([1, "--release-all"], [1, "--release", "--release-all"]):
        assert "--release-all by itself" in run("inbox", "quarantine", *both).words
    assert run("inbox", "quarantine", "--release").code == Exit.NOT_SENT
    assert run("inbox", "quarantine", 1, "--release").out == "1 taken into the inbox.\n"
    assert run("inbox", "quarantine", "--release-all", "--json").json["released"] == 1
    assert run("inbox", "quarantine", "--json").json["quarantined"] == []
    assert [found.body for found in inbox.find()][3:] == [push_body(7), push_body(8)]


# What goes wrong with the store


def test_a_store_has_to_be_named_and_to_be_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no file inbox.db" in run("inbox", "list").words
    assert not Path("inbox.db").exists()
    monkeypatch.delenv("MOSVPP_STORE")
    assert "say which store" in run("inbox", "list").words
    assert "mysql is no store that we know" in run("inbox", "list", "--store", "mysql://x").words


def test_each_fault_of_a_store_has_its_exit_code_and_remedy(
    run: Run, closed_port: int, inbox: SqlInbox
) -> None:
    Path("text.db").write_text("no database at all, whatever its name says " * 20, encoding="utf-8")
    ran = run("inbox", "list", "--store", "sqlite:///text.db")
    assert ran.code == Exit.UNREACHABLE
    assert "check that the URL names a store" in ran.words
    url = f"postgresql://me:canary@127.0.0.1:{closed_port}/x"
    ran = run("inbox", "silent", "--store", url)
    assert ran.code == Exit.UNREACHABLE  # and not 1, which says that sites are silent
    assert "canary" not in ran.words
    assert "check the URL, that the store is up" in ran.words
    engine = create_engine(URL)
    with engine.begin() as connection:
        connection.execute(text("UPDATE mosvpp_schemas SET version = 99"))
    engine.dispose()
    ran = run("inbox", "list")
    assert ran.code == Exit.NOT_SENT
    assert "pip install -U mosvpp" in ran.words


@pytest.mark.parametrize(("missing", "extra"), [("sqlalchemy", "receiver"), ("psycopg", "postgres")])
def test_a_missing_extra_is_named_in_one_sentence(missing: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "sys.argv = ['mosvpp', 'inbox', 'export', 'x', '--store', 'postgresql://127.0.0.1:1/x']\n"
        "from mosvpp.__main__ import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == Exit.NOT_SENT
    assert "Traceback" not in done.stderr
    assert extra in " ".join(done.stderr.split())
    assert "pip install" in done.stderr


def test_who_reads_the_lines_may_go_before_the_end(inbox: SqlInbox) -> None:
    for number in range(2000):
        inbox.put(new(push_body(number)))
    inbox.check().result(PATIENCE_S)
    command = [sys.executable, "-m", "mosvpp", "inbox", "export", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE_S) == Exit.OK


@pytest.mark.usefixtures("inbox")
def test_a_site_that_is_gone_for_good_no_longer_raises_the_alarm(run: Run) -> None:
    ran = run("inbox", "silent", "--forget", "another")
    assert ran.code == Exit.NOT_SENT
    assert "no site another is in the list" in ran.words
    assert run("inbox", "silent", "--forget", "site-done").code == Exit.NO
    assert run("inbox", "silent", "--forget", "site-dead").code == Exit.OK
    assert run("inbox", "silent").code == Exit.OK
