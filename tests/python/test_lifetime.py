"""Closing while things live, interpreter exit, fork, threads: no crash, no lost data."""

import gc
import os
import subprocess
import sys
import textwrap
import threading

import marbledb
import pyarrow as pa
import pytest
from sabot._cython.storage.storage_shim import SabotStateBackend, SabotStoreBackend

SCHEMA = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("x", pa.string())])


def filled(path):
    db = marbledb.open(path)
    kv = db.kv()
    kv.put_many({f"{i:05}": b"v" * 20 for i in range(10_000)})
    table = db.create_table("t", SCHEMA, "id")
    table.insert({"id": list(range(10_000)), "x": ["row"] * 10_000})
    return db, kv, table


def test_what_was_handed_out_survives_close(db_path):
    db, kv, table = filled(db_path)
    db.flush()
    table.insert({"id": [10_000], "x": ["in memory"]})
    iterator = kv.iterator()
    first = next(iterator)
    reader = table.scan(batch_rows_max=100)
    batch = reader.read_next_batch()
    rows = table.to_table()
    db.close()
    db.close()
    del db
    gc.collect()
    assert first == ("00000", b"v" * 20) and sum(1 for _ in iterator) == 9_999
    assert batch["id"].to_pylist() == list(range(100))
    assert sum(rest.num_rows for rest in reader) == 9_901
    assert rows.num_rows == 10_001 and rows.column("x")[10_000].as_py() == "in memory"


def test_everything_else_is_refused_after_close(db_path):
    db, kv, table = filled(db_path)
    snapshot, batch, moment = db.snapshot(), kv.write_batch(), kv.snapshot()
    batch.put("k", b"v")
    db.close()
    assert db.closed
    calls = [
        lambda: kv.get("00000"),
        lambda: kv.put("k", b""),
        lambda: kv.delete("k"),
        lambda: kv.multi_get(["k"]),
        lambda: kv.delete_range(),
        lambda: list(kv),
        lambda: kv.put_many({"k": b""}),
        lambda: len(kv),
        lambda: "k" in kv,
        lambda: moment.get("00000"),
        lambda: list(moment.items()),
        lambda: batch.write(),
        lambda: table.insert({"id": [1], "x": ["a"]}),
        lambda: table.get(1),
        lambda: table.scan(),
        lambda: table.count(),
        lambda: table.delete(1),
        lambda: table.delete_range(),
        lambda: table.__arrow_c_stream__(),
        lambda: table.scan(snapshot=snapshot),
        lambda: table.stats(),
        db.snapshot,
        db.flush,
        db.sync,
        db.compact,
        db.stats,
        db.tables,
        db.kv,
        lambda: db["t"],
        lambda: db.drop_table("t"),
        lambda: db.create_table("u", SCHEMA),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(marbledb.ClosedError):
            call()
            pytest.fail(f"call {number} was not refused")
    for thing in (snapshot, moment):
        thing.close()
    with marbledb.open(db_path) as again:
        assert again.kv().get("k") is None and again["t"].count() == 10_000


def test_objects_may_go_in_any_order(db_path):
    db, kv, table = filled(db_path)
    parts = [
        db,
        kv,
        table,
        db.snapshot(),
        kv.iterator(),
        table.scan(),
        kv.write_batch(),
        kv.snapshot(),
    ]
    del db, kv, table
    while parts:
        parts.pop(0)
        gc.collect()
    with marbledb.open(db_path) as again:
        assert again["t"].count() == 10_000


def run(script, *arguments):
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result


@pytest.mark.parametrize(
    "keep", ["db", "kv", "iterator", "reader", "snapshot", "batch", "rows", "cycle"]
)
def test_interpreter_exit_without_close(db_path, keep):
    """Whatever is still alive at exit: no crash, no noise, and the data are there afterwards."""
    result = run(
        """
        import sys, marbledb, pyarrow as pa
        db = marbledb.open(sys.argv[1])
        kv = db.kv()
        kv.put_many({f"{i:05}": b"v" for i in range(5000)})
        schema = pa.schema([pa.field("id", pa.int64(), nullable=False)])
        table = db.create_table("t", schema, "id")
        table.insert({"id": list(range(5000))})
        if sys.argv[2] == "rows":
            db.flush()
        iterator = kv.iterator(); next(iterator)
        things = {"db": db, "kv": kv, "iterator": iterator, "reader": table.scan(),
                  "snapshot": db.snapshot(), "batch": kv.write_batch(), "rows": table.to_table()}
        if sys.argv[2] == "cycle":
            things["things"] = things
            sys.modules["kept"] = things
        else:
            sys.modules["kept"] = things[sys.argv[2]]
        del db, kv, table, iterator, things
    """,
        db_path,
        keep,
    )
    assert result.stderr == ""
    with marbledb.open(db_path) as db:
        assert len(db.kv()) == 5000 and db["t"].count() == 5000
        assert db.stats()["log_tail_cut_bytes"] == 0


def test_interpreter_exit_with_open_shims(db_path):
    result = run(
        """
        import sys
        from sabot._cython.storage.storage_shim import SabotStateBackend, SabotStoreBackend
        state, store = SabotStateBackend(), SabotStoreBackend()
        state.open(sys.argv[1]); store.open(sys.argv[1])
        for i in range(1000):
            state.put(str(i), b"x")
        sys.modules["kept"] = (state, store, state.scan())
    """,
        db_path,
    )
    assert result.stderr == ""
    with SabotStateBackend() as state:
        state.open(str(db_path))
        assert sum(1 for _ in state.scan()) == 1000


def test_exit_while_a_daemon_thread_works(db_path):
    result = run(
        """
        import sys, threading, marbledb
        db = marbledb.open(sys.argv[1])
        kv = db.kv()
        def work():
            i = 0
            while True:
                try:
                    kv.put(str(i % 1000), b"x" * 100)
                    kv.get(str(i % 77))
                except marbledb.ClosedError:
                    return
                i += 1
        kv.put("first", b"")
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        while len(kv) < 500:
            pass
    """,
        db_path,
    )
    assert result.stderr == ""
    with marbledb.open(db_path) as db:
        assert len(db.kv()) >= 500


def in_child(work):
    """Runs `work` in a forked child that leaves through the interpreter's normal exit; its exit
    code."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = work() or 0
        except BaseException as error:
            os.write(2, f"child: {type(error).__name__}: {error}\n".encode())
        finally:
            gc.collect()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_is_refused_and_harms_nothing(db_path):
    db, kv, table = filled(db_path)
    db.flush()
    things = {
        "iterator": kv.iterator(),
        "reader": table.scan(),
        "snapshot": db.snapshot(),
        "batch": kv.write_batch(),
        "moment": kv.snapshot(),
    }
    table.insert({"id": [10_000], "x": ["later"]})

    def child():
        refused = 0
        calls = [
            lambda: kv.get("00000"),
            lambda: kv.put("child", b""),
            lambda: table.count(),
            lambda: table.scan(),
            lambda: next(things["iterator"]),
            db.snapshot,
            db.flush,
            lambda: things["moment"].get("00000"),
            lambda: db.kv(),
            lambda: things["snapshot"].sequence,
            lambda: things["batch"].write(),
            lambda: things["reader"].read_next_batch(),
        ]
        for call in calls:
            try:
                call()
            except marbledb.ClosedError as error:
                refused += "parent" in str(error)
        assert db.closed
        db.close()
        things.clear()
        gc.collect()
        return 0 if refused == len(calls) else 2

    assert in_child(child) == 0
    assert next(things["iterator"]) == ("00000", b"v" * 20)
    assert things["reader"].read_all().num_rows == 10_000
    kv["parent"] = b"still writes"
    db.close()
    with marbledb.open(db_path) as again:
        assert len(again.kv()) == 10_001 and again["t"].count() == 10_001


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_may_not_open_what_its_parent_has_open(db_path, tmp_path):
    db, kv, table = filled(db_path)

    def child():
        try:
            marbledb.open(db_path)
        except marbledb.LockedError as error:
            if str(os.getppid()) not in str(error):
                return 3
        else:
            return 2
        with marbledb.open(tmp_path / "child") as own:
            own.kv()["k"] = b"v"
        return 0

    assert in_child(child) == 0
    db.close()
    with marbledb.open(db_path) as again, marbledb.open(tmp_path / "child") as other:
        assert len(again.kv()) == 10_000 and other.kv()["k"] == b"v"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_parent_may_close_and_reopen_while_its_child_lives(db_path):
    db, kv, table = filled(db_path)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(read, 1)
        os._exit(0)
    try:
        db.close()
        with marbledb.open(db_path) as again:
            assert len(again.kv()) == 10_000
    finally:
        os.write(write, b"x")
        assert os.waitpid(pid, 0)[1] == 0


def test_forked_child_exits_normally(db_path):
    """A child that leaves through sys.exit runs atexit handlers; none of them is ours to run
    there."""
    run(
        """
        import os, sys, marbledb
        from sabot._cython.storage.storage_shim import SabotStateBackend
        db = marbledb.open(sys.argv[1])
        state = SabotStateBackend(); state.open(sys.argv[1])
        db.kv()["k"] = b"v"
        pid = os.fork()
        if pid == 0:
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        db.kv()["l"] = b"w"
        state.put("s", b"t")
    """,
        db_path,
    )
    with marbledb.open(db_path) as db:
        assert dict(db.kv().items()) == {"k": b"v", "l": b"w"}


def test_threads_share_everything(db):
    kv = db.kv()
    table = db.create_table("t", SCHEMA, "id")
    threads, errors = 6, []

    def work(number):
        try:
            for i in range(400):
                kv.put(f"{number}:{i:04}", b"%d" % i)
                assert kv.get(f"{number}:{i:04}") == b"%d" % i
                if i % 20 == 0:
                    first = number * 1000 + i
                    table.insert({"id": list(range(first, first + 20)), "x": ["t"] * 20})
                    assert len(list(kv.items(f"{number}:", f"{number};"))) == i + 1
                    with kv.write_batch() as batch:
                        batch.put(f"batch:{number}", b"%d" % i)
                        batch.put(f"copy:{number}", b"%d" % i)
                    one, two = kv.multi_get([f"batch:{number}", f"copy:{number}"])
                    assert one == two
                if i % 150 == 0:
                    db.flush()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    assert len(kv) == threads * 402 and table.count() == threads * 400


def test_close_while_threads_work(db_path):
    """Each call either works or raises ClosedError; what was acknowledged is there afterwards."""
    db, kv, table = filled(db_path)
    errors, written = [], [0] * 4
    started = threading.Barrier(5)

    def work(number):
        started.wait()
        try:
            while True:
                kv.put(f"w{number}:{written[number]:06}", b"x")
                written[number] += 1
                kv.get("00000")
                next(kv.iterator())
                table.get(5)
        except marbledb.ClosedError:
            pass
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    started.wait()
    while min(written) < 50:
        pass
    db.close()
    for worker in workers:
        worker.join()
    assert errors == []
    with marbledb.open(db_path) as again:
        for number, count in enumerate(written):
            keys = len(again.kv().keys(f"w{number}:", f"w{number};"))
            assert count <= keys <= count + 1


def test_one_iterator_in_two_threads_is_refused_or_works(db_path):
    db, kv, table = filled(db_path)
    iterator = kv.iterator()
    seen, errors = [], []

    def work():
        try:
            for key, _ in iterator:
                seen.append(key)
        except RuntimeError as error:
            errors.append(str(error))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(seen)) == len(seen) and all("another thread" in text for text in errors)
    db.close()


def test_a_batch_of_a_dropped_store(db_path):
    store = SabotStoreBackend()
    store.open(str(db_path))
    store.create_table("t", SCHEMA, primary_key="id")
    store.insert_batch("t", pa.record_batch([[1, 2], ["a", "b"]], schema=SCHEMA))
    reader, rows = store.scan_batches("t"), store.scan_table("t")
    store.close()
    del store
    gc.collect()
    assert reader.read_all().equals(rows) and rows["x"].to_pylist() == ["a", "b"]


def test_a_reader_may_go_while_its_filter_calls_python(db_path):
    """It waits for what is read ahead, which waits for the GIL."""
    run(
        """
        import sys, time, pyarrow as pa, pyarrow.compute as pc, marbledb

        def is_even(context, ids):
            time.sleep(0.002)
            return pc.equal(pc.bit_wise_and(ids, 1), 0)

        pc.register_scalar_function(is_even, "is_even", {"summary": "", "description": ""},
                                    {"ids": pa.int64()}, pa.bool_())
        even = pc.Expression._call("is_even", [pc.field("id")])
        with marbledb.open(sys.argv[1]) as db:
            schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
            table = db.create_table("t", schema, "id", block_rows_max=1000)
            table.insert({"id": list(range(40_000)), "text": ["x" * 1000] * 40_000})
            db.flush()
            for batches in range(1, 30):
                reader = table.scan(filter=even, batch_rows_max=500)
                for _ in range(batches):
                    reader.read_next_batch()
                del reader
        """,
        db_path,
    )
