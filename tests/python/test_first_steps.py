"""What somebody new meets: what print shows, what hints errors give, and that tools find tables
without further imports."""

import logging
import subprocess
import sys

import datafusion
import duckdb
import marbledb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest


def test_print_shows_a_table(db, people):
    assert repr(people) == f"<marbledb.Table 'people' key ('id',) of {db!r}>"
    lines = str(people).splitlines()
    assert lines[:2] == [repr(people), "key:  id"]
    assert lines[2].startswith("size: 0 rows in files (0 B), ") and "in memory" in lines[2]
    assert lines[3:] == ["  id: int64 not null", "  name: string", "  score: double"]
    db.flush()
    assert "size: 10 rows in files (" in str(people)
    assert "KiB)" in str(people)
    assert "key:  none" in str(db.create_table("log", {"line": pa.string()}))


def test_print_shows_a_database(db, people):
    db.create_table("pairs", {"a": pa.int64(), "b": pa.int64()}, ["a", "b"])
    lines = str(db).splitlines()
    assert lines[0] == repr(db) == f"<marbledb.Database {db.path!r}>"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "  default (key key)",
        "  pairs (key a, b)",
        "  people (key id)",
    ]
    db.close()
    assert str(db) == repr(db) and str(people) == repr(people)


def test_reprs_of_handles(db):
    snapshot = db.snapshot()
    assert repr(snapshot) == f"<marbledb.Snapshot at {snapshot.sequence} of {db!r}>"
    snapshot.close()
    assert repr(snapshot) == f"<marbledb.Snapshot closed of {db!r}>"
    batch = db.write_batch()
    batch.put("a", b"1")
    assert repr(batch) == f"<marbledb.WriteBatch of 1 operations for {db!r}>"


def test_create_table_takes_what_has_a_schema(db, people):
    frame = pl.DataFrame({"id": [1], "name": ["x"]})
    for number, schema in enumerate(
        [{"id": "int64"}, [("id", pa.int64())], frame.schema, people, pa.table(frame).schema]
    ):
        assert db.create_table(f"t{number}", schema, "id").schema.field("id").type == pa.int64()


def test_create_table_refuses_rows(db):
    frame = pd.DataFrame({"id": [1]})
    for rows in (
        frame,
        pl.from_pandas(frame),
        pa.table({"id": [1]}),
        duckdb.sql("SELECT 1 AS id"),
        datafusion.SessionContext().from_pydict({"id": [1]}),
    ):
        with pytest.raises(TypeError, match=f"no rows: give that of the {type(rows).__name__}"):
            db.create_table("t", rows, "id")
    for schema in ({"id": int}, 5, [5], "id"):
        with pytest.raises(TypeError, match="dict of name to type"):
            db.create_table("t", schema, "id")
    assert db.tables() == ["default"]


def test_hints(people):
    for call in (people.to_table, people.export_file):
        with pytest.raises(TypeError, match="float"):
            call(*(["nowhere"] if call == people.export_file else []), limit=1.5)
    with pytest.raises(TypeError, match="float"):
        people.scan(batch_rows_max=1.5)
    with pytest.raises(TypeError, match=r"pc.field\('id'\) > 5, not Expr"):
        people.to_table(filter=pl.col("id") > 1)
    with pytest.raises(TypeError, match=r"not LazyFrame; collect\(\) gives its rows"):
        people.insert(pl.LazyFrame({"id": [1]}))


def test_duckdb_finds_a_dataset_without_further_imports(tmp_path):
    """DuckDB knows datasets only once pyarrow.dataset was imported."""
    script = """if True:
        import sys, duckdb, marbledb, pyarrow as pa
        duckdb.sql("SELECT 1").fetchall()
        with marbledb.open(sys.argv[1]) as db:
            table = db.create_table("t", pa.schema([pa.field("id", pa.int64(), False)]), "id")
            table.insert({"id": [1, 2, 3]})
            dataset = table.to_dataset()
            print(duckdb.sql("SELECT sum(id) FROM dataset WHERE id > 1").fetchall())
    """
    command = [sys.executable, "-c", script, str(tmp_path / "db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "[(5,)]\n", done.stderr


def test_the_log_shows_what_was_handed_down(people, caplog):
    dataset = people.to_dataset()
    dataset.to_table()
    assert caplog.messages == []
    caplog.set_level(logging.DEBUG, "marbledb.dataset")
    dataset.to_table(["name"], filter=pc.field("id") > 5)
    dataset.filter(pc.field("id") > 7).count_rows()
    dataset.to_table({"double": pc.field("id") * 2})
    dataset.scanner([])
    list(dataset.get_fragments(pc.field("id") == 3))
    scan = "scanner of table 'people': columns "
    assert [message for message in caplog.messages if "columns" in message] == [
        scan + "name; filter (id > 5)",
        scan + "all; filter (id > 7)",
        scan + "double; filter none",
        scan + "none; filter none",
    ]
    assert caplog.messages[-1] == "fragments of table 'people': filter (id == 3)"


def test_closed_databases_say_so(db, people):
    db.close()
    with pytest.raises(marbledb.ClosedError, match="was closed"):
        people.to_table()
