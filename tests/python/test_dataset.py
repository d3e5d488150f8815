"""Tables as datasets: pyarrow, DuckDB and Polars hand down filters and columns, and get the rows
that they would find in the same rows in memory."""

import datetime
import decimal
import multiprocessing
import pickle
import subprocess
import sys

import duckdb
import marbledb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

ROWS = 900_000

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("kind", pa.string()),
        pa.field("amount", pa.float64()),
        pa.field("place", pa.struct([pa.field("x", pa.int32())])),
    ]
)


def sample(rows, start=0):
    """Rows with ids 2 * i, each other column a function of i."""
    numbers = pa.array(range(start, start + rows), pa.int64())
    kinds = pa.array([None if i % 11 == 0 else f"k{i % 5}" for i in range(start, start + rows)])
    xs = pa.array([i % 100 for i in range(start, start + rows)], pa.int32())
    return pa.table(
        {
            "id": pc.multiply(numbers, 2),
            "kind": kinds,
            "amount": pc.divide(pc.cast(numbers, pa.float64()), 4),
            "place": pa.StructArray.from_arrays([xs], names=["x"]),
        },
        schema=SCHEMA,
    )


@pytest.fixture(scope="module")
def rows():
    return sample(ROWS)


@pytest.fixture(scope="module")
def table(tmp_path_factory, rows):
    """A keyed table of several fragments, part of it in memory."""
    with marbledb.open(tmp_path_factory.mktemp("dataset") / "db") as db:
        table = db.create_table("t", SCHEMA, "id")
        table.insert(rows.slice(0, ROWS - 1000))
        db.flush()
        table.insert(rows.slice(ROWS - 1000))
        yield table


FILTERS = [
    None,
    pc.field("id") == 1000,
    pc.field("id") == 1001,
    (pc.field("id") >= 500_000) & (pc.field("id") < 1_200_000),
    pc.field("id").isin([4, 7, 1_700_000]),
    pc.field("kind") == "k3",
    pc.field("kind").is_null(),
    (pc.field("amount") > 100_000) | (pc.field("id") < 10),
    pc.field("place", "x") == 7,
    pc.match_substring(pc.field("kind"), "4") & (pc.field("id") > 1_799_000),
    ~(pc.field("id") > 30),
]


@pytest.mark.parametrize("use_threads", [True, False])
@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_pyarrow_gets_the_same_rows_in_order(table, rows, number, use_threads):
    dataset, expected = table.to_dataset(), ds.dataset(rows)
    keep = FILTERS[number]
    wanted = expected.to_table(filter=keep)
    assert dataset.to_table(filter=keep, use_threads=use_threads).equals(wanted)
    assert dataset.count_rows(filter=keep, use_threads=use_threads) == wanted.num_rows
    columns = {"y": pc.field("place", "x"), "twice": pc.field("id") * 2}
    assert dataset.to_table(columns, filter=keep, use_threads=use_threads).equals(
        expected.to_table(columns, filter=keep)
    )
    if keep is not None:
        assert table.to_table(filter=keep).equals(wanted)
        assert dataset.filter(keep).to_table(["amount"]).equals(wanted.select(["amount"]))
    assert dataset.scanner(filter=keep).to_reader().read_all().equals(wanted)


def test_pyarrows_other_ways(table, rows):
    dataset = table.to_dataset()
    assert isinstance(dataset, ds.Dataset) and dataset.schema.equals(SCHEMA)
    assert dataset.head(5).equals(rows.slice(0, 5))
    assert dataset.take(pa.array([7, ROWS - 1])).equals(rows.take([7, ROWS - 1]))
    assert sum(batch.num_rows for batch in dataset.to_batches(batch_size=1000)) == ROWS
    assert max(batch.num_rows for batch in dataset.to_batches(batch_size=1000)) <= 1000
    last = dataset.sort_by([("id", "descending")]).head(1)
    assert last["id"].to_pylist() == [2 * (ROWS - 1)]
    assert dataset.to_table([]).num_rows == ROWS
    marked = dataset.to_table(["id", "__fragment_index"])
    assert marked["__fragment_index"].to_pylist() == sorted(marked["__fragment_index"].to_pylist())


@pytest.mark.parametrize("key", ["id", "at"])
def test_filters_need_not_have_literals_of_the_keys_type(tmp_path, key):
    ids = np.arange(1_200_000) * 100 + 1
    rows = pa.table({"id": ids, "at": pa.array(ids * 10**6).cast(pa.timestamp("us"))})
    with marbledb.open(tmp_path / "db") as db:
        table = db.create_table("t", rows.schema, key)
        table.insert(rows)
        db.flush()
        dataset = table.to_dataset()
        assert len(list(dataset.get_fragments())) > 1
        for keep in (pc.field("id") <= 60_000_000.5, pc.field("id").isin(["101", "201"]),
                     pc.field("id").isin([3.5, 101.0]),
                     pc.field("at") > datetime.date(1970, 1, 3),
                     pc.field("at").isin(["1970-01-03", "1971-01-01 00:00:00"])):
            wanted = ds.dataset(rows).to_table(filter=keep)
            assert dataset.to_table(filter=keep).num_rows == wanted.num_rows
            assert dataset.count_rows(filter=keep) == wanted.num_rows
            assert table.count(keep) == wanted.num_rows


def test_fragments_share_the_keys(table, rows):
    dataset = table.to_dataset()
    fragments = list(dataset.get_fragments())
    assert len(fragments) > 1
    assert pa.concat_tables([part.to_table() for part in fragments]).equals(rows)
    assert len(list(dataset.get_fragments(pc.field("id") == 1000))) == 1
    # DuckDB writes IN so.
    null, listed = pa.scalar(None, pa.bool_()), pc.field("id").isin([1000, 1004])
    duck = pc.if_else(pc.field("id").is_valid(), listed, null)
    assert len(list(dataset.get_fragments(duck))) == 1
    assert dataset.to_table(filter=duck)["id"].to_pylist() == [1000, 1004]
    assert fragments[0].count_rows() + sum(f.count_rows() for f in fragments[1:]) == ROWS


def test_acero_groups_and_joins(table, rows):
    dataset, expected = table.to_dataset(), ds.dataset(rows)
    how = [("amount", "sum"), ("id", "count")]
    found = dataset.to_table().group_by("kind").aggregate(how).sort_by("kind")
    assert found.equals(expected.to_table().group_by("kind").aggregate(how).sort_by("kind"))
    # Acero joins no structs.
    plain = pa.schema([field for field in SCHEMA if field.name != "place"])
    dataset, expected = dataset.replace_schema(plain), expected.replace_schema(plain)
    others = ds.dataset(pa.table({"id": pa.array([4, 5, 1_000_000], pa.int64()), "z": [1, 2, 3]}))
    for kind in ("inner", "right outer"):
        joined = dataset.join(others, "id", join_type=kind).to_table().sort_by("id")
        assert joined.equals(expected.join(others, "id", join_type=kind).to_table().sort_by("id"))
    assert others.join(dataset, "id").to_table()["amount"].null_count == 1


def test_acero_joins_as_of(db):
    schema = pa.schema(
        [pa.field("at", pa.timestamp("us")), pa.field("who", pa.int32()), ("price", pa.float64())]
    )
    quotes = pa.table(
        {"at": pa.array(range(0, 1000, 10)), "who": [i % 2 for i in range(100)], "price": range(100)}
    ).cast(schema)
    table = db.create_table("quotes", schema, ["at", "who"])
    table.insert(quotes)
    trades = ds.dataset(
        pa.table({"at": pa.array([15, 500, 995]), "who": [0, 1, 1]}).cast(
            pa.schema([schema.field("at"), schema.field("who")])
        )
    )
    how = {"on": "at", "by": "who", "right_on": "at", "right_by": "who", "tolerance": -30}
    found = trades.join_asof(table.to_dataset(), **how).to_table()
    assert found.equals(trades.join_asof(ds.dataset(quotes), **how).to_table())
    assert found["price"].to_pylist() == [0, 49, 99]


QUERIES = [
    "SELECT count(*), sum(amount) FROM t",
    "SELECT id, amount FROM t WHERE id = 1000",
    "SELECT kind, count(*) AS n, max(id) FROM t WHERE id BETWEEN 100 AND 1000000 GROUP BY kind",
    "SELECT sum(id) FROM t WHERE kind IN ('k1', 'k4') AND amount < 1000",
    "SELECT count(*) FROM t WHERE kind IS NULL OR id < 50",
    "SELECT count(*) FROM t WHERE kind LIKE 'k%' AND kind <> 'k2'",
    "SELECT a.kind, count(*) FROM t a JOIN t b ON a.id = b.id * 2 GROUP BY a.kind",
    "SELECT id FROM t WHERE id > 1799000 ORDER BY id DESC LIMIT 3",
    "SELECT place.x AS x, count(*) FROM t WHERE place.x < 3 GROUP BY x",
]


@pytest.mark.parametrize("query", QUERIES)
def test_duckdb_finds_the_same(table, rows, query):
    connection = duckdb.connect()
    connection.register("t", table.to_dataset())
    found = connection.sql(query).fetchall()
    connection.register("t", rows)
    assert sorted(found, key=repr) == sorted(connection.sql(query).fetchall(), key=repr)


def test_duckdb_hands_down_filters_and_columns(table):
    dataset = table.to_dataset()
    plan = duckdb.sql("EXPLAIN SELECT amount FROM dataset WHERE id > 5 AND kind = 'k3'").fetchall()
    scan = plan[0][1].split("Arrow Scan")[1]
    assert "\"id\" > 5" in scan and "'k3'" in scan and "Projections: amount" in scan


def test_duckdb_hands_down_filters_over_views(db):
    schema = pa.schema(
        [
            pa.field("name", pa.string_view(), nullable=False),
            pa.field("data", pa.binary_view()),
            pa.field("list", pa.list_view(pa.int32())),
            pa.field("level", pa.dictionary(pa.int32(), pa.string())),
            pa.field("again", pa.run_end_encoded(pa.int32(), pa.int64())),
        ]
    )
    number = 1000
    table = db.create_table("views", schema, "name")
    again = pa.RunEndEncodedArray.from_arrays(
        pa.array([number // 2, number], pa.int32()), pa.array([7, 8], pa.int64())
    )
    columns = [
        pa.array([f"n{i:04}" for i in range(number)], pa.string_view()),
        pa.array([b"d%d" % (i % 3) for i in range(number)], pa.binary_view()),
        pa.array([[i] for i in range(number)], pa.list_view(pa.int32())),
        pa.array([f"l{i % 4}" for i in range(number)]).dictionary_encode(),
        again,
    ]
    table.insert(pa.record_batch(columns, schema=schema))
    dataset = table.to_dataset()
    assert dataset.schema.types == [
        pa.large_string(),
        pa.large_binary(),
        pa.large_list(pa.int32()),
        pa.dictionary(pa.int32(), pa.string()),
        pa.int64(),
    ]
    assert dataset.to_table()["list"].to_pylist() == [[i] for i in range(number)]
    query = "SELECT count(*), min(name) FROM dataset WHERE name >= 'n0500' AND level = 'l1'"
    assert duckdb.sql(query).fetchall() == [(125, "n0501")]
    assert "'n0500'" in duckdb.sql("EXPLAIN " + query).fetchall()[0][1].split("Arrow Scan")[1]
    level = (pc.field("level") == "l1") & (pc.field("again") == 8)
    assert dataset.count_rows(filter=level) == 125


def test_duckdb_results_are_written_back(db, table):
    dataset = table.to_dataset()
    copy = db.create_table("copy", SCHEMA, "id")
    copy.insert(duckdb.sql("SELECT * FROM dataset WHERE id % 4 = 0 AND id < 400000"))
    assert copy.to_table().equals(
        dataset.to_table(filter=(pc.field("id") < 400_000) & (pc.bit_wise_and(pc.field("id"), 3) == 0))
    )


def test_polars_finds_the_same(table, rows):
    frame, expected = pl.scan_pyarrow_dataset(table.to_dataset()), pl.from_arrow(rows)
    for keep in [
        pl.col("id") == 1000,
        pl.col("id").is_in([4, 7, 1_700_000]),
        (pl.col("kind") == "k1") & (pl.col("amount") > 200_000),
        pl.col("kind").is_null(),
        pl.col("place").struct.field("x") == 3,
    ]:
        assert frame.filter(keep).collect().equals(expected.filter(keep))
        assert frame.filter(keep).select("amount").collect().equals(
            expected.filter(keep).select("amount")
        )
    grouped = frame.group_by("kind").agg(pl.col("amount").sum()).sort("kind").collect()
    assert grouped.equals(expected.group_by("kind").agg(pl.col("amount").sum()).sort("kind"))
    assert frame.head(3).collect().equals(expected.head(3))


DAY = datetime.date(2026, 11, 28)
KEYS = {
    "int8": (pa.int8(), [-128, -1, 0, 5, 127]),
    "uint16": (pa.uint16(), [0, 1, 255, 256, 65535]),
    "int32": (pa.int32(), [-(2**31), -1, 0, 5, 2**31 - 1]),
    "uint64": (pa.uint64(), [0, 1, 2**40, 2**63 + 1, 2**64 - 1]),
    "float": (pa.float32(), [float("-inf"), -1.5, 0.0, 2.5, float("inf")]),
    "double": (pa.float64(), [-1e300, -1.5, 0.0, 0.1, 1e300]),
    "string": (pa.string(), ["", "a", "a\0", "ab", "é"]),
    "large_string": (pa.large_string(), ["", "a", "ab", "b", "zz"]),
    "binary": (pa.binary(), [b"", b"\0", b"a", b"\xff", b"\xff\xff"]),
    "fixed": (pa.binary(2), [b"\0\0", b"\0a", b"aa", b"az", b"\xff\xff"]),
    "date": (pa.date32(), [DAY + datetime.timedelta(i * 100) for i in range(5)]),
    "seconds": (pa.timestamp("s"), [datetime.datetime(2026, 1, 1 + i) for i in range(5)]),
    "nanoseconds": (
        pa.timestamp("ns", "UTC"),
        [datetime.datetime(2026, 1, 1 + i, tzinfo=datetime.timezone.utc) for i in range(5)],
    ),
    "time": (pa.time64("us"), [datetime.time(i, 30) for i in range(5)]),
    "duration": (pa.duration("ms"), [datetime.timedelta(hours=i) for i in range(-2, 3)]),
    "decimal": (pa.decimal128(9, 2), [decimal.Decimal(i) / 4 for i in (-9, -1, 0, 1, 400)]),
    "bool": (pa.bool_(), [False, True]),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_all_types(db, name):
    """Comparisons with each key give what pyarrow finds, through the dataset and through scan."""
    key_type, keys = KEYS[name]
    schema = pa.schema([pa.field("k", key_type, nullable=False), ("v", pa.int32())])
    rows = pa.table({"k": pa.array(keys, key_type), "v": range(len(keys))}, schema=schema)
    table = db.create_table("keys", schema, "k")
    table.insert(rows.take(list(reversed(range(len(keys))))))
    db.flush()
    dataset, expected, key = table.to_dataset(), ds.dataset(rows), pc.field("k")
    assert dataset.to_table().equals(rows)
    for value in keys:
        literal = pa.scalar(value, key_type)
        for keep in [
            key == literal,
            key < literal,
            key <= literal,
            key > literal,
            key >= literal,
            key != literal,
            (key >= literal) & (pc.field("v") < 3),
        ]:
            wanted = expected.to_table(filter=keep)
            assert dataset.to_table(filter=keep).equals(wanted), str(keep)
            assert table.to_table(filter=keep).equals(wanted), str(keep)
            assert table.scan(filter=keep, reverse=True).read_all()["v"].to_pylist() == list(
                reversed(wanted["v"].to_pylist())
            )
    connection = duckdb.connect()
    for middle in (keys[len(keys) // 2], keys[-1]):
        results = []
        for source in (dataset, rows):
            connection.register("source", source)
            query = "SELECT v FROM source WHERE k >= $1 ORDER BY v"
            results.append(connection.execute(query, [middle]).fetchall())
        assert results[0] == results[1]


def test_nan_keys_are_neither_lost_nor_found_too_often(db):
    nan = float("nan")
    schema = pa.schema([pa.field("k", pa.float64(), nullable=False), ("v", pa.int32())])
    table = db.create_table("nan", schema, "k")
    table.insert({"k": [nan, -0.0, 1.0, -5.0], "v": [0, 1, 2, 3]})
    dataset, key = table.to_dataset(), pc.field("k")
    for keep, wanted in [
        (key == 0.0, [1]),
        (key >= 0.0, [1, 2]),
        (key < 0.0, [3]),
        (pc.is_nan(key), [0]),
        (key.isin([nan, 1.0]), [2, 0]),
        (~(key < 2.0), [0]),
    ]:
        assert dataset.to_table(filter=keep)["v"].to_pylist() == wanted, str(keep)
        assert table.to_table(filter=keep)["v"].to_pylist() == wanted, str(keep)


def test_tables_without_a_key_and_without_rows(db, rows):
    empty = db.create_table("empty", SCHEMA, "id").to_dataset()
    assert empty.to_table().equals(SCHEMA.empty_table()) and empty.count_rows() == 0
    assert duckdb.sql("SELECT count(*) FROM empty WHERE id > 3").fetchall() == [(0,)]
    appended = db.create_table("appended", SCHEMA)
    appended.insert(rows)
    db.flush()
    appended.insert(rows.slice(0, 10))
    dataset, both = appended.to_dataset(), pa.concat_tables([rows, rows.slice(0, 10)])
    assert len(list(dataset.get_fragments())) > 1
    assert dataset.to_table().equals(both)
    keep = pc.field("id") < 6
    assert dataset.to_table(filter=keep).equals(both.filter(keep))
    assert dataset.count_rows(filter=keep) == 6


def test_it_shows_one_moment(people):
    before = people.to_dataset()
    with people.database.snapshot() as snapshot:
        people.insert({"id": [10], "name": ["new"], "score": [1.0]})
        people.delete(3)
        people.database.flush()
        people.database.compact()
        of_snapshot = people.to_dataset(snapshot)
    assert before.count_rows() == 10 and of_snapshot.to_table().equals(before.to_table())
    assert people.to_dataset().to_table()["id"].to_pylist() == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    query = "SELECT count(*) FROM before WHERE id = 3"
    assert duckdb.sql(query).fetchall() == [(1,)]


def test_it_keeps_its_class_and_table(people):
    dataset = people.to_dataset()
    for made in (dataset, dataset.filter(pc.field("id") > 3), dataset.replace_schema(people.schema)):
        assert type(made) is type(dataset) and made.table is people
        assert repr(made) == f"<marbledb.TableDataset of {people!r}>"
    wider = dataset.replace_schema(people.schema.append(pa.field("more", pa.string())))
    found = wider.to_table(filter=pc.field("more").is_null() & (pc.field("id") < 2))
    assert found.num_rows == 2 and found["more"].null_count == 2
    with pytest.raises(TypeError, match="to_dataset"):
        type(dataset)()
    with pytest.raises(pa.ArrowInvalid, match="nothing"):
        dataset.to_table(filter=pc.field("nothing") == 1)


def test_after_close_it_is_refused_and_readers_go_on(db_path, rows):
    db = marbledb.open(db_path)
    table = db.create_table("t", SCHEMA, "id")
    table.insert(rows)
    db.flush()
    dataset = table.to_dataset()
    reader = dataset.scanner().to_reader()
    first = reader.read_next_batch()
    db.close()
    for call in (
        dataset.to_table,
        dataset.count_rows,
        dataset.scanner,
        dataset.get_fragments,
        lambda: dataset.head(1),
        lambda: dataset.filter(pc.field("id") > 1).to_table(),
        table.to_dataset,
    ):
        with pytest.raises(marbledb.ClosedError):
            call()
    assert first.num_rows + reader.read_all().num_rows == ROWS
    del db, table, dataset, reader
    with marbledb.open(db_path) as again:
        assert again["t"].count() == ROWS


def test_pickles_are_opened_where_they_are_read(people):
    dataset = people.to_dataset().filter(pc.field("id") >= 5)
    data = pickle.dumps(dataset)
    assert pickle.loads(data).to_table().equals(dataset.to_table())
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(count_pickled, [data]) == [5]
        people.insert({"id": [10], "name": [None], "score": [None]})
        assert pool.map(count_pickled, [data]) == [6]
    assert pickle.loads(data).count_rows() == 6 and dataset.count_rows() == 5
    with people.database.snapshot() as snapshot, pytest.raises(TypeError, match="snapshot"):
        pickle.dumps(people.to_dataset(snapshot))


kept = []  # by a worker


def count_pickled(data):
    kept.append(pickle.loads(data))
    return kept[-1].count_rows()


def test_a_pickle_means_the_same_after_a_change_of_directory(db_path, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with marbledb.open(db_path.name) as db:
        table = db.create_table("t", pa.schema([("id", pa.int64())]))
        table.insert({"id": [1]})
        monkeypatch.chdir("elsewhere")
        data = pickle.dumps(table.to_dataset())
        assert pickle.loads(data).count_rows() == 1


def test_damage_reaches_the_caller(db_path, rows):
    with marbledb.open(db_path) as db:
        db.create_table("t", SCHEMA, "id").insert(rows)
        db.flush()
    file = max((db_path / "sst").glob("*.arrow"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with marbledb.open(db_path) as db:
        dataset = db["t"].to_dataset()
        for use_threads in (True, False):
            with pytest.raises(OSError, match=file.name):
                dataset.to_table(use_threads=use_threads)
        with pytest.raises(duckdb.Error, match=file.name):
            duckdb.sql("SELECT sum(amount), max(kind), max(place.x) FROM dataset").fetchall()
        # What is not read does no harm.
        assert dataset.to_table(filter=pc.field("id") < 6).num_rows == 3
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def run(script, *arguments):
    result = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result


def test_import_of_marbledb_does_not_import_datasets():
    script = "import sys, marbledb; print('pyarrow._dataset' in sys.modules)"
    assert run(script).stdout == "False\n"


@pytest.mark.parametrize("kept", ["dataset", "scanner", "reader", "fragments"])
def test_interpreter_exit_and_forked_children(db_path, kept):
    """Whatever is alive at the exit, in the parent and in a forked child that lets go of it: no
    crash, no noise, nothing lost."""
    script = """if True:
        import gc, os, sys, marbledb, pyarrow as pa
        db = marbledb.open(sys.argv[1])
        schema = pa.schema([pa.field("id", pa.int64(), nullable=False)])
        table = db.create_table("t", schema, "id")
        table.insert({"id": list(range(5000))})
        dataset = table.to_dataset()
        things = {"dataset": dataset, "scanner": dataset.scanner(),
                  "reader": dataset.scanner().to_reader(),
                  "fragments": list(dataset.get_fragments())}
        kept = [things[sys.argv[2]]]
        del db, table, dataset, things
        pid = os.fork()
        if pid == 0:
            if sys.argv[2] == "dataset":
                try:
                    kept[0].to_table()
                except marbledb.ClosedError:
                    pass
                else:
                    os._exit(3)
            kept.clear()
            gc.collect()
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        marbledb.open(sys.argv[1])["t"].insert({"id": list(range(5000, 6000))})
        sys.modules["kept"] = kept
    """
    assert run(script, db_path, kept).stderr == ""
    with marbledb.open(db_path) as db:
        assert db["t"].count() == 6000


def test_dictionary_columns_hold_the_same_values(table, rows):
    dataset = table.to_dataset(dictionary_columns=["kind"])
    assert dataset.schema.field("kind").type == pa.dictionary(pa.int32(), pa.string())
    found = dataset.to_table()
    assert found.set_column(1, "kind", found["kind"].cast(pa.string())).equals(rows)
    assert dataset.count_rows(filter=pc.field("kind") == "k3") == pc.sum(
        pc.equal(rows["kind"], "k3")).as_py()
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.schema == dataset.schema


def test_duckdb_groups_and_filters_dictionary_columns_as_it_does_text(table):
    answers = []
    for names in ([], "kind"):
        con = duckdb.connect()
        con.register("t", table.to_dataset(dictionary_columns=names))
        answers.append([
            con.execute(sql).fetchall()
            for sql in ("SELECT kind, count(*), sum(amount) FROM t GROUP BY kind ORDER BY kind",
                        "SELECT count(*) FROM t WHERE kind = 'k2'",
                        "SELECT count(*) FROM t WHERE kind IN ('k1', 'none') OR kind IS NULL",
                        "SELECT max(kind), min(kind) FROM t WHERE kind > 'k1' AND id < 5000")
        ])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", ["nothing", "amount", "place"])
def test_dictionary_columns_are_columns_of_text_or_bytes(table, name):
    with pytest.raises(marbledb.SchemaError, match=f"table 't'.*'{name}'"):
        table.to_dataset(dictionary_columns=[name])
