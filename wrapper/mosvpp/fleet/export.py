"""Telemetry for other tools: Parquet and CSV files, and Arrow for notebooks.

pyarrow does the work, since it is the reference implementation of both Arrow and Parquet and writes a row
group at a time: however much there is, little of it is in memory at once. Each value comes with its unit and
with who says so (`declared`, `inferred`, or nothing where the unit is not known).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mosvpp.errors import RuleError

from .telemetry import Telemetry

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow has no types

__all__ = ["arrow_reader", "export"]

OnProgress = Callable[[int], object]


def export(
    telemetry: Telemetry,
    path: str | Path,
    *,
    molecule_id: str | None = None,
    metric: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    on_progress: OnProgress | None = None,
) -> int:
    """Write the history into a new file, `.parquet` or `.csv`; returns how many values there are.

    The file appears when it is complete. `on_progress` is called with the number of values so far. Raises
    `RuleError` for another ending and for a file that exists, `ImportError` without the extra `fleet`,
    `StoreError` when the store fails, `OSError` when the disk does.
    """
    target = Path(path)
    if target.suffix not in (".parquet", ".csv"):
        msg = f"{target.name} ends neither in .parquet nor in .csv"
        raise RuleError(msg, path="path", rule="enum")
    if target.exists():
        raise RuleError(f"{target} exists already: name a new file", path="path", rule="new_file")
    reader = arrow_reader(telemetry, molecule_id=molecule_id, metric=metric, since=since, until=until)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".mosvpp-", suffix=target.suffix)
    os.close(handle)
    written = 0
    try:
        with _writer(Path(name), reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
                written += batch.num_rows
                if on_progress is not None:
                    on_progress(written)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return written


def arrow_reader(
    telemetry: Telemetry,
    *,
    molecule_id: str | None = None,
    metric: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pa.RecordBatchReader:
    """The history as a stream of Arrow batches, which pandas, polars and DuckDB read as well.

    Columns: molecule_id, device_id, metric, time, value (a number, or null), text (where it is no number),
    unit, unit_basis, received_at. Raises `ImportError` without the extra `fleet`.
    """
    pa = _pyarrow()
    word = pa.dictionary(pa.int32(), pa.string())
    instant = pa.timestamp("us", tz="UTC")
    schema = pa.schema(
        [
            ("molecule_id", word),
            ("device_id", word),
            ("metric", word),
            ("time", instant),
            ("value", pa.float64()),
            ("text", pa.string()),
            ("unit", word),
            ("unit_basis", word),
            ("received_at", instant),
        ]
    )
    chunks = telemetry.chunks(molecule_id=molecule_id, metric=metric, since=since, until=until)
    return pa.RecordBatchReader.from_batches(schema, _batches(pa, schema, telemetry, chunks))


def _batches(pa: Any, schema: Any, telemetry: Telemetry, chunks: Iterator[Any]) -> Iterator[Any]:
    for chunk in chunks:
        sites, devices, metrics, times, numbers, texts, received = zip(*chunk, strict=True)
        known = [telemetry.metrics.get(name) for name, _ in groupby(metrics)]
        lengths = [len(list(same)) for _, same in groupby(metrics)]
        columns = [
            *(pa.array(names, pa.string()).dictionary_encode() for names in (sites, devices, metrics)),
            pa.array(times, pa.int64()).cast(schema.field("time").type),
            pa.array(numbers, pa.float64()),
            pa.array(texts, pa.string()),
            _repeated(pa, [metric.unit if metric else None for metric in known], lengths),
            _repeated(pa, [metric.basis if metric else None for metric in known], lengths),
            pa.array(received, pa.int64()).cast(schema.field("received_at").type),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _repeated(pa: Any, words: list[str | None], lengths: list[int]) -> Any:
    every = [word for word, length in zip(words, lengths, strict=True) for _ in range(length)]
    return pa.array(every, pa.string()).dictionary_encode()


def _writer(path: Path, schema: Any) -> Any:
    if path.suffix == ".csv":
        import pyarrow.csv  # type: ignore[import-untyped]  # see above

        return pyarrow.csv.CSVWriter(path, schema)
    import pyarrow.parquet  # type: ignore[import-untyped]  # see above

    return pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ModuleNotFoundError:
        msg = "exporting telemetry needs pyarrow, which comes with an extra: pip install 'mosvpp[fleet]'"
        raise ImportError(msg, name="pyarrow") from None
    return pa
