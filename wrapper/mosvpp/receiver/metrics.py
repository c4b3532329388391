"""What a receiver counts, for Prometheus (extra `metrics`).

    start_http_server(9100, registry=metrics.registry(inbox))       # of prometheus-client
    receiver.asgi(inbox, verifier=verifier, metrics=True)           # or GET /metrics beside the deliveries

Counters are those of this process. Gauges are read from the store when they are asked for, so that one
process of several is enough for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mosvpp.errors import StoreError

from .counters import BATCH_SIZES
from .inbox import Inbox

try:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
except ModuleNotFoundError:
    raise ImportError(
        "metrics need prometheus-client, which comes with an extra: pip install 'mosvpp[receiver,metrics]'",
        name="prometheus_client",
    ) from None

__all__ = ["CONTENT_TYPE", "InboxCollector", "exposition", "registry"]

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
SILENT_AFTER = timedelta(minutes=15)


class InboxCollector:
    """Collects for a registry of prometheus-client; `silent_after` is when a site counts as silent."""

    def __init__(self, inbox: Inbox, *, silent_after: timedelta = SILENT_AFTER) -> None:
        self._inbox = inbox
        self._silent_after = silent_after

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client calls at each scrape."""
        yield from self._counters()
        try:
            yield from list(self._gauges())
        except StoreError:
            up = 0
        else:
            up = 1
        yield GaugeMetricFamily("mosvpp_store_up", "Whether the store answered this scrape.", value=up)

    def _counters(self) -> Iterator[Metric]:
        counters = self._inbox.counters
        by_kind = (
            ("mosvpp_deliveries_received", "Requests whose head was accepted.", counters.received),
            ("mosvpp_deliveries_stored", "New deliveries that are durable.", counters.stored),
            ("mosvpp_deliveries_duplicate", "Repetitions of stored deliveries.", counters.duplicates),
        )
        for name, text, counts in by_kind:
            family = CounterMetricFamily(name, text, labels=["kind"])
            for kind, count in counts.copy().items():
                family.add_metric([kind], count)
            yield family
        refused = CounterMetricFamily(
            "mosvpp_requests_refused", "Requests answered with anything but 200.", labels=["reason"]
        )
        for reason, count in counters.refused.copy().items():
            refused.add_metric([reason], count)
        yield refused
        handled = CounterMetricFamily(
            "mosvpp_deliveries_handled", "Deliveries handed out, by outcome.", labels=["kind", "outcome"]
        )
        for (kind, outcome), count in counters.handled.copy().items():
            handled.add_metric([kind, outcome], count)
        yield handled
        text = "Deliveries of unrecognised senders that were kept aside."
        yield CounterMetricFamily("mosvpp_deliveries_quarantined", text, value=counters.quarantined)
        yield self._batches()

    def _batches(self) -> Metric:
        counts = list(self._inbox.counters.batches)
        total, buckets = 0, []
        for limit, count in zip((*map(str, BATCH_SIZES), "+Inf"), counts, strict=True):
            total += count
            buckets.append((limit, total))
        counters = self._inbox.counters
        family = HistogramMetricFamily("mosvpp_commit_batch_size", "Deliveries that shared one commit.")
        family.add_metric([], buckets, sum_value=counters.stored.total() + counters.duplicates.total())
        return family

    def _gauges(self) -> Iterator[Metric]:
        now = self._inbox.now()
        backlog = self._inbox.backlog()
        unfinished = GaugeMetricFamily("mosvpp_deliveries_unfinished", "What is left to do.", labels=["kind"])
        age = GaugeMetricFamily("mosvpp_queue_age_seconds", "How long the oldest is due.", labels=["kind"])
        dead = GaugeMetricFamily("mosvpp_dead_letters", "Deliveries that need a person.", labels=["kind"])
        for kind, left in backlog.items():
            unfinished.add_metric([kind], left.unfinished)
            waited = (now - left.oldest_due_at).total_seconds() if left.oldest_due_at else 0.0
            age.add_metric([kind], max(waited, 0.0))
            dead.add_metric([kind], left.dead)
        yield from (unfinished, age, dead)
        sites = self._inbox.silence(older_than=self._silent_after)
        text = f"Sites without a push for {self._silent_after.total_seconds():g} s."
        yield GaugeMetricFamily("mosvpp_silent_sites", text, value=sites.silent)
        oldest = (now - sites.longest_since).total_seconds() if sites.longest_since else 0.0
        text = "Age of the last push of the site that is silent for longest."
        yield GaugeMetricFamily("mosvpp_oldest_push_seconds", text, value=max(oldest, 0.0))


def registry(inbox: Inbox, *, silent_after: timedelta = SILENT_AFTER) -> CollectorRegistry:
    """A registry with nothing but this inbox."""
    own = CollectorRegistry()
    own.register(InboxCollector(inbox, silent_after=silent_after))
    return own


def exposition(inbox: Inbox, *, silent_after: timedelta = SILENT_AFTER) -> bytes:
    """What a scrape of this inbox gets, as `CONTENT_TYPE`. Waits for the store."""
    return generate_latest(registry(inbox, silent_after=silent_after))
