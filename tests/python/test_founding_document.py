"""The three usage blocks of the founding document run verbatim, except for the directory they
name."""

import pyarrow as pa
import pytest
from sabot._cython.storage.storage_shim import (
    STORAGE_SHIM_AVAILABLE,
    SabotStateBackend,
    SabotStoreBackend,
)
from sabot._cython.stores.marbledb_store import MarbleDBStoreBackend

STATE_BLOCK = """\
from sabot._cython.storage.storage_shim import SabotStateBackend

# All operations work via shim
backend = SabotStateBackend("marbledb")
backend.open("/data/state")

backend.put("session:abc123", b'{"user_id": 42, "active": true}')
value = backend.get("session:abc123")  # Works!
backend.close()
"""

WRITE_BLOCK = """\
from sabot._cython.storage.storage_shim import SabotStoreBackend
import pyarrow as pa

backend = SabotStoreBackend("marbledb")
backend.open("/data/tables")

# Create table
schema = pa.schema([pa.field('id', pa.int64()), pa.field('name', pa.utf8())])
backend.create_table("users", schema)

# Insert data
batch = pa.record_batch([[1, 2, 3], ["A", "B", "C"]], schema=schema)
backend.insert_batch("users", batch)  # Works perfectly!

backend.close()
"""

READ_BLOCK = """\
from sabot._cython.stores.marbledb_store import MarbleDBStoreBackend

backend = MarbleDBStoreBackend()
backend.open("/data/tables")

result = backend.scan_table("users")  # Works! Returns actual data
print(f"Got {result.num_rows} rows: {result.to_pydict()}")

backend.close()
"""


def run(block, directory):
    names = {}
    exec(compile(block.replace("/data/", f"{directory}/"), "founding document", "exec"), names)
    return names


def test_state_block(tmp_path):
    names = run(STATE_BLOCK, tmp_path)
    assert names["value"] == b'{"user_id": 42, "active": true}'
    with SabotStateBackend() as again:
        again.open(str(tmp_path / "state"))
        assert again.get("session:abc123") == names["value"]


def test_write_block_then_read_block(tmp_path, capsys):
    run(WRITE_BLOCK, tmp_path)
    names = run(READ_BLOCK, tmp_path)
    assert names["result"].to_pydict() == {"id": [1, 2, 3], "name": ["A", "B", "C"]}
    printed = capsys.readouterr().out
    assert printed == "Got 3 rows: {'id': [1, 2, 3], 'name': ['A', 'B', 'C']}\n"


def test_results_of_the_state_test(db_path):
    """The operations that the founding document reports as its state test."""
    assert STORAGE_SHIM_AVAILABLE is True
    with SabotStateBackend("marbledb") as backend:
        backend.open(str(db_path))
        backend.put("user:alice", b'{"name": "Alice", "age": 30}')
        backend.put("user:bob", b"{}")
        backend.put("user:carol", b"")
        assert backend.get("user:alice") == b'{"name": "Alice", "age": 30}'
        assert len(backend.multi_get(["user:alice", "user:bob"])) == 2
        assert backend.exists("user:alice") is True
        backend.delete("user:alice")
        backend.flush()
        assert backend.exists("user:alice") is False
        assert backend.get("user:carol") == b""


def test_results_of_the_store_test(db_path):
    """CreateTable('students'), two inserts, ListTables() = students and default, Flush."""
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("name", pa.utf8())])
    with SabotStoreBackend("marbledb") as backend:
        backend.open(str(db_path))
        backend.create_table("students", schema)
        backend.insert_batch(
            "students", pa.record_batch([[1, 2, 3], ["a", "b", "c"]], schema=schema)
        )
        backend.insert_batch("students", pa.record_batch([[4, 5], ["d", "e"]], schema=schema))
        assert backend.list_tables() == ["default", "students"]
        backend.flush()
        assert backend.scan_table("students").num_rows == 5


@pytest.mark.parametrize("key", [None, "id"])
def test_shim_and_direct_class_read_the_same_rows(db_path, key):
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("name", pa.utf8())])
    with SabotStoreBackend("marbledb") as shim:
        shim.open(str(db_path))
        shim.create_table("rows", schema, primary_key=key)
        for begin in (500, 0, 250):
            ids = list(range(begin, begin + 400))
            names = [f"{begin}:{i}" for i in ids]
            shim.insert_batch("rows", pa.record_batch([ids, names], schema=schema))
        # Side by side in one process, on one path.
        with MarbleDBStoreBackend(str(db_path)) as direct:
            side_by_side = direct.scan_table("rows")
            assert side_by_side.equals(shim.scan_table("rows"))
            direct.insert_batch("rows", pa.record_batch([[9000], ["direct"]], schema=schema))
            assert shim.scan_table("rows").num_rows == side_by_side.num_rows + 1
        from_shim = shim.scan_table("rows")
    with MarbleDBStoreBackend(str(db_path)) as direct:
        assert direct.scan_table("rows").equals(from_shim)
        assert direct.list_tables() == ["default", "rows"]
        assert pa.Table.from_batches(direct.iter_batches("rows")).equals(from_shim)
