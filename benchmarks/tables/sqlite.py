"""SQLite, for reference, at no more than a million rows."""

import datetime
import sqlite3
from pathlib import Path
from typing import Iterator, Optional

import pyarrow as pa

from .data import SCHEMA, Range
from .engine import GROUP_SQL, Batches, Engine, left_out

FETCHED_ROWS = 65_536
VARIABLES_MAX = 32_766  # of a statement


def rows_of(batch: pa.RecordBatch) -> Iterator[tuple]:
    ts = SCHEMA.get_field_index("ts")
    plain = batch.set_column(ts, "ts", batch["ts"].cast(pa.int64()))
    return zip(*(column.to_pylist() for column in plain.columns))


class Sqlite(Engine):
    name, family = "sqlite", "sqlite"
    version = f"SQLite {sqlite3.sqlite_version}"
    note = "INTEGER PRIMARY KEY, WAL, synchronous=FULL, executemany; rows are made into Arrow batches"
    leaves_out = left_out("DuckDB's queries are measured elsewhere", "queries")

    def __init__(self, directory: Path):
        super().__init__(directory)
        self.sql = sqlite3.connect(directory / "events.sqlite", isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-1048576",
                       "mmap_size=4294967296"):
            self.sql.execute(f"PRAGMA {pragma}")
        self.sql.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, ts INTEGER, user INTEGER, "
                         "kind TEXT, amount REAL, note TEXT)")

    def put(self, batches: list[pa.RecordBatch]) -> None:
        self.sql.execute("BEGIN")
        for batch in batches:
            self.sql.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?)",
                                 rows_of(batch))
        self.sql.execute("COMMIT")

    def ingest(self, batches: list[pa.RecordBatch]) -> None:
        self.put(batches)

    def quiet(self) -> None:
        self.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def read(self, names: list[str], where: str = "", parameters: tuple = ()) -> Batches:
        schema = pa.schema([SCHEMA.field(name) for name in names])
        cursor = self.sql.execute(f"SELECT {', '.join(names)} FROM events {where}", parameters)
        while rows := cursor.fetchmany(FETCHED_ROWS):
            yield pa.record_batch([pa.array(values, field.type)
                                   for values, field in zip(zip(*rows), schema)], schema=schema)

    def scan(self, columns: Optional[list[str]] = None) -> Batches:
        return self.read(columns or SCHEMA.names)

    def select(self, where: Range) -> Batches:
        return self.read(SCHEMA.names, f"WHERE {where.column} >= ? AND {where.column} < ?",
                         (where.low, where.high))

    def get(self, key: int) -> object:
        row = self.sql.execute("SELECT * FROM events WHERE id = ?", (key,)).fetchone()
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=row[1])
        return (row[0], moment, *row[2:])

    def having(self, names: list[str], keys: pa.Array) -> Batches:
        for start in range(0, len(keys), VARIABLES_MAX):
            part = keys[start:start + VARIABLES_MAX].to_pylist()
            yield from self.read(names, f"WHERE id IN ({','.join('?' * len(part))})", tuple(part))

    def get_many(self, keys: pa.Array) -> Batches:
        return self.having(SCHEMA.names, keys)

    def contains(self, keys: pa.Array) -> pa.Array:
        return pa.concat_arrays([batch["id"] for batch in self.having(["id"], keys)])

    def upsert(self, rows: pa.RecordBatch) -> None:
        self.put([rows])

    def delete(self, keys: pa.Array) -> None:
        self.sql.execute("BEGIN")
        self.sql.executemany("DELETE FROM events WHERE id = ?", ((key,) for key in keys.to_pylist()))
        self.sql.execute("COMMIT")

    def prepare_queries(self, lineitem: list[pa.RecordBatch]) -> None:
        """Nothing: only `group` is asked."""

    def group(self) -> list[tuple]:
        return self.sql.execute(GROUP_SQL).fetchall()

    def close(self) -> None:
        self.sql.close()
