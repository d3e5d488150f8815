#!/usr/bin/env python3
"""A keyed table far larger than the memory budget beside one of a tenth of its rows: rates of ingest,
scans, lookups and upserts, and how much anonymous memory each took.

    PYTHONPATH=build/release/python benchmarks/large_table.py [--rows N] [--budget SIZE] [--directory DIR]

200 million rows, the preset number, are about 15 GB of Arrow and need 40 GB of disk. Both tables get the
same budget, each in a process of its own. Rates of ingest and upserts include making the rows.
"""

import argparse
import multiprocessing
import multiprocessing.connection
import shutil
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import marbledb
import numpy as np
import pyarrow as pa

from tables import data
from tables.workloads import Wrong, anonymous_bytes, touch

# Ids are row numbers times this, modulo the rows: each once, in an order that jumps about.
SCATTER = 1_000_003
LOOKUPS = 2_000
GROUPS = 50
# One key is looked up for so many rows of the table before lookups are measured: pages of 16 KiB of the
# point indexes, some 2,500 rows each, are checked when they are first touched.
ROWS_A_WARM_KEY = 400
SCANS = 3
SAMPLE_SECONDS = 0.01
MIB = 1 << 20


class Rows:
    """Rows of the table benchmark's events, whose ids and values are functions of their numbers."""

    def __init__(self, rows: int):
        self.rows = rows
        self.source = np.random.default_rng(1)
        # Values are taken from a pool at random places: making them anew takes longer than inserting.
        self.pool = pa.Table.from_batches(list(data.event_batches(16 * data.BATCH_ROWS, seed=1)))

    def batch(self, numbers: np.ndarray) -> pa.RecordBatch:
        start = int(self.source.integers(0, len(self.pool) - len(numbers) + 1))
        values = self.pool.slice(start, len(numbers)).combine_chunks().to_batches()[0]
        ids = numbers * SCATTER % self.rows * data.ID_STEP
        return values.set_column(0, data.SCHEMA.field(0), pa.array(ids))

    def ids(self, count: int) -> np.ndarray:
        """Of random rows."""
        return self.source.permutation(np.unique(self.source.integers(0, self.rows, count)) * data.ID_STEP)

    def batches(self, numbers_of: Callable[[int, int], np.ndarray],
                rows: int) -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, data.BATCH_ROWS):
            yield self.batch(numbers_of(start, min(start + data.BATCH_ROWS, rows)))


def must(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Wrong(f"{what}: {found}, not {wanted}")


def write(table: marbledb.Table, batches: Iterator[pa.RecordBatch]) -> float:
    """Seconds until all is durable."""
    start = time.perf_counter()
    last = next(batches)
    for batch in batches:
        table.insert(last)
        last = batch
    table.insert(last, sync=True)
    return time.perf_counter() - start


def scan(table: marbledb.Table, rows: int) -> float:
    """Seconds; every value is touched."""
    start = time.perf_counter()
    must("rows of a scan", touch(table.scan()), rows)
    return time.perf_counter() - start


def lookups(table: marbledb.Table, source: Rows) -> tuple[float, float]:
    """Microseconds a row: one at a time, and of a thousand."""
    singles = [int(key) for key in source.ids(LOOKUPS)]
    start = time.perf_counter()
    found = [table.get(key) for key in singles]
    single = (time.perf_counter() - start) / len(singles)
    must("a row by key", [row["id"] for row in found], singles)
    groups = [pa.array(source.ids(data.KEYS_AT_ONCE)) for _ in range(GROUPS)]
    start = time.perf_counter()
    results = [table.get(group) for group in groups]
    each = (time.perf_counter() - start) / sum(map(len, groups))
    for group, rows in zip(groups, results):
        must("rows by key", rows["id"].to_pylist(), group.to_pylist())
    return single * 1e6, each * 1e6


def measure(rows: int, budget: str, directory: str) -> dict[str, float]:
    source = Rows(rows)
    figures = {"anonymous memory, MiB": -anonymous_bytes() / MIB}  # the parent adds the peak
    with marbledb.open(directory, memory_budget=budget) as db:
        table = db.create_table("events", data.SCHEMA, "id")
        seconds = write(table, source.batches(np.arange, rows))
        figures["ingest until durable, M rows/s"] = rows / seconds / 1e6
        start = time.perf_counter()
        db.flush()
        db.wait_for_background()
        figures["ingest until quiet, M rows/s"] = rows / (seconds + time.perf_counter() - start) / 1e6
        must("rows", table.count(), rows)
        times = [scan(table, rows) for _ in range(SCANS)]
        figures["full scan, M rows/s"] = rows / statistics.median(times) / 1e6
        _, each = lookups(table, source)
        figures["rows by a thousand keys, cold, k rows/s"] = 1e3 / each
        for _ in range(rows // ROWS_A_WARM_KEY // data.KEYS_AT_ONCE):
            table.get(pa.array(source.ids(data.KEYS_AT_ONCE)))
        single, each = lookups(table, source)
        figures["one row by key, k rows/s"] = 1e3 / single
        figures["rows by a thousand keys, k rows/s"] = 1e3 / each
        count = rows // 100
        seconds = write(table, source.batches(lambda begin, end: np.arange(begin, end) * 97, count))
        figures["upsert of 1 %, M rows/s"] = count / seconds / 1e6
        figures["full scan right after it, M rows/s"] = rows / scan(table, rows) / 1e6
        must("rows after the upsert", table.count(), rows)
        figures["in files, MB"] = table.stats()["bytes_in_files"] / 1e6
    return figures


def answer(pipe: multiprocessing.connection.Connection, *arguments: Any) -> None:
    pipe.send(measure(*arguments))


def in_a_process(rows: int, budget: str, directory: Path) -> dict[str, float]:
    """Watches its anonymous memory from outside, so that it is not disturbed."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    child = spawn.Process(target=answer, args=(sender, rows, budget, str(directory)))
    most = 0
    try:
        child.start()
        sender.close()
        while not receiver.poll(SAMPLE_SECONDS):
            if child.is_alive():
                most = max(most, anonymous_bytes(child.pid))
        figures = receiver.recv()
        child.join()
    finally:
        child.kill()
        shutil.rmtree(directory, ignore_errors=True)
    figures["anonymous memory, MiB"] += most / MIB
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=200_000_000)
    parser.add_argument("--budget", default="1GiB")
    parser.add_argument("--directory", type=Path, default=Path("large_table.tmp"))
    arguments = parser.parse_args()
    sizes = [arguments.rows // 10, arguments.rows]
    if sizes[0] < data.BATCH_ROWS or any(rows % SCATTER == 0 for rows in sizes):
        parser.error(f"--rows must be at least {10 * data.BATCH_ROWS} and no multiple of {SCATTER}")
    if arguments.directory.exists():
        parser.error(f"{arguments.directory} exists")
    found = []
    for rows in sizes:
        print(f"{rows:,} rows with a budget of {arguments.budget}", flush=True)
        found.append(in_a_process(rows, arguments.budget, arguments.directory))
    print(f"\n{'':36}" + "".join(f"{rows:>14,}" for rows in sizes) + f"{'ratio':>8}")
    for name in found[0]:
        small, large = found[0][name], found[1][name]
        print(f"{name:36}{small:14.5g}{large:14.5g}{large / small:8.2f}")


if __name__ == "__main__":
    main()
