"""What each engine offers the workloads, and what several engines share."""

import os
from pathlib import Path
from typing import Callable, Iterable, Optional

import pyarrow as pa

from .data import Range

Batches = Iterable[pa.RecordBatch]

GROUP_SQL = "SELECT kind, count(*), sum(amount) FROM events GROUP BY kind ORDER BY kind"
QUERIES = {
    "q1": """SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice),
        sum(l_extendedprice * (1 - l_discount)),
        sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)),
        avg(l_quantity), avg(l_extendedprice), avg(l_discount), count(*) FROM lineitem
        WHERE l_shipdate <= DATE '1998-09-02'
        GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus""",
    "q6": """SELECT sum(l_extendedprice * l_discount) FROM lineitem
        WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
        AND l_discount BETWEEN 0.045 AND 0.075 AND l_quantity < 24""",
}
SQL_THREADS = 2


class Engine:
    """One way of keeping the rows; lives in a child process and owns its directory. Each method is
    the fastest reasonable way of the engine. What it is not asked for stands in `leaves_out`, by
    workload, with the reason."""

    name = ""
    family = ""
    version = ""
    note = ""
    threads: tuple[int, ...] = ()  # numbers of threads that a scan can be told to use
    leaves_out: dict[str, str] = {}

    def __init__(self, directory: Path):
        self.directory = directory
        self.prepared = False  # for queries

    def ingest(self, batches: list[pa.RecordBatch]) -> None:
        """Returns when the rows survive power loss."""
        raise self.missing("ingest")

    def quiet(self) -> None:
        """Returns when no background work is left."""

    def compact(self) -> None:
        """Makes reading as fast as the engine can, if it has such a call."""

    def use_threads(self, count: int) -> None:
        """One of `threads`."""

    def scan(self, columns: Optional[list[str]] = None) -> Batches:
        raise self.missing("scan")

    def select(self, where: Range) -> Batches:
        raise self.missing("select")

    def get(self, key: int) -> object:
        """One row: a dict, or a tuple in the order of the schema."""
        raise self.missing("get")

    def get_many(self, keys: pa.Array) -> Batches:
        raise self.missing("get_many")

    def contains(self, keys: pa.Array) -> pa.Array:
        """Those of `keys` that are there, in any order: a semi-join."""
        raise self.missing("contains")

    def upsert(self, rows: pa.RecordBatch) -> None:
        """One durable commit."""
        raise self.missing("upsert")

    def other_upserts(self) -> dict[str, Callable[[pa.RecordBatch], None]]:
        """More ways to do the same, by name."""
        return {}

    def delete(self, keys: pa.Array) -> None:
        """One durable commit."""
        raise self.missing("delete")

    def prepare_queries(self, lineitem: list[pa.RecordBatch]) -> None:
        """Loads a second table, and makes both known as `events` and `lineitem`."""
        raise self.missing("queries")

    def query(self, sql: str) -> list[tuple]:
        raise self.missing("queries")

    def group(self) -> list[tuple]:
        return self.query(GROUP_SQL)

    def bytes_on_disk(self, state: str) -> tuple[int, int]:
        """Of the directory, and of those files that hold the rows."""
        size = bytes_in(self.directory)
        return size, size

    def close(self) -> None:
        """Ends what the engine has open."""

    def missing(self, what: str) -> AttributeError:
        return AttributeError(f"{self.name} is asked for {what}, which it does not have")


def left_out(reason: str, *workloads: str) -> dict[str, str]:
    return {workload: reason for workload in workloads}


def bytes_in(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def sync_path(path: Path) -> None:
    """fsync of a file or directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_since(directory: Path, known: set[Path]) -> set[Path]:
    """fsync of all files that are not in `known`, and of directories; returns all files."""
    files = set()
    for path in directory.rglob("*"):
        if path.is_dir():
            sync_path(path)
        else:
            files.add(path)
            if path not in known:
                sync_path(path)
    sync_path(directory)
    return files


def sql_over(sources: dict[str, object]):
    """A DuckDB connection that sees pyarrow data sets, or relations of its own, by name."""
    import duckdb  # noqa: PLC0415 (only in the child that needs it)
    import pyarrow.dataset  # noqa: F401, PLC0415 (until then DuckDB takes no data set for one)

    connection = duckdb.connect()
    connection.execute(f"SET threads={SQL_THREADS}")
    for name, source in sources.items():
        if isinstance(source, str):
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {source}")
        else:
            connection.register(name, source)
    return connection
