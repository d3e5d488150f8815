"""Marble's tables: keyed by id in three codecs, and without a key."""

from pathlib import Path
from typing import Optional

import marbledb
import pyarrow as pa
import pyarrow.compute as pc

from .data import LINEITEM_SCHEMA, SCHEMA, Range
from .engine import Batches, Engine, bytes_in, left_out, sql_over


def dataset_of(table: marbledb.Table, *few: str) -> object:
    """`few` are columns of few distinct values: DuckDB groups them by number, as it does with the
    dictionaries in Parquet files."""
    try:
        return table.to_dataset(dictionary_columns=few)
    except TypeError:
        return table.to_dataset()  # of an older build, for before_after.py


class Marble(Engine):
    name, family = "marble", "marble"
    version = f"marbledb {getattr(marbledb, '__version__', '')}".strip()
    note = "keyed by id, defaults; the last insert is synced"
    compression = "none"
    bottom_compression: Optional[str] = None
    point_lookup = "point_index"
    key: Optional[str] = "id"
    lineitem_key: Optional[list[str]] = ["l_orderkey", "l_linenumber"]
    if not hasattr(marbledb.Table, "to_dataset"):
        leaves_out = left_out("this marbledb has no Table.to_dataset", "group", "queries")

    def __init__(self, directory: Path):
        super().__init__(directory)
        self.database = marbledb.open(directory)
        self.table = self.database.create_table("events", SCHEMA, self.key,
                                                compression=self.compression,
                                                bottom_compression=self.bottom_compression,
                                                point_lookup=self.point_lookup)

    def ingest(self, batches: list[pa.RecordBatch]) -> None:
        for batch in batches[:-1]:
            self.table.insert(batch)
        self.table.insert(batches[-1], sync=True)

    def quiet(self) -> None:
        self.database.flush()
        self.database.wait_for_background()

    def compact(self) -> None:
        self.database.compact("events")
        self.database.wait_for_background()

    def scan(self, columns: Optional[list[str]] = None) -> Batches:
        return self.table.scan(columns)

    def select(self, where: Range) -> Batches:
        if where.column == self.key:
            return self.table.scan(range=(where.low, where.high))
        field = pc.field(where.column)
        low, high = (pa.scalar(bound, SCHEMA.field(where.column).type)
                     for bound in (where.low, where.high))
        return self.table.scan(filter=(field >= low) & (field < high))

    def get(self, key: int) -> object:
        return self.table.get(key)

    def get_many(self, keys: pa.Array) -> Batches:
        return self.table.get(keys, ordered=False).to_batches()

    def contains(self, keys: pa.Array) -> pa.Array:
        return keys.filter(self.table.contains(keys))

    def upsert(self, rows: pa.RecordBatch) -> None:
        self.table.upsert(rows, sync=True)

    def delete(self, keys: pa.Array) -> None:
        self.table.delete(keys, sync=True)

    def bytes_on_disk(self, state: str) -> tuple[int, int]:
        return bytes_in(self.directory), self.table.stats()["bytes_in_files"]

    def prepare_queries(self, lineitem: list[pa.RecordBatch]) -> None:
        lines = self.database.create_table("lineitem", LINEITEM_SCHEMA, self.lineitem_key,
                                           compression=self.compression,
                                           bottom_compression=self.bottom_compression,
                                           point_lookup=self.point_lookup)
        for batch in lineitem:
            lines.insert(batch)
        self.quiet()
        self.sql = sql_over({"events": dataset_of(self.table, "kind"),
                             "lineitem": dataset_of(lines, "l_returnflag", "l_linestatus")})

    def query(self, sql: str) -> list[tuple]:
        return self.sql.execute(sql).fetchall()

    def close(self) -> None:
        self.database.close()


class MarbleLz4(Marble):
    name, compression, point_lookup = "marble-lz4", "lz4", "bloom_filter"
    note = "keyed by id, LZ4 blocks, a bloom filter in place of the point index, else as marble"


class MarbleZstd(Marble):
    name, compression, point_lookup = "marble-zstd", "zstd", "bloom_filter"
    note = "keyed by id, ZSTD blocks, a bloom filter in place of the point index, else as marble"


class MarbleLz4Zstd(Marble):
    name, compression, bottom_compression = "marble-lz4-zstd", "lz4", "zstd"
    point_lookup = "bloom_filter"
    note = "keyed by id, LZ4 blocks, ZSTD in the last level, a bloom filter, else as marble"


class MarbleAppend(Marble):
    name, key, lineitem_key = "marble-append", None, None
    note = "without a key: rows stay in the order of arrival"
    leaves_out = Marble.leaves_out | left_out("the table has no key", "key_range", "point",
                                              "contains", "upsert", "delete")
