"""A dashboard of rolling means over what sensors wrote a moment ago, with Polars.

Measurements come in minute by minute, some of them late. After each minute the dashboard reads
the last ten minutes, lazily: only their keys and three columns are read. What it works out
replaces the rows of an earlier run in a table of its own.

    python polars_dashboard.py [FOLDER]
"""

import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import marbledb
import polars as pl
import pyarrow as pa

BEGIN, MINUTES, SENSORS = datetime(2026, 1, 1, 8), 30, ["attic", "cellar", "garden"]
WINDOW = timedelta(minutes=10)

# The time comes first in the key. So rows lie in its order, and a range of it is a range of keys.
MEASURED = pa.schema(
    [
        pa.field("at", pa.timestamp("us"), nullable=False),
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("celsius", pa.float64()),
        pa.field("note", pa.string()),
    ]
)
ROLLUP = pa.schema([*list(MEASURED)[:2], pa.field("mean", pa.float64()), pa.field("n", pa.int64())])


def measurements(minute: int) -> pl.DataFrame:
    """What comes in within one minute: a value every ten seconds, and one that is four minutes
    late and corrects what was written then. Now and then a sensor has nothing to say."""
    rows = []
    for number, sensor in enumerate(SENSORS):
        for second in range(0, 60, 10):
            at = BEGIN + timedelta(minutes=minute, seconds=second)
            celsius = None if (minute + second) % 13 == 0 else 10 * number + (minute + second) % 8
            rows.append({"at": at, "sensor": sensor, "celsius": celsius, "note": "measured"})
        late = BEGIN + timedelta(minutes=minute - 4)
        rows.append({"at": late, "sensor": sensor, "celsius": number + 0.5, "note": "corrected"})
    return pl.DataFrame(rows, schema_overrides={"at": pl.Datetime("us"), "celsius": pl.Float64})


def rolling_means(measured: marbledb.Table, now: datetime) -> pl.DataFrame:
    """A row for each sensor and minute: mean and number of values of the five minutes up to it."""
    return (
        pl.scan_pyarrow_dataset(measured.to_dataset())
        .filter(pl.col("at") >= now - WINDOW, pl.col("at") < now)
        .group_by_dynamic("at", every="1m", period="5m", group_by="sensor", label="right")
        .agg(mean=pl.col("celsius").mean(), n=pl.col("celsius").count().cast(pl.Int64))
        .filter(pl.col("at") > now - timedelta(minutes=5), pl.col("at") <= now)
        .select(ROLLUP.names)
        .sort("at", "sensor")
        .collect()
    )


def main(folder: Path) -> pa.Table:
    with marbledb.open(folder / "db") as db:
        measured = db.create_table("measured", MEASURED, primary_key=["at", "sensor"])
        rollup = db.create_table("rollup", ROLLUP, primary_key=["at", "sensor"])
        for minute in range(MINUTES):
            measured.upsert(measurements(minute))
            # A dataset is one moment of the table: the next minute asks a new one.
            rollup.upsert(rolling_means(measured, BEGIN + timedelta(minutes=minute + 1)))
        latest = pl.DataFrame(rollup.scan(limit=6, reverse=True))
        print(latest)
        return rollup.to_table()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else made))
