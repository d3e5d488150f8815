"""Changing the columns of a table from Python."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import marbledb

SCHEMA = pa.schema([pa.field("id", pa.int64(), False), ("count", pa.int32()), ("name", pa.string())])


@pytest.fixture
def db(tmp_path):
    with marbledb.open(tmp_path / "db") as opened:
        yield opened


@pytest.fixture
def table(db):
    made = db.create_table("t", SCHEMA, primary_key="id")
    made.insert([{"id": 1, "count": 10, "name": "a"}, {"id": 2, "count": None, "name": "b"}])
    return made


def test_all_parts_of_an_alter_are_carried_out_in_one_step(table):
    table.alter(rename={"name": "title"}, drop="count", add={"unit": pa.string(), "n": pa.int8()},
                defaults={"unit": "kg"}, reorder=["unit", "id"])
    assert table.schema.names == ["unit", "id", "title", "n"]
    assert table.to_table().to_pylist() == [
        {"unit": "kg", "id": 1, "title": "a", "n": None},
        {"unit": "kg", "id": 2, "title": "b", "n": None}]


def test_rows_written_before_and_after_are_read_alike(table, db):
    table.add_column("weight", pa.float64(), default=1)
    table.alter(widen={"count": pa.int64()})
    table.insert({"id": [3], "count": [1 << 40], "name": ["c"], "weight": [2.5]})
    db.compact()
    assert table.get(1) == {"id": 1, "count": 10, "name": "a", "weight": 1.0}
    assert table.get([3, 1], columns=["weight"]).column("weight").to_pylist() == [2.5, 1.0]
    assert table.count(pc.field("count") > 5) == 2


def test_another_handle_has_the_new_schema_at_once(table, db):
    other = db["t"]
    assert other.get(1) == {"id": 1, "count": 10, "name": "a"}
    table.rename_column("id", "key")
    table.drop_column("count")
    assert other.primary_key == ("key",)
    assert other.schema.names == ["key", "name"]
    assert other.get(1) == {"key": 1, "name": "a"}
    table.rename_column("key", "id")
    assert 1 in other and 9 not in other
    table.rename_column("id", "key")
    assert other.contains(1) and other.contains([1, 9]).to_pylist() == [True, False]
    other.delete(1)
    assert len(table) == 1


def test_the_new_schema_is_there_after_opening_again(tmp_path):
    with marbledb.open(tmp_path / "db") as db:
        table = db.create_table("t", SCHEMA, primary_key="id")
        table.insert([{"id": 1, "count": 10, "name": "a"}])
        table.alter(drop="name", add=pa.field("flag", pa.bool_(), False), defaults={"flag": True})
    with marbledb.open(tmp_path / "db") as db:
        assert db["t"].to_table().to_pylist() == [{"id": 1, "count": 10, "flag": True}]


@pytest.mark.parametrize("change, said", [
    ({"drop": "id"}, "key column 'id'"),
    ({"drop": "x"}, "'x'"),
    ({"rename": {"id": "count", "count": "id"}}, "'count'"),
    ({"widen": {"count": pa.int8()}}, "'count'"),
    ({"add": {"name": pa.int8()}}, "'name'"),
    ({"add": {"n": pa.int8()}, "defaults": {"n": "text"}}, "'n'"),
    ({"add": {"n": pa.int8()}, "defaults": {"m": 1}}, "'m'"),
    ({"add": pa.field("n", pa.int8(), False)}, "'n'"),
])
def test_what_cannot_be_done_names_the_column_and_changes_nothing(table, change, said):
    with pytest.raises((marbledb.SchemaError, KeyError, marbledb.InvalidArgumentError), match=said):
        table.alter(**change)
    assert table.schema.equals(SCHEMA)


def test_a_dataset_made_before_says_that_it_is_outdated(table):
    dataset = table.to_dataset()
    table.drop_column("name")
    with pytest.raises(Exception, match="make another one"):
        dataset.to_table()
    assert table.to_dataset().to_table().column_names == ["id", "count"]
