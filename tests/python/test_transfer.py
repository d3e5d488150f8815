"""Files in and out, and bulk loads, as Python sees them."""

import contextlib
from decimal import Decimal
from types import MappingProxyType

import marbledb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from marbledb import _convert


def batch_of(schema, first, rows, name="n"):
    ids = range(first, first + rows)
    columns = [pa.array(ids), pa.array([name] * rows), pa.array([i / 2 for i in ids])]
    return pa.record_batch(columns, schema=schema)


@pytest.fixture
def empty(db, people_schema):
    return db.create_table("empty", people_schema, primary_key="id")


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.arrows", "x.csv", "x.tsv"])
def test_rows_come_back_from_every_format(people, empty, tmp_path, name):
    assert people.export_file(tmp_path / name) == 10
    assert empty.import_file(tmp_path / name) == 10
    assert empty.to_table() == people.to_table()


def test_pyarrow_reads_what_is_exported(people, tmp_path):
    people.export_file(tmp_path / "x.parquet", ["name", "id"], pc.field("id") > 7)
    read = pa.parquet.read_table(tmp_path / "x.parquet")
    assert read.to_pylist() == [{"name": "p8", "id": 8}, {"name": "p9", "id": 9}]
    people.export_file(str(tmp_path / "x.csv"), range=(2, 4), reverse=True)
    assert pa.csv.read_csv(tmp_path / "x.csv")["id"].to_pylist() == [3, 2]


def test_an_export_reads_the_snapshot_it_is_given(db, people, tmp_path):
    with db.snapshot() as before:
        people.delete_range()
        assert people.export_file(tmp_path / "x.csv", snapshot=before) == 10


def test_an_export_replaces_a_file_only_if_told_to(people, tmp_path):
    people.export_file(tmp_path / "x.csv")
    with pytest.raises(marbledb.ConflictError, match="x.csv"):
        people.export_file(tmp_path / "x.csv")
    assert people.export_file(tmp_path / "x.csv", limit=1, overwrite=True) == 1


def test_an_exported_file_may_have_the_longest_name(people, tmp_path):
    longest = "x" * 251 + ".csv"
    assert people.export_file(tmp_path / longest) == 10
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [longest]


def test_a_table_is_made_of_a_file(db, people, tmp_path):
    people.export_file(tmp_path / "x.csv")
    assert db.import_file("new", tmp_path / "x.csv", create=True, primary_key="id") == 10
    assert db["new"].primary_key == ("id",)
    assert db["new"].to_table().to_pylist() == people.to_table().to_pylist()
    assert db.import_file("new", tmp_path / "x.csv", create=True, primary_key="id") == 10
    assert len(db["new"]) == 10
    with pytest.raises(marbledb.ConflictError, match="'new'"):
        db.import_file("new", tmp_path / "x.csv", create=True, primary_key="name")
    with pytest.raises(marbledb.TableNotFound):
        db.import_file("absent", tmp_path / "x.csv")


def test_columns_that_do_not_fit_are_schema_errors_with_file_and_column(empty, tmp_path):
    path = tmp_path / "bad.parquet"
    pa.parquet.write_table(pa.table({"id": [1], "name": [1.5]}), path)
    with pytest.raises(marbledb.SchemaError, match="bad.parquet.*'name' is double.*string"):
        empty.import_file(path)
    pa.parquet.write_table(pa.table({"id": [1], "other": ["x"]}), path)
    with pytest.raises(marbledb.SchemaError, match="'other'"):
        empty.import_file(path)
    assert empty.import_file(path, ignore_unknown_columns=True) == 1


def test_an_error_says_how_many_rows_were_committed(empty, tmp_path):
    lines = [f"{i},{'x' * 100},1\n" for i in range(200_000)]
    path = tmp_path / "half.csv"
    path.write_text("id,name,score\n" + "".join(lines) + "oops,,\n")
    with pytest.raises(marbledb.InvalidArgumentError, match="'id'.*oops") as caught:
        empty.import_file(path)
    assert 0 < caught.value.rows_committed < 200_000
    assert len(empty) == caught.value.rows_committed
    with pytest.raises(marbledb.InvalidArgumentError) as caught:
        empty.import_file(path, atomic=True)
    assert caught.value.rows_committed == 0


def test_csv_has_a_delimiter_and_words_for_null(empty, tmp_path):
    (tmp_path / "x.csv").write_text('id;name;score\n1;NA;NA\n2;"NA";2\n')
    empty.import_file(tmp_path / "x.csv", delimiter=";", nulls=["NA"])
    assert empty.get(1) == {"id": 1, "name": None, "score": None}
    assert empty.get(2) == {"id": 2, "name": "NA", "score": 2.0}


def test_wrong_arguments_are_refused_by_name(people, tmp_path):
    for wrong in ({"format": "xls"}, {"delimiter": ";;"}, {"compression": "gzip"}):
        with pytest.raises(marbledb.InvalidArgumentError, match=next(iter(wrong))):
            people.export_file(tmp_path / "x.parquet", **wrong)
    with pytest.raises(marbledb.InvalidArgumentError, match="format"):
        people.export_file(tmp_path / "x.xls")


def test_progress_is_told_and_can_end_it(db, empty, people_schema, tmp_path):
    empty.bulk_load(batch_of(people_schema, i * 50_000, 50_000) for i in range(10))
    empty.export_file(tmp_path / "x.arrows")
    target = db.create_table("target", people_schema, primary_key="id")
    seen = []
    rows = target.import_file(tmp_path / "x.arrows",
                              progress=lambda *now: seen.append(now) or now[0] < 300_000)
    assert seen[-1][0] == rows == len(target) < 500_000
    assert seen[-1][2] == (tmp_path / "x.arrows").stat().st_size
    assert empty.export_file(tmp_path / "y.csv", progress=lambda *now: False) is None
    assert not list(tmp_path.glob("y.csv*"))


def test_an_exception_of_the_callback_comes_through(people, tmp_path):
    def fail(rows, size, total):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        people.export_file(tmp_path / "x.csv", progress=fail)
    people.export_file(tmp_path / "x.csv")
    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        people.import_file(tmp_path / "x.csv", atomic=True, progress=fail)
    assert caught.value.rows_committed == 0


@pytest.mark.parametrize("method", ["insert", "bulk_load"])
def test_inserts_and_bulk_loads_take_readers_streams_and_iterables(empty, people_schema, method):
    rows = [batch_of(people_schema, i * 10, 10) for i in range(5)]
    table = pa.Table.from_batches(rows)
    everything = (
        pa.RecordBatchReader.from_batches(people_schema, rows),
        table,
        iter(rows),
        rows,
        [rows[0], pa.Table.from_batches(rows[1:])],
        (part.to_pylist() for part in rows),
        (pa.RecordBatchReader.from_batches(people_schema, [part]) for part in rows),
        table.cast(people_schema.set(1, pa.field("name", pa.large_string()))),
        table.to_pylist(),
        table.to_pydict(),
    )
    for data in everything:
        assert getattr(empty, method)(data) == (50 if method == "bulk_load" else None)
        assert empty.to_table() == table
        empty.delete_range()


@pytest.mark.parametrize("method", ["insert", "bulk_load"])
def test_a_source_that_raises_writes_nothing(empty, people_schema, method):
    def rows():
        yield batch_of(people_schema, 0, 10)
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        getattr(empty, method)(rows())
    assert len(empty) == 0


@pytest.mark.parametrize("method", ["insert", "bulk_load"])
def test_a_source_of_other_columns_is_a_schema_error(empty, method):
    for data, match in (
        (pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int8()}), []), "table 'empty'"),
        ([{"id": None}], "'id'"),
        (iter([[{"id": None}]]), "'id'"),
        (iter([pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int8()}), [])]), "'empty'"),
    ):
        with pytest.raises(marbledb.SchemaError, match=match):
            getattr(empty, method)(data)


@pytest.mark.parametrize("data", [7, "text", b"bytes", bytearray(), set(), MappingProxyType({}),
                                  [1, 2], [[1]], [None], np.arange(3)])  # fmt: skip
def test_what_holds_no_rows_is_a_type_error(empty, data):
    for method in (empty.insert, empty.bulk_load):
        with pytest.raises(TypeError, match="rows are Arrow data"):
            method(data)


@pytest.mark.parametrize("method", ["insert", "bulk_load"])
@pytest.mark.parametrize("row", [{"id": 1, "name": "n", "score": 0.0}, {}])
def test_parts_that_are_rows_are_a_type_error_that_says_so(empty, method, row):
    with pytest.raises(TypeError, match="parts, not rows"):
        getattr(empty, method)(row for _ in range(3))
    assert len(empty) == 0


def test_of_streams_among_parts_one_batch_is_held(people_schema):
    made = []

    def batches():
        for n in range(5):
            made.append(n)
            yield batch_of(people_schema, n * 10, 10)

    parts = iter([pa.RecordBatchReader.from_batches(people_schema, batches())])
    rows = _convert.reader_of(parts, people_schema)
    while rows.read_next_batch().num_rows == 0:
        pass
    assert made == [0]


@pytest.mark.parametrize("method", ["insert", "bulk_load"])
@pytest.mark.parametrize("nullable", [False, True])
def test_what_a_stream_raises_comes_through(db, method, nullable):
    schema = pa.schema([pa.field("id", pa.int64(), nullable)])
    table = db.create_table("t", pa.schema([pa.field("id", pa.int64(), False)]), "id")

    def batches():
        yield pa.record_batch({"id": [1]}, schema=schema)
        raise pa.ArrowInvalid("the query failed")

    class Query:
        def __arrow_c_stream__(self, requested_schema=None):
            reader = pa.RecordBatchReader.from_batches(schema, batches())
            return reader.__arrow_c_stream__(requested_schema)

    for data in (pa.RecordBatchReader.from_batches(schema, batches()), Query()):
        with pytest.raises(pa.ArrowInvalid, match="the query failed"):
            getattr(table, method)(data)
    assert len(table) == 0


def test_streams_have_columns_of_any_type(db):
    fields = [
        ("runs", pa.run_end_encoded(pa.int32(), pa.string())),
        ("ids", pa.list_(pa.uuid())),
        ("days", pa.dictionary(pa.int32(), pa.date32())),
        ("views", pa.string_view()),
    ]
    columns = [
        pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["a"])),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16], pa.binary(16))),
        pa.array([1, 1], pa.date32()).dictionary_encode(),
        pa.array(["v", "w"], pa.string_view()),
    ]
    columns[1] = pa.ListArray.from_arrays(pa.array([0, 1, 1], pa.int32()), columns[1])
    given = pa.schema([pa.field("id", pa.int64()), *fields])  # the key may be null, says the stream
    table = db.create_table("t", given, "id")
    batch = pa.record_batch([pa.array([1, 2]), *columns], schema=given)
    for method in (table.insert, table.bulk_load):
        method(pa.RecordBatchReader.from_batches(given, [batch.slice(0, 0), batch]))
        assert table.to_table().to_pylist() == batch.to_pylist()
        table.delete_range()


def test_a_stream_larger_than_its_share_of_memory_does_not_pass_through_the_log(tmp_path):
    with marbledb.open(tmp_path / "small", memory_budget="8MiB") as db:
        schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
        table = db.create_table("t", schema, primary_key="id")
        batches = (
            pa.record_batch({"id": range(n * 1000, n * 1000 + 1000), "text": ["x" * 100] * 1000},
                            schema=schema)
            for n in range(40)
        )
        table.insert(batches)
        assert table.count() == 40_000
        assert db.stats()["commits"] == 1
        assert db.stats()["log_bytes_written"] < 100_000


def test_a_closed_database_moves_no_files(db, people, tmp_path):
    people.export_file(tmp_path / "x.csv")
    db.close()
    with pytest.raises(marbledb.ClosedError):
        people.import_file(tmp_path / "x.csv")
    with pytest.raises(marbledb.ClosedError):
        people.export_file(tmp_path / "y.csv")
    with pytest.raises(marbledb.ClosedError):
        people.bulk_load([])


@pytest.mark.parametrize("times, unit", [
    (["9999-12-31T00:00:00", "2026-11-30T01:02:03.000004"], "us"),
    (["2026-11-30T01:02:03.000004005"], "ns"),
])
def test_times_of_int96_columns_are_read_whole_whatever_their_range(db, tmp_path, times, unit):
    wanted = pa.array(np.array(times, f"datetime64[{unit}]"))
    lists = pa.ListArray.from_arrays(list(range(len(times) + 1)), wanted)
    rows = pa.table({"id": range(len(times)), "at": wanted, "all": lists})
    pa.parquet.write_table(rows, tmp_path / "x.parquet", use_deprecated_int96_timestamps=True)
    db.import_file("t", tmp_path / "x.parquet", create=True, primary_key="id")
    assert db["t"].schema.field("at").type == wanted.type
    assert db["t"].to_table().select(["at", "all"]).equals(rows.select(["at", "all"]))


def test_int96_times_that_no_unit_holds_are_refused(db, tmp_path):
    pa.parquet.write_table(
        pa.table({"id": [1, 2], "at": pa.array(np.array(["9999-12-31", "NaT"], "datetime64[us]"))}),
        tmp_path / "far.parquet", use_deprecated_int96_timestamps=True)
    table = db.create_table("t", pa.schema([("id", pa.int64()), ("at", pa.timestamp("ns"))]), "id")
    with pytest.raises(marbledb.InvalidArgumentError, match="far.parquet.*at"):
        table.import_file(tmp_path / "far.parquet")
    assert table.count() == 0


def test_times_of_every_unit_come_back_from_parquet(tmp_path):
    schema = pa.schema([pa.field("id", pa.int64(), False)] + [
        (f"{kind}_{unit}", make(unit)) for kind, make in
        [("timestamp", pa.timestamp), ("duration", pa.duration)] for unit in ("s", "ms", "us", "ns")
    ] + [("time_s", pa.time32("s")), ("time_ns", pa.time64("ns"))])
    rows = pa.table([pa.array([1, 2], pa.int64())] +
                    [pa.array([7, None], pa.int64()).cast(field.type)
                     if not pa.types.is_time32(field.type)
                     else pa.array([7, None], pa.int32()).cast(field.type)
                     for field in list(schema)[1:]], schema=schema)
    with marbledb.open(tmp_path / "db") as db:
        table = db.create_table("t", schema, primary_key="id")
        table.insert(rows)
        table.export_file(tmp_path / "t.parquet")
        again = db.create_table("again", schema, primary_key="id")
        again.import_file(tmp_path / "t.parquet")
        assert again.to_table().equals(table.to_table())


def test_views_of_lists_are_refused_and_do_not_crash(tmp_path):
    values = pa.array([["a"] * (i % 3) for i in range(16)], pa.list_(pa.string()))
    views = pa.ListViewArray.from_arrays(values.offsets[:-1],
                                         pa.array([i % 3 for i in range(16)], pa.int32()),
                                         values.values)
    with pa.ipc.new_file(tmp_path / "v.arrow", pa.schema([("x", views.type)])) as writer:
        writer.write_batch(pa.record_batch([views], names=["x"]))
    with marbledb.open(tmp_path / "db") as db:
        table = db.create_table("t", pa.schema([("x", values.type)]))
        with pytest.raises(marbledb.SchemaError, match="'x'"):
            table.import_file(tmp_path / "v.arrow")


def test_a_time_that_csv_cannot_show_is_refused_by_column(tmp_path):
    with marbledb.open(tmp_path / "db") as db:
        table = db.create_table("t", pa.schema([("at", pa.timestamp("s"))]))
        table.insert(pa.table({"at": pa.array([1 << 62], pa.timestamp("s"))}))
        with pytest.raises(marbledb.MarbleError, match="'at'"):
            table.export_file(tmp_path / "t.csv")


def test_a_batch_of_many_rows_is_imported_into_run_ends_of_16_bits(tmp_path):
    rows = pa.table({"x": pa.array([i // 10 for i in range(100_000)], pa.int64())})
    pa.feather.write_feather(rows, str(tmp_path / "x.arrow"), compression="uncompressed",
                             chunksize=100_000)
    with marbledb.open(tmp_path / "db") as db:
        table = db.create_table("t", pa.schema([("x", pa.run_end_encoded(pa.int16(), pa.int64()))]))
        assert table.import_file(tmp_path / "x.arrow") == 100_000
        assert len(table) == 100_000


def test_a_schema_names_no_key_but_its_tables(db, tmp_path):
    named = pa.schema(
        [("id", pa.int64()), ("ts", pa.int64())], metadata={"marble.primary_key": "id"}
    )
    by_both = db.create_table("by_both", named, primary_key=["id", "ts"])
    by_both.insert({"id": [1, 1], "ts": [1, 2]})
    for name in ("x.arrow", "x.parquet"):
        assert by_both.export_file(tmp_path / name) == 2
        db.import_file(name, tmp_path / name, create=True)
        assert db[name].count() == 2


def test_a_part_of_the_columns_names_no_key(db, tmp_path):
    named = pa.schema(
        [("id", pa.int64()), ("ts", pa.int64())], metadata={"marble.primary_key": "id"}
    )
    table = db.create_table("t", named)
    table.insert({"id": [1, 2], "ts": [1, 2]})
    assert table.schema.metadata == {b"marble.primary_key": b"id"}
    assert table.scan(["ts", "id"]).schema.metadata == {b"marble.primary_key": b"id"}
    table.export_file(tmp_path / "x.parquet", ["ts"])
    assert db.import_file("new", tmp_path / "x.parquet", create=True) == 2
    assert db.create_table("w", table.scan(["ts"]).schema).primary_key == ()


def test_an_interrupt_says_how_many_rows_were_committed(db, empty, people_schema, tmp_path):
    empty.bulk_load(batch_of(people_schema, i * 50_000, 50_000) for i in range(10))
    empty.export_file(tmp_path / "x.arrows")
    target = db.create_table("target", people_schema, primary_key="id")

    def interrupt(rows, size, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        target.import_file(tmp_path / "x.arrows", progress=interrupt)
    assert caught.value.rows_committed == target.count() > 0


def test_a_parquet_file_has_the_rows_of_its_pages(db, tmp_path):
    """Not those that its footer claims, though none of its columns is wanted."""
    nulls = pa.table({"x": pa.nulls(5_000_000, pa.int32())})
    pa.parquet.write_table(nulls, tmp_path / "x.parquet", write_statistics=False,
                           store_schema=False)
    table = db.create_table("t", pa.schema([("y", pa.int32())]))
    assert table.import_file(tmp_path / "x.parquet", ignore_unknown_columns=True) == 5_000_000
    # The count as thrift writes it: a zigzag varint.
    written = (tmp_path / "x.parquet").read_bytes()
    true, claimed = zigzag(5_000_000), zigzag(134_000_000)
    assert len(true) == len(claimed) and true in written
    (tmp_path / "y.parquet").write_bytes(written.replace(true, claimed))
    before = table.count()
    with contextlib.suppress(marbledb.MarbleError):
        table.import_file(tmp_path / "y.parquet", ignore_unknown_columns=True)
    assert table.count() <= before + 5_000_000


def zigzag(number):
    number *= 2
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def test_a_parquet_batch_that_decodes_to_more_than_the_budget_is_refused(tmp_path):
    words = pa.table({"x": pa.array(["x" * 500_000] * 2_000)})
    pa.parquet.write_table(words, tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").stat().st_size < 1_000_000
    with marbledb.open(tmp_path / "db", memory_budget="64MiB", memtable_bytes="8MiB") as db:
        table = db.create_table("t", pa.schema([("x", pa.large_string())]))
        with pytest.raises(MemoryError, match="memory_budget"):
            table.import_file(tmp_path / "x.parquet")


def test_decimals_of_every_width_come_back_from_csv(db, tmp_path):
    types = {"d32": pa.decimal32(5, 2), "d64": pa.decimal64(12, 2), "d256": pa.decimal256(30, 3)}
    schema = pa.schema([("id", pa.int64()), *types.items()])
    table = db.create_table("t", schema, "id")
    row = {"id": 1, "d32": Decimal("-1.25"), "d64": Decimal("3.50"), "d256": Decimal("7.125")}
    table.insert([row])
    table.export_file(tmp_path / "x.csv")
    copy = db.create_table("copy", schema, "id")
    assert copy.import_file(tmp_path / "x.csv") == 1
    assert copy.to_table() == table.to_table()
