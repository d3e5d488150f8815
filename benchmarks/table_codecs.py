#!/usr/bin/env python3
"""What the codecs of a table's files, and its point index, save and cost: size, processor time of
writing and reading.

    PYTHONPATH=build/release/python benchmarks/table_codecs.py [--rows N] [--directory DIR]

Prints a line of the table in docs/performance.md for each combination. Times are of all threads of
the process, the least of several; wall time is left to python_tables.py, on an idle machine.
"""

import argparse
import shutil
import time
from pathlib import Path
from typing import Callable, Optional

import marbledb
import numpy as np
import pyarrow as pa

from tables import data
from tables.workloads import touch

LAYOUTS: list[tuple[str, Optional[str], str]] = [
    ("none", None, "point_index"), ("none", None, "bloom_filter"),
    ("lz4", None, "point_index"), ("lz4", None, "bloom_filter"),
    ("zstd", None, "point_index"), ("zstd", None, "bloom_filter"),
    ("lz4", "zstd", "point_index"), ("none", "zstd", "point_index")]
LOOKUPS = 2_000
SMALL_BUDGET = "64MiB"


def least(work: Callable[[], object], repeats: int) -> float:
    """Milliseconds of processor time."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) * 1e3


def measure(batches: list[pa.RecordBatch], layout: tuple[str, Optional[str], str],
            directory: Path) -> list[float]:
    shutil.rmtree(directory, ignore_errors=True)
    rows = sum(batch.num_rows for batch in batches)
    source = np.random.default_rng(3)
    ids = [int(number) * data.ID_STEP for number in source.integers(0, rows, LOOKUPS)]
    with marbledb.open(directory) as db:
        table = db.create_table("events", data.SCHEMA, "id", compression=layout[0],
                                bottom_compression=layout[1], point_lookup=layout[2])

        def ingest() -> None:
            for batch in batches:
                table.insert(batch)
            db.flush()
            db.wait_for_background()

        written = [least(ingest, 1), least(lambda: db.compact("events"), 1)]
        size = table.stats()["bytes_in_files"] / 1e6
    with marbledb.open(directory) as db:
        table = db.table("events")
        read = [least(lambda: touch(table.scan()), 1), least(lambda: touch(table.scan()), 6),
                least(lambda: touch(table.scan(["user", "amount"])), 6),
                least(lambda: [table.get(key) for key in ids], 4) * 1e3 / LOOKUPS]
    with marbledb.open(directory, memory_budget=SMALL_BUDGET) as db:
        table = db.table("events")
        read.append(least(lambda: [table.get(key) for key in ids], 1) * 1e3 / LOOKUPS)
    return [size, *written, *read]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--directory", type=Path, default=Path("table_codecs.tmp"))
    arguments = parser.parse_args()
    batches = list(data.event_batches(arguments.rows, seed=1))
    data.touch(batches)
    print("| above, bottom, lookups | MB | ingest, compact, ms | first scan / again / 2 columns, ms "
          "| get / with 64 MiB, us |")
    print("|---|---|---|---|---|")
    for layout in LAYOUTS:
        size, ingest, compact, first, again, two, get, cold = measure(batches, layout,
                                                                      arguments.directory)
        above, bottom, lookups = layout
        print(f"| {above}, {bottom or above}, {lookups} | {size:.0f} | {ingest:.0f}, {compact:.0f} "
              f"| {first:.0f} / {again:.0f} / {two:.1f} | {get:.1f} / {cold:.0f} |", flush=True)
    shutil.rmtree(arguments.directory)


if __name__ == "__main__":
    main()
