"""Hypothesis drives the key-value face and a table against dicts, through flush, compaction and
reopen."""

import shutil
import tempfile

import hypothesis.strategies as st
import marbledb
import pyarrow as pa
import pyarrow.compute as pc
from conftest import left_behind
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

SETTINGS = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Few and similar keys, so that operations meet; lengths around the prefix that an index may keep.
KEYS = st.one_of(
    st.sampled_from(["", "a", "ab", "abcdefgh", "abcdefghi", "abcdefgh\0", "b", "\u00e9", "zz"]),
    st.text(alphabet="ab\0\u00e9", max_size=3),
)
VALUES = st.one_of(
    st.sampled_from([b"", b"v", b"\0", b"\xff" * 9]),
    st.binary(max_size=40),
    st.just(b"long" * 5000),
)


def order(items):
    """Items of a dict in the engine's order, that of the keys' bytes."""
    return sorted(items, key=lambda item: item[0].encode())


def between(model, start, end):
    return order(
        (key, value)
        for key, value in model.items()
        if (start is None or key.encode() >= start.encode())
        and (end is None or key.encode() < end.encode())
    )


class Reopening(RuleBasedStateMachine):
    """What both machines share: a database that is flushed, compacted and reopened between
    steps."""

    def __init__(self):
        super().__init__()
        self.path = tempfile.mkdtemp(prefix="marble-machine-")
        self.options = {}

    @initialize(mappings=st.booleans(), small=st.booleans())
    def open_first(self, mappings, small):
        self.options = {"use_mappings": mappings}
        if small:
            self.options |= {
                "memory_budget": "32MiB",
                "memtable_bytes": "64KiB",
                "log_segment_bytes": "1MiB",
                "target_file_bytes": "64KiB",
                "level_base_bytes": "256KiB",
            }
        self.open()

    def open(self):
        self.db = marbledb.open(self.path, **self.options)
        self.attach()

    @rule()
    def flush(self):
        self.db.flush()

    @rule()
    def compact(self):
        self.db.compact()

    @rule()
    def reopen(self):
        self.forget()
        self.db.close()
        self.open()

    def forget(self):
        """Before close: what does not survive it."""

    def teardown(self):
        if hasattr(self, "db"):
            self.forget()
            self.db.flush()
            self.db.close()
        self.keep_or_remove()

    kept = 0

    def keep_or_remove(self):
        # Some of them stay for the test that opens every file; it removes them.
        if Reopening.kept < 20:
            Reopening.kept += 1
            import pathlib

            left_behind.append(pathlib.Path(self.path))
        else:
            shutil.rmtree(self.path)


class KeyValueMachine(Reopening):
    """put, delete, delete_range, multi_get, iterate, snapshot, batch against a dict."""

    snapshots = Bundle("snapshots")

    def __init__(self):
        super().__init__()
        self.model = {}

    def attach(self):
        self.kv = self.db.kv()

    @rule(key=KEYS, value=VALUES, sync=st.booleans())
    def put(self, key, value, sync):
        self.kv.put(key, value, sync=sync)
        self.model[key] = value

    @rule(key=KEYS)
    def delete(self, key):
        self.kv.delete(key)
        self.model.pop(key, None)

    @rule(start=st.none() | KEYS, end=st.none() | KEYS)
    def delete_range(self, start, end):
        self.kv.delete_range(start, end)
        for key, _ in between(self.model, start, end):
            del self.model[key]

    @rule(pairs=st.lists(st.tuples(KEYS, VALUES), max_size=8), arrow=st.booleans())
    def put_many(self, pairs, arrow):
        if arrow:
            self.kv.put_many(
                pa.table(
                    {
                        "key": pa.array([key for key, _ in pairs], pa.string()),
                        "value": pa.array([value for _, value in pairs], pa.binary()),
                    }
                )
            )
        else:
            self.kv.put_many(pairs)
        self.model.update(pairs)

    @rule(operations=st.lists(st.tuples(st.sampled_from(["put", "delete", "range"]), KEYS, KEYS)))
    def write_batch(self, operations):
        with self.kv.write_batch() as batch:
            for kind, one, two in operations:
                if kind == "put":
                    batch.put(one, two.encode())
                    self.model[one] = two.encode()
                elif kind == "delete":
                    batch.delete(one)
                    self.model.pop(one, None)
                else:
                    batch.delete_range(one, two)
                    for key, _ in between(self.model, one, two):
                        del self.model[key]

    @rule(keys=st.lists(KEYS, max_size=8), arrow=st.booleans())
    def multi_get(self, keys, arrow):
        expected = [self.model.get(key) for key in keys]
        if arrow:
            assert self.kv.multi_get(pa.array(keys, pa.string())).to_pylist() == expected
        else:
            assert self.kv.multi_get(keys) == expected

    @rule(key=KEYS)
    def get(self, key):
        assert self.kv.get(key) == self.model.get(key)
        assert (key in self.kv) == (key in self.model)

    @rule(start=st.none() | KEYS, end=st.none() | KEYS, reverse=st.booleans())
    def iterate(self, start, end, reverse):
        expected = between(self.model, start, end)
        assert list(self.kv.items(start, end, reverse)) == (expected[::-1] if reverse else expected)

    @rule(target=snapshots)
    def snapshot(self):
        return self.kv.snapshot(), dict(self.model)

    @rule(snapshot=snapshots, key=KEYS)
    def read_snapshot(self, snapshot, key):
        moment, model = snapshot
        try:
            found = list(moment.items())
        except marbledb.ClosedError:
            return  # of a database that was closed since
        assert found == order(model.items())
        assert moment.get(key) == model.get(key) and len(moment) == len(model)

    @rule(snapshot=consumes(snapshots))
    def release(self, snapshot):
        snapshot[0].close()

    @invariant()
    def same_as_the_model(self):
        if hasattr(self, "kv"):
            assert list(self.kv.items()) == order(self.model.items())


IDS = st.integers(-3, 12)
NAMES = st.none() | st.sampled_from(["", "x", "yy", "\u00e9"])
SCHEMA = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("group", pa.string(), nullable=False),
        pa.field("id", pa.int32(), nullable=False),
    ]
)
GROUPS = st.sampled_from(["", "a", "b"])
ROWS = st.lists(st.tuples(NAMES, GROUPS, IDS), max_size=12)


class TableMachine(Reopening):
    """upsert, delete, delete_range, get, scan with filter, range, limit and direction, against a
    dict."""

    def __init__(self):
        super().__init__()
        self.model = {}

    def attach(self):
        self.table = self.db.create_table("t", SCHEMA, ["group", "id"])

    def rows(self):
        return [
            {"name": name, "group": group, "id": number}
            for (group, number), name in sorted(self.model.items())
        ]

    @rule(rows=ROWS)
    def upsert(self, rows):
        self.table.upsert([{"name": n, "group": g, "id": i} for n, g, i in rows])
        self.model.update({(g, i): n for n, g, i in rows})

    @rule(keys=st.lists(st.tuples(GROUPS, IDS), max_size=6))
    def delete(self, keys):
        self.table.delete(keys)
        for key in keys:
            self.model.pop(key, None)

    @rule(
        start=st.none() | st.tuples(GROUPS, IDS) | st.tuples(GROUPS),
        end=st.none() | st.tuples(GROUPS, IDS) | st.tuples(GROUPS),
    )
    def delete_range(self, start, end):
        self.table.delete_range(start, end)
        for key in [
            key
            for key in self.model
            if (start is None or key >= start) and (end is None or key < end)
        ]:
            del self.model[key]

    @rule(rows=ROWS, keys=st.lists(st.tuples(GROUPS, IDS), max_size=4))
    def write_batch(self, rows, keys):
        with self.db.write_batch() as batch:
            batch.delete_rows("t", keys)
            batch.insert("t", [{"name": n, "group": g, "id": i} for n, g, i in rows])
        for key in keys:
            self.model.pop(key, None)
        self.model.update({(g, i): n for n, g, i in rows})

    @rule(keys=st.lists(st.tuples(GROUPS, IDS), max_size=6))
    def get(self, keys):
        expected = [
            {"name": self.model[key], "group": key[0], "id": key[1]}
            for key in keys
            if key in self.model
        ]
        assert self.table.get(keys).to_pylist() == expected

    @rule(
        name=NAMES,
        bound=IDS,
        limit=st.none() | st.integers(0, 6),
        reverse=st.booleans(),
        start=st.none() | st.tuples(GROUPS, IDS),
        end=st.none() | st.tuples(GROUPS),
    )
    def scan(self, name, bound, limit, reverse, start, end):
        expression = pc.field("id") >= bound
        if name is not None:
            expression = expression & (pc.field("name") != name)
        expected = [
            row
            for row in self.rows()
            if row["id"] >= bound
            and (name is None or row["name"] is not None and row["name"] != name)
            and (start is None or (row["group"], row["id"]) >= start)
            and (end is None or (row["group"], row["id"]) < end)
        ]
        expected = (expected[::-1] if reverse else expected)[:limit]
        found = self.table.to_table(["name", "id"], expression, (start, end), limit, reverse)
        assert found.to_pylist() == [{"name": row["name"], "id": row["id"]} for row in expected]

    @invariant()
    def same_as_the_model(self):
        if hasattr(self, "table"):
            assert self.table.to_table().to_pylist() == self.rows()
            assert self.table.count() == len(self.model)


TestKeyValueMachine = KeyValueMachine.TestCase
TestKeyValueMachine.settings = SETTINGS
TestTableMachine = TableMachine.TestCase
TestTableMachine.settings = SETTINGS
