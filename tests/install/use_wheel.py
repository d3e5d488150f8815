"""The installed wheel, away from the tree: import, write, reopen, read."""

import tempfile

import marbledb
import pyarrow as pa
from sabot._cython.storage.storage_shim import SabotStateBackend

with tempfile.TemporaryDirectory() as folder:
    schema = pa.schema([("id", pa.int64()), ("name", pa.utf8())])
    with marbledb.open(folder) as db:
        people = db.create_table("people", schema, primary_key="id")
        people.insert(pa.record_batch([[2, 1], ["Grace", "Ada"]], schema=schema))
    with marbledb.open(folder) as db:
        assert db["people"].to_table()["name"].to_pylist() == ["Ada", "Grace"]
        assert db["people"].to_dataset().to_table(["name"]).num_rows == 2
    state = SabotStateBackend("marbledb")
    state.open(folder)
    state.put("k", b"v")
    assert state.get("k") == b"v"
    state.close()
print(f"the wheel's marbledb works: {marbledb.__file__.rsplit('/', 3)[1]}/marbledb")
