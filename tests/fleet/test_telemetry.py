"""Telemetry in both stores: once each, history and latest, and out again."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mosvpp.errors import RuleError, StoreError
from mosvpp.events import DataPush
from mosvpp.fleet.export import arrow_reader, export
from mosvpp.fleet.metrics import Metric, Metrics
from mosvpp.fleet.telemetry import Added, Reading, Telemetry
from mosvpp_events.events import DeviceReading
from postgresql import PostgresServer

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def telemetry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Telemetry]:
    url = f"sqlite:///{tmp_path}/fleet.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("server").url()
    with Telemetry(url, metrics=Metrics({"power_output": Metric(unit="w", positive="in")})) as opened:
        yield opened


def push(minute: float, *, site: str = "site", late: float = 1, **metrics: Any) -> tuple[DataPush, datetime]:
    at = START + minute * MINUTE
    devices = (DeviceReading(device_id="20000", metrics=metrics or {"power_output": minute}),)
    return DataPush(molecule_id=site, timestamp=at, devices=devices), at + late * MINUTE


def test_a_push_becomes_a_row_for_each_value(telemetry: Telemetry) -> None:
    assert telemetry.add([push(0, power_output=4.8, relay_state="closed", cycles=7)]) == Added(3, 0, 0)
    assert list(telemetry.readings()) == [
        Reading("site", "20000", "cycles", START, 7.0, START + MINUTE),
        Reading("site", "20000", "power_output", START, 4.8, START + MINUTE),
        Reading("site", "20000", "relay_state", START, "closed", START + MINUTE),
    ]
    assert telemetry.count() == 3


def test_what_comes_twice_is_stored_once(telemetry: Telemetry) -> None:
    assert telemetry.add([push(0), push(1), push(0)]) == Added(2, 1, 0)
    assert telemetry.add([push(1, late=9), push(2)]) == Added(1, 1, 0)
    assert [reading.received_at for reading in telemetry.readings()] == [
        START + n * MINUTE for n in (1, 2, 3)
    ]


def test_another_value_for_the_same_instant_is_counted_and_the_first_one_kept(telemetry: Telemetry) -> None:
    assert telemetry.add([push(0, mode="on"), push(0, mode="off")]) == Added(1, 0, 1)
    assert telemetry.add([push(0, mode=1.0)]) == Added(0, 0, 1)
    assert [reading.value for reading in telemetry.readings()] == ["on"]


def test_what_comes_late_is_history_and_not_the_latest(telemetry: Telemetry) -> None:
    telemetry.add([push(5)])
    telemetry.add([push(3, late=60)])
    assert [reading.value for reading in telemetry.readings()] == [3.0, 5.0]
    assert [reading.value for reading in telemetry.latest()] == [5.0]
    telemetry.add([push(6), push(0, site="another")])
    assert [(one.molecule_id, one.value) for one in telemetry.latest()] == [("another", 0.0), ("site", 6.0)]
    assert [one.value for one in telemetry.latest("site")] == [6.0]


def test_it_can_be_asked_for_a_part(telemetry: Telemetry) -> None:
    telemetry.add([push(n, power_output=n, voltage=230.0) for n in range(5)])
    telemetry.add([push(0, site="another")])
    since, until = START + MINUTE, START + 3 * MINUTE
    found = telemetry.readings(molecule_id="site", metric="power_output", since=since, until=until)
    assert [reading.value for reading in found] == [1.0, 2.0]


def test_a_series_reaches_beyond_both_ends(telemetry: Telemetry) -> None:
    telemetry.add([push(n) for n in range(10)] + [push(4.5, power_output="broken")])
    found = telemetry.series("site", "power_output", START + 3.5 * MINUTE, START + 6 * MINUTE)
    assert found == {"20000": [(START + n * MINUTE, float(n)) for n in (3, 4, 5, 6)]}
    assert telemetry.series("site", "voltage", START, START + MINUTE) == {}


def test_two_may_write_the_same_at_once(telemetry: Telemetry) -> None:
    """Two processes' worth of connections, each with its own idea of which series there are."""
    with Telemetry(telemetry._database._url.render_as_string(hide_password=False)) as other:
        assert other.add([push(0)]).stored == telemetry.add([push(1)]).stored == 1
        assert other.add([push(1)]).duplicates == 1
    assert telemetry.count() == 2


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=20), st.data())
def test_the_order_does_not_matter(events: list[tuple[int, int]], data: st.DataObject) -> None:
    def state(order: list[tuple[int, int]]) -> list[Any]:
        with Telemetry("sqlite://") as telemetry:
            for minute, site in order:
                telemetry.add([push(minute, site=str(site))])
            return [*telemetry.readings(), *telemetry.latest()]

    assert state(events) == state(data.draw(st.permutations(events)))


def test_what_cannot_be_is_refused(telemetry: Telemetry) -> None:
    with pytest.raises(RuleError, match="has no time zone"):
        telemetry.add([(push(0)[0], datetime(2026, 1, 1))])  # noqa: DTZ001  without an offset on purpose
    with pytest.raises(StoreError, match="not open"):
        Telemetry("sqlite://").count()


# --- out again --------------------------------------------------------------------------------------------


def filled(telemetry: Telemetry) -> Telemetry:
    telemetry.add([push(n, power_output=4.5, relay_state="closed", voltage=230.0, fan=1) for n in range(3)])
    return telemetry


def test_parquet_says_the_unit_and_who_says_so(telemetry: Telemetry, tmp_path: Path) -> None:
    assert export(filled(telemetry), tmp_path / "out.parquet") == 12
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    rows = {row["metric"]: row for row in table.slice(0, 12).to_pylist()}
    assert rows["power_output"]["value"] == 4.5
    assert rows["power_output"]["time"] == START + 2 * MINUTE
    assert (rows["relay_state"]["value"], rows["relay_state"]["text"]) == (None, "closed")
    said = {name: (row["unit"], row["unit_basis"]) for name, row in rows.items()}
    assert said["power_output"] == ("w", "declared")
    assert said["voltage"] == ("V", "inferred")
    assert said["fan"] == (None, None)


def test_csv_has_the_same_rows(telemetry: Telemetry, tmp_path: Path) -> None:
    counts: list[int] = []
    assert export(filled(telemetry), tmp_path / "out.csv", metric="voltage", on_progress=counts.append) == 3
    assert counts == [3]
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["value"] for row in rows] == ["230"] * 3
    assert rows[0]["time"].startswith("2026-01-01 00:00:00")


def test_arrow_streams(telemetry: Telemetry) -> None:
    assert arrow_reader(filled(telemetry)).read_all().num_rows == 12
    assert arrow_reader(telemetry, molecule_id="nobody").read_all().num_rows == 0


def test_a_file_is_complete_or_not_there(telemetry: Telemetry, tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(filled(telemetry), tmp_path / "out.parquet", on_progress=stop)
    assert [path.name for path in tmp_path.iterdir() if "db" not in path.name] == []
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(RuleError, match="exists already"):
        export(telemetry, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "mine"
    with pytest.raises(RuleError, match=r"neither in \.parquet nor in \.csv"):
        export(telemetry, tmp_path / "out.xlsx")


MEASURE = """
import resource, sys
from mosvpp.fleet.export import export
from mosvpp.fleet.telemetry import Telemetry
import pyarrow.csv, pyarrow.parquet
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with Telemetry(sys.argv[1]) as telemetry:
    print(export(telemetry, sys.argv[2]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells its peak of memory in another way")
def test_memory_does_not_grow_with_the_history(tmp_path: Path) -> None:
    """Ten times the rows take about the same, in both formats; each in a process of its own."""
    grown: dict[str, list[int]] = {"parquet": [], "csv": []}
    for count in (40_000, 400_000):
        url = f"sqlite:///{tmp_path}/{count}.db"
        with Telemetry(url) as telemetry:
            metrics = {str(n): float(n) for n in range(100)}
            telemetry.add(push(n, **metrics) for n in range(count // 100))
        for ending, several in grown.items():
            done = subprocess.run(
                [sys.executable, "-c", MEASURE, url, str(tmp_path / f"{count}.{ending}")],
                capture_output=True,
                text=True,
                check=True,
            )
            written, kibibytes = map(int, done.stdout.split())
            assert written == count
            several.append(kibibytes)
    for few, many in grown.values():
        assert many < few + 40_000, f"{grown} KiB"
