"""A database of five million keys."""

import time

import marbledb
import numpy as np
import pyarrow as pa
from sabot._cython.storage.storage_shim import SabotStateBackend

KEYS = 5_000_000
CHUNK = 500_000


def marbledb_scan(path):
    with marbledb.open(path) as db:
        yield from db["__sabot_state__"].scan()


def test_missing_key_of_five_million_is_none(tmp_path):
    path = tmp_path / "db"
    with SabotStateBackend("marbledb") as state:
        state.open(path)
        state.put("first", b"")
        with marbledb.open(path) as db:
            kv = db.kv("__sabot_state__")
            for begin in range(0, KEYS, CHUNK):
                numbers = np.arange(begin, begin + CHUNK)
                keys = pa.array(
                    np.char.mod("%010d", numbers * 7 % (10 * KEYS)).tolist(), pa.string()
                )
                kv.put_many(pa.table({"key": keys, "value": keys.cast(pa.binary())}))
        for number in range(0, KEYS, KEYS // 500):
            key = "%010d" % (number * 7 % (10 * KEYS))
            assert state.get(key) == key.encode()
            assert state.get(key + "x") is None and state.get("x" + key) is None
        assert state.multi_get(["first", "none"]) == {"first": b"", "none": None}
        # "At once": a thousand misses cost less than looking at every row once, by far.
        begin = time.perf_counter()
        assert sum(len(batch) for batch in marbledb_scan(path)) == KEYS + 1
        one_scan = time.perf_counter() - begin
        begin = time.perf_counter()
        assert all(state.get("absent %d" % number) is None for number in range(1000))
        assert time.perf_counter() - begin < one_scan
    with SabotStateBackend("marbledb") as state:
        state.open(path)
        assert state.get("no such key") is None
        assert state.get("%010d" % 7) == b"%010d" % 7
