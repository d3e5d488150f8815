"""DuckDB: with a primary key, without, and without but sorted by id."""

from pathlib import Path
from typing import Callable, Optional

import duckdb
import pyarrow as pa

from .data import SCHEMA, Range
from .engine import SQL_THREADS, Batches, Engine, left_out

BATCH_ROWS = 131_072


class Duckdb(Engine):
    name, family = "duckdb", "duckdb"
    version = f"duckdb {duckdb.__version__}"
    note = ("no key; one INSERT ... SELECT from the Arrow batches; quiet: CHECKPOINT; reads by streaming "
            "into Arrow; upsert: DELETE and INSERT in a transaction; lookups of many: semi-join")
    threads = (1, 2)
    id_type = "BIGINT NOT NULL"
    order = ""

    def __init__(self, directory: Path):
        super().__init__(directory)
        self.sql = duckdb.connect(str(directory / "events.duckdb"))
        self.use_threads(SQL_THREADS)
        self.sql.execute(f'CREATE TABLE events (id {self.id_type}, ts TIMESTAMP, "user" BIGINT, '
                         "kind VARCHAR, amount DOUBLE, note VARCHAR)")

    def use_threads(self, count: int) -> None:
        self.sql.execute(f"SET threads={count}")

    def ingest(self, batches: list[pa.RecordBatch]) -> None:
        self.with_rows(pa.Table.from_batches(batches),
                       f"INSERT INTO events SELECT * FROM given {self.order}")
        # Readers need no order, which lets DuckDB stream with less waiting.
        self.sql.execute("SET preserve_insertion_order=false")

    def quiet(self) -> None:
        self.sql.execute("CHECKPOINT")

    def with_rows(self, rows: pa.Table, *statements: str) -> None:
        """Runs statements about the Arrow table `given` in one transaction."""
        self.sql.register("given", rows)
        self.sql.begin()
        for statement in statements:
            self.sql.execute(statement).fetchall()
        self.sql.commit()
        self.sql.unregister("given")

    def read(self, sql: str) -> Batches:
        # A relation streams into Arrow; the result of execute() would be copied once more.
        return self.sql.sql(sql).to_arrow_reader(BATCH_ROWS)

    def scan(self, columns: Optional[list[str]] = None) -> Batches:
        names = ", ".join(f'"{name}"' for name in columns or SCHEMA.names)
        return self.read(f"SELECT {names} FROM events")

    def select(self, where: Range) -> Batches:
        low, high = where.low, where.high
        if where.column == "ts":
            low, high = f"make_timestamp({low})", f"make_timestamp({high})"
        return self.read(f"SELECT * FROM events WHERE {where.column} >= {low} "
                         f"AND {where.column} < {high}")

    def get(self, key: int) -> object:
        return self.sql.execute("SELECT * FROM events WHERE id = ?", [key]).fetchall()[0]

    def get_many(self, keys: pa.Array) -> Batches:
        self.sql.register("keys", pa.table({"id": keys}))
        return self.read("SELECT * FROM events WHERE id IN (SELECT id FROM keys)")

    def contains(self, keys: pa.Array) -> pa.Array:
        self.sql.register("keys", pa.table({"id": keys}))
        found = self.sql.sql("SELECT id FROM keys SEMI JOIN events USING (id)")
        return found.to_arrow_table()["id"].combine_chunks()

    def upsert(self, rows: pa.RecordBatch) -> None:
        self.with_rows(pa.Table.from_batches([rows]),
                       "DELETE FROM events WHERE id IN (SELECT id FROM given)",
                       "INSERT INTO events SELECT * FROM given")

    def delete(self, keys: pa.Array) -> None:
        self.with_rows(pa.table({"id": keys}), "DELETE FROM events WHERE id IN (SELECT id FROM given)")

    def prepare_queries(self, lineitem: list[pa.RecordBatch]) -> None:
        self.sql.register("given", pa.Table.from_batches(lineitem))
        self.sql.execute("CREATE TABLE lineitem AS SELECT * FROM given")
        self.sql.execute("CHECKPOINT")
        self.sql.unregister("given")

    def query(self, sql: str) -> list[tuple]:
        return self.sql.execute(sql).fetchall()

    def close(self) -> None:
        self.sql.close()


class DuckdbKey(Duckdb):
    name, id_type = "duckdb-key", "BIGINT PRIMARY KEY"
    note = ("PRIMARY KEY id, else as duckdb; upsert: the fastest of DELETE and INSERT, INSERT OR "
            "REPLACE, MERGE (the latter two after the first, with the same rows)")

    def other_upserts(self) -> dict[str, Callable[[pa.RecordBatch], None]]:
        names = [f'"{name}"' for name in SCHEMA.names if name != "id"]
        changes = ", ".join(f"{name} = given.{name}" for name in names)
        statements = {
            "or_replace": "INSERT OR REPLACE INTO events SELECT * FROM given",
            "merge": "MERGE INTO events USING given ON events.id = given.id "
                     f"WHEN MATCHED THEN UPDATE SET {changes} WHEN NOT MATCHED THEN INSERT"}

        def run(statement: str) -> Callable[[pa.RecordBatch], None]:
            return lambda rows: self.with_rows(pa.Table.from_batches([rows]), statement)

        return {name: run(statement) for name, statement in statements.items()}


class DuckdbSorted(Duckdb):
    name, order = "duckdb-sorted", "ORDER BY id"
    note = "no key, rows inserted in the order of id; asked for ranges of keys only"
    leaves_out = left_out("only there for ranges of keys", "ingest", "scan", "project_sum", "filter",
                          "point", "contains", "upsert", "delete", "group", "queries")
