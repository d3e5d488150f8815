"""Other libraries read our stream, and hand us theirs."""

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest


def test_duckdb_reads_a_table_by_name(people):
    assert duckdb.sql("SELECT count(*), sum(score) FROM people WHERE id >= 5").fetchall() == [
        (5, 17.5)
    ]
    reader = people.scan(["id"], limit=4)
    assert duckdb.sql("SELECT sum(id) FROM reader").fetchall() == [(6,)]


def test_duckdb_reads_it_twice(people):
    connection = duckdb.connect()
    connection.register("rows_of", people)
    query = "SELECT max(a.id) FROM rows_of a JOIN rows_of b USING (id)"
    assert connection.sql(query).fetchall() == [(9,)]
    assert connection.sql(query).fetchall() == [(9,)]


def test_polars_and_pandas_read_a_table(people):
    frame = pl.DataFrame(people)
    assert frame["name"].to_list() == [f"p{i}" for i in range(10)]
    assert pl.from_arrow(people.scan(["id"]))["id"].sum() == 45
    assert people.scan().read_pandas().equals(people.to_table().to_pandas())


def test_pyarrow_reads_a_table(people):
    assert pa.table(people).equals(people.to_table())
    assert pa.RecordBatchReader.from_stream(people).read_all().num_rows == 10
    assert pa.schema(people).equals(people.schema)


def test_insert_from_polars(people):
    people.insert(pl.DataFrame({"id": [20, 21], "name": ["x", None], "score": [1.0, 2.0]}))
    assert people.get(20)["name"] == "x" and people.count() == 12
    people.delete(pl.DataFrame({"id": [20, 21]}))
    assert people.count() == 10


def test_insert_from_duckdb(people):
    people.insert(
        duckdb.sql("SELECT i AS id, 'd' || i AS name, i / 2 AS score FROM range(30, 33) t(i)")
    )
    assert people.get(31) == {"id": 31, "name": "d31", "score": 15.5}


def test_insert_from_pandas_and_readers(people):
    people.insert(pd.DataFrame({"id": [40], "name": ["x"], "score": [1.0]}))
    people.insert([{"id": 41, "name": "y", "score": None}])
    reader = pa.RecordBatchReader.from_batches(
        people.schema, people.to_table().slice(0, 1).to_batches()
    )
    people.insert(reader)
    assert people.count() == 12 and people.get(41)["name"] == "y"


def test_insert_of_views_large_strings_and_dictionaries(people):
    for i, names in enumerate(
        [
            pa.array(["v"], pa.string_view()),
            pa.array(["v"], pa.large_string()),
            pa.array(["v"]).dictionary_encode(),
        ]
    ):
        people.insert(pa.table({"id": [50 + i], "name": names, "score": [0.0]}))
        assert people.get(50 + i)["name"] == "v"


def test_one_table_into_another(db, people):
    copy = db.create_table("copy", people.schema, "id")
    copy.insert(people)
    assert copy.to_table().equals(people.to_table())


def test_put_many_from_polars_and_scan_of_a_key_value_table(db, kv):
    kv.put_many(pl.DataFrame({"key": ["a", "b"], "value": [b"1", b"2"]}))
    assert kv["b"] == b"2"
    rows = db["default"]
    assert duckdb.sql("SELECT key FROM rows ORDER BY key DESC").fetchall() == [("b",), ("a",)]


def test_requested_schema(people):
    wanted = pa.schema(
        [
            pa.field("id", pa.int64()),
            pa.field("name", pa.large_string()),
            pa.field("score", pa.float64()),
        ]
    )
    capsule = people.__arrow_c_stream__(wanted.__arrow_c_schema__())
    found = pa.RecordBatchReader._import_from_c_capsule(capsule).read_all()
    assert found.schema.field("name").type == pa.large_string()


def test_error_in_a_stream_reaches_the_reader(db_path):
    import marbledb

    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("x", pa.binary())])
    with marbledb.open(db_path) as db:
        table = db.create_table("t", schema, "id", block_bytes=4096)
        table.insert({"id": list(range(20_000)), "x": [b"x" * 50] * 20_000})
        db.flush()
    file = max((db_path / "sst").glob("*.arrow"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with marbledb.open(db_path) as db:
        with pytest.raises(marbledb.CorruptionError) as caught:
            db["t"].scan().read_all()
        assert caught.value.file.endswith(file.name) and caught.value.offset >= 0
        t = db["t"]
        with pytest.raises(duckdb.Error, match=file.name):
            duckdb.sql("SELECT sum(id), max(x) FROM t").fetchall()
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
