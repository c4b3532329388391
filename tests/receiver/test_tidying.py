"""Counting, purging, handing out anew and following, a page at a time."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

from deliveries import InboxFactory, new, push_body
from manual_clock import ManualClock
from mosvpp.errors import RuleError
from mosvpp.receiver import SqlInbox, _inspection, _interchange, export_file, export_lines, import_lines
from mosvpp.receiver._queue import Claim

PATIENCE_S = 30


def fill(inbox: SqlInbox, count: int, sites: int = 1) -> None:
    pending = [
        inbox.put(new(push_body(number, f"site-{number % sites}"), at=inbox.now())) for number in range(count)
    ]
    for one in pending:
        one.result(PATIENCE_S)


def finish_all(inbox: SqlInbox) -> None:
    claim = Claim(kind="data_push", limit=10_000, lease=timedelta(minutes=1), worker="w")
    for one in inbox.claim(claim).result(PATIENCE_S):
        inbox.finish(one).result(PATIENCE_S)


@pytest.fixture
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAGE", "READ_PAGE", "_ROLL_UP_PAGE"):
        monkeypatch.setattr(_inspection, name, 3)


@pytest.mark.usefixtures("_small_pages")
def test_long_work_goes_in_small_steps_and_tells_how_far_it_is(inbox: SqlInbox, clock: ManualClock) -> None:
    fill(inbox, 8)
    finish_all(inbox)
    told: list[int] = []
    assert inbox.requeue(state="done", only_count=True) == 8
    assert inbox.count(state="done") == 8
    assert inbox.requeue(state="done", on_progress=told.append) == 8
    assert told == [3, 6, 8]
    finish_all(inbox)
    clock.advance(24 * 3600)
    assert inbox.purge(older_than=timedelta(hours=1), only_count=True) == 8
    assert inbox.count() == inbox.count(state="done") == 8
    told.clear()
    assert inbox.purge(older_than=timedelta(hours=1), on_progress=told.append) == 8
    assert told == [3, 6, 8]
    assert inbox.purge(older_than=timedelta(hours=1), only_count=True) == 0
    assert inbox.requeue(state="done", only_count=True) == 0  # nothing to hand out without a body


@pytest.mark.usefixtures("_small_pages")
def test_the_last_push_of_each_site_is_known_however_many_there_are(
    inbox: SqlInbox, clock: ManualClock
) -> None:
    fill(inbox, 10, sites=4)
    began = clock.now()
    assert [site.molecule_id for site in inbox.sites()] == [f"site-{number}" for number in range(4)]
    clock.advance(3600)
    inbox.put(new(push_body(99, "site-2"), at=clock.now())).result(PATIENCE_S)
    inbox.put(new(push_body(98, "late"), at=began)).result(PATIENCE_S)  # its clock is behind
    pushed = {site.molecule_id: site.last_push_at for site in inbox.sites()}
    assert pushed == {
        **dict.fromkeys(("site-0", "site-1", "site-3", "late"), began),
        "site-2": clock.now(),
    }
    assert inbox.silent(older_than=timedelta.max) == []


@pytest.mark.usefixtures("_small_pages")
def test_what_was_stored_since_can_be_followed(inbox: SqlInbox) -> None:
    fill(inbox, 8)
    seqs = [one.seq for one in inbox.find()]
    assert [one.seq for one in inbox.find(after=seqs[2])] == seqs[3:]
    assert [one.seq for one in inbox.find(after=seqs[2], limit=4)] == seqs[3:7]
    assert [one.seq for one in inbox.find(after=seqs[2], newest_first=True)] == seqs[1::-1]
    assert list(inbox.find(after=seqs[-1])) == []


def test_single_ones_are_named_by_number(inbox: SqlInbox) -> None:
    fill(inbox, 3)
    first, _, last = [one.seq for one in inbox.find()]
    assert [one.seq for one in inbox.find(seqs=[last, first, 10**30])] == [first, last]
    assert inbox.count(seqs=[]) == 0


def test_the_quarantine_has_room_for_one_at_least(make_inbox: InboxFactory) -> None:
    with pytest.raises(RuleError, match="from 1 to 10,000,000"):
        make_inbox(quarantine_size=0)


def test_an_export_that_fails_leaves_nothing_behind(
    inbox: SqlInbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_interchange, "_PROGRESS_EVERY", 1)
    fill(inbox, 2)
    file = tmp_path / "out" / "all.jsonl"
    file.parent.mkdir()

    def fail(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_file(inbox, file, on_progress=fail)
    with pytest.raises(RuleError, match="filter"):
        export_file(inbox, file, colour="red")
    assert list(file.parent.iterdir()) == []
    told: list[int] = []
    assert export_file(inbox, file, on_progress=told.append) == 2
    assert told == [1, 2, 2]
    with pytest.raises(RuleError, match="exists already"):
        export_file(inbox, file)
    assert [path.name for path in file.parent.iterdir()] == ["all.jsonl"]


def test_a_name_that_is_taken_meanwhile_is_left_to_its_owner(inbox: SqlInbox, tmp_path: Path) -> None:
    fill(inbox, 1000)
    file = tmp_path / "all.jsonl"
    with pytest.raises(RuleError, match="exists already"):
        export_file(inbox, file, on_progress=lambda _: file.write_text("theirs", encoding="utf-8"))
    assert file.read_text(encoding="utf-8") == "theirs"
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".db"] != []
    assert list(tmp_path.glob(".mosvpp-*")) == []


def test_memory_stays_flat_while_a_large_inbox_moves(tmp_path: Path) -> None:
    """Bodies of 60 MB in all, of which never more than a page and a batch are in memory."""
    size, url = 100_000, f"sqlite:///{tmp_path}"
    with SqlInbox(f"{url}/one.db") as inbox, SqlInbox(f"{url}/other.db") as other:
        for number in range(600):
            inbox.put(new(push_body(number, padding="x" * size))).result(PATIENCE_S)
        tracemalloc.start()
        try:
            assert import_lines(other, export_lines(inbox.find())) == 600
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert other.count() == 600
    assert peak < 600 * size / 2


def test_a_site_that_is_gone_for_good_can_be_forgotten_until_it_pushes_again(
    make_inbox: InboxFactory, clock: ManualClock
) -> None:
    inbox = make_inbox(clock=clock)
    inbox.put(new(push_body(site="gone"), at=clock.now())).result(PATIENCE_S)
    clock.advance(3600)
    assert [site.molecule_id for site in inbox.silent(older_than=timedelta(minutes=5))] == ["gone"]
    assert inbox.forget_site("gone")
    assert not inbox.forget_site("gone")
    assert inbox.silent(older_than=timedelta(minutes=5)) == []
    assert inbox.count() == 1, "its deliveries stay"
    inbox.put(new(push_body(1, site="gone"), at=clock.now())).result(PATIENCE_S)
    assert [site.molecule_id for site in inbox.sites()] == ["gone"]
