"""One row by its key: what goes past pyarrow on the way must be what pyarrow would make."""

import random

import marbledb
import pyarrow as pa
import pytest

INTEGERS = {
    pa.int32(): [0, -1, 2**31 - 1, -(2**31)],
    pa.int64(): [0, -1, 2**63 - 1, -(2**63)],
    pa.uint32(): [0, 1, 2**32 - 1],
    pa.uint64(): [0, 1, 2**63 - 1, 2**63, 2**64 - 1],
    pa.int8(): [0, -128, 127],
}
TOO_LARGE = {
    pa.int32(): [2**31, -(2**31) - 1, 2**64],
    pa.int64(): [2**63, -(2**63) - 1],
    pa.uint32(): [-1, 2**32],
    pa.uint64(): [-1, 2**64],
}
TEXTS = ["", "a", "ä😀", "with\0zero", "x" * 1000]
SECOND = {"s": 1, "ms": 10**3, "us": 10**6}


def table_of(db, key_type):
    schema = pa.schema([pa.field("key", key_type), pa.field("value", pa.int64())])
    return db.create_table("rows", schema, primary_key=["key"])


@pytest.mark.parametrize("key_type", INTEGERS, ids=str)
def test_every_integer_of_the_type_finds_its_row(db, key_type):
    table = table_of(db, key_type)
    keys = INTEGERS[key_type]
    table.insert(pa.table({"key": pa.array(keys, key_type), "value": pa.array(range(len(keys)))}))
    for place, key in enumerate(keys):
        assert table.get(key) == {"key": key, "value": place}
        assert key in table
        assert table.contains(key) is True


@pytest.mark.parametrize("key_type", TOO_LARGE, ids=str)
def test_an_integer_beyond_the_type_is_refused_by_column(db, key_type):
    table = table_of(db, key_type)
    for key in TOO_LARGE[key_type]:
        with pytest.raises(marbledb.SchemaError, match="key"):
            table.get(key)


@pytest.mark.parametrize("key_type", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()],
                         ids=str)
def test_strings_and_bytes_find_their_rows(db, key_type):
    table = table_of(db, key_type)
    is_text = key_type in (pa.string(), pa.large_string())
    keys = TEXTS if is_text else [text.encode() for text in TEXTS]
    table.insert(pa.table({"key": pa.array(keys, key_type), "value": pa.array(range(len(keys)))}))
    for place, key in enumerate(keys):
        assert table.get(key) == {"key": key, "value": place}
    assert table.get("absent" if is_text else b"absent") is None


def test_a_lone_surrogate_is_refused(db):
    with pytest.raises(marbledb.SchemaError, match="key"):
        table_of(db, pa.string()).get("\ud800")


def test_a_tuple_finds_the_row_of_a_composite_key(db):
    schema = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.float64())])
    table = db.create_table("rows", schema, primary_key=["a", "b"])
    table.insert([{"a": 1, "b": "x", "c": 0.5}, {"a": 1, "b": "y", "c": 1.5}])
    assert table.get((1, "y")) == {"a": 1, "b": "y", "c": 1.5}
    assert table.get((2, "y")) is None
    with pytest.raises(marbledb.SchemaError, match="2 values"):
        table.get((1, "y", 3))


@pytest.mark.parametrize("unit", SECOND)
def test_times_are_what_pyarrow_gives(db, unit):
    second = SECOND[unit]
    source = random.Random(7)
    values = [-62135596800 * second, 253402300800 * second - 1, -86400 * second - 1, -1, 0, 1]
    values += [source.randint(-10**10 * second, 10**10 * second) for _ in range(200)]
    rows = pa.table({"key": pa.array(range(len(values)), pa.int64()),
                     "time": pa.array(values, pa.timestamp(unit))})
    table = db.create_table("rows", rows.schema, primary_key=["key"])
    table.insert(rows)
    for key, time in enumerate(rows["time"]):
        assert table.get(key)["time"] == time.as_py()


def test_a_time_beyond_python_is_refused_as_pyarrow_does(tmp_path):
    rows = pa.table({"key": pa.array([1], pa.int64()),
                     "time": pa.array([253402300800], pa.timestamp("s"))})
    # A database of its own: those of the fixture are read as Python values at the end.
    with marbledb.open(tmp_path / "db") as database:
        table = database.create_table("rows", rows.schema, primary_key=["key"])
        table.insert(rows)
        with pytest.raises((OverflowError, ValueError)):
            table.get(1)
