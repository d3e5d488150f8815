"""Reopens the database and answers; every answer is compared with pandas on the source."""

import random

import duckdb
import marbledb
import pandas as pd
import pyarrow as pa
from console import Progress
from replay import BATCHED_TABLE, events_of, unpack
from sabot._cython.storage.storage_shim import SabotStateBackend
from sabot._cython.stores.marbledb_store import MarbleDBStoreBackend
from source import KEYS

LOOKUPS = 1_000


def full_scan(db, data):
    """Every row of the largest table, column by column."""
    progress = Progress("full scan of flights", len(data.flights))
    rows = miles = late = 0
    for batch in db["flights"].scan(["distance", "arr_delay"]):
        frame = batch.to_pandas()
        rows += len(frame)
        miles += int(frame.distance.sum())
        late += int((frame.arr_delay > 15).sum())
    expected = data.flights
    ok = (rows, miles, late) == (
        len(expected),
        int(expected.distance.sum()),
        int((expected.arr_delay > 15).sum()),
    )
    return progress.finish(ok, f"{miles:,} miles, {late:,} more than 15 minutes late")


def all_tables_equal(db, data):
    """Whole tables against the source, in key order."""
    total = sum(table.num_rows for table in data.tables.values())
    progress = Progress("all five tables, cell by cell", total)
    ok = True
    for name, key in KEYS.items():
        expected = data.tables[name].sort_by([(column, "ascending") for column in key])
        ok = ok and db[name].to_table().equals(expected)
    return progress.finish(ok, "equal to the source")


def key_range(db, data):
    """Flights between two moments, through the first key column."""
    begin = data.flights.time_hour.iloc[len(data.flights) // 2].floor("D")
    end = begin + pd.Timedelta(days=1)
    expected = data.flights[(data.flights.time_hour >= begin) & (data.flights.time_hour < end)]
    progress = Progress("key range: one day of flights", len(expected))
    bounds = (begin.to_pydatetime(), end.to_pydatetime())
    found = db["flights"].to_table(["time_hour", "distance"], range=bounds)
    ok = found.num_rows == len(expected) and (
        int(found["distance"].to_pandas().sum()) == int(expected.distance.sum())
    )
    return progress.finish(ok, f"{begin:%Y-%m-%d}")


def point_lookups(db, data):
    """Single rows by key: one by one, many at once, and by a composite key."""
    chosen = random.Random(2013)
    planes = data.tables["planes"].to_pylist()
    wanted = [chosen.choice(planes) for _ in range(LOOKUPS)]
    table = db["planes"]
    one = Progress("point lookups in planes, single", LOOKUPS)
    ok = all(table.get(row["tailnum"]) == row for row in wanted) and table.get("none") is None
    steps = [one.finish(ok)]

    many = Progress("point lookups in planes, together", LOOKUPS)
    found = table.get([row["tailnum"] for row in wanted])
    steps.append(many.finish(found.to_pylist() == wanted))

    weather = data.tables["weather"]
    hours = [chosen.randrange(weather.num_rows) for _ in range(LOOKUPS)]
    expected = weather.take(hours)
    progress = Progress("point lookups in weather, together", LOOKUPS)
    found = db["weather"].get(expected.select(KEYS["weather"]))
    steps.append(progress.finish(found.equals(expected.combine_chunks()), "two key columns"))
    return steps


def sql(db, data):
    """DuckDB over the stream that each table exports."""
    progress = Progress("SQL: delay by airline, with DuckDB", len(data.flights))
    flights, airlines = db["flights"], db["airlines"]  # found by name in the query
    found = duckdb.sql(
        "SELECT name, count(*) AS flights, sum(dep_delay) AS delay "
        "FROM flights JOIN airlines USING (carrier) WHERE dep_delay IS NOT NULL "
        "GROUP BY name ORDER BY name"
    ).fetchall()
    joined = data.flights.dropna(subset=["dep_delay"]).merge(data.frames["airlines"], on="carrier")
    expected = joined.groupby("name").dep_delay.agg(["count", "sum"]).sort_index()
    ok = [(name, int(n), int(delay)) for name, n, delay in found] == [
        (name, int(row["count"]), int(row["sum"])) for name, row in expected.iterrows()
    ]
    del flights, airlines
    worst = max(found, key=lambda row: row[2] / row[1])
    return progress.finish(ok, f"latest on average: {worst[0]}, {worst[2] / worst[1]:.0f} minutes")


def expected_states(events):
    """The last state of every aircraft, by pandas."""
    grouped = events.groupby("tailnum", sort=True)
    frame = grouped.agg(
        flights=("dest", "size"),
        miles=("distance", "sum"),
        delay=("dep_delay", "sum"),
        last=("dest", "last"),
    )
    return {
        row.Index: (int(row.flights), int(row.miles), int(row.delay), row.last.encode())
        for row in frame.itertuples()
    }


def aircraft_state(path, db, events):
    """The state that both replays left, read through both of their interfaces."""
    expected = expected_states(events)
    progress = Progress("aircraft state, scanned by prefix", len(expected))
    with SabotStateBackend("marbledb") as backend:
        backend.open(path)
        found = {
            key.removeprefix("aircraft:"): unpack(value)
            for key, value in backend.scan("aircraft:", "aircraft;")
        }
    steps = [progress.finish(found == expected, "from get + put")]
    progress = Progress("aircraft state, iterated", len(expected))
    found = {key: unpack(value) for key, value in db.kv(BATCHED_TABLE).items()}
    steps.append(progress.finish(found == expected, "from the batches"))
    return steps


def moves(path, events):
    """The append table, through sabot's direct class, in insertion order."""
    previous = events.groupby("tailnum").dest.shift()
    expected = events[previous.notna() & (previous != events.origin)]
    progress = Progress("moves without a flight", len(expected))
    with MarbleDBStoreBackend(path) as store:
        found = store.scan_table("moves")
    hours = pa.chunked_array([pa.array(expected.time_hour, found["time_hour"].type)])
    ok = found["tailnum"].to_pylist() == list(expected.tailnum) and found["time_hour"].equals(hours)
    return progress.finish(ok, "append table, in order of insertion")


def run(path, data):
    """All questions; returns the steps done."""
    opening = Progress("reopen", 1)
    with marbledb.open(path) as db:
        steps = [opening.finish(set(KEYS) <= set(db.tables()))]
        events = events_of(data)
        steps.append(full_scan(db, data))
        steps.append(all_tables_equal(db, data))
        steps.append(key_range(db, data))
        steps += point_lookups(db, data)
        steps.append(sql(db, data))
        steps += aircraft_state(path, db, events)
        steps.append(moves(path, events))
    return steps
