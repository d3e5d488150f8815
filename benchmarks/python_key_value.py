#!/usr/bin/env python3
"""Key-value work from Python: marbledb beside rocksdict and lmdb, in one run.

    benchmarks/python_key_value.py [--rows N] [--rounds N] [--json FILE] [--directory DIR]

put, get, multi_get of 100 and put_many of 10,000, one thread, no sync. The engines take turns,
workload by workload; each must give back what it was given. Prints medians and writes the JSON that
benchmarks/report.py reads. A peer that is not installed is left out.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Callable, Optional

import marbledb
import pyarrow as pa

try:
    import rocksdict
except ImportError:
    rocksdict = None
try:
    import lmdb
except ImportError:
    lmdb = None

MULTI_GET_KEYS = 100
PUT_MANY_ROWS = 10_000
Rows = list[tuple[bytes, bytes]]


class Marble:
    name, family = "marble", "marble"
    version = f"marbledb {getattr(marbledb, '__version__', '')}".strip()
    note = "defaults"

    def __init__(self, directory: Path):
        self.database = marbledb.open(str(directory))
        kv = self.database.kv()
        self.put, self.get = kv.put, kv.get
        self.multi_get, self.put_many = kv.multi_get, kv.put_many

    def put_arrow(self, table: pa.Table) -> None:
        self.put_many(table)

    def settle(self) -> None:
        self.database.flush()
        self.database.wait_for_background()

    def close(self) -> None:
        self.database.close()


class Rocksdict:
    name, family = "rocksdict", "rocksdb"
    note = "raw mode; 4 memtables of 64 MiB, LZ4, 10-bit bloom filter, 1 GiB cache; WriteBatch"

    def __init__(self, directory: Path):
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(64 << 20)
        options.set_max_write_buffer_number(4)
        options.set_max_background_jobs(2)
        options.set_compression_type(rocksdict.DBCompressionType.lz4())
        table = rocksdict.BlockBasedOptions()
        table.set_bloom_filter(10, False)
        table.set_block_cache(rocksdict.Cache(1 << 30))
        options.set_block_based_table_factory(table)
        self.db = rocksdict.Rdict(str(directory), options)
        self.put, self.get, self.multi_get = self.db.put, self.db.get, self.db.get
        self.version = f"rocksdict {getattr(rocksdict, '__version__', '')}".strip()

    def put_many(self, rows: Rows) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in rows:
            batch.put(key, value)
        self.db.write(batch)

    def put_arrow(self, table: pa.Table) -> None:
        self.put_many(python_rows(table))

    def settle(self) -> None:
        self.db.flush()

    def close(self) -> None:
        self.db.close()


class Lmdb:
    name, family = "lmdb", "lmdb"
    note = "writemap, no sync; a transaction for each call; getmulti and putmulti"

    def __init__(self, directory: Path):
        self.env = lmdb.open(str(directory), map_size=16 << 30, writemap=True, sync=False,
                             metasync=False)
        self.version = f"lmdb {lmdb.__version__} on LMDB {'.'.join(map(str, lmdb.version()))}"

    def put(self, key: bytes, value: bytes) -> None:
        with self.env.begin(write=True) as transaction:
            transaction.put(key, value)

    def get(self, key: bytes) -> Optional[bytes]:
        with self.env.begin() as transaction:
            return transaction.get(key)

    def multi_get(self, keys: list[bytes]) -> list[bytes]:
        with self.env.begin() as transaction, transaction.cursor() as cursor:
            return [value for _, value in cursor.getmulti(keys)]

    def put_many(self, rows: Rows) -> None:
        with self.env.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(rows)

    def put_arrow(self, table: pa.Table) -> None:
        self.put_many(python_rows(table))

    def settle(self) -> None:
        self.env.sync(True)

    def close(self) -> None:
        self.env.close()


def python_rows(table: pa.Table) -> Rows:
    keys = table["key"].cast(pa.binary()).to_pylist()
    return list(zip(keys, table["value"].to_pylist()))


def make_rows(count: int, value_bytes: int) -> Rows:
    """In random order; values compress to about half."""
    source = random.Random(1)
    rows = []
    for _ in range(count):
        half = source.randbytes(value_bytes // 2)
        rows.append((source.randbytes(8).hex().encode(), half + half))
    return rows


def timed(work: Callable[[], Any], operations: int) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return (time.perf_counter() - start) / operations * 1e9, result


def check(engine: Any, what: str, good: bool) -> None:
    if not good:
        sys.exit(f"{engine.name}: {what} did not give what was put")


def put(engine: Any, rows: Rows, wanted: Rows) -> float:
    put_one = engine.put

    def work() -> None:
        for key, value in rows:
            put_one(key, value)

    nanoseconds, _ = timed(work, len(rows))
    engine.settle()
    return nanoseconds


def get(engine: Any, rows: Rows, wanted: Rows) -> float:
    get_one = engine.get
    keys = [key for key, _ in wanted]
    nanoseconds, values = timed(lambda: [get_one(key) for key in keys], len(keys))
    check(engine, "get", values == [value for _, value in wanted])
    return nanoseconds


def get_missing(engine: Any, rows: Rows, wanted: Rows) -> float:
    get_one = engine.get
    keys = [key[:-1] + b"x" for key, _ in wanted]
    nanoseconds, values = timed(lambda: [get_one(key) for key in keys], len(keys))
    check(engine, "get of missing keys", not any(values))
    return nanoseconds


def multi_get(engine: Any, rows: Rows, wanted: Rows) -> float:
    keys = [key for key, _ in wanted]
    groups = [keys[i:i + MULTI_GET_KEYS] for i in range(0, len(keys), MULTI_GET_KEYS)]
    multi_get_group = engine.multi_get
    nanoseconds, answers = timed(lambda: [multi_get_group(group) for group in groups], len(keys))
    values = [value for answer in answers for value in answer]
    check(engine, "multi_get", sorted(values) == sorted(value for _, value in wanted))
    return nanoseconds


def put_many(engine: Any, rows: Rows, wanted: Rows) -> float:
    groups = [rows[i:i + PUT_MANY_ROWS] for i in range(0, len(rows), PUT_MANY_ROWS)]

    def work() -> None:
        for group in groups:
            engine.put_many(group)

    nanoseconds, _ = timed(work, len(rows))
    engine.settle()
    return nanoseconds


def put_many_arrow(engine: Any, rows: Rows, wanted: Rows) -> float:
    """From Arrow tables, which the peers have to take apart."""
    tables = []
    for i in range(0, len(rows), PUT_MANY_ROWS):
        keys, values = zip(*rows[i:i + PUT_MANY_ROWS])
        columns = {"key": pa.array(keys, pa.binary()).cast(pa.string()),
                   "value": pa.array(values, pa.binary())}
        tables.append(pa.table(columns))

    def work() -> None:
        for table in tables:
            engine.put_arrow(table)

    nanoseconds, _ = timed(work, len(rows))
    engine.settle()
    return nanoseconds


WORKLOADS = (put, get, get_missing, multi_get, put_many, put_many_arrow)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--directory", type=Path, default=Path("python_key_value.tmp"))
    arguments = parser.parse_args()
    kinds = [Marble] + [Rocksdict] * (rocksdict is not None) + [Lmdb] * (lmdb is not None)
    rows = make_rows(arguments.rows, arguments.value_bytes)
    wanted = random.Random(2).sample(rows, min(len(rows), 200_000))
    results = []
    for number in range(1, arguments.rounds + 1):
        shutil.rmtree(arguments.directory, ignore_errors=True)
        arguments.directory.mkdir(parents=True)
        engines = [kind(arguments.directory / kind.name) for kind in kinds]
        for workload in WORKLOADS:
            for engine in engines:
                figure = {"unit": "ns/op", "value": workload(engine, rows, wanted)}
                results.append({"round": number, "engine": engine.name, "workload": "python",
                                "state": "", "note": engine.note, "series": {},
                                "figures": {workload.__name__: figure}})
        for engine in engines:
            engine.close()
    shutil.rmtree(arguments.directory)
    report(arguments, engines, results)


def report(arguments: argparse.Namespace, engines: list[Any], results: list[dict]) -> None:
    print(f"{'medians, ns an operation':26}" + "".join(f"{e.name:>12}" for e in engines))
    for workload in WORKLOADS:
        line = f"{workload.__name__:26}"
        for engine in engines:
            line += f"""{statistics.median(
                r["figures"][workload.__name__]["value"] for r in results
                if r["engine"] == engine.name and workload.__name__ in r["figures"]):12.0f}"""
        print(line)
    if arguments.json is None:
        return
    facts = {"processor": platform.processor() or platform.machine(),
             "cores": str(os.cpu_count()), "kernel": platform.release(),
             "python": platform.python_version()}
    data = {"rows": arguments.rows, "value_bytes": arguments.value_bytes, "keys": "fixed16",
            "mode": "python", "facts": facts, "results": results,
            "engines": [{"name": e.name, "family": e.family, "version": e.version, "floor": False}
                        for e in engines]}
    arguments.json.write_text(json.dumps(data), encoding="utf-8")


if __name__ == "__main__":
    main()
