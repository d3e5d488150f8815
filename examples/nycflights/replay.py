"""Replays the flights in time order and keeps the state of every aircraft, as a stream processor would.

Two ways: one get and one put per event through sabot's state backend; and in batches of events, with one
multi_get and one put_many each, through marbledb's key-value face. The second one also appends what it
finds, aircraft that left from another airport than they had flown to, to a table without a key.
"""

import struct

import marbledb
import pyarrow as pa
from console import Progress
from sabot._cython.storage.storage_shim import SabotStateBackend

BATCH_EVENTS = 2_000
BATCHED_TABLE = "aircraft"

# Flights, miles, sum of departure delays in minutes, last destination.
_STATE = struct.Struct("<qqq3s")
EMPTY = (0, 0, 0, b"")

MOVES = pa.schema([
    pa.field("tailnum", pa.string(), nullable=False),
    pa.field("time_hour", pa.timestamp("s", tz="UTC"), nullable=False),
    pa.field("was_at", pa.string(), nullable=False),
    pa.field("left_from", pa.string(), nullable=False),
])


def unpack(value):
    """The state from bytes; EMPTY from None."""
    return _STATE.unpack(value) if value is not None else EMPTY


def _after(state, event):
    """The state after one more flight."""
    flights, miles, delay, _ = state
    return flights + 1, miles + event.distance, delay + event.dep_delay, event.dest.encode()


def events_of(data):
    """Flights whose aircraft is known, in time order. A cancelled one has no delay and moves nothing."""
    flights = data.flights[["tailnum", "time_hour", "origin", "dest", "distance", "dep_delay"]]
    return flights.dropna(subset=["tailnum", "dep_delay"])


def one_by_one(path, events):
    """A get and a put for every event."""
    progress = Progress("replay, get + put per event", len(events))
    with SabotStateBackend("marbledb") as state:
        state.open(path)
        for done, event in enumerate(events.itertuples(index=False)):
            key = "aircraft:" + event.tailnum
            state.put(key, _STATE.pack(*_after(unpack(state.get(key)), event)))
            if done % 4096 == 0:
                progress.update(done)
        state.flush()
        ok = state.exists("aircraft:" + events.tailnum.iloc[-1])
    return progress.finish(ok, f"{events.tailnum.nunique():,} aircraft")


def _fold(events, states, moves):
    """Applies a batch of events to `states`, and notes moves that no flight explains."""
    for event in events.itertuples(index=False):
        before = states[event.tailnum]
        if before is not EMPTY and before[3].decode() != event.origin:
            moves.append({"tailnum": event.tailnum, "time_hour": event.time_hour.to_pydatetime(),
                          "was_at": before[3].decode(), "left_from": event.origin})
        states[event.tailnum] = _after(before, event)


def in_batches(path, events):
    """A multi_get and a put_many for every batch of events."""
    progress = Progress("replay, batches", len(events))
    with marbledb.open(path) as db:
        state = db.kv(BATCHED_TABLE)
        log = db.create_table("moves", MOVES)
        for begin in range(0, len(events), BATCH_EVENTS):
            batch = events.iloc[begin:begin + BATCH_EVENTS]
            aircraft = list(dict.fromkeys(batch.tailnum))
            states = dict(zip(aircraft, map(unpack, state.multi_get(aircraft))))
            moves = []
            _fold(batch, states, moves)
            state.put_many({key: _STATE.pack(*value) for key, value in states.items()})
            log.insert(pa.RecordBatch.from_pylist(moves, schema=MOVES))
            progress.update(begin)
        db.sync()
        ok = len(state) == events.tailnum.nunique()
    return progress.finish(ok, f"{BATCH_EVENTS:,} events a batch")


def run(path, data):
    """Both replays; returns the steps done."""
    events = events_of(data)
    if events.empty:
        raise SystemExit("no flight in this sample has an aircraft: take more --rows")
    return [one_by_one(path, events), in_batches(path, events)]
