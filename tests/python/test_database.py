"""Opening, tables by name, options, and errors by class and message."""

import os
import subprocess
import sys

import marbledb
import pyarrow as pa
import pytest

SCHEMA = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("x", pa.string())])


def test_open_creates_a_database_with_a_default_table(db_path):
    with marbledb.open(db_path) as db:
        assert db.tables() == ["default"]
        assert db.path == str(db_path)
        assert not db.closed
    assert db.closed
    assert (db_path / "CURRENT").exists()


def test_open_without_create_if_missing_refuses(db_path):
    with pytest.raises(marbledb.MarbleError, match="db"):
        marbledb.open(db_path, create_if_missing=False)


def test_sizes_are_numbers_or_texts(db_path):
    with marbledb.open(db_path, memory_budget="512MiB") as db:
        assert db.stats()["memory_budget"] == 512 << 20
    for size in ("many", "-1MiB", "3 XB"):
        with pytest.raises(ValueError, match="size"):
            marbledb.open(db_path, memory_budget=size)
    with pytest.raises(TypeError):
        marbledb.open(db_path, memory_budget=1.5)


def test_same_path_in_one_process_is_one_database(db_path):
    with marbledb.open(db_path) as one, marbledb.open(db_path) as two:
        one.kv()["k"] = b"v"
        assert two.kv()["k"] == b"v"
        one.close()
        assert two.kv()["k"] == b"v"
        with pytest.raises(marbledb.ClosedError):
            one.kv()


def test_other_options_on_an_open_path_are_a_conflict(db_path):
    with marbledb.open(db_path):
        with pytest.raises(marbledb.ConflictError):
            marbledb.open(db_path, memory_budget="100MiB")


def test_second_process_is_refused_with_the_pid(db):
    script = (
        "import sys, marbledb\ntry:\n    marbledb.open(sys.argv[1])\nexcept OSError as e:\n"
        "    print(type(e).__name__, e)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, db.path], check=True, capture_output=True, text=True
    )
    assert result.stdout.startswith("LockedError") and str(os.getpid()) in result.stdout


def test_read_only_reads_and_refuses_writes(db_path):
    with marbledb.open(db_path) as db:
        db.kv()["k"] = b"v"
    with marbledb.open(db_path, read_only=True) as db:
        assert db.read_only and db.kv()["k"] == b"v"
        with pytest.raises(marbledb.ReadOnlyError):
            db.kv().put("k", b"w")
        with pytest.raises(marbledb.ReadOnlyError):
            db.create_table("t", SCHEMA)


def test_not_a_database(tmp_path):
    (tmp_path / "CURRENT").write_text("nonsense\n")
    with pytest.raises(marbledb.MarbleError) as caught:
        marbledb.open(tmp_path)
    assert "CURRENT" in str(caught.value)


def test_flipped_byte_is_corruption_with_file_and_offset(db_path):
    with marbledb.open(db_path) as db:
        db.kv().put_many({f"{i:06}": b"x" * 100 for i in range(5000)})
        db.flush()
    file = max((db_path / "sst").glob("*.arrow"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0x40
    file.write_bytes(content)
    with pytest.raises(marbledb.CorruptionError) as caught:
        with marbledb.open(db_path) as db:
            list(db.kv().items())
    assert caught.value.file.endswith(file.name)
    assert caught.value.offset is not None and isinstance(caught.value, OSError)
    with pytest.raises(marbledb.CorruptionError, match=file.name):
        with marbledb.open(db_path) as db:
            db["default"].to_table()
    # The damage was on purpose: the file must not be met by the test that opens all files.
    content[len(content) // 3] ^= 0x40
    file.write_bytes(content)


def test_create_table_again(db):
    db.create_table("t", SCHEMA, primary_key="id")
    assert db.create_table("t", SCHEMA, primary_key="id").primary_key == ("id",)
    with pytest.raises(marbledb.ConflictError, match="t"):
        db.create_table("t", SCHEMA)
    with pytest.raises(ValueError):
        db.create_table("t", pa.schema([pa.field("id", pa.int64())]))


def test_key_from_schema_metadata(db):
    schema = SCHEMA.with_metadata({"marble.primary_key": "id"})
    assert db.create_table("t", schema).primary_key == ("id",)


def test_unknown_tables(db):
    for look in (lambda: db["none"], lambda: db.table("none"), lambda: db.drop_table("none")):
        with pytest.raises(marbledb.TableNotFound, match="none"):
            look()
        with pytest.raises(KeyError):
            look()
    assert "none" not in db and "default" in db and 7 not in db


def test_drop_table(db):
    table = db.create_table("t", SCHEMA)
    table.insert({"id": [1], "x": ["a"]})
    reader = table.scan()
    db.drop_table("t")
    assert db.tables() == ["default"] == list(db)
    assert reader.read_all().num_rows == 1
    with pytest.raises(marbledb.TableNotFound):
        table.insert({"id": [2], "x": ["b"]})
    with pytest.raises(marbledb.MarbleError):
        db.drop_table("default")


@pytest.mark.parametrize("name", ["", "x" * 256, "a\x00b", "a\nb"])
def test_bad_table_names(db, name):
    with pytest.raises(ValueError):
        db.create_table(name, SCHEMA)
    assert db.tables() == ["default"]


@pytest.mark.parametrize("name", ["a/b", "..", "données", "a b"])
def test_names_are_data_and_no_paths(db, name):
    try:
        db.create_table(name, SCHEMA).insert({"id": [1], "x": ["a"]})
    except ValueError as error:
        assert name in str(error)
    else:
        assert db[name].count() == 1


def test_bad_choices(db):
    with pytest.raises(ValueError, match="gzip"):
        db.create_table("t", SCHEMA, compression="gzip")
    with pytest.raises(ValueError, match="hash"):
        db.create_table("t", SCHEMA, point_lookup="hash")
    with pytest.raises(ValueError, match="no_such_column"):
        db.create_table("t", SCHEMA, primary_key="no_such_column")
    union = pa.schema([pa.field("u", pa.sparse_union([pa.field("a", pa.int8())]))])
    with pytest.raises(marbledb.MarbleError, match="u"):
        db.create_table("t", union)


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("point_lookup", ["none", "bloom_filter", "point_index"])
def test_table_options(db, compression, point_lookup):
    table = db.create_table(
        "t",
        SCHEMA,
        "id",
        compression=compression,
        point_lookup=point_lookup,
        block_bytes="4KiB",
        block_rows_max=100,
    )
    table.insert({"id": list(range(1000)), "x": [f"x{i % 7}" for i in range(1000)]})
    db.flush()
    assert table.get(777) == {"id": 777, "x": "x0"}
    assert table.get(1000) is None
    assert table.count() == 1000



@pytest.mark.parametrize("bottom", ["lz4", "zstd"])
def test_the_last_level_can_have_a_codec_of_its_own(db, bottom):
    table = db.create_table("t", SCHEMA, "id", bottom_compression=bottom)
    table.insert({"id": list(range(1000)), "x": ["much the same"] * 1000})
    db.flush()
    flushed = table.stats()["bytes_in_files"]
    db.compact("t")
    assert table.stats()["bytes_in_files"] < flushed
    assert table.to_table()["x"].to_pylist() == ["much the same"] * 1000
    with pytest.raises(marbledb.InvalidArgumentError, match="bottom_compression"):
        db.create_table("u", SCHEMA, "id", bottom_compression="gzip")


def test_stats_and_maintenance(db):
    table = db.create_table("t", SCHEMA, "id")
    for i in range(4):
        table.insert({"id": list(range(i, 1000)), "x": [f"{i}"] * (1000 - i)})
        db.flush()
    db.sync()
    db.compact("t")
    db.compact()
    db.wait_for_background()
    stats = db.stats()
    assert stats["flushes"] >= 4 and stats["background_error"] == ""
    assert stats["tables"]["t"] == table.stats()
    assert table.stats()["rows_in_files"] == 1000
    assert sum(level["rows"] for level in table.stats()["levels"]) == 1000
    with pytest.raises(marbledb.TableNotFound):
        db.compact("none")


def test_two_databases_in_one_process(tmp_path):
    with marbledb.open(tmp_path / "a") as a, marbledb.open(tmp_path / "b") as b:
        a.kv()["k"] = b"a"
        b.kv()["k"] = b"b"
        assert a.kv()["k"] == b"a" and b.kv()["k"] == b"b"


def test_objects_are_made_by_their_makers_only():
    for cls in (
        marbledb.Database,
        marbledb.KeyValue,
        marbledb.Table,
        marbledb.Snapshot,
        marbledb.WriteBatch,
        marbledb.Iterator,
        marbledb.KeyValueSnapshot,
    ):
        with pytest.raises(TypeError, match="use"):
            cls()


def test_errors_are_marble_errors_and_builtin_ones():
    pairs = {
        "CorruptionError": OSError,
        "LockedError": OSError,
        "ClosedError": RuntimeError,
        "SchemaError": ValueError,
        "ConflictError": ValueError,
        "BusyError": TimeoutError,
        "ReadOnlyError": OSError,
        "TableNotFound": KeyError,
        "MarbleIOError": OSError,
        "NotSupportedError": NotImplementedError,
        "IncompatibleFormatError": ValueError,
    }
    for name, builtin in pairs.items():
        error = getattr(marbledb, name)("what happened")
        assert isinstance(error, marbledb.MarbleError) and isinstance(error, builtin)
        assert str(error) == "what happened"
        assert error.file is None and error.offset is None
