"""sabot's storage shim: one contract for both backends behind it."""

import os
import subprocess
import sys

import marbledb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sabot._cython.storage.storage_shim import SabotStateBackend, SabotStoreBackend

SCHEMA = pa.schema([pa.field("id", pa.int32(), nullable=False), pa.field("name", pa.string())])

both = pytest.mark.parametrize("kind", ["marbledb", "memory"])


def rows(*ids):
    return pa.record_batch([list(ids), [f"n{i}" for i in ids]], schema=SCHEMA)


@pytest.fixture
def state(kind, db_path):
    with SabotStateBackend(kind) as backend:
        backend.open(str(db_path))
        yield backend


@pytest.fixture
def store(kind, db_path):
    with SabotStoreBackend(kind) as backend:
        backend.open(str(db_path))
        yield backend


@both
def test_state_put_get_overwrite_delete(state):
    assert state.get("k") is None
    state.put("k", b"1")
    state.put("k", bytearray(b"2"))
    assert state.get("k") == b"2"
    state.put("empty", memoryview(b""))
    assert state.get("empty") == b"" and state.exists("empty")
    state.delete("k")
    state.delete("never there")
    assert state.get("k") is None and not state.exists("k")
    state.put("k", b"3")
    assert state.get("k") == b"3"


@both
def test_state_multi_get_tells_absent_from_empty(state):
    state.put("a", b"1")
    state.put("b", b"")
    assert state.multi_get(["b", "a", "c"]) == {"b": b"", "a": b"1", "c": None}


@both
def test_state_delete_range_and_scan(state):
    for key in ("", "a", "b", "bb", "c", "ü"):
        state.put(key, key.encode())
    state.delete_range("b", "c")
    assert list(state.scan()) == [(k, k.encode()) for k in ("", "a", "c", "ü")]
    state.put("bb", b"again")
    assert list(state.scan("b", "d")) == [("bb", b"again"), ("c", b"c")]
    assert [key for key, _ in state.scan(reverse=True)] == ["ü", "c", "bb", "a", ""]
    state.delete_range("c", "b")
    assert state.exists("bb")
    state.delete_range("bb", "")
    assert [key for key, _ in state.scan()] == ["", "a"]


@both
def test_state_scan_is_a_snapshot(state):
    for i in range(3000):
        state.put(f"{i:05}", b"x" * i)
    scan = state.scan()
    first = next(scan)
    state.delete_range("", "")
    assert [first] + list(scan) == [(f"{i:05}", b"x" * i) for i in range(3000)]
    assert list(state.scan()) == []


@both
def test_state_refuses_what_is_not_a_key_or_value(state):
    with pytest.raises(TypeError):
        state.put(7, b"")
    with pytest.raises(TypeError):
        state.put("k", 7)
    with pytest.raises(ValueError):
        state.put("k" * 70_000, b"")
    assert list(state.scan()) == []


@both
def test_use_after_close_is_a_clear_error(kind, db_path):
    backend = SabotStateBackend(kind)
    with pytest.raises(marbledb.ClosedError, match="not open"):
        backend.get("k")
    backend.open(str(db_path))
    backend.close()
    backend.close()
    with pytest.raises(marbledb.ClosedError, match="not open"):
        backend.put("k", b"")


@both
def test_store_tables_rows_and_ranges(store):
    store.create_table("t", SCHEMA, primary_key="id")
    store.insert_batch("t", rows(3, 1, 2))
    store.insert_batch("t", pa.Table.from_batches([rows(4), rows(2)]))
    assert store.scan_table("t")["id"].to_pylist() == [1, 2, 3, 4]
    assert store.scan_range("t", 2, 4)["id"].to_pylist() == [2, 3]
    assert store.scan_range("t", 3)["id"].to_pylist() == [3, 4]
    assert store.new_iterator("t", None, 2).read_all().num_rows == 1
    store.delete_range("t", 2, 4)
    assert store.scan_batches("t").read_all()["name"].to_pylist() == ["n1", "n4"]
    assert store.scan_table("t", columns=["name"], filter=pc.field("id") > 1).to_pydict() == {
        "name": ["n4"]
    }
    assert store.get_schema("t").equals(SCHEMA)
    store.drop_table("t")
    assert store.list_tables() == ["default"]


@both
def test_store_empty_table_keeps_its_schema(store):
    store.create_table("t", SCHEMA)
    found = store.scan_table("t")
    assert found.num_rows == 0 and found.schema.equals(SCHEMA)


@both
def test_store_errors_by_class(store):
    store.create_table("t", SCHEMA)
    store.create_table("t", SCHEMA)
    with pytest.raises(marbledb.ConflictError, match="t"):
        store.create_table("t", pa.schema([pa.field("id", pa.int64())]))
    with pytest.raises(KeyError, match="nowhere"):
        store.scan_table("nowhere")
    with pytest.raises(marbledb.SchemaError, match="name"):
        other = pa.schema(
            [pa.field("id", pa.int32(), nullable=False), pa.field("name", pa.int64())]
        )
        store.insert_batch("t", pa.record_batch([[1], [2]], schema=other))
    with pytest.raises(ValueError):
        store.delete_range("t", 1, 2)
    assert store.scan_table("t").num_rows == 0


def test_unknown_backend_type():
    with pytest.raises(ValueError, match="rocksdb"):
        SabotStateBackend("rocksdb")
    with pytest.raises(ValueError, match="rocksdb"):
        SabotStoreBackend("rocksdb")


def test_state_and_store_share_one_path(db_path):
    with SabotStateBackend() as state, SabotStoreBackend() as store:
        state.open(str(db_path))
        store.open(str(db_path))
        state.put("k", b"v")
        assert store.list_tables() == ["default"]
        store.close()
        assert state.get("k") == b"v"


def test_second_process_is_refused_with_the_pid(db_path):
    script = (
        "import sys, marbledb\n"
        "from sabot._cython.storage.storage_shim import SabotStateBackend\n"
        "try:\n"
        "    SabotStateBackend().open(sys.argv[1])\n"
        "except marbledb.LockedError as error:\n"
        "    print(error)\n"
    )
    with SabotStateBackend() as state:
        state.open(str(db_path))
        state.put("k", b"v")
        result = subprocess.run(
            [sys.executable, "-c", script, str(db_path)], check=True, capture_output=True, text=True
        )
        assert str(os.getpid()) in result.stdout
    with SabotStateBackend() as state:
        state.open(str(db_path))
        assert state.get("k") == b"v"


def test_state_reopens_after_close_many_times(db_path):
    state = SabotStateBackend()
    for i in range(5):
        state.open(str(db_path))
        state.put(f"{i}", b"x")
        assert [key for key, _ in state.scan()] == [str(j) for j in range(i + 1)]
        state.close()
