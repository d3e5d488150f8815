"""Verifying and repairing from Python and by the program `marble`."""

import json
import pathlib

import marbledb
import pytest
from conftest import run_program


def run(*arguments, status=0):
    return run_program(*arguments, status=status).stdout


@pytest.fixture
def path(db, db_path, people):
    """A closed database with the table `people`."""
    db.close()
    return pathlib.Path(db_path)


@pytest.fixture
def damaged(path):
    """The same with a byte of its one SSTable changed; and the file."""
    (file,) = (path / "sst").iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 4] ^= 1
    file.write_bytes(content)
    return path, file


def test_whole_database_is_found_whole(path):
    report = marbledb.verify(path)
    assert report["ok"] and report["closed_properly"] and report["findings"] == []
    assert report["tables"] == 2 and report["rows"] == 10
    assert json.loads(run("verify", path, "--json")) == report
    assert "ok: true" in run("verify", path)


def test_damage_is_named(damaged):
    path, file = damaged
    report = marbledb.verify(path)
    assert not report["ok"] and report["damages"] == 1
    (finding,) = report["findings"]
    assert finding["file"] == str(file) and finding["table"] == "people"
    assert finding["rows"] == 10 and finding["damage"]
    assert json.loads(run("verify", path, "--json", status=1)) == report


def test_open_database_is_refused(path):
    with marbledb.open(path), pytest.raises(marbledb.LockedError):
        marbledb.verify(path)
    with pytest.raises(marbledb.InvalidArgumentError):
        marbledb.verify(path / "nothing")


def test_repair_saves_what_is_intact(damaged, tmp_path):
    path, file = damaged
    before = file.read_bytes()
    report = marbledb.repair(path, tmp_path / "new")
    assert not report["lossless"] and report["manifest_was_whole"]
    assert {table["name"]: table["rows_lost"] for table in report["tables"]} == {
        "default": 0, "people": 10}
    assert file.read_bytes() == before
    with marbledb.open(tmp_path / "new") as db:
        assert db["people"].count() == 0
    with pytest.raises(marbledb.InvalidArgumentError):
        marbledb.repair(path, tmp_path / "new")


def test_progress_is_told_and_an_exception_ends_the_work(path, tmp_path):
    def stop(done, total):
        raise KeyError("enough")

    for work in (lambda **options: marbledb.verify(path, **options),
                 lambda **options: marbledb.repair(path, tmp_path / "new", **options)):
        told = []
        work(progress=lambda done, total, told=told: told.append((done, total)))
        assert told and all(0 <= done <= total for done, total in told)
    assert told[-1] == (10, 10)
    with pytest.raises(KeyError, match="enough"):
        marbledb.verify(path, progress=stop)
    with pytest.raises(KeyError, match="enough"):
        marbledb.repair(path, tmp_path / "other", progress=stop)


def test_repair_without_manifest_by_the_program(path, tmp_path):
    for manifest in path.glob("MANIFEST-*"):
        manifest.unlink()
    report = json.loads(run("repair", path, tmp_path / "new", "--json", status=1))
    assert not report["manifest_was_whole"] and report["notes"]
    with marbledb.open(tmp_path / "new") as db:
        assert db["people"].count() == 10
        assert db["people"].get(3)["name"] == "p3"


def test_dump_shows_every_kind_of_file(path, damaged):
    (manifest,) = path.glob("MANIFEST-*")
    assert "name: people" in run("dump", manifest)
    assert json.loads(run("dump", path / "CURRENT", "--json"))["closed_properly"]
    # Of the damaged SSTable the tail is whole.
    shown = json.loads(run("dump", damaged[1], "--json", "--rows", status=1))
    assert shown["table_name"] == "people" and "damage" in shown
