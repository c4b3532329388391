"""What a receiver counts: plain numbers of this process, which `mosvpp.receiver.metrics` shows."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter

__all__ = ["BATCH_SIZES", "Counters"]

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Counters:
    """Counts since the start of the process. All of them only grow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.received: Counter[str] = Counter()
        """Deliveries whose head was accepted, by kind: the body may still fail, or the store."""
        self.stored: Counter[str] = Counter()
        """New deliveries that are durable, by kind."""
        self.duplicates: Counter[str] = Counter()
        """Repetitions of what was there, by kind."""
        self.refused: Counter[str] = Counter()
        """Requests that were answered with anything but 200, by reason."""
        self.handled: Counter[tuple[str, str]] = Counter()
        """Deliveries that were handed out, by kind and by what became of them: done, again, dead, lost."""
        self.quarantined: int = 0
        """Deliveries of senders that were not recognised, kept aside."""
        self.batches: list[int] = [0] * (len(BATCH_SIZES) + 1)
        """Commits by how many deliveries they held, see `BATCH_SIZES`; the last are larger."""

    def count(self, counter: Counter[str], word: str) -> None:
        """Count one."""
        with self._lock:
            counter[word] += 1

    def count_handled(self, kind: str, outcome: str) -> None:
        """Count a delivery that was handed out."""
        with self._lock:
            self.handled[kind, outcome] += 1

    def count_batch(self, stored: Counter[str], duplicates: Counter[str]) -> None:
        """Count a commit."""
        size = stored.total() + duplicates.total()
        with self._lock:
            self.stored += stored
            self.duplicates += duplicates
            self.batches[bisect_left(BATCH_SIZES, size)] += 1

    def count_quarantined(self, count: int) -> None:
        """Count deliveries that were kept aside."""
        with self._lock:
            self.quarantined += count
