"""A stream processor keeps its state in a Marble table. DuckDB queries the state while it runs.

The processor adds up what each customer has ordered, and commits a small batch at a time. A query
sees whole batches: those committed before it, and nothing of those after it.

    python duckdb_live_state.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import duckdb
import marbledb
import pyarrow as pa
import pyarrow.parquet as pq

CUSTOMERS, ORDERS, BATCH_ROWS = 500, 20_000, 1_000

STATE = pa.schema(
    [
        pa.field("customer", pa.int64(), nullable=False),
        pa.field("orders", pa.int64()),
        pa.field("spent", pa.float64()),
    ]
)

QUERY = """
    SELECT region, count(*) AS customers, sum(orders)::BIGINT AS orders, sum(spent) AS spent
    FROM state JOIN read_parquet($regions) USING (customer)
    WHERE customer < 300 AND orders >= 20
    GROUP BY region ORDER BY region
"""


def the_orders() -> pa.Table:
    """The stream: who ordered for how much. The same in every run."""
    return pa.table(
        {
            "customer": [i * i % 7919 % CUSTOMERS for i in range(ORDERS)],
            "amount": [i % 97 / 4 for i in range(ORDERS)],
        }
    )


def the_regions() -> pa.Table:
    """Where each customer lives: a Parquet file from elsewhere."""
    names = ["north", "south", "west"]
    return pa.table(
        {"customer": range(CUSTOMERS), "region": [names[i % 3] for i in range(CUSTOMERS)]}
    )


def process(state: marbledb.Table, orders: pa.Table) -> None:
    """Adds a batch of orders to the state of its customers, in one commit."""
    added = orders.group_by("customer").aggregate([("amount", "count"), ("amount", "sum")])
    added = added.rename_columns(STATE.names).cast(STATE)
    known = state.get(added.select(["customer"]))
    both = pa.concat_tables([known, added]).group_by("customer")
    state.upsert(both.aggregate([("orders", "sum"), ("spent", "sum")]).rename_columns(STATE.names))


def ask(state: marbledb.Table, regions: Path) -> duckdb.DuckDBPyRelation:
    """The state as it is now, joined with the file."""
    connection = duckdb.connect()
    # A dataset is one moment of the table: register a new one to see later commits.
    connection.register("state", state.to_dataset())
    return connection.sql(QUERY, params={"regions": str(regions)})


def main(folder: Path) -> pa.Table:
    regions = folder / "regions.parquet"
    pq.write_table(the_regions(), regions)
    orders = the_orders()
    with marbledb.open(folder / "db") as db:
        state = db.create_table("state", STATE, primary_key="customer")
        for start in range(0, ORDERS, BATCH_ROWS):
            process(state, orders.slice(start, BATCH_ROWS))
            if start == ORDERS // 2:
                print("Half way:", ask(state, regions), sep="\n")
        answer = ask(state, regions)
        print("At the end:", answer, sep="\n")
        # A relation is Arrow data: its rows go straight into another table.
        report = db.create_table("report", answer.to_arrow_table().schema, primary_key="region")
        report.upsert(answer)
        return report.to_table()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else made))
