"""Replays the flights in time order and keeps the state of every aircraft, as a stream processor
would.

Two ways: one get and one put per event through sabot's state backend; and in batches of events,
with one multi_get and one put_many each, through marbledb's key-value face. The second one also
appends what it finds to a table without a key: aircraft that left from another airport than they
had flown to (their flights back to New York are not in the data).
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

MOVES = pa.schema(
    [
        pa.field("tailnum", pa.string(), nullable=False),
        pa.field("time_hour", pa.timestamp("s", tz="UTC"), nullable=False),
        pa.field("was_at", pa.string(), nullable=False),
        pa.field("left_from", pa.string(), nullable=False),
    ]
)


def unpack(value):
    """The state from bytes; EMPTY from None."""
    return _STATE.unpack(value) if value is not None else EMPTY


def _after(state, event):
    """The state after one more flight."""
    flights, miles, delay, _ = state
    _, _, dest, distance, late = event
    return flights + 1, miles + distance, delay + late, dest.encode()


def events_of(data):
    """Flights whose aircraft is known, in time order; cancelled ones have no delay, and are left
    out."""
    flights = data.flights[["tailnum", "time_hour", "origin", "dest", "distance", "dep_delay"]]
    return flights.dropna(subset=["tailnum", "dep_delay"])


def _stream(events):
    """One tuple an event, as a stream processor would be handed."""
    columns = ("tailnum", "origin", "dest", "distance", "dep_delay")
    return list(zip(*(events[column].tolist() for column in columns)))


def one_by_one(path, events):
    """A get and a put for every event."""
    stream = _stream(events)
    progress = Progress("replay, get + put per event", len(stream))
    with SabotStateBackend("marbledb") as state:
        state.open(path)
        for done, event in enumerate(stream):
            key = "aircraft:" + event[0]
            state.put(key, _STATE.pack(*_after(unpack(state.get(key)), event)))
            if done % 4096 == 0:
                progress.update(done)
        state.flush()
        ok = state.exists("aircraft:" + stream[-1][0])
    return progress.finish(ok, f"{events.tailnum.nunique():,} aircraft")


def _fold(batch, states):
    """Applies events to `states`; the moves that no flight explains, as (index in batch, was
    at)."""
    moves = []
    for index, event in enumerate(batch):
        tailnum, origin = event[:2]
        before = states[tailnum]
        if before is not EMPTY and before[3].decode() != origin:
            moves.append((index, before[3].decode()))
        states[tailnum] = _after(before, event)
    return moves


def in_batches(path, events):
    """A multi_get and a put_many for every batch of events."""
    stream, hours = _stream(events), pa.array(events.time_hour, MOVES.field("time_hour").type)
    progress = Progress("replay, batches", len(stream))
    with marbledb.open(path) as db:
        state = db.kv(BATCHED_TABLE)
        log = db.create_table("moves", MOVES)
        for begin in range(0, len(stream), BATCH_EVENTS):
            batch = stream[begin : begin + BATCH_EVENTS]
            aircraft = list(dict.fromkeys(event[0] for event in batch))
            states = dict(zip(aircraft, map(unpack, state.multi_get(aircraft))))
            moves = _fold(batch, states)
            rows = pa.array([begin + index for index, _ in moves], pa.int64())
            state.put_many({key: _STATE.pack(*value) for key, value in states.items()})
            log.insert(
                {
                    "tailnum": [batch[index][0] for index, _ in moves],
                    "time_hour": hours.take(rows),
                    "was_at": [was_at for _, was_at in moves],
                    "left_from": [batch[index][1] for index, _ in moves],
                }
            )
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
