"""Lance with a BTREE index on id."""

import os
from pathlib import Path
from typing import Optional

import lance
import pyarrow as pa

from .data import BATCH_ROWS, SCHEMA, Range
from .engine import Batches, Engine, left_out, sync_since


class Lance(Engine):
    name, family = "lance", "lance"
    version = f"lance {lance.__version__}"
    note = ("one write_dataset from a reader, fsync of its files; quiet: with a BTREE index on id; "
            "upsert and delete: merge_insert without the index, with which it took longer")
    leaves_out = left_out("DuckDB's queries are measured over Feather and Parquet", "group", "queries")

    def __init__(self, directory: Path):
        super().__init__(directory)
        self.path = str(directory / "events.lance")
        self.synced: set[Path] = set()

    def sync(self) -> None:
        self.synced = sync_since(self.directory, self.synced)

    def ingest(self, batches: list[pa.RecordBatch]) -> None:
        reader = pa.RecordBatchReader.from_batches(SCHEMA, batches)
        self.dataset = lance.write_dataset(reader, self.path)
        self.sync()

    def quiet(self) -> None:
        if not self.dataset.describe_indices():
            self.dataset.create_scalar_index("id", "BTREE")
            self.sync()

    def compact(self) -> None:
        self.dataset.optimize.compact_files()
        self.dataset.optimize.optimize_indices()

    def scan(self, columns: Optional[list[str]] = None) -> Batches:
        return self.dataset.scanner(columns=columns, batch_size=BATCH_ROWS).to_reader()

    def select(self, where: Range) -> Batches:
        low, high = where.low, where.high
        if where.column == "ts":
            low, high = (f"cast({bound} as timestamp(6))" for bound in (
                f"'{text(where.low)}'", f"'{text(where.high)}'"))
        return self.dataset.scanner(
            filter=f"{where.column} >= {low} AND {where.column} < {high}").to_reader()

    def get(self, key: int) -> object:
        return self.dataset.to_table(filter=f"id = {key}").to_pylist()[0]

    def get_many(self, keys: pa.Array) -> Batches:
        listed = ", ".join(map(str, keys.to_pylist()))
        return self.dataset.to_table(filter=f"id IN ({listed})").to_batches()

    def contains(self, keys: pa.Array) -> pa.Array:
        listed = ", ".join(map(str, keys.to_pylist()))
        found = self.dataset.to_table(columns=["id"], filter=f"id IN ({listed})")
        return found["id"].combine_chunks()

    def upsert(self, rows: pa.RecordBatch) -> None:
        merge = self.dataset.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.use_index(False).execute(pa.Table.from_batches([rows]))
        self.sync()

    def delete(self, keys: pa.Array) -> None:
        merge = self.dataset.merge_insert("id").when_matched_delete().use_index(False)
        merge.execute(pa.table({"id": keys}))
        self.sync()


def text(microseconds: int) -> str:
    return str(pa.scalar(microseconds, pa.timestamp("us")).as_py().isoformat(" ", "microseconds"))
