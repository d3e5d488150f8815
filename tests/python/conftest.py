"""Fixtures, and a register of the databases that tests leave behind: test_sstable_files.py, which
runs last, opens every file in them with pyarrow alone."""

import pathlib
import subprocess

import marbledb
import marbledb._core
import pyarrow as pa
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# The program `marble`, beside the tree of packages that the build made.
PROGRAM = pathlib.Path(marbledb._core.__file__).parents[2] / "cli" / "marble"


def run_program(*arguments, status=0):
    """Runs it; it has to end with this status, and to say something about it only if it is not 0."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          check=False, timeout=60)
    assert done.returncode == status, done
    assert (done.stderr == "") == (status == 0), done.stderr
    return done


left_behind: list[pathlib.Path] = []


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name == "test_sstable_files.py")


@pytest.fixture
def db_path(tmp_path):
    """Where a test may make its database."""
    path = tmp_path / "db"
    left_behind.append(path)
    return path


@pytest.fixture
def db(db_path):
    """An open database of a test's own."""
    with marbledb.open(db_path) as database:
        yield database


@pytest.fixture
def kv(db):
    """The key-value face of the default table."""
    return db.kv()


@pytest.fixture(scope="session")
def people_schema():
    """A small keyed table's schema."""
    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("name", pa.string()),
            pa.field("score", pa.float64()),
        ]
    )


@pytest.fixture
def people(db, people_schema):
    """A keyed table with ten rows."""
    table = db.create_table("people", people_schema, primary_key="id")
    table.insert(
        {
            "id": list(range(10)),
            "name": [f"p{i}" for i in range(10)],
            "score": [i / 2 for i in range(10)],
        }
    )
    return table
