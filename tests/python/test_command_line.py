"""The program `marble`, run as a process: what it prints, its exit status, and what it writes."""

import json

import marbledb
import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import run_program


def run(*arguments, status=0):
    done = run_program(*arguments, status=status)
    return done.stdout if status == 0 else done.stderr


@pytest.fixture
def path(db, db_path, people):
    """A database with the table `people`, closed."""
    db.close()
    return db_path


def test_ls_lists_tables_with_their_keys(path):
    assert run("ls", path).splitlines()[0].split("  ")[0] == "TABLE"
    tables = {table["name"]: table for table in json.loads(run("ls", path, "--json"))}
    assert sorted(tables) == ["default", "people"]
    assert tables["people"]["primary_key"] == ["id"]
    assert tables["people"]["rows_in_files"] == 10


def test_schema_shows_columns(path):
    shown = [line.split() for line in run("schema", path, "people").splitlines()]
    assert shown[1:] == [["id", "int64", "no", "1"], ["name", "string", "yes"],
                         ["score", "double", "yes"]]
    assert json.loads(run("schema", path, "people", "--json"))["columns"][2]["type"] == "double"


def test_count_counts_rows_of_the_log_too(path):
    with marbledb.open(path) as db:
        db["people"].insert({"id": [10], "name": ["x"], "score": [None]})
        assert run("count", path, "people") == "11\n"


def test_head_shows_rows_on_one_line_each(path):
    with marbledb.open(path) as db:
        db["people"].insert({"id": [-1], "name": ['a"\n\x1b[31m'], "score": [None]})
    lines = run("head", path, "people", "-n", "2").splitlines()
    assert len(lines) == 3 and "\x1b" not in "".join(lines) and "\\x0a" in lines[1]
    rows = json.loads(run("head", path, "people", "-n", "2", "--json"))
    assert rows == [{"id": -1, "name": 'a"\n\x1b[31m', "score": None},
                    {"id": 0, "name": "p0", "score": 0.0}]
    assert json.loads(run("head", path, "people", "--columns", "score,id", "-n1", "--json")) == [
        {"score": None, "id": -1}]


def test_stats_has_levels(path):
    stats = json.loads(run("stats", path, "--json"))
    people = next(table for table in stats["tables"] if table["name"] == "people")
    assert people["levels"][0]["rows"] == 10
    assert "LEVEL" in run("stats", path)


def test_rows_go_out_and_come_into_a_new_database(path, tmp_path):
    out = tmp_path / "people.parquet"
    assert run("export", path, "people", out, "--columns", "id,name").startswith("10 rows, ")
    assert pa.parquet.read_table(out).column_names == ["id", "name"]
    new = tmp_path / "new"
    assert run("import", new, "copy", out, "--create", "--primary-key", "id") == "10 rows\n"
    assert run("import", new, "copy", out, "--atomic") == "10 rows\n"
    assert run("count", new, "copy") == "10\n"
    with marbledb.open(new) as db:
        assert db["copy"].primary_key == ("id",)


def test_formats_can_be_given(path, tmp_path):
    out = tmp_path / "people.txt"
    run("export", path, "people", out, "--format", "csv", "--delimiter", ";")
    assert out.read_text().splitlines()[0] == '"id";"name";"score"'
    run("import", tmp_path / "new", "copy", out, "--format", "csv", "--delimiter", ";", "--create")
    assert run("count", tmp_path / "new", "copy") == "10\n"


def test_failures_are_one_line_and_status_1(path, tmp_path):
    assert "'absent'" in run("count", path, "absent", status=1)
    assert "nowhere" in run("ls", tmp_path / "nowhere", status=1)
    (tmp_path / "bad.csv").write_text("id,nmae\n1,x\n")
    assert "'nmae'" in run("import", path, "people", tmp_path / "bad.csv", status=1)
    assert run("import", path, "people", tmp_path / "bad.csv", "--ignore-unknown-columns")
    run("export", path, "people", tmp_path / "x.csv")
    assert "exists" in run("export", path, "people", tmp_path / "x.csv", status=1)
    assert not (tmp_path / "nowhere").exists()


def test_a_wrong_command_line_is_status_2(path, tmp_path):
    for wrong in ([], ["ls"], ["frobnicate"], ["head", path, "people", "-n", "-3"],
                  ["export", path, "people", "x", "--format", "xls"],
                  ["import", path, "people", "x.csv", "--primary-key", "id"]):
        run(*wrong, status=2)
    assert "import" in run("--help")


def test_a_file_that_is_not_there_leaves_no_database_behind(tmp_path):
    found = run("import", tmp_path / "new", "t", tmp_path / "absent.csv", "--create", status=1)
    assert "absent.csv" in found
    assert not (tmp_path / "new").exists()


def test_reading_takes_no_lock_and_importing_does(path, tmp_path):
    with marbledb.open(path):
        run("ls", path)
        run("export", path, "people", tmp_path / "x.csv")
        assert "is locked by" in run("import", path, "people", tmp_path / "x.csv", status=1)
