"""What callers get wrong: every refusal is a MarbleError, names what is wrong, and writes
nothing."""

import datetime
from decimal import Decimal

import marbledb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from marbledb import _convert

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("n", pa.int8(), nullable=False),
    ]
)


@pytest.fixture
def table(db):
    return db.create_table("t", SCHEMA, "id")


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": 1, "n": 1, "nn": "lost"}],
        [{"id": 1, "n": 1}, {"id": 2, "n": 1, "nn": None}],
        {"id": [2], "n": [1], "nn": ["lost"]},
    ],
)
def test_a_column_that_the_table_lacks_is_refused(db, table, rows):
    with pytest.raises(marbledb.SchemaError, match="table 't': column 'nn' is not in the table"):
        table.insert(rows)
    with pytest.raises(marbledb.SchemaError, match="nn"), db.write_batch() as batch:
        batch.insert("t", rows)
    assert table.count() == 0


def test_a_column_that_dicts_lack_is_null_if_it_can_be(table):
    table.insert([{"id": 1, "n": 1}, {"id": 2, "n": 2, "name": "b"}])
    table.insert({"id": [3], "n": [3]})
    assert table.to_table()["name"].to_pylist() == [None, "b", None]
    for rows in ([{"id": 4}], {"id": [4]}, [{"n": 1}], {"n": [1]}):
        with pytest.raises(marbledb.SchemaError, match="'n'" if "id" in str(rows) else "'id'"):
            table.insert(rows)
    assert table.count() == 3


@pytest.mark.parametrize(
    "rows, column",
    [
        ([{"id": "abc", "n": 1}], "id"),
        ([{"id": 2**70, "n": 1}], "id"),
        ([{"id": 1, "n": 300}], "n"),
        ([{"id": 1, "n": 1, "name": 5}], "name"),
        ([{"id": 1, "n": 1, "name": "\ud800"}], "name"),
        ({"id": [1, 2], "n": [1]}, "n"),
        ({"id": 1, "n": 1}, "id"),
        ({"id": [1], "n": [1], "name": "text"}, "name"),
        ({"id": pa.array(["x"]), "n": [1]}, "id"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_table_and_column(table, rows, column):
    for method in (table.insert, table.bulk_load):
        with pytest.raises(marbledb.SchemaError, match=f"table 't'.*column '{column}'"):
            method(rows)
    assert table.count() == 0


def test_keys_that_do_not_fit_are_schema_errors(table):
    for call in (table.get, table.delete):
        for keys in ("abc", 2**70, {"no": 1}, [{"no": 1}], {"id": ["x"]}, {"no": [1]}):
            with pytest.raises(marbledb.SchemaError, match="id"):
                call(keys)
    with pytest.raises(marbledb.SchemaError, match="id"):
        table.to_table(range=(2**70, None))


def test_numbers_are_not_cut_to_fit_the_key(table):
    """1.5 is not the key 1: not to find, to delete, to bound, to write."""
    table.insert({"id": [1, 2, 3], "n": [0, 0, 0]})
    for call in (
        lambda: table.get(1.5),
        lambda: table.get([2, 1.5]),
        lambda: table.get({"id": [Decimal("1.5")]}),
        lambda: table.contains(1.5),
        lambda: table.delete(1.5),
        lambda: table.delete([2.5]),
        lambda: table.delete_range(0.5, 2.5),
        lambda: table.to_table(range=(0.5, 2.5)),
        lambda: table.insert([{"id": 1.5, "n": 0}]),
        lambda: table.insert({"id": [*range(10, 50), 4.5], "n": [0] * 41}),
        lambda: table.insert({"id": iter([4, 4.5]), "n": [0, 0]}),
        lambda: table.insert({"id": [4], "n": np.array([1.5], object)}),
        lambda: table.add_column("more", pa.int8(), default=1.5),
    ):
        with pytest.raises(marbledb.SchemaError, match="column '(id|n|more)'.*without loss"):
            call()
    assert table.to_table()["id"].to_pylist() == [1, 2, 3]
    assert table.get(2.0)["id"] == 2 and table.get(Decimal(3))["id"] == 3
    assert table.get(np.int64(2))["id"] == 2 and table.get([np.float32(2)]).num_rows == 1


MIDNIGHT = datetime.datetime(2026, 1, 1)


@pytest.mark.parametrize(
    "type, good, bad",
    [
        (pa.timestamp("s"), MIDNIGHT, MIDNIGHT + datetime.timedelta(microseconds=5)),
        (pa.timestamp("ms", "UTC"), MIDNIGHT.replace(microsecond=5000), MIDNIGHT.replace(microsecond=5)),
        (pa.timestamp("us"), MIDNIGHT.replace(microsecond=5), pd.Timestamp("2026-01-01 00:00:00.000000005")),
        (pa.timestamp("ns"), pd.Timestamp("2026-01-01 00:00:00.000000005"), 1.5),
        (pa.date32(), MIDNIGHT, MIDNIGHT.replace(hour=5)),
        (pa.date64(), MIDNIGHT.date(), MIDNIGHT.replace(microsecond=1)),
        (pa.time32("s"), datetime.time(1, 2, 3), datetime.time(1, 2, 3, 4)),
        (pa.duration("s"), datetime.timedelta(-1), datetime.timedelta(microseconds=-5)),
        (pa.list_(pa.int32()), [1, 2.0, None], [1, 2.5]),
        (pa.list_view(pa.int32()), [1], [2.5]),
        (pa.struct([("a", pa.int32()), ("b", pa.string())]), {"a": 1.0}, {"a": 1.5}),
        (pa.map_(pa.string(), pa.int32()), [("a", 1)], {"a": 1.5}),
        (pa.dictionary(pa.int8(), pa.int64()), 1, 1.5),
    ],
)
def test_no_value_is_cut_to_fit_its_column(db, type, good, bad):
    table = db.create_table("cut", pa.schema([pa.field("id", pa.int64(), False), ("x", type)]), "id")
    table.insert({"id": [1, 2], "x": [good, None]})
    for rows in ([{"id": 3, "x": bad}], {"id": [3, 4], "x": [None, bad]}):
        with pytest.raises(marbledb.SchemaError, match="column 'x'.*without loss"):
            table.insert(rows)
    found = table.to_table()["x"]
    assert found.null_count == 1 and found[:1].to_pylist() == pa.array([good], type).to_pylist()


def test_columns_of_uneven_length_are_refused_by_put_many(kv):
    with pytest.raises(marbledb.SchemaError):
        kv.put_many(pa.table({"key": ["a"], "no": ["b"]}))
    with pytest.raises(marbledb.SchemaError):
        _convert.table_of({"key": ["a", "b"], "value": [b""]})


def test_one_column_is_no_table(table):
    class Column:
        def __arrow_c_array__(self, requested_schema=None):
            return pa.array([1]).__arrow_c_array__(requested_schema)

    for call in (table.insert, table.get, table.delete):
        with pytest.raises(marbledb.SchemaError, match="no table"):
            call(Column())
    column = pa.chunked_array([[1]])
    for call in (table.insert, table.bulk_load):
        for data in (column, iter([column])):
            with pytest.raises(marbledb.SchemaError, match="no table"):
                call(data)


def test_keys_in_several_batches_are_all_used(table, monkeypatch):
    # Arrow leaves several chunks where a column is over 2 GiB; here it is told not to combine.
    monkeypatch.setattr(_convert, "_combined", lambda keys: keys.to_batches())
    table.insert({"id": list(range(6)), "n": [0] * 6})
    keys = pa.table({"id": pa.chunked_array([[4, 0], [9], [2]], pa.int64())})
    assert table.get(keys)["id"].to_pylist() == [4, 0, 2]
    with table.database.snapshot() as before:
        commits = table.database.stats()["commits"]
        table.delete(keys)
        assert table.database.stats()["commits"] == commits + 1
        assert table.to_table()["id"].to_pylist() == [1, 3, 5]
        assert table.get(keys).num_rows == 0
        assert table.get(keys, snapshot=before)["id"].to_pylist() == [4, 0, 2]
    with table.database.write_batch() as batch:
        batch.delete_rows("t", pa.table({"id": pa.chunked_array([[1], [5]], pa.int64())}))
    assert table.to_table()["id"].to_pylist() == [3]


def test_bad_arguments_are_invalid_argument_errors(db, table, db_path):
    for call in (
        lambda: marbledb.open(""),
        lambda: marbledb.open(db_path, memory_budget="much"),
        lambda: db.create_table("x", SCHEMA, compression="gzip"),
        lambda: db.create_table("x", SCHEMA, point_lookup=["bloom"]),
        lambda: table.insert([], timeout=-1),
        lambda: table.insert([], timeout=float("nan")),
        lambda: table.scan(limit=-1),
        lambda: table.scan(batch_rows_max=0),
    ):
        with pytest.raises(marbledb.InvalidArgumentError):
            call()
    assert db.tables() == ["default", "t"]


def test_a_key_type_that_cannot_be_leaves_no_table_behind(db):
    for key_type in (pa.int64(), pa.dictionary(pa.int8(), pa.string())):
        with pytest.raises(marbledb.SchemaError, match="'x'"):
            db.kv("x", key_type=key_type)
        assert db.tables() == ["default"]
    for i, key_type in enumerate((pa.string(), pa.large_binary(), pa.binary_view())):
        db.kv(f"x{i}", key_type=key_type)[b"k"] = b"v"


def test_numbers_of_things_are_not_cut_to_fit(db, tmp_path):
    schema = pa.schema([("a", pa.int64())])
    with pytest.raises(TypeError):
        db.create_table("t", schema, block_rows_max=0.5)
    with pytest.raises(TypeError):
        marbledb.open(tmp_path / "other", background_threads=2.9)
    assert not (tmp_path / "other").exists()


def test_a_dropped_table_is_said_to_be_gone(db, table):
    db.drop_table("t")
    for use in (table.stats, lambda: str(table)):
        with pytest.raises(marbledb.TableNotFound, match="'t'"):
            use()
    assert "default" in str(db)


def test_a_handle_of_a_dropped_table_leaves_the_next_one_of_its_name_alone(db):
    schema = pa.schema([("id", pa.int64()), ("a", pa.string())])
    old, old_kv = db.create_table("u", schema, "id"), db.kv("pairs")
    for name in ("u", "pairs"):
        db.drop_table(name)
    new, new_kv = db.create_table("u", schema, "id"), db.kv("pairs")
    new.insert([{"id": 1, "a": "x"}])
    uses = [lambda: old.drop_column("a"), lambda: old.rename_column("a", "b"),
            lambda: old.add_column("b", pa.int64()), lambda: old.insert([{"id": 2, "a": "y"}]),
            lambda: old_kv.put(b"k", b"v"), lambda: old_kv.write_batch().put(b"k", b"v"),
            lambda: len(old_kv)]
    for use in uses:
        with pytest.raises(marbledb.TableNotFound, match="was dropped"):
            use()
    assert new.schema.names == ["id", "a"]
    assert new.to_table().to_pylist() == [{"id": 1, "a": "x"}]
    assert len(new_kv) == 0


def test_a_timeout_may_be_infinite(table):
    table.insert([{"id": 1, "n": 1}], timeout=float("inf"))
    assert table.count() == 1


def overlong(data_type):
    """An array of two values of which the first ends far behind its bytes, which is seen only by who
    looks at every value."""
    offsets = pa.py_buffer(np.array([0, 1 << 20, 4], np.int32))
    return pa.Array.from_buffers(data_type, 2, [None, offsets, pa.py_buffer(b"abcd")])


def test_arrays_that_are_not_valid_are_refused_before_anything_reads_them(db):
    kv = db.kv("pairs")
    for keys, values in ((pa.array(["a", "b"]), overlong(pa.binary())),
                         (overlong(pa.string()), pa.array([b"v", b"w"]))):
        with pytest.raises(marbledb.InvalidArgumentError, match="not valid"):
            kv.put_many(pa.table({"key": keys, "value": values}))
    with pytest.raises(marbledb.InvalidArgumentError):
        kv.multi_get(overlong(pa.string()))
    with pytest.raises(marbledb.InvalidArgumentError):
        kv.multi_get(pa.chunked_array([overlong(pa.string()), pa.array(["b"])]))
    table = db.create_table("t", pa.schema([("id", pa.int64()), ("text", pa.large_string())]), "id")
    with pytest.raises(marbledb.SchemaError, match="'text'"):
        table.insert(pa.table({"id": [1, 2], "text": overlong(pa.string())}))
    with pytest.raises(marbledb.SchemaError, match="'text'"):
        table.insert({"id": [1, 2], "text": overlong(pa.string())})
    assert table.count() == 0 and kv.get("a") is None
