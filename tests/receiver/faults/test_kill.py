"""kill -9 of the receiver under load: what it acknowledged is there afterwards, once."""

from __future__ import annotations

import random
import time
from pathlib import Path

from not_run import ALL
from pushing import Pushing, doubled, lost
from serving import Serving

KILLS = 5 if ALL else 2


def test_what_was_acknowledged_before_a_kill_is_there_once(tmp_path: Path, store_url: str) -> None:
    moments = random.Random(4)
    with Serving(tmp_path, store_url) as receiver, Pushing(receiver.port) as sender:
        for _ in range(KILLS):
            sender.wait_for(300)
            time.sleep(moments.uniform(0, 0.1))
            receiver.kill()
            assert lost(set(sender.acknowledged), store_url) == set()
            receiver.start()
        sender.wait_for(100)
    assert lost(sender.acknowledged, store_url) == set()
    assert doubled(store_url) == []
    assert sender.statuses() == {200}
    assert len(sender.answers) > 1, "no sender noticed a kill"


def test_control_to_acknowledge_before_the_commit_loses_some(tmp_path: Path, store_url: str) -> None:
    """The same checks find what a receiver loses that answers before the commit."""
    with Serving(tmp_path, store_url, variant="early") as receiver:
        with Pushing(receiver.port) as sender:
            sender.wait_for(500)
            receiver.kill()
        assert lost(sender.acknowledged, store_url)
