"""A feature store: what was known of a customer at a moment in the past, and what is known now.

Features come in over time. Two tables hold them, written in one commit: the history, for training,
and the latest, for serving. Training joins each label with the features as they were then
(a point-in-time, or asof, join), with Arrow's own engine, Acero: no other package is needed.

    python acero_feature_store.py [FOLDER]
"""

import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import marbledb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import acero

BEGIN, DAYS, CUSTOMERS = datetime(2026, 3, 1), 60, 40
AT, CUSTOMER = pa.field("at", pa.timestamp("us"), False), pa.field("customer", pa.int64(), False)
FEATURES = [pa.field("visits", pa.int64()), pa.field("balance", pa.float64())]

# An asof join wants both sides in the order of time. With the time first in the key, rows come so.
HISTORY = pa.schema([AT, CUSTOMER, *FEATURES])
LATEST = pa.schema([CUSTOMER, AT, *FEATURES])


def features(day: int) -> pa.Table:
    """Each day a third of the customers has new features; a few balances are not known."""
    rows = [
        {
            "at": BEGIN + timedelta(days=day, hours=customer % 24),
            "customer": customer,
            "visits": day + customer,
            "balance": None if (day * customer) % 7 == 3 else day * 8 - customer / 4,
        }
        for customer in range(day % 3, CUSTOMERS, 3)
    ]
    return pa.Table.from_pylist(rows, HISTORY)


def labels() -> pa.Table:
    """Who has bought, and when: what a model is to learn."""
    rows = [
        {"at": BEGIN + timedelta(hours=7 * i), "customer": i * 11 % CUSTOMERS, "bought": i % 3 == 0}
        for i in range(200)
    ]
    return pa.Table.from_pylist(rows, pa.schema([AT, CUSTOMER, pa.field("bought", pa.bool_())]))


def training_rows(history: marbledb.Table) -> pa.Table:
    """Each label with the newest features that are not newer than it, nor older than ten days."""
    ten_days = 10 * 24 * 3600 * 1_000_000  # in the unit of `at`; negative looks back
    joined = ds.dataset(labels()).join_asof(
        history.to_dataset(), on="at", by="customer", tolerance=-ten_days
    )
    return joined.to_table()


def means(history: marbledb.Table, since: datetime) -> pa.Table:
    """Mean balance of each customer since a day, as a plan for Acero, row by row of `history`."""
    recent = pc.field("at") >= pa.scalar(since, AT.type)
    plan = acero.Declaration.from_sequence(
        [
            # The filter of the scan reaches Marble. Acero wants it again, for single rows.
            acero.Declaration("scan", acero.ScanNodeOptions(history.to_dataset(), filter=recent)),
            acero.Declaration("filter", acero.FilterNodeOptions(recent)),
            acero.Declaration(
                "aggregate",
                acero.AggregateNodeOptions([("balance", "hash_mean", None, "mean")], ["customer"]),
            ),
        ]
    )
    return plan.to_table().sort_by("customer")


def main(folder: Path) -> dict[str, pa.Table]:
    with marbledb.open(folder / "db") as db:
        history = db.create_table("history", HISTORY, primary_key=["at", "customer"])
        latest = db.create_table("latest", LATEST, primary_key="customer")
        for day in range(DAYS):
            new = features(day)
            with db.write_batch() as batch:  # both tables or neither
                batch.insert("history", new)
                batch.insert("latest", new.select(LATEST.names))
        trained = training_rows(history)
        print(trained.slice(0, 5).to_pandas().to_string(index=False), "\n")
        print("To serve:", latest.get(7))  # a lookup by key, microseconds
        mean = means(history, BEGIN + timedelta(days=30))
        # Hash join, also by Acero: the labels' customers with their means.
        joined = labels().join(mean, "customer", join_type="inner").sort_by("at")
        return {"trained": trained, "means": mean, "joined": joined, "latest": latest.to_table()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else made))
