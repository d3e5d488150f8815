"""Files of rows in the order of arrival: Feather (Arrow IPC) and Parquet, and Polars over the former.

They have no keys, so an upsert or delete writes the file anew and puts it in the place of the old.
"""

import os
from pathlib import Path
from typing import Callable, Iterator, Optional

import numpy as np
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet

from .data import SCHEMA, Range
from .engine import GROUP_SQL, Batches, Engine, left_out, sql_over, sync_path

BATCHES_PER_ROW_GROUP = 4


def bounds(where: Range) -> tuple[pa.Scalar, pa.Scalar]:
    kind = SCHEMA.field(where.column).type
    return pa.scalar(where.low, kind), pa.scalar(where.high, kind)


class File(Engine):
    suffix = ""

    def __init__(self, directory: Path):
        super().__init__(directory)
        self.path = directory / f"events{self.suffix}"

    def write(self, path: Path, schema: pa.Schema, batches: Batches) -> None:
        raise self.missing("write")

    def open(self) -> None:
        """Called after the file has been written."""

    def replace(self, batches: Batches) -> None:
        new = self.path.with_suffix(".new")
        self.write(new, SCHEMA, batches)
        sync_path(new)
        os.replace(new, self.path)
        sync_path(self.directory)
        self.open()

    def ingest(self, batches: list[pa.RecordBatch]) -> None:
        self.replace(batches)

    def without(self, keys: pa.Array) -> Iterator[pa.RecordBatch]:
        for batch in self.scan():
            yield batch.filter(pc.invert(pc.is_in(batch["id"], value_set=keys)))

    def upsert(self, rows: pa.RecordBatch) -> None:
        def after() -> Iterator[pa.RecordBatch]:
            yield from self.without(rows["id"])
            yield rows

        self.replace(after())

    def delete(self, keys: pa.Array) -> None:
        self.replace(self.without(keys))

    def bytes_on_disk(self, state: str) -> tuple[int, int]:
        if state == "loaded":
            return super().bytes_on_disk(state)
        # What compaction is for the others: the same rows in the order of their keys.
        sorted_path = self.path.with_suffix(".sorted")
        rows = pa.Table.from_batches(self.scan(), SCHEMA).sort_by("id").combine_chunks()
        self.write(sorted_path, SCHEMA, rows.to_batches(max_chunksize=65_536))
        size = sorted_path.stat().st_size
        sorted_path.unlink()
        return size, size

    def query(self, sql: str) -> list[tuple]:
        return self.sql.execute(sql).fetchall()


class Feather(File):
    name, family, suffix = "feather", "feather", ".arrow"
    version = f"pyarrow {pa.__version__}"
    note = ("uncompressed, mapped, batch by batch; a filter reads its column first; ranges and lookups "
            "compare all ids; upsert and delete write the file anew")
    compression: Optional[str] = None

    def write(self, path: Path, schema: pa.Schema, batches: Batches) -> None:
        options = pa.ipc.IpcWriteOptions(compression=self.compression)
        with pa.OSFile(str(path), "wb") as sink, \
                pa.ipc.new_file(sink, schema, options=options) as writer:
            for batch in batches:
                writer.write_batch(batch)

    def open(self) -> None:
        # Once: each mapping has its pages to find anew.
        self.mapped = pa.memory_map(str(self.path))

    def reader(self, columns: Optional[list[str]] = None) -> pa.ipc.RecordBatchFileReader:
        fields = None if columns is None else [SCHEMA.get_field_index(name) for name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=pa.cpu_count() > 1)
        return pa.ipc.open_file(self.mapped, options=options)

    def scan(self, columns: Optional[list[str]] = None) -> Batches:
        reader = self.reader(columns)
        return (reader.get_batch(i) for i in range(reader.num_record_batches))

    def matching(self, column: str, test: Callable[[pa.Array], pa.Array]) -> Iterator[pa.RecordBatch]:
        """The other columns are read only where a batch has matches, which matters if they are
        compressed."""
        rows = self.reader()
        for number, batch in enumerate(self.scan([column])):
            mask = test(batch[column])
            if mask.true_count:
                yield rows.get_batch(number).filter(mask)

    def select(self, where: Range) -> Batches:
        low, high = bounds(where)
        return self.matching(where.column, lambda column: pc.and_(pc.greater_equal(column, low),
                                                                  pc.less(column, high)))

    def get(self, key: int) -> object:
        for number, batch in enumerate(self.scan(["id"])):
            found = np.flatnonzero(batch["id"].to_numpy() == key)
            if len(found):
                return self.reader().get_batch(number).slice(found[0], 1).to_pylist()[0]
        return None

    def get_many(self, keys: pa.Array) -> Batches:
        return self.matching("id", lambda column: pc.is_in(column, value_set=keys))

    def contains(self, keys: pa.Array) -> pa.Array:
        ids = (batch["id"] for batch in self.scan(["id"]))
        return pa.concat_arrays([column.filter(pc.is_in(column, value_set=keys)) for column in ids])

    def prepare_queries(self, lineitem: list[pa.RecordBatch]) -> None:
        lines = self.directory / "lineitem.arrow"
        self.write(lines, lineitem[0].schema, lineitem)
        mapping = pa.fs.LocalFileSystem(use_mmap=True)
        sources = {name: pyarrow.dataset.dataset(str(path), format="ipc", filesystem=mapping)
                   for name, path in (("events", self.path), ("lineitem", lines))}
        self.sql = sql_over(sources)


class FeatherLz4(Feather):
    name, compression, threads = "feather-lz4", "lz4", (1, 2)
    note = "LZ4, else as feather"

    def use_threads(self, count: int) -> None:
        pa.set_cpu_count(count)


class Parquet(File):
    name, family, suffix = "parquet-zstd", "parquet", ".parquet"
    version = f"pyarrow {pa.__version__}"
    threads = (1, 2)
    note = ("ZSTD, row groups of 256 Ki rows, through pyarrow.dataset; upsert and delete write the "
            "file anew; queries: DuckDB's own reader")

    def __init__(self, directory: Path):
        super().__init__(directory)
        self.parallel = True

    def use_threads(self, count: int) -> None:
        self.parallel = count > 1

    def write(self, path: Path, schema: pa.Schema, batches: Batches) -> None:
        with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            group: list[pa.RecordBatch] = []
            for batch in batches:
                group.append(batch)
                if len(group) == BATCHES_PER_ROW_GROUP:
                    writer.write_table(pa.Table.from_batches(group))
                    group = []
            if group:
                writer.write_table(pa.Table.from_batches(group))

    def open(self) -> None:
        self.dataset = pyarrow.dataset.dataset(self.path)

    def read(self, columns: Optional[list[str]] = None,
             where: Optional[pc.Expression] = None) -> Batches:
        return self.dataset.scanner(columns=columns, filter=where,
                                    use_threads=self.parallel).to_reader()

    def scan(self, columns: Optional[list[str]] = None) -> Batches:
        return self.read(columns)

    def select(self, where: Range) -> Batches:
        low, high = bounds(where)
        field = pc.field(where.column)
        return self.read(where=(field >= low) & (field < high))

    def get(self, key: int) -> object:
        return next(row for batch in self.read(where=pc.field("id") == key)
                    for row in batch.to_pylist())

    def get_many(self, keys: pa.Array) -> Batches:
        return self.read(where=pc.field("id").isin(keys))

    def contains(self, keys: pa.Array) -> pa.Array:
        found = self.read(["id"], pc.field("id").isin(keys)).read_all()
        return found["id"].combine_chunks()

    def prepare_queries(self, lineitem: list[pa.RecordBatch]) -> None:
        lines = self.directory / "lineitem.parquet"
        self.write(lines, lineitem[0].schema, lineitem)
        self.sql = sql_over({"events": f"read_parquet('{self.path}')",
                             "lineitem": f"read_parquet('{lines}')"})


class Polars(Feather):
    name, family = "polars", "polars"
    version = f"polars {polars.__version__}"
    note = "scan_ipc over a Feather file, 2 threads; strings stay views in Arrow"
    leaves_out = (left_out("the file is Feather's", "ingest", "size", "upsert", "delete")
                  | left_out("no index; as Feather", "point")
                  | left_out("DuckDB's queries are measured over Feather itself", "queries"))

    def collect(self, frame: polars.LazyFrame) -> Batches:
        newest = polars.CompatLevel.newest()
        return frame.collect().to_arrow(compat_level=newest).to_batches()

    def scan(self, columns: Optional[list[str]] = None) -> Batches:
        frame = polars.scan_ipc(self.path)
        return self.collect(frame.select(columns) if columns else frame)

    def select(self, where: Range) -> Batches:
        column = polars.col(where.column)
        low, high = where.low, where.high
        if where.column == "ts":
            low, high = (polars.lit(bound).cast(polars.Datetime("us")) for bound in (low, high))
        return self.collect(polars.scan_ipc(self.path).filter((column >= low) & (column < high)))

    def contains(self, keys: pa.Array) -> pa.Array:
        asked = polars.LazyFrame({"id": polars.from_arrow(keys)})
        found = asked.join(polars.scan_ipc(self.path).select("id"), on="id", how="semi")
        return found.collect()["id"].to_arrow()

    def prepare_queries(self, lineitem: list[pa.RecordBatch]) -> None:
        """Nothing: only `group` is asked."""

    def query(self, sql: str) -> list[tuple]:
        if sql != GROUP_SQL:
            raise self.missing(sql)
        grouped = polars.scan_ipc(self.path).group_by("kind").agg(
            polars.len(), polars.col("amount").sum()).sort("kind")
        return grouped.collect().rows()
