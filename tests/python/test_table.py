"""The table face: keys of all kinds, upserts, deletes, scans, and what bad rows get."""

import datetime
import decimal

import marbledb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

UTC = datetime.timezone.utc


def ids(table):
    return table["id"].to_pylist()


def test_upsert_last_row_wins(people):
    people.upsert({"id": [3, 3, 11], "name": ["x", "y", None], "score": [0.0, 1.0, None]})
    assert people.get(3) == {"id": 3, "name": "y", "score": 1.0}
    assert people.get(11) == {"id": 11, "name": None, "score": None}
    assert people.count() == 11 == len(people) and bool(people)


def test_delete_by_keys_of_all_forms(people):
    people.delete(0)
    people.delete([1, 2])
    people.delete(pa.array([3], pa.int64()))
    people.delete(pa.table({"name": ["other columns do not matter"], "id": [4]}))
    people.delete({"id": 5})
    people.delete({"id": [6]})
    people.delete([])
    people.delete(999)
    assert ids(people.to_table()) == [7, 8, 9]


def test_delete_range_then_put_inside(people):
    people.delete_range(2, 5)
    people.insert({"id": [3], "name": ["back"], "score": [None]})
    people.delete_range(8)
    people.delete_range(6, 6)
    people.delete_range(7, 1)
    assert ids(people.to_table()) == [0, 1, 3, 5, 6, 7]
    people.delete_range()
    assert people.count() == 0 and not people


def test_get_one_and_many(people):
    assert people.get(4) == {"id": 4, "name": "p4", "score": 2.0}
    assert people.get(4, ["name"]) == {"name": "p4"}
    assert people.get(-1) is None
    found = people.get([7, -1, 2, 7])
    assert isinstance(found, pa.Table) and ids(found) == [7, 2, 7]
    assert ids(people.get(pa.array([1, 0], pa.int64()))) == [1, 0]
    assert people.get([]).num_rows == 0 and people.get([]).schema.names == people.schema.names



def test_get_in_any_order_gives_the_same_rows(people):
    found = people.get([7, -1, 2, 7], ordered=False)
    assert sorted(ids(found)) == [2, 7, 7]
    assert people.get([7, 2], ["name"], ordered=False).schema.names == ["name"]


def test_contains_keys_of_all_forms(people):
    people.delete(3)
    wanted = [True, False, True, False]
    keys = pa.table({"id": [7, -1, 2, 3], "other": ["a", "b", "c", "d"]})
    for form in ([7, -1, 2, 3], keys["id"], keys, keys.to_batches()[0], {"id": [7, -1, 2, 3]}):
        found = people.contains(form)
        assert isinstance(found, pa.BooleanArray) and found.to_pylist() == wanted
    assert keys.filter(people.contains(keys))["id"].to_pylist() == [7, 2]
    assert people.contains([]).to_pylist() == []
    assert people.contains(7) is True and people.contains({"id": 3}) is False


def test_contains_reads_its_snapshot(people):
    with people.database.snapshot() as before:
        people.delete([1, 2])
        assert people.contains([1, 2, 3], snapshot=before).to_pylist() == [True] * 3
        assert people.contains(1, snapshot=before)
    assert people.contains([1, 2, 3]).to_pylist() == [False, False, True]


def test_key_in_table(people):
    assert 7 in people and -1 not in people and {"id": 7} in people
    for wrong in ([7], None, "seven"):
        with pytest.raises(marbledb.SchemaError):
            wrong in people
    events = people.database.create_table("events", people.schema)
    for ask in (lambda: 7 in events, lambda: events.contains(7), lambda: events.contains([7])):
        with pytest.raises(marbledb.SchemaError, match="no primary key"):
            ask()


def test_composite_key(db):
    schema = pa.schema(
        [
            pa.field("value", pa.float64()),
            pa.field("city", pa.string(), nullable=False),
            pa.field("day", pa.date32(), nullable=False),
        ]
    )
    table = db.create_table("weather", schema, primary_key=["city", "day"])
    days = [datetime.date(2013, 1, day) for day in range(1, 6)]
    for city in ("ewr", "jfk", "lga"):
        table.insert({"value": [1.0, 2.0, 3.0, 4.0, 5.0], "city": [city] * 5, "day": days})
    assert table.primary_key == ("city", "day")
    assert table.get(("jfk", days[2]))["value"] == 3.0
    assert table.get({"city": "jfk", "day": days[2]})["value"] == 3.0
    assert table.get([("lga", days[0]), ("none", days[0])]).num_rows == 1
    assert table.get(pa.table({"day": days[:2], "city": ["ewr", "ewr"]})).num_rows == 2
    assert table.count(range=("jfk", "lga")) == 5
    assert table.count(range=(("jfk", days[3]), None)) == 7
    assert table.count(range=(None, ("ewr", days[1]))) == 1
    table.delete_range(("ewr", days[1]), ("jfk", days[1]))
    assert table.count() == 10
    table.delete([("lga", days[0]), ("lga", days[1])])
    assert table.count() == 8
    with pytest.raises(marbledb.SchemaError):
        table.get("jfk")
    with pytest.raises(marbledb.SchemaError):
        table.get([("jfk",)])
    with pytest.raises(marbledb.SchemaError):
        table.scan(range=(("a", days[0], 1), None))


KEYS = {
    "bool": (pa.bool_(), [False, True]),
    "int8": (pa.int8(), [-128, -1, 0, 127]),
    "uint64": (pa.uint64(), [0, 1, 2**63, 2**64 - 1]),
    "float64": (pa.float64(), [float("-inf"), -1.5, 0.0, 2.25, float("inf")]),
    "string": (pa.string(), ["", "a", "a\0", "b", "\u00e9"]),
    "binary": (pa.binary(), [b"", b"\0", b"\0\xff", b"\xff"]),
    "date32": (pa.date32(), [datetime.date(1900, 1, 1), datetime.date(2013, 7, 4)]),
    "timestamp": (
        pa.timestamp("us", tz="UTC"),
        [datetime.datetime(1960, 1, 1, tzinfo=UTC), datetime.datetime(2020, 1, 1, tzinfo=UTC)],
    ),
    "decimal": (
        pa.decimal128(10, 2),
        [decimal.Decimal("-5.25"), decimal.Decimal("0.00"), decimal.Decimal("123.45")],
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_key_types(db, name):
    data_type, values = KEYS[name]
    schema = pa.schema([pa.field("k", data_type, nullable=False), pa.field("n", pa.int32())])
    table = db.create_table("t", schema, "k")
    order = list(range(len(values)))[::-1]
    table.insert(
        pa.record_batch(
            [pa.array([values[i] for i in order], data_type), pa.array(order, pa.int32())],
            schema=schema,
        )
    )
    for _ in range(2):
        assert table.to_table()["k"].to_pylist() == values
        assert table.to_table(reverse=True)["n"].to_pylist() == order
        for i, value in enumerate(values):
            assert table.get([value])["n"].to_pylist() == [i]
            assert table.count(range=(value, None)) == len(values) - i
        db.flush()


def test_append_table_keeps_insertion_order(db):
    schema = pa.schema([pa.field("x", pa.int64())])
    table = db.create_table("log", schema)
    for i in (5, 3, 5):
        table.insert({"x": [i, i + 1]})
    db.flush()
    table.insert({"x": [9]})
    assert table.to_table()["x"].to_pylist() == [5, 6, 3, 4, 5, 6, 9]
    assert table.to_table(reverse=True)["x"].to_pylist() == [9, 6, 5, 4, 3, 6, 5]
    assert table.primary_key == ()
    for call in (
        lambda: table.upsert({"x": [1]}),
        lambda: table.delete([1]),
        lambda: table.delete_range(1, 2),
        lambda: table.get(1),
        lambda: table.scan(range=(1, 2)),
    ):
        with pytest.raises(marbledb.SchemaError, match="key"):
            call()
    assert table.count() == 7


def test_scan_options(people):
    assert people.scan(["score", "id"]).schema.names == ["score", "id"]
    assert people.to_table(["name"], filter=pc.field("id") >= 8)["name"].to_pylist() == ["p8", "p9"]
    assert ids(people.to_table(range=(3, 6))) == [3, 4, 5]
    assert ids(people.to_table(range=(None, 2), reverse=True)) == [1, 0]
    assert ids(people.to_table(limit=3)) == [0, 1, 2]
    assert ids(people.to_table(limit=2, reverse=True)) == [9, 8]
    assert people.to_table(limit=0).num_rows == 0
    even = pc.equal(pc.bit_wise_and(pc.field("id"), 1), 0)
    assert ids(people.to_table(filter=even, range=(1, 9), limit=3, reverse=True)) == [8, 6, 4]
    assert people.count(filter=even) == 5 and people.count(range=(3, 6)) == 3
    assert people.to_table([]).num_columns == 0
    assert max(batch.num_rows for batch in people.scan(batch_rows_max=3)) <= 3
    assert isinstance(people.scan(), pa.RecordBatchReader)


def test_scan_mistakes(people):
    with pytest.raises(ValueError, match="no_column"):
        people.to_table(["no_column"])
    with pytest.raises(ValueError, match="no_column"):
        people.to_table(filter=pc.field("no_column") > 1)
    with pytest.raises(TypeError, match="Expression"):
        people.to_table(filter="id > 1")
    with pytest.raises(TypeError, match="pair"):
        people.to_table(range=5)
    with pytest.raises(ValueError, match="limit"):
        people.to_table(limit=-1)
    with pytest.raises(marbledb.SchemaError, match="id"):
        people.to_table(range=("text", None))


def test_filters_on_null_and_text(db):
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("s", pa.string())])
    table = db.create_table("t", schema, "id")
    table.insert({"id": [1, 2, 3, 4], "s": ["a", None, "b", ""]})
    for _ in range(2):
        assert ids(table.to_table(filter=pc.field("s").is_null())) == [2]
        assert ids(table.to_table(filter=pc.field("s") != "a")) == [3, 4]
        assert ids(table.to_table(filter=pc.field("s").isin(["a", ""]))) == [1, 4]
        assert ids(table.to_table(filter=~(pc.field("s") == "a"))) == [3, 4]
        db.flush()


def test_filters_over_views(db):
    """Arrow compares no views. A table that was made of a Polars schema has them."""
    types = {"key": pa.string_view(), "text": pa.string_view(), "data": pa.binary_view()}
    types["pair"] = pa.struct([("x", pa.string_view())])
    table = db.create_table("views", types, "key")
    table.insert(
        {
            "key": [f"k{i:02}" for i in range(20)],
            "text": [None if i == 7 else f"t{i % 4}" for i in range(20)],
            "data": [b"%d" % (i % 3) for i in range(20)],
            "pair": [{"x": f"x{i % 2}"} for i in range(20)],
        }
    )
    text, key = pc.field("text"), pc.field("key")
    for _ in range(2):
        for keep, wanted in [
            (text == "t3", [3, 11, 15, 19]),
            (text == pa.scalar("t3", pa.string_view()), [3, 11, 15, 19]),
            (text.isin(["t3", "no"]), [3, 11, 15, 19]),
            (~(text < "t3"), [3, 11, 15, 19]),
            (text.is_null(), [7]),
            (text.is_valid() & (key < "k02"), [0, 1]),
            ((text > "t0").is_null(), [7]),
            (pc.match_substring(text, "3"), [3, 11, 15, 19]),
            ((pc.field("data") == b"1") & (key > "k14"), [16, 19]),
            ((pc.field("pair", "x") == "x1") & (key <= "k03"), [1, 3]),
            (key == "k11", [11]),
            (key.isin(["k11", "k02"]), [2, 11]),
        ]:
            found = table.to_table(["key"], filter=keep)["key"].to_pylist()
            assert found == [f"k{i:02}" for i in wanted], str(keep)
            assert table.count(filter=keep) == len(wanted)
        db.flush()
    with pytest.raises(marbledb.MarbleError, match="no column 'nothing'"):
        table.to_table(filter=pc.field("nothing") == "a")


def different(name, data_type, **more):
    fields = {"id": pa.int64(), "name": pa.string(), "score": pa.float64()}
    fields[name] = data_type
    fields.update(more)
    return pa.table(
        {
            key: pa.nulls(1, value) if value != pa.int64() else pa.array([1], value)
            for key, value in fields.items()
        }
    )


def test_columns_are_taken_by_name(db, people):
    """Whatever their order, in one batch, in a stream and in a bulk load."""
    mixed = pa.table({"score": [1.0], "id": [20], "name": ["x"]})
    people.insert(mixed)
    people.bulk_load([mixed.set_column(1, "id", [[21]]), mixed.set_column(1, "id", [[22]])])
    people.bulk_load(pa.RecordBatchReader.from_stream(mixed.set_column(1, "id", [[23]])))
    with db.write_batch() as batch:
        batch.insert("people", mixed.set_column(1, "id", [[24]]))
    for key in range(20, 25):
        assert people.get(key) == {"id": key, "name": "x", "score": 1.0}


@pytest.mark.parametrize(
    "rows, column",
    [
        (different("name", pa.int32()), "name"),
        (different("score", pa.float32()), "score"),
        (different("id", pa.string()), "id"),
        (different("id", pa.int64(), extra=pa.int8()), "extra"),
        (pa.table({"id": [1], "name": ["x"]}), "score"),
        (pa.table([[1], ["x"], ["y"]], names=["id", "name", "name"]), "name"),
        (pa.table({"id": pa.array([None], pa.int64()), "name": ["x"], "score": [1.0]}), "id"),
    ],
)
def test_wrong_rows_are_refused_by_column(people, rows, column):
    with pytest.raises(marbledb.SchemaError, match=column):
        people.insert(rows)
    assert people.count() == 10


def test_invalid_batches_are_refused(people):
    bad_utf8 = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    with pytest.raises(marbledb.SchemaError, match="name"):
        people.insert(
            pa.record_batch([pa.array([1]), bad_utf8, pa.array([1.0])], schema=people.schema)
        )
    falling = pa.py_buffer(b"\0\0\0\0\5\0\0\0\2\0\0\0")
    crooked = pa.Array.from_buffers(pa.string(), 2, [None, falling, pa.py_buffer(b"abcde")])
    with pytest.raises(marbledb.SchemaError, match="name"):
        people.insert(
            pa.record_batch([pa.array([1, 2]), crooked, pa.array([1.0, 2.0])], schema=people.schema)
        )
    assert people.get(1)["name"] == "p1"


def test_rows_that_are_no_rows(people):
    for bad in (5, "text", [1, 2], None):
        with pytest.raises(TypeError):
            people.insert(bad)


def test_many_batches_are_one_commit(people):
    good = people.to_table().slice(0, 1)
    bad = pa.table({"id": pa.array([None], pa.int64()), "name": ["x"], "score": [1.0]})
    with pytest.raises(marbledb.SchemaError):
        people.insert(pa.concat_tables([good.set_column(0, "id", [[77]]).cast(bad.schema), bad]))
    assert people.get(77) is None
    before = people.database.stats()["last_sequence"]
    people.insert(
        pa.Table.from_batches(
            [
                batch
                for i in range(5)
                for batch in good.set_column(
                    0, people.schema.field(0), [pa.array([100 + i])]
                ).to_batches()
            ]
        )
    )
    assert people.count() == 15 and people.database.stats()["last_sequence"] > before


def test_payload_types_round_trip(db):
    struct = pa.struct([pa.field("a", pa.int32()), pa.field("b", pa.list_(pa.string()))])
    rows = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int64()),  # the key: not null in the table's schema
            "list": pa.array([[1], None, []], pa.list_(pa.int16())),
            "struct": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}], struct),
            "dictionary": pa.array(["x", "y", "x"]).dictionary_encode(),
            "large": pa.array(["x", None, ""], pa.large_string()),
            "fixed": pa.array([b"ab", None, b"cd"], pa.binary(2)),
            "time": pa.array([1, None, 3], pa.duration("ms")),
            "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int8())),
            "decimal": pa.array([decimal.Decimal("1.50"), None, None], pa.decimal128(5, 2)),
            "nothing": pa.nulls(3),
        }
    )
    table = db.create_table("t", rows.schema, "id")
    table.insert(rows)
    for _ in range(2):
        found = table.to_table()
        assert found.schema.equals(rows.schema.set(0, rows.schema.field(0).with_nullable(False)))
        assert found.to_pylist() == rows.to_pylist()
        assert table.get(3) == rows.to_pylist()[2]
        db.flush()


def test_callers_memory_is_not_referenced(people):
    import numpy as np

    numbers = np.array([1.0, 2.0])
    people.insert(
        pa.record_batch(
            [pa.array([50, 51]), pa.array(["a", "b"]), pa.array(numbers)], schema=people.schema
        )
    )
    numbers[:] = -1
    assert people.get(50)["score"] == 1.0 and people.get(51)["score"] == 2.0


def test_reader_goes_on_during_writes_and_compaction(db, people_schema):
    table = db.create_table("t", people_schema, "id")
    for begin in range(0, 30_000, 10_000):
        numbers = list(range(begin, begin + 10_000))
        table.insert({"id": numbers, "name": ["old"] * 10_000, "score": [0.5] * 10_000})
        db.flush()
    reader = table.scan(batch_rows_max=1000)
    first = reader.read_next_batch()
    table.insert({"id": list(range(30_000)), "name": ["new"] * 30_000, "score": [1.5] * 30_000})
    db.flush()
    db.compact()
    rest = pa.Table.from_batches([first, *reader])
    assert ids(rest) == list(range(30_000))
    assert rest["name"].unique().to_pylist() == ["old"]
    assert table.to_table()["name"].unique().to_pylist() == ["new"]


def test_a_row_by_key_is_the_row_that_pyarrow_makes_of_every_type(db):
    arrays = {
        "id": pa.array([1, 2, 3], pa.int64()),
        "i8": pa.array([-128, None, 127], pa.int8()),
        "u64": pa.array([2**64 - 1, 0, None], pa.uint64()),
        "f32": pa.array([1.5, None, float("-inf")], pa.float32()),
        "flag": pa.array([True, False, None]),
        "text": pa.array(["é", "", None]),
        "large": pa.array(["x" * 100, None, "y"], pa.large_string()),
        "bytes": pa.array([b"\x00\xff", b"", None]),
        "at": pa.array([1, None, 3], pa.timestamp("us", "UTC")),
        "sum": pa.array([None, 1, 2], pa.decimal128(9, 2)),
        "kind": pa.array(["a", "b", None]).dictionary_encode(),
        "view": pa.array(["short", "longer than twelve bytes", None], pa.string_view()),
        "tags": pa.array([["a"], [], None], pa.list_(pa.string())),
        "place": pa.array([{"x": 1}, None, {"x": None}], pa.struct([("x", pa.int32())])),
        "none": pa.nulls(3),
    }
    table = db.create_table("every", pa.table(arrays).schema, primary_key="id")
    table.insert(pa.table(arrays))
    rows = table.to_table().to_pylist()
    assert [table.get(key) for key in (1, 2, 3)] == rows
    assert [type(value) for value in table.get(1).values()] == [type(v) for v in rows[0].values()]
    assert table.get(2, columns=["text", "id"]) == {"text": "", "id": 2}
    assert table.get(2, columns=iter(["text"])) == {"text": ""}
    assert table.get({"id": 3}, columns=[]) == {}
    assert table.get(4) is None


def test_a_write_batch_takes_rows_in_parts(db, people, people_schema):
    rows = [pa.record_batch([[n], ["part"], [0.5]], schema=people_schema) for n in (70, 71, 72)]
    for data in (rows, iter(rows), pa.RecordBatchReader.from_batches(people_schema, rows)):
        people.delete_range(70)
        with db.write_batch() as batch:
            batch.insert("people", data)
        assert people.get([70, 71, 72])["id"].to_pylist() == [70, 71, 72]
