"""What a question costs through each tool that reads a table's dataset, in milliseconds: one row, a
range of keys, a few keys, a filter beside the key, and all rows; warm, the best of several.

    PYTHONPATH=build/release/python build/venv/bin/python benchmarks/query_tools.py [--rows N]
"""

import argparse
import tempfile
import time

import datafusion
import duckdb
import marbledb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("kind", pa.string()),
        pa.field("amount", pa.float64()),
        *[pa.field(f"more{i}", pa.float64()) for i in range(5)],
    ]
)


def rows(count):
    rng = np.random.default_rng(0)
    kinds = np.array([f"kind{i}" for i in range(20)])[rng.integers(0, 20, count)]
    columns = [np.arange(count), kinds, *[rng.random(count) for _ in range(6)]]
    return pa.table([pa.array(column) for column in columns], schema=SCHEMA)


def best(ask, seconds=0.7):
    """Milliseconds of the fastest of the calls that fit into `seconds`, of five at least."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def questions(count):
    """name: (condition in SQL, for pyarrow, for Polars)."""
    middle, id, column = count // 2, pc.field("id"), pl.col("id")
    some = [7, middle, count - 7]
    return {
        "one row by key": (f"id = {middle}", id == middle, column == middle),
        "1,000 rows by range of keys": (
            f"id >= {middle} AND id < {middle + 1000}",
            (id >= middle) & (id < middle + 1000),
            (column >= middle) & (column < middle + 1000),
        ),
        "three keys far apart": (f"id IN {tuple(some)}", id.isin(some), column.is_in(some)),
        "a twentieth of the rows": (
            "kind = 'kind7'",
            pc.field("kind") == "kind7",
            pl.col("kind") == "kind7",
        ),
        "all rows": (None, None, None),
    }


def ways(table, sql, arrow, polars):
    """Each tool's way to sum `amount` where the condition holds."""
    dataset = table.to_dataset()
    duck, fusion = duckdb.connect(), datafusion.SessionContext()
    duck.register("t", dataset)
    fusion.register_dataset("t", dataset)
    query = "SELECT sum(amount) FROM t" + (f" WHERE {sql}" if sql else "")
    frame = pl.scan_pyarrow_dataset(dataset)
    frame = frame if polars is None else frame.filter(polars)
    return {
        "Table.to_table": lambda: pc.sum(table.to_table(["amount"], filter=arrow)["amount"]),
        "pyarrow": lambda: pc.sum(dataset.to_table(["amount"], filter=arrow)["amount"]),
        "DuckDB": lambda: duck.sql(query).fetchall(),
        "Polars": lambda: frame.select(pl.col("amount").sum()).collect(),
        "DataFusion": lambda: fusion.sql(query).collect(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder, marbledb.open(folder) as db:
        table = db.create_table("t", SCHEMA, "id")
        table.bulk_load(rows(count))
        db.flush()
        print(table)
        header = None
        for name, (sql, arrow, polars) in questions(count).items():
            asked = ways(table, sql, arrow, polars)
            if header is None:
                header = f"| milliseconds | {' | '.join(asked)} |"
                print(header, "|---" + "|---:" * len(asked) + "|", sep="\n")
            print(f"| {name} |", " | ".join(f"{best(ask):.2f}" for ask in asked.values()), "|")
        print(f"one row by Table.get: {best(lambda: table.get(count // 2)):.3f} ms")
        print(f"Table.to_dataset: {best(lambda: table.to_dataset()):.3f} ms")


if __name__ == "__main__":
    main()
