"""Runs last: every table file that the other tests left behind is a plain Arrow IPC file."""

import shutil
import tempfile

import marbledb
import pyarrow as pa
import pytest
from conftest import left_behind

HIDDEN = {"_sequence", "_kind"}


def open_both_ways(path):
    """The rows by the file reader, after checking that the stream reader at byte 8 shows the
    same."""
    with pa.OSFile(str(path)) as source:
        with pa.ipc.open_file(source) as reader:
            from_file = [reader.get_batch(i) for i in range(reader.num_record_batches)]
            schema = reader.schema
            table = pa.Table.from_batches(from_file, schema=schema)
    with pa.OSFile(str(path)) as source:
        source.seek(8)
        from_stream = pa.ipc.open_stream(source).read_all()
    table.validate(full=True)
    assert from_stream.schema.equals(schema)
    assert repr(from_stream.to_pylist()) == repr(table.to_pylist())  # NaN is no equal of itself
    return table


def user_rows(table):
    """The stored rows (`_kind` absent or put) in the user's columns."""
    rows = table.to_pylist()
    return [
        {name: value for name, value in row.items() if name not in HIDDEN}
        for row in rows
        if row.get("_kind", 0) == 0
    ]


@pytest.mark.parametrize("key", ["id", None])
def test_files_show_the_stored_rows(db, key):
    schema = pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("name", pa.string()),
            pa.field("tags", pa.list_(pa.string())),
        ]
    )
    table = db.create_table("t", schema, key)
    rows = [
        {"id": i, "name": f"n{i}" if i % 3 else None, "tags": ["a"] * (i % 3)} for i in range(5000)
    ]
    table.insert(rows)
    db.flush()
    found = []
    for path in sorted((left_behind[-1] / "sst").glob("*.arrow")):
        stored = open_both_ways(path)
        if "id" in stored.schema.names:
            assert [name for name in stored.schema.names if name not in HIDDEN] == schema.names
            assert stored.schema.field("name").type == pa.string()
            found += user_rows(stored)
    assert found == rows


def test_deleted_rows_are_marked(db):
    kv = db.kv()
    kv.put_many({"a": b"1", "b": b"2", "c": b""})
    with db.snapshot():
        kv.delete("b")
        db.flush()
    found = []
    for path in sorted((left_behind[-1] / "sst").glob("*.arrow")):
        found += user_rows(open_both_ways(path))
    assert {"key": "a", "value": b"1"} in found and {"key": "c", "value": b""} in found
    assert dict(kv.items()) == {"a": b"1", "c": b""}


def test_every_file_left_behind(tmp_path):
    with marbledb.open(tmp_path / "db") as db:
        db.kv().put_many({f"{i}": b"v" for i in range(100)})
        db.flush()
    checked = 0
    for folder in [*left_behind, tmp_path / "db"]:
        for path in sorted((folder / "sst").glob("*.arrow")) if folder.exists() else []:
            table = open_both_ways(path)
            if "_kind" in table.schema.names:
                assert table.schema.field("_kind").type == pa.uint8()
            if "_sequence" in table.schema.names:
                assert table.schema.field("_sequence").type == pa.uint64()
            checked += 1
    assert checked > 0
    print(f"opened {checked} files of {len(left_behind) + 1} databases")
    for folder in left_behind:
        if str(folder).startswith(tempfile.gettempdir()) and folder.name.startswith(
            "marble-machine-"
        ):
            shutil.rmtree(folder, ignore_errors=True)
