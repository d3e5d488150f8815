"""Arrays whose type is not the column's: taken whole, or refused by table and column."""

import datetime
import uuid
from decimal import Decimal

import marbledb
import numpy as np
import pyarrow as pa
import pytest

DAY = datetime.date(2026, 1, 1)
MIDNIGHT = datetime.datetime(2026, 1, 1)
MORNING = datetime.datetime(2026, 1, 1, 5)


def stored(db, data_type, values):
    """What a column of `data_type` gives back of `values`."""
    table = db.create_table("t", pa.schema([("id", pa.int64()), ("v", data_type)]), "id")
    table.insert({"id": range(len(values)), "v": values})
    return table.to_table()["v"].to_pylist()


@pytest.mark.parametrize(
    "data_type, values",
    [
        (pa.date32(), pa.array([MORNING])),
        (pa.date64(), pa.array([MORNING])),
        (pa.date32(), np.array([MORNING], "datetime64[ns]")),
        (pa.time64("us"), pa.array([MORNING])),
        (pa.bool_(), pa.array([5])),
        (pa.bool_(), np.array([5])),
        (pa.decimal128(10, 2), pa.array([1.004])),
        (pa.decimal128(10, 2), np.array([1.0, 19.999])),
        (pa.decimal128(10, 2), pa.array([1.004], pa.float32())),
        (pa.list_(pa.decimal128(10, 2)), pa.array([[1.004]])),
        (pa.timestamp("us", "Europe/Berlin"), pa.array([MORNING])),
        (pa.timestamp("us"), pa.array([MORNING], pa.timestamp("us", "UTC"))),
        (pa.int64(), pa.array(["7"])),
        (pa.string(), pa.array([7])),
        (pa.int8(), pa.array([300])),
        (pa.float32(), pa.array([1e39])),
        (pa.float32(), np.array([1e39])),
        (pa.float32(), [1e39]),
        (pa.float16(), [1e6]),
        (pa.list_(pa.float32()), [[1e39]]),
        (pa.list_(pa.float32()), pa.array([[1e39]])),
        (pa.list_(pa.string()), pa.array([[7]])),
        (pa.struct([("d", pa.date32())]), pa.array([{"d": MORNING}])),
        (pa.uuid(), pa.array([7])),
        (pa.list_(pa.int64()), pa.array([[1]], pa.list_view(pa.int64()))),
        (pa.large_list(pa.int64()), pa.array([[1]], pa.large_list_view(pa.int64()))),
    ],
)
def test_what_a_column_cannot_hold_whole_is_refused(db, data_type, values):
    with pytest.raises(marbledb.SchemaError, match="table 't': column 'v'"):
        stored(db, data_type, values)
    assert db.table("t").count() == 0


@pytest.mark.parametrize(
    "data_type, values, wanted",
    [
        (pa.date32(), pa.array([MIDNIGHT, None]), [DAY, None]),
        (pa.date32(), np.array([MIDNIGHT, "NaT"], "datetime64[ns]"), [DAY, None]),
        (pa.timestamp("us"), pa.array([DAY]), [MIDNIGHT]),
        (pa.int8(), pa.chunked_array([[1], [2]]), [1, 2]),
        (pa.bool_(), np.array([0, 1]), [False, True]),
        (pa.decimal128(20, 2), pa.array([0.1, 19.99, 1e15 + 0.25, None, -0.01]),
         [Decimal("0.10"), Decimal("19.99"), Decimal("1000000000000000.25"), None, Decimal("-0.01")]),
        (pa.decimal128(10, 2), np.array([19.99], "float32"), [Decimal("19.99")]),
        (pa.string(), np.array([b"a", b"bc"]), ["a", "bc"]),
        (pa.timestamp("us", "UTC"), np.array([MORNING], "datetime64[us]"),
         [MORNING.replace(tzinfo=datetime.timezone.utc)]),
        (pa.float32(), pa.array([0.5, float("inf")]), [0.5, float("inf")]),
        (pa.large_string(), pa.array(["a", "a"]).dictionary_encode(), ["a", "a"]),
        (pa.dictionary(pa.int8(), pa.string()), pa.array(["a", "b"]), ["a", "b"]),
        (pa.int64(), pa.nulls(2), [None, None]),
        (pa.float32(), [pa.scalar(0.5, pa.float32()), 2], [0.5, 2]),
        (pa.float32(), [float("inf"), 0.5] * 9, [float("inf"), 0.5] * 9),
        (pa.struct([("b", pa.bool_()), ("x", pa.float32())]),
         pa.array([{"b": True, "x": 0.5}, {"b": None, "x": None}]),
         [{"b": True, "x": 0.5}, {"b": None, "x": None}]),
        (pa.uuid(), pa.array([bytes(range(16))], pa.binary(16)),
         [uuid.UUID(bytes=bytes(range(16)))]),
        (pa.binary(16), pa.array([uuid.UUID(int=1)], pa.uuid()), [uuid.UUID(int=1).bytes]),
        (pa.map_(pa.string(), pa.int8()), pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
         [[("a", 1)]]),
    ],
)
def test_what_a_column_holds_whole_is_taken(db, data_type, values, wanted):
    assert stored(db, data_type, values) == wanted


def test_a_list_view_is_no_list(db):
    table = db.create_table("t", pa.schema([("id", pa.int64()), ("v", pa.list_(pa.int64()))]), "id")
    views = pa.ListViewArray.from_arrays(
        pa.array([0, 3, 6], pa.int32()), pa.array([1, 1, 1], pa.int32()), pa.array(range(9))
    )
    with pytest.raises(marbledb.SchemaError, match="'v'"):
        table.insert(pa.table({"id": [1, 2], "v": views.slice(0, 2)}))
    assert table.count() == 0


def test_a_moment_deletes_no_day(db):
    table = db.create_table("t", pa.schema([("day", pa.date32()), ("n", pa.int64())]), "day")
    table.insert({"day": [DAY], "n": [1]})
    with pytest.raises(marbledb.SchemaError, match="table 't': column 'day'"):
        table.delete({"day": pa.array([MORNING])})
    assert table.count() == 1


def test_mistakes_in_keys_and_bounds_name_the_table(db):
    table = db.create_table("t", pa.schema([("id", pa.int64()), ("n", pa.int64())]), "id")
    for call in (
        lambda: table.get(2**70),
        lambda: table.get("abc"),
        lambda: table.get([2**70, 1]),
        lambda: table.delete("abc"),
        lambda: table.to_table(range=(2**70, None)),
        lambda: table.to_table(range=(pa.scalar(MORNING), None)),
        lambda: table.contains({"id": ["x"]}),
    ):
        with pytest.raises(marbledb.SchemaError, match="'t'.*'id'"):
            call()
    texts = db.create_table("texts", pa.schema([("id", pa.string())]), "id")
    with pytest.raises(marbledb.MarbleError, match="'texts'.*70000"):
        texts.get(["x" * 70000, "y"])


def test_a_bound_may_have_another_unit(db):
    moments = pa.timestamp("us")
    table = db.create_table("t", pa.schema([("at", moments)]), "at")
    table.insert({"at": [MIDNIGHT, MORNING]})
    bound = pa.scalar(MORNING, moments).cast(pa.timestamp("ns"))
    assert table.to_table(range=(bound, None))["at"].to_pylist() == [MORNING]


def test_text_of_a_view_column_comes_back_as_text(db):
    db.create_table("k", pa.schema([("k", pa.string_view()), ("v", pa.string_view())]), "k")
    kv = db.kv("k")
    kv["a"] = "1"
    assert list(kv.items()) == [("a", "1")]
    assert kv["a"] == "1"


def test_an_ordered_dictionary_is_refused_by_its_column(db):
    sizes = pa.dictionary(pa.int8(), pa.string(), ordered=True)
    with pytest.raises(marbledb.MarbleError, match="size.*order"):
        db.create_table("t", pa.schema([("id", pa.int64()), ("size", sizes)]), "id")


def test_words_nested_in_structs_are_read_in_any_batch_size(db):
    words = pa.struct([("w", pa.dictionary(pa.int8(), pa.string()))])
    table = db.create_table("t", pa.schema([("id", pa.int64()), ("s", words)]), "id")
    for b in range(3):
        texts = [f"w{b * 100 + i}" for i in range(100)]
        column = pa.StructArray.from_arrays(
            [pa.DictionaryArray.from_arrays(pa.array(range(100), pa.int8()), texts)], names=["w"]
        )
        table.insert(pa.table({"id": range(b * 100, b * 100 + 100), "s": column}))
    table.database.flush()
    assert table.get(5)["s"] == {"w": "w5"}
    found = table.scan(batch_rows_max=100).read_all()["s"].to_pylist()
    assert found == [{"w": f"w{i}"} for i in range(300)]
