"""The rows that all engines get, and what must be found in them afterwards.

Made once a run, by the parent, and written as Arrow IPC files that every child maps, so that nothing
is made while something is timed. `Plan` is what is asked and what must be answered, computed from the
columns with numpy; `fingerprint` is the sum of a hash of each whole row, whatever their order.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BATCH_ROWS = 64 * 1024
NOTE_BYTES = 24
USERS = 1_000_000
KINDS = [f"{verb}_{noun}" for verb in ("view", "add", "remove", "share", "buy")
         for noun in ("item", "list", "page", "offer")]
ID_STEP = 8  # most ids are not there

SCHEMA = pa.schema([pa.field("id", pa.int64(), False), pa.field("ts", pa.timestamp("us")),
                    pa.field("user", pa.int64()), pa.field("kind", pa.utf8()),
                    pa.field("amount", pa.float64()), pa.field("note", pa.utf8())])
LINEITEM_SCHEMA = pa.schema([
    pa.field("l_orderkey", pa.int64(), False), pa.field("l_linenumber", pa.int32(), False),
    pa.field("l_quantity", pa.float64()), pa.field("l_extendedprice", pa.float64()),
    pa.field("l_discount", pa.float64()), pa.field("l_tax", pa.float64()),
    pa.field("l_returnflag", pa.utf8()), pa.field("l_linestatus", pa.utf8()),
    pa.field("l_shipdate", pa.date32()), pa.field("l_comment", pa.utf8())])
LINEITEM_ROWS_PER_EVENT = 0.3  # TPC-H's scale factor 1 at 20 million events
DAY_1992 = 8035  # days since 1970
Q1_LAST_DAY, Q6_FIRST_DAY, Q6_END_DAY = 10_471, 8_766, 9_131  # 2 September 1998; the year 1994

SINGLE_LOOKUPS = 10_000
KEYS_AT_ONCE = 1_000
GROUPS_OF_KEYS = 100
MANY_KEYS = 100_000


def texts(columns: list[np.ndarray]) -> pa.Array:
    """Strings of equal length, one a row, of columns of bytes side by side."""
    data = np.ascontiguousarray(np.hstack(columns))
    rows, width = data.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(data))


def words(source: np.random.Generator, rows: int, choices: list[str]) -> np.ndarray:
    """Bytes of a random choice for each row; all choices are of equal length."""
    table = np.array([list(choice.encode()) for choice in choices], dtype=np.uint8)
    return table[source.integers(0, len(choices), rows)]


def notes(source: np.random.Generator, rows: int) -> pa.Array:
    """Ten random hexadecimal digits between words of which there are few."""
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    return texts([words(source, rows, ["order ", "visit ", "trial ", "reply "]),
                  digits[source.integers(0, 16, (rows, 10))],
                  words(source, rows, [" shipped", " is open", " on hold", " invoice"])])


def values(source: np.random.Generator, rows: int) -> tuple[pa.Array, pa.Array, pa.Array, pa.Array]:
    """user, kind, amount, note."""
    kind = pa.DictionaryArray.from_arrays(source.integers(0, len(KINDS), rows).astype(np.int8),
                                          pa.array(KINDS)).cast(pa.utf8())
    amount = source.uniform(0, 1000, rows)
    return (pa.array(source.integers(0, USERS, rows)), kind, pa.array(amount), notes(source, rows))


def event_batches(rows: int, seed: int) -> Iterator[pa.RecordBatch]:
    source = np.random.default_rng(seed)
    ids = source.permutation(rows) * ID_STEP
    now = 1_700_000_000_000_000
    for start in range(0, rows, BATCH_ROWS):
        part = ids[start:start + BATCH_ROWS]
        times = now + np.cumsum(source.integers(1, 2_000, len(part)))
        now = int(times[-1])
        yield pa.record_batch([pa.array(part), pa.array(times).cast(pa.timestamp("us")),
                               *values(source, len(part))], schema=SCHEMA)


def lineitem_batches(rows: int, seed: int) -> Iterator[pa.RecordBatch]:
    """As TPC-H has it in what its queries 1 and 6 ask for: 4 lines an order, and dates and flags
    that depend on each other."""
    source = np.random.default_rng(seed)
    for start in range(0, rows, BATCH_ROWS):
        number = np.arange(start, min(start + BATCH_ROWS, rows))
        count = len(number)
        quantity = source.integers(1, 51, count).astype(np.float64)
        shipped = DAY_1992 + source.integers(1, 2_526, count)
        late = shipped > DAY_1992 + 1_263
        flag = np.where(late, 0, source.integers(1, 3, count)).astype(np.int8)
        flags = pa.DictionaryArray.from_arrays(flag, pa.array(["N", "A", "R"]))
        states = pa.DictionaryArray.from_arrays(late.astype(np.int8), pa.array(["F", "O"]))
        yield pa.record_batch([
            pa.array(number // 4), pa.array((number % 4 + 1).astype(np.int32)), pa.array(quantity),
            pa.array(quantity * np.round(source.uniform(900, 2_000, count), 2)),
            pa.array(source.integers(0, 11, count) / 100), pa.array(source.integers(0, 9, count) / 100),
            flags.cast(pa.utf8()), states.cast(pa.utf8()),
            pa.array(shipped.astype(np.int32)).cast(pa.date32()), notes(source, count),
        ], schema=LINEITEM_SCHEMA)


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def mapped(path: Path) -> list[pa.RecordBatch]:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(i) for i in range(reader.num_record_batches)]


def touch(batches: Iterable[pa.RecordBatch]) -> None:
    """Brings the pages of mapped batches into the page tables of this process."""
    for batch in batches:
        for column in batch.columns:
            for buffer in filter(None, column.buffers()):
                np.add.reduce(np.frombuffer(buffer, dtype=np.uint8)[::4096])


def numbers(column: pa.Array) -> np.ndarray:
    return column.cast(pa.int64()).to_numpy() if pa.types.is_timestamp(column.type) \
        else column.to_numpy()


def row_hashes(batch: pa.RecordBatch) -> np.ndarray:
    """A hash of each row that depends on all its values and on which column they are in."""
    batch = batch.select(SCHEMA.names)
    kind = pc.index_in(batch["kind"].cast(pa.utf8()), value_set=pa.array(KINDS))
    note = batch["note"].cast(pa.utf8())
    lengths = pc.binary_length(note)
    if kind.null_count or batch["note"].null_count or not pc.all(pc.equal(lengths, NOTE_BYTES)).as_py():
        raise ValueError("strings that were never written")
    bounds = np.frombuffer(note.buffers()[1], dtype=np.int32)[note.offset:]
    first = int(bounds[0])
    text = np.frombuffer(note.buffers()[2], dtype=np.uint8)[first:first + len(note) * NOTE_BYTES]
    parts = [numbers(batch["id"]), numbers(batch["ts"]), numbers(batch["user"]), kind.to_numpy(),
             np.ascontiguousarray(batch["amount"].to_numpy()).view(np.uint64)]
    parts += list(text.reshape(-1, NOTE_BYTES).copy().view(np.uint64).T)
    hashes = np.zeros(len(batch), dtype=np.uint64)
    for part in parts:
        hashes = (hashes ^ part.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    return hashes


class Answer(NamedTuple):
    rows: int
    fingerprint: int


def answer_of(hashes: np.ndarray) -> Answer:
    return Answer(len(hashes), int(np.add.reduce(hashes, dtype=np.uint64)))


def answer(batches: Iterable[pa.RecordBatch]) -> Answer:
    rows, fingerprint = 0, 0
    for batch in batches:
        if batch.num_rows:
            part = answer_of(row_hashes(batch))
            rows, fingerprint = rows + part.rows, fingerprint + part.fingerprint
    return Answer(rows, fingerprint % (1 << 64))


class Range(NamedTuple):
    """Rows whose `column` is in [low, high)."""
    column: str
    low: int | float
    high: int | float


class Question(NamedTuple):
    where: Range
    answer: Answer


@dataclass
class Plan:
    """All that a child needs besides the mapped rows; small enough to be handed over."""
    rows: int
    users_sum: int
    amounts_sum: float
    ranges: dict[str, Question]
    whole: dict[str, Answer]  # by state: loaded, upserted, deleted (in this order)
    kinds: list[tuple]
    queries: dict[str, list[tuple]]
    upserts: pa.RecordBatch
    deleted: pa.Array
    singles: pa.RecordBatch  # rows to look up one by one
    groups: list[pa.RecordBatch]
    many: pa.RecordBatch  # rows to look up all at once
    asked: pa.Array  # ids, every other one of which is there


def ranges_of(rows: int, columns: dict[str, np.ndarray], hashes: np.ndarray) -> dict[str, Question]:
    times = columns["ts"]
    start, count = rows * 2 // 5, max(rows // 100, 1)
    low = rows // 2 * ID_STEP
    wanted = {"clustered": Range("ts", int(times[start]), int(times[start + count])),
              "unclustered": Range("amount", 500.0, 510.0),
              "key_range": Range("id", low, low + max(rows // 1000, 1) * ID_STEP)}
    questions = {}
    for name, where in wanted.items():
        column = columns[where.column]
        found = hashes[(column >= where.low) & (column < where.high)]
        questions[name] = Question(where, answer_of(found))
    return questions


def query_answers(batches: list[pa.RecordBatch]) -> dict[str, list[tuple]]:
    lines = pa.Table.from_batches(batches)
    quantity, price, discount, tax = (lines[f"l_{name}"].to_numpy() for name in (
        "quantity", "extendedprice", "discount", "tax"))
    day = lines["l_shipdate"].cast(pa.int32()).to_numpy()
    flag, status = lines["l_returnflag"].to_numpy(), lines["l_linestatus"].to_numpy()
    q1 = []
    for name, state in sorted(set(zip(flag.tolist(), status.tolist()))):
        rows = (day <= Q1_LAST_DAY) & (flag == name) & (status == state)
        reduced = price[rows] * (1 - discount[rows])
        sums = (quantity[rows].sum(), price[rows].sum(), reduced.sum(),
                (reduced * (1 + tax[rows])).sum())
        means = (quantity[rows].mean(), price[rows].mean(), discount[rows].mean())
        q1.append((name, state, *map(float, sums + means), int(rows.sum())))
    rows = ((day >= Q6_FIRST_DAY) & (day < Q6_END_DAY) & (discount >= 0.045) & (discount <= 0.075)
            & (quantity < 24))
    return {"q1": q1, "q6": [(float((price * discount)[rows].sum()),)]}


def plan(directory: Path, seed: int) -> Plan:
    batches = mapped(directory / "events.arrow")
    events = pa.Table.from_batches(batches)
    rows = events.num_rows
    hashes = np.concatenate([row_hashes(batch) for batch in batches])
    columns = {"id": events["id"].to_numpy(), "ts": events["ts"].cast(pa.int64()).to_numpy(),
               "amount": events["amount"].to_numpy()}
    kinds = events.select(["kind", "amount"]).group_by("kind").aggregate(
        [("amount", "count"), ("amount", "sum")]).sort_by("kind")
    source = np.random.default_rng(seed + 1)
    changed, deleted, looked_up = (source.permutation(rows) for _ in range(3))
    changed, deleted = changed[:max(rows // 100, 1)], deleted[:max(rows // 100, 1)]
    ids = pa.array(columns["id"][changed])
    times = events["ts"].take(pa.array(changed)).combine_chunks()
    upserts = pa.record_batch([ids, times, *values(source, len(changed))], schema=SCHEMA)
    whole = {"loaded": answer_of(hashes)}
    after = hashes.copy()
    after[changed] = row_hashes(upserts)
    whole["upserted"] = answer_of(after)
    whole["deleted"] = answer_of(np.delete(after, deleted))
    singles = looked_up[:SINGLE_LOOKUPS]
    groups = [source.integers(0, rows, 2 * KEYS_AT_ONCE) for _ in range(GROUPS_OF_KEYS)]
    groups = [np.unique(group)[:KEYS_AT_ONCE] for group in groups]
    for group in groups:
        source.shuffle(group)

    many = source.permutation(rows)[:min(MANY_KEYS, rows // 2)]
    asked = columns["id"][source.permutation(rows)[:len(many)]]
    asked[1::2] += ID_STEP // 2

    def take(places: np.ndarray) -> pa.RecordBatch:
        return events.take(pa.array(places)).combine_chunks().to_batches()[0]

    return Plan(rows, int(np.add.reduce(events["user"].to_numpy())), float(columns["amount"].sum()),
                ranges_of(rows, columns, hashes), whole, [tuple(r.values()) for r in kinds.to_pylist()],
                query_answers(mapped(directory / "lineitem.arrow")), upserts,
                pa.array(columns["id"][deleted]), take(singles), [take(group) for group in groups],
                take(many), pa.array(asked))


def make(directory: Path, rows: int, seed: int) -> None:
    write(directory / "events.arrow", SCHEMA, event_batches(rows, seed))
    lines = max(int(rows * LINEITEM_ROWS_PER_EVENT), 1)
    write(directory / "lineitem.arrow", LINEITEM_SCHEMA, lineitem_batches(lines, seed + 2))
