"""A ledger in two tables. DataFusion joins them in SQL and its result is written back.

Transfers and balances change in one commit, and both datasets are made of one snapshot. So the
query finds money neither lost nor doubled, whatever a writer does meanwhile.

    python datafusion_ledger.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import datafusion
import marbledb
import pyarrow as pa

ACCOUNTS, TRANSFERS = 50, 2_000

BALANCE = pa.schema(
    [pa.field("account", pa.int64(), nullable=False), pa.field("cents", pa.int64())]
)
TRANSFER = pa.schema(
    [
        pa.field("number", pa.int64(), nullable=False),
        pa.field("source", pa.int64()),
        pa.field("target", pa.int64()),
        pa.field("cents", pa.int64()),
    ]
)

QUERY = """
    SELECT account, balances.cents AS now, count(*) AS received, sum(transfers.cents) AS cents
    FROM transfers JOIN balances ON target = account
    WHERE number >= 1000 AND account < 5
    GROUP BY account, balances.cents
    ORDER BY account
"""


def transfer(number: int) -> dict[str, int]:
    """The transfers, the same in every run."""
    return {
        "number": number,
        "source": number * 7 % ACCOUNTS,
        "target": (number * number + 1) % ACCOUNTS,
        "cents": number % 1_000,
    }


def book(db: marbledb.Database, moved: dict[str, int]) -> None:
    """Moves money: the transfer and both balances, or nothing."""
    balances = db.table("balances")
    with db.write_batch() as batch:
        batch.insert("transfers", [moved])
        if moved["source"] != moved["target"]:
            for account, sign in ((moved["source"], -1), (moved["target"], 1)):
                cents = balances.get(account)["cents"] + sign * moved["cents"]
                batch.insert("balances", [{"account": account, "cents": cents}])


def ask(db: marbledb.Database) -> datafusion.DataFrame:
    """Both tables at one moment."""
    context = datafusion.SessionContext()
    with db.snapshot() as snapshot:
        for name in ("balances", "transfers"):
            context.register_dataset(name, db.table(name).to_dataset(snapshot))
        return context.sql(QUERY)


def main(folder: Path) -> pa.Table:
    with marbledb.open(folder / "db") as db:
        balances = db.create_table("balances", BALANCE, primary_key="account")
        db.create_table("transfers", TRANSFER, primary_key="number")
        balances.insert({"account": range(ACCOUNTS), "cents": [1_000_000] * ACCOUNTS})
        for number in range(TRANSFERS):
            book(db, transfer(number))
        answer = ask(db)
        book(db, transfer(TRANSFERS))  # comes after the snapshot: the answer leaves it out
        print(answer)
        # A DataFrame is Arrow data: its rows go straight into another table.
        report = db.create_table("report", answer.schema(), primary_key="account")
        report.upsert(answer)
        return report.to_table()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else made))
