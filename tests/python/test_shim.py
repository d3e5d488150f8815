"""sabot's storage shim: one contract for both backends behind it."""

import os
import subprocess
import sys

import marbledb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sabot._cython.storage.storage_shim import SabotStateBackend, SabotStoreBackend
from sabot._cython.stores.marbledb_store import MarbleDBStoreBackend

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


@both
def test_store_inserts_all_batches_of_a_table_or_none(store):
    store.create_table("t", SCHEMA, primary_key="id")
    store.insert_batch("t", pa.Table.from_batches([rows(4), rows(1, 2), rows(), rows(3)]))
    assert store.scan_table("t")["id"].to_pylist() == [1, 2, 3, 4]
    nulls = pa.record_batch({"id": pa.array([None], pa.int32()), "name": ["x"]})
    with pytest.raises(marbledb.SchemaError, match="id"):
        store.insert_batch("t", pa.Table.from_batches([rows(9).cast(nulls.schema), nulls]))
    with pytest.raises(marbledb.SchemaError, match="nn"):
        store.insert_batch("t", [{"id": 9, "nn": 1}])
    assert store.scan_table("t").num_rows == 4


@both
def test_store_selects_as_the_direct_class_does(kind, store):
    views = pa.schema([pa.field("id", pa.int32(), nullable=False), ("s", pa.string_view())])
    store.create_table("v", views, primary_key="id")
    store.insert_batch("v", [{"id": 1, "s": "a"}, {"id": 2, "s": None}])
    assert store.scan_table("v", columns="s")["s"].to_pylist() == ["a", None]
    assert store.scan_table("v", columns=[]).num_columns == 0
    if kind == "marbledb":
        found = store.scan_table("v", ["s"], pc.field("id") > 1)
        assert found.to_pylist() == [{"s": None}] and found.schema.field(0).type == views[1].type
    for mistake in (
        {"columns": ["nowhere"]},
        {"filter": pc.field("nowhere") > 1},
        {"filter": pc.field("id") > "text"},
    ):
        with pytest.raises(marbledb.MarbleError):
            store.scan_table("v", **mistake)
    with pytest.raises(TypeError, match="Expression"):
        store.scan_table("v", filter="id > 1")
    with pytest.raises(marbledb.TableNotFound):
        store.scan_table("nowhere", columns=["s"])


@both
def test_store_bounds_take_the_key_columns_type(store):
    store.create_table("t", pa.schema([("k", pa.float32()), ("n", pa.int8())]), primary_key="k")
    store.insert_batch("t", {"k": [0.1, 0.2, 0.3], "n": [1, 2, 3]})
    assert store.scan_range("t", 0.2)["n"].to_pylist() == [2, 3]
    assert store.new_iterator("t", None, 0.2).read_all()["n"].to_pylist() == [1]
    store.delete_range("t", 0.2, 0.3)
    assert store.scan_table("t")["n"].to_pylist() == [1, 3]
    with pytest.raises(marbledb.SchemaError, match="k"):
        store.scan_range("t", "text")


@both
def test_store_ranges_need_a_key_with_and_without_bounds(store):
    store.create_table("t", SCHEMA)
    store.insert_batch("t", rows(1))
    for bounds in ((), (1,), (None, 1)):
        with pytest.raises(marbledb.InvalidArgumentError, match="primary key"):
            store.scan_range("t", *bounds)
        with pytest.raises(marbledb.InvalidArgumentError, match="primary key"):
            store.delete_range("t", *bounds)
    assert store.new_iterator("t").read_all().num_rows == 1


def test_direct_ranges_need_a_key_with_and_without_bounds(db_path):
    with MarbleDBStoreBackend(db_path) as direct:
        direct.create_table("t", SCHEMA)
        for bounds in ((), (1,), (None, 1)):
            with pytest.raises(marbledb.InvalidArgumentError, match="primary key"):
                direct.scan_range_to_table("t", *bounds)


def test_errors_keep_file_and_offset(db_path):
    with SabotStoreBackend() as store:
        store.open(db_path)
        store.create_table("t", SCHEMA, primary_key="id")
        store.insert_batch("t", rows(*range(100)))
    with marbledb.open(db_path) as db:
        db.flush()
    manifest = max(db_path.glob("*MANIFEST*"), key=lambda path: path.stat().st_size)
    original = manifest.read_bytes()
    for place in range(len(original)):
        broken = bytearray(original)
        broken[place] ^= 0xFF
        manifest.write_bytes(broken)
        try:
            marbledb.open(db_path, read_only=True).close()
        except marbledb.MarbleError as error:
            direct = error
            if isinstance(error, marbledb.IncompatibleFormatError):
                break
            if isinstance(error, marbledb.CorruptionError) and error.offset is not None:
                break
    with pytest.raises(type(direct)) as caught:
        SabotStoreBackend().open(db_path)
    assert str(caught.value) == str(direct)
    assert (caught.value.file, caught.value.offset) == (direct.file, direct.offset)
    assert direct.file is not None


@both
def test_open_again_by_another_spelling_of_the_path(kind, db_path):
    for cls in (SabotStateBackend, SabotStoreBackend):
        with cls(kind) as backend:
            for spelling in (str(db_path), f"{db_path}/", db_path, os.fsencode(db_path)):
                backend.open(spelling)
            with pytest.raises(marbledb.ConflictError):
                backend.open(f"{db_path}-other")
            with pytest.raises(marbledb.ConflictError):
                backend.open(db_path, enable_bloom_filter=False)


def test_direct_open_again_by_another_spelling_of_the_path(db_path):
    with MarbleDBStoreBackend(str(db_path)) as direct:
        for spelling in (f"{db_path}/", db_path, os.fsencode(db_path)):
            direct.open(spelling)
        with pytest.raises(marbledb.ConflictError):
            direct.open(f"{db_path}-other")


def test_bad_arguments_are_invalid_argument_errors():
    for call in (
        lambda: SabotStateBackend("rocksdb"),
        lambda: SabotStoreBackend("rocksdb"),
        lambda: SabotStoreBackend().open(""),
        lambda: MarbleDBStoreBackend().open(),
    ):
        with pytest.raises(marbledb.InvalidArgumentError):
            call()


@both
def test_numbers_of_the_configuration_are_not_cut(kind, db_path):
    for made in (SabotStateBackend(kind), SabotStoreBackend(kind)):
        with pytest.raises(TypeError):
            made.open(db_path, memtable_size_mb=1.9)
        with pytest.raises(TypeError):
            made.open(db_path, index_granularity=8192.5)
    assert not db_path.exists()


def test_open_again_after_a_change_of_directory(db_path, monkeypatch, tmp_path):
    (tmp_path / "elsewhere" / db_path.name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with SabotStoreBackend() as store, MarbleDBStoreBackend(db_path.name) as direct:
        store.open(db_path.name)
        monkeypatch.chdir("elsewhere")
        for backend in (store, direct):
            with pytest.raises(marbledb.ConflictError):
                backend.open(db_path.name)
            backend.open(db_path)


def test_the_state_is_no_table_of_the_store(db_path):
    with SabotStateBackend() as state, SabotStoreBackend() as store:
        state.open(db_path)
        store.open(db_path)
        state.put("k", b"v")
        with pytest.raises(marbledb.TableNotFound):
            store.drop_table("__sabot_state__")
        assert state.get("k") == b"v"
        with marbledb.open(db_path) as db:
            db.drop_table("__sabot_state__")
        with pytest.raises(marbledb.MarbleError):
            state.get("k")


def test_a_scan_reads_large_values_a_few_at_a_time(db_path):
    with SabotStateBackend() as state:
        state.open(db_path)
        for i in range(64):
            state.put(f"{i:02}", bytes(4 << 20))
    with SabotStateBackend() as state:
        state.open(db_path)
        before, most = anonymous_memory(), 0
        for _, value in state.scan():
            assert len(value) == 4 << 20
            most = max(most, anonymous_memory())
        assert most - before < 100 << 20


def anonymous_memory():
    """Of this process, in bytes."""
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no RssAnon")
