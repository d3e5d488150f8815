"""What is measured. Each workload takes a `Bench`, an engine with its rows in one child process, and
the state that the engine is in; it returns figures of which less is better, and ends the run with
`Wrong` if the engine answers anything but what numpy finds in the rows.
"""

import datetime
import math
import statistics
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import data
from .engine import QUERIES, Batches, Engine

REPEATS_MIN, REPEATS_MAX = 3, 15
REPEAT_SECONDS = 0.5  # short work is repeated more often
LOOKUP_SECONDS = 2.0
SAMPLE_SECONDS = 0.001


class Wrong(Exception):
    """An engine has answered what is not in the rows."""


class Figure(NamedTuple):
    unit: str
    value: float
    rows: int = 0  # handled in that time, if a rate makes sense


Figures = dict[str, Figure]


class Bench(NamedTuple):
    engine: Engine
    plan: data.Plan
    batches: list[pa.RecordBatch]
    lineitem: list[pa.RecordBatch]

    def must(self, what: str, got: Any, wanted: Any) -> None:
        if got != wanted:
            raise Wrong(f"{self.engine.name}: {what}: {got}, not {wanted}")

    def must_be_close(self, what: str, got: list[tuple], wanted: list[tuple]) -> None:
        def same(ours: Any, theirs: Any) -> bool:
            if isinstance(theirs, float):
                return math.isclose(float(ours), theirs, rel_tol=1e-9)
            return ours == theirs

        if len(got) != len(wanted) or not all(
                len(a) == len(b) and all(map(same, a, b)) for a, b in zip(got, wanted)):
            raise Wrong(f"{self.engine.name}: {what}: {got}, not {wanted}")

    def check_all(self, state: str) -> None:
        """Reads all rows and compares each with what it must be."""
        wanted = self.plan.whole.get(state, self.plan.whole["loaded"])
        self.must(f"rows when {state}", data.answer(self.engine.scan()), wanted)


def bytes_of(column: pa.Array) -> Iterator[np.ndarray]:
    """The parts of its buffers that the values of `column` are in."""
    buffers = column.buffers()
    start, end = column.offset, column.offset + len(column)
    if buffers[0] is not None:
        yield np.frombuffer(buffers[0], np.uint8)[start // 8:(end + 7) // 8]
    kind = column.type
    if pa.types.is_string_view(kind):
        yield np.frombuffer(buffers[1], np.uint8)[16 * start:16 * end]
        for buffer in buffers[2:]:
            yield np.frombuffer(buffer, np.uint8)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        width = np.int32 if pa.types.is_string(kind) else np.int64
        offsets = np.frombuffer(buffers[1], width)[start:end + 1]
        yield offsets.view(np.uint8)
        if buffers[2] is not None:
            yield np.frombuffer(buffers[2], np.uint8)[int(offsets[0]):int(offsets[-1])]
    else:
        width = kind.bit_width // 8
        yield np.frombuffer(buffers[1], np.uint8)[start * width:end * width]


def sum_of(part: np.ndarray) -> int:
    """Of the whole words between two multiples of 8, and of the bytes around them."""
    head = min(-part.ctypes.data % 8, len(part))
    tail = len(part) - (len(part) - head) % 8
    total = int(np.add.reduce(part[head:tail].view(np.uint64)))
    for rest in (part[:head], part[tail:]):
        if len(rest):
            total += int(np.add.reduce(rest, dtype=np.uint64))
    return total


def touch(batches: Batches) -> int:
    """Reads every value; returns the number of rows. The same code for every engine."""
    rows = total = 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        rows += batch.num_rows
        for column in batch.columns:
            total += sum(map(sum_of, bytes_of(column)))
    if rows and not total:
        raise Wrong("values that are all zero")
    return rows


def seconds_of(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def repeated(bench: Bench, what: str, work: Callable[[], Any], wanted: Any) -> tuple[float, float]:
    """Seconds of the first time and the median of those after it."""
    times: list[float] = []
    while len(times) <= REPEATS_MIN or (sum(times) < REPEAT_SECONDS and len(times) <= REPEATS_MAX):
        seconds, got = seconds_of(work)
        bench.must(what, got, wanted)
        times.append(seconds)
    return times[0], statistics.median(times[1:])


def milliseconds(seconds: float, rows: int = 0) -> Figure:
    return Figure("ms", seconds * 1e3, rows)


def best_of_threads(bench: Bench, what: str, work: Callable[[], Any], wanted: Any,
                    rows: int = 0) -> Figures:
    """`first`, and `best`: the better of one and two threads where the engine can be told."""
    engine, figures, best = bench.engine, {}, math.inf
    for count in engine.threads or (0,):
        if count:
            engine.use_threads(count)
        first, again = repeated(bench, what, work, wanted)
        figures.setdefault("first", milliseconds(first, rows))
        if count:
            figures[f"{count}_thread{'s' * (count > 1)}"] = milliseconds(again, rows)
        best = min(best, again)
    return figures | {"best": milliseconds(best, rows)}


def ingest(bench: Bench, state: str) -> Figures:
    engine, rows = bench.engine, bench.plan.rows
    start = time.perf_counter()
    engine.ingest(bench.batches)
    durable = time.perf_counter() - start
    engine.quiet()
    quiet = time.perf_counter() - start
    return {"durable": Figure("s", durable, rows), "quiet": Figure("s", quiet, rows)}


def scan(bench: Bench, state: str) -> Figures:
    engine, rows = bench.engine, bench.plan.rows
    figures = best_of_threads(bench, "rows of a scan", lambda: touch(engine.scan()), rows, rows)
    bench.check_all(state)
    return figures


def project_sum(bench: Bench, state: str) -> Figures:
    """Both columns are summed, so that both are read."""
    engine, plan = bench.engine, bench.plan

    def work() -> bool:
        users, amounts = 0, 0.0
        for batch in engine.scan(["user", "amount"]):
            if batch.num_rows:
                users += pc.sum(batch["user"]).as_py()
                amounts += pc.sum(batch["amount"]).as_py()
        return users == plan.users_sum and math.isclose(amounts, plan.amounts_sum, rel_tol=1e-9)

    return best_of_threads(bench, "sums of two columns", work, True, plan.rows)


def select(bench: Bench, name: str) -> Figures:
    engine, question = bench.engine, bench.plan.ranges[name]
    figures = best_of_threads(bench, f"rows of {name}", lambda: touch(engine.select(question.where)),
                              question.answer.rows)
    bench.must(name, data.answer(engine.select(question.where)), question.answer)
    return figures


def select_filters(bench: Bench, state: str) -> Figures:
    figures = {}
    for name in ("clustered", "unclustered"):
        for figure, entry in select(bench, name).items():
            figures[name if figure == "best" else f"{name}_{figure}"] = entry
    return figures


def key_range(bench: Bench, state: str) -> Figures:
    return select(bench, "key_range")


def plain(row: Any) -> list:
    values = list(row.values()) if isinstance(row, dict) else list(row)
    moment = values[1]
    if not isinstance(moment, datetime.datetime):
        raise Wrong(f"{moment!r} is not a moment")
    return [values[0], moment.replace(tzinfo=None), *values[2:]]


def while_time(keys: list, work: Callable[[Any], Any]) -> tuple[float, list]:
    """Seconds for each of `keys`, as many as there is time for, and the answers."""
    answers = []
    start = now = time.perf_counter()
    for key in keys:
        answers.append(work(key))
        now = time.perf_counter()
        if now - start > LOOKUP_SECONDS:
            break
    return (now - start) / len(answers), answers


def point(bench: Bench, state: str) -> Figures:
    """`first` of a hundred keys after the scans, `single` after lookups of up to 100,000 other keys
    within two seconds."""
    engine, plan = bench.engine, bench.plan
    rows = plan.singles.to_pylist()
    keys = plan.singles["id"].to_pylist()
    groups = [group["id"] for group in plan.groups]

    def one_by_one(asked: list[int]) -> Figure:
        seconds, answers = while_time(asked, engine.get)
        for got, wanted in zip(answers, rows):
            bench.must("a row looked up", plain(got), plain(wanted))
        return Figure("us", seconds * 1e6)

    figures = {"first": one_by_one(keys[:100])}
    known = set(keys)
    while_time([key for key in plan.many["id"].to_pylist() if key not in known], engine.get)
    figures["single"] = one_by_one(keys)
    for name, wanted in lots(plan):
        asked = [rows["id"] for rows in wanted]
        engine.get_many(asked[-1])
        seconds, answers = while_time(asked, lambda keys: list(engine.get_many(keys)))
        figures[name] = Figure("us", seconds * 1e6 / len(asked[0]))
        for got, rows in zip(answers, wanted):
            bench.must("rows looked up at once", data.answer(got), data.answer([rows]))
    return figures


def lots(plan: data.Plan) -> Iterator[tuple[str, list[pa.RecordBatch]]]:
    """Rows to look up a hundred, a thousand and a hundred thousand at a time."""
    yield "hundreds", [group[:100] for group in plan.groups]
    yield "thousands", plan.groups
    yield "all", [plan.many] * 3


def contains(bench: Bench, state: str) -> Figures:
    """Keys of which every other one is there, a hundred, a thousand and a hundred thousand at a time."""
    engine, asked = bench.engine, bench.plan.asked
    figures = {}
    for name, count in (("hundreds", 100), ("thousands", 1_000), ("all", len(asked))):
        parts = [asked[i:i + count] for i in range(0, len(asked) - count + 1, count)][:100]
        if len(parts) == 1:
            parts *= 3
        engine.contains(parts[-1])
        seconds, answers = while_time(parts, engine.contains)
        figures[name] = Figure("us", seconds * 1e6 / count)
        for got, keys in zip(answers, parts):
            wanted = np.sort(keys.to_numpy()[::2])
            if not np.array_equal(np.sort(got.to_numpy()), wanted):
                raise Wrong(f"{engine.name}: contains gave {len(got)} of {len(wanted)} keys")
    return figures


def anonymous_bytes(process: int | str = "self") -> int:
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/{process}/status has no RssAnon")


class PeakMemory:
    """The most anonymous memory while it is entered, above what there was before."""

    def __enter__(self) -> "PeakMemory":
        self.before = self.most = anonymous_bytes()
        self.done = threading.Event()
        self.sampler = threading.Thread(target=self.sample)
        self.sampler.start()
        return self

    def sample(self) -> None:
        while not self.done.wait(SAMPLE_SECONDS):
            self.most = max(self.most, anonymous_bytes())

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.sampler.join()
        self.most = max(self.most, anonymous_bytes())

    def mebibytes(self) -> float:
        return (self.most - self.before) / (1 << 20)


def upsert(bench: Bench, state: str) -> Figures:
    """And at once a scan, before background work has cleaned up behind the upsert."""
    engine, plan = bench.engine, bench.plan
    rows = plan.upserts.num_rows
    with PeakMemory() as memory:
        seconds, _ = seconds_of(lambda: engine.upsert(plan.upserts))
    figures = {"first_way": milliseconds(seconds, rows)}
    figures["memory"] = Figure("MiB", memory.mebibytes())
    after = best_of_threads(bench, "rows after upserting", lambda: touch(engine.scan()), plan.rows,
                            plan.rows)
    figures |= {f"scan_{name}": figure for name, figure in after.items()}
    bench.check_all("upserted")
    best = seconds
    for name, way in engine.other_upserts().items():
        seconds, _ = seconds_of(lambda: way(plan.upserts))
        figures[name] = milliseconds(seconds, rows)
        best = min(best, seconds)
        bench.check_all("upserted")
    engine.quiet()
    return figures | {"commit": milliseconds(best, rows)}


def delete(bench: Bench, state: str) -> Figures:
    engine, plan = bench.engine, bench.plan
    seconds, _ = seconds_of(lambda: engine.delete(plan.deleted))
    bench.check_all("deleted")
    engine.quiet()
    return {"commit": milliseconds(seconds, len(plan.deleted))}


def prepare(bench: Bench) -> None:
    """Not at the start, so that the second table is in no size on disk."""
    if not bench.engine.prepared:
        bench.engine.prepare_queries(bench.lineitem)
        bench.engine.prepared = True


def group(bench: Bench, state: str) -> Figures:
    prepare(bench)
    return asked(bench, "group", bench.engine.group, bench.plan.kinds)


def queries(bench: Bench, state: str) -> Figures:
    prepare(bench)
    figures = {}
    for name, sql in QUERIES.items():
        entries = asked(bench, name, lambda: bench.engine.query(sql), bench.plan.queries[name])
        figures |= {name if figure == "best" else f"{name}_{figure}": entry
                    for figure, entry in entries.items()}
    return figures


def asked(bench: Bench, what: str, work: Callable[[], list[tuple]], wanted: list[tuple]) -> Figures:
    def checked() -> bool:
        answers.append(work())
        return True

    answers: list[list[tuple]] = []
    first, again = repeated(bench, what, checked, True)
    for answer in answers:
        bench.must_be_close(what, answer, wanted)
    return {"first": milliseconds(first), "best": milliseconds(again)}


def compact(bench: Bench, state: str) -> Figures:
    seconds, _ = seconds_of(bench.engine.compact)
    return {"compact": Figure("s", seconds, bench.plan.rows)}


def size(bench: Bench, state: str) -> Figures:
    """`in_files` is what the rows take, `on_disk` the whole directory with logs."""
    on_disk, in_files = bench.engine.bytes_on_disk(state)
    return {"on_disk": Figure("MB", on_disk / 1e6), "in_files": Figure("MB", in_files / 1e6)}


class Step(NamedTuple):
    workload: str
    state: str
    run: Callable[[Bench, str], Figures]
    needed: bool = False  # by those after it, whatever is asked for


def reading(state: str) -> list[Step]:
    return [Step("size", state, size), Step("scan", state, scan),
            Step("project_sum", state, project_sum), Step("filter", state, select_filters),
            Step("key_range", state, key_range), Step("point", state, point),
            Step("contains", state, contains)]


STEPS = [Step("ingest", "", ingest, needed=True), *reading("loaded"),
         Step("compact", "", compact, needed=True), *reading("compacted"),
         Step("group", "compacted", group), Step("queries", "compacted", queries),
         Step("upsert", "compacted", upsert, needed=True), Step("delete", "upserted", delete)]
WORKLOADS = list(dict.fromkeys(step.workload for step in STEPS))


def steps_for(workloads: list[str]) -> list[Step]:
    """Those asked for, and what they need before them."""
    last = max(i for i, step in enumerate(STEPS) if step.workload in workloads)
    return [step for step in STEPS[:last + 1] if step.needed or step.workload in workloads]
