"""The receiver: durable acknowledged pushes per second, insertion into a large store, and memory.

Everything runs on this machine, over loopback, with PostgreSQL from a wheel. The servers take turns for half
a second each, so that whatever else the machine does falls on all of them; a ratio is the median over rounds.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from _setup import ROOT
from mosvpp.receiver import SqlInbox

from .load import Bodies, Run, push
from .measured import Goal, Measured
from .processes import Server, sync_cost_s
from .receiver_seeds import fill_postgresql, fill_sqlite, insert_rate
from .receiver_servers import KEY

STORES = ("sqlite", "postgresql")
CONNECTIONS = 64
SLICE_S = 0.5
ROWS = 2_000_000
DELIVERIES = 200_000
DEVICES = 20  # in the pushes that memory is measured with

GOALS: dict[str, Goal] = {
    "sqlite_vs_bare": Goal("at least", 0.4),
    "postgresql_vs_bare": Goal("at least", 0.3),
    "sqlite_vs_commit_each": Goal("at least", 2.4),
    "postgresql_vs_commit_each": Goal("at least", 2.4),
    "sqlite_vs_usual": Goal("at least", 4),
    "postgresql_vs_usual": Goal("at least", 4),
    "sqlite_full_vs_empty": Goal("at least", 0.8),
    "postgresql_full_vs_empty": Goal("at least", 0.8),
    "sqlite_peak_vs_150_mb": Goal("at most", 1),
    "postgresql_peak_vs_150_mb": Goal("at most", 1),
    "sqlite_memory_growth": Goal("at most", 1.1),
    "postgresql_memory_growth": Goal("at most", 1.1),
}


def measure(*, rounds: int | None = None, quick: bool = False) -> Measured:
    """Both stores, everything."""
    rounds = rounds or (3 if quick else 15)
    rows, deliveries = (50_000, 10_000) if quick else (ROWS, DELIVERIES)
    sys.path.insert(0, str(ROOT / "tests"))
    server = importlib.import_module("postgresql").PostgresServer({"shared_buffers": "128MB"})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mosvpp-bench-")))
        postgresql = stack.enter_context(server)

        def url(store: str, name: str) -> str:
            return f"sqlite:///{folder / name}.db" if store == "sqlite" else postgresql.url()

        figures: dict[str, Any] = {"fsync_ms": sync_cost_s(folder) * 1000}
        ratios = _throughput(rounds, url, figures)
        for store in STORES:
            ratios |= _insertion(store, rounds, rows, url, postgresql, figures)
        for store in STORES:
            ratios |= _memory(store, deliveries, url, figures)
    ratios = {name: ratios[name] for name in GOALS}
    return Measured(ratios, figures, _notes(figures))


def _throughput(rounds: int, url: Callable[[str, str], str], figures: dict[str, Any]) -> dict[str, float]:
    """Every server under the same load in turn."""
    runs: dict[str, list[Run]] = {}
    with ExitStack() as stack:
        servers = {"bare": stack.enter_context(Server("bare", "-"))}
        for store in STORES:
            for which in ("ours", "each", "usual"):
                servers[f"{store} {which}"] = stack.enter_context(Server(which, url(store, which)))
        bodies = {name: Bodies(3) for name in servers}
        for turn in range(rounds + 1):
            for name, server in servers.items():
                run = push(server.port, bodies[name], key=KEY, connections=CONNECTIONS, seconds=SLICE_S)
                if turn:  # the first one warms up
                    runs.setdefault(name, []).append(run)
    figures["push_bytes"] = bodies["bare"].length
    figures["pushes_per_second"] = {
        name: statistics.median(run.rate for run in several) for name, several in runs.items()
    }
    figures["latency_ms"] = {name: _latency_ms(several) for name, several in runs.items()}
    figures["load_busy"] = max(run.busy for several in runs.values() for run in several)

    def ratio(one: str, other: str) -> float:
        return statistics.median(a.rate / b.rate for a, b in zip(runs[one], runs[other], strict=True))

    found = {}
    for store in STORES:
        found[f"{store}_vs_bare"] = ratio(f"{store} ours", "bare")
        found[f"{store}_vs_commit_each"] = ratio(f"{store} ours", f"{store} each")
        found[f"{store}_vs_usual"] = ratio(f"{store} ours", f"{store} usual")
    return found


def _latency_ms(several: list[Run]) -> dict[str, float]:
    seen = sorted(seconds for run in several for seconds in run.latencies_s)
    return {"p50": seen[len(seen) // 2] * 1000, "p99": seen[len(seen) * 99 // 100] * 1000}


def _insertion(
    store: str,
    rounds: int,
    rows: int,
    url: Callable[[str, str], str],
    postgresql: Any,
    figures: dict[str, Any],
) -> dict[str, float]:
    """The rate of a store that holds so many deliveries, over that of an empty one."""
    empty_url, full_url = url(store, "empty"), url(store, "full")
    inbox = SqlInbox(full_url)
    inbox.open()
    inbox.close()
    if store == "sqlite":
        file = Path(full_url.removeprefix("sqlite:///"))
        fill_sqlite(file, rows)
        figures["sqlite_bytes_per_row"] = file.stat().st_size / rows
    else:
        fill_postgresql(postgresql, full_url, rows)
        size = f"SELECT pg_total_relation_size('{full_url.rpartition('%3D')[2]}.mosvpp_%s')"
        total = sum(postgresql.execute(size % table)[0][0] for table in ("deliveries", "work"))
        figures["postgresql_bytes_per_row"] = total / rows
    ratios, rates = [], []
    with SqlInbox(empty_url) as empty, SqlInbox(full_url) as full:
        into_empty, into_full = Bodies(3), Bodies(3)
        for turn in range(rounds + 1):
            rate = insert_rate(empty, into_empty, SLICE_S)
            rate_full = insert_rate(full, into_full, SLICE_S)
            if turn:
                ratios.append(rate_full / rate)
                rates.append(rate)
    figures[f"{store}_insertions_per_second"] = statistics.median(rates)
    figures["stored_rows"] = rows
    return {f"{store}_full_vs_empty": statistics.median(ratios)}


def _memory(
    store: str, deliveries: int, url: Callable[[str, str], str], figures: dict[str, Any]
) -> dict[str, float]:
    """The peak, and whether memory still grows after the first quarter."""
    bodies = Bodies(DEVICES)
    with Server("ours", url(store, "memory")) as server:
        seen = []
        for _ in range(4):
            push(server.port, bodies, key=KEY, connections=CONNECTIONS, at_most=deliveries // 4)
            seen.append(server.memory_mb())
        peak = server.memory_mb("VmHWM")
    figures[f"{store}_memory_mb"] = {"peak": peak, "by_quarter": seen}
    figures["memory_push_bytes"] = bodies.length
    return {f"{store}_peak_vs_150_mb": peak / 150, f"{store}_memory_growth": seen[-1] / seen[0]}


def _notes(figures: dict[str, Any]) -> list[str]:
    rates, latency = figures["pushes_per_second"], figures["latency_ms"]
    rows = [
        f"{name:<18}{rate:>10,.0f}{latency[name]['p50']:>11.1f}{latency[name]['p99']:>11.1f}"
        for name, rate in rates.items()
    ]
    head = f"{f'at {CONNECTIONS} connections':<18}{'pushes/s':>10}{'p50 in ms':>11}{'p99 in ms':>11}"
    memory = "; ".join(
        f"{store} {figures[f'{store}_memory_mb']['peak']:.0f} MB at most, "
        + " → ".join(f"{mb:.0f}" for mb in figures[f"{store}_memory_mb"]["by_quarter"])
        for store in STORES
    )
    stored = "; ".join(
        f"{store} {figures[f'{store}_insertions_per_second']:,.0f}/s without HTTP, "
        f"{figures[f'{store}_bytes_per_row']:,.0f} bytes a row"
        for store in STORES
    )
    sizes = f"pushes of {figures['memory_push_bytes']} bytes"
    return [
        "\n".join([head, *rows]),
        f"A sync of the disk takes {figures['fsync_ms']:.2f} ms; a push has {figures['push_bytes']} bytes.",
        f"The load was at work {figures['load_busy']:.0%} of its time at most.",
        f"Stores: {stored}; full means {figures['stored_rows']:,} rows.",
        f"Memory (VmRSS of server and worker, by quarters; {sizes}): {memory}.",
    ]
