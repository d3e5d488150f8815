"""The key-value face: the mapping, batches, snapshots, bulk."""

import collections.abc

import marbledb
import numpy as np
import pyarrow as pa
import pytest


def test_put_get_delete(kv):
    assert kv.get("k") is None and kv.get("k", 7) == 7
    kv.put("k", b"1")
    kv.put(b"k", "2")
    assert kv.get("k") == b"2" == kv.get(b"k") == kv.get(bytearray(b"k"))
    kv.delete("k")
    kv.delete("k")
    assert kv.get("k") is None and not kv.exists("k")


def test_empty_key_and_empty_value(kv):
    kv.put("", b"")
    assert kv.get("") == b"" and kv.exists("") and list(kv.items()) == [("", b"")]


def test_values_from_any_buffer(kv):
    kv["a"] = memoryview(b"abc")[1:]
    kv["b"] = np.arange(3, dtype=np.uint8)
    kv["c"] = pa.py_buffer(b"xyz")
    assert kv.multi_get(["a", "b", "c"]) == [b"bc", b"\0\1\2", b"xyz"]


@pytest.mark.parametrize("bad", [None, 5, 1.5, object()])
def test_what_is_not_bytes_is_a_type_error(kv, bad):
    for call in (
        lambda: kv.put(bad, b""),
        lambda: kv.put("k", bad),
        lambda: kv.get(bad),
        lambda: kv.delete(bad),
        lambda: kv.multi_get([bad]),
    ):
        with pytest.raises(TypeError):
            call()
    assert not kv


def test_limits_and_utf8(kv):
    with pytest.raises(ValueError):
        kv.put("k" * 70_000, b"")
    with pytest.raises(ValueError):
        kv.put(b"\xff\xfe", b"")
    with pytest.raises(UnicodeEncodeError):
        kv.put("\ud800", b"")
    kv.put("k" * 65_535, b"long")
    assert kv.get("k" * 65_535) == b"long"


def test_large_value(kv, db):
    value = bytes(range(256)) * 40_000
    kv["big"] = value
    assert kv["big"] == value
    db.flush()
    assert kv["big"] == value and kv["big"] == value


def test_mapping_protocol(kv):
    assert isinstance(kv, collections.abc.MutableMapping)
    model = {}
    for i in range(100):
        kv[f"{i % 40:03}"] = model[f"{i % 40:03}"] = str(i).encode()
    assert len(kv) == 40 and kv == model and model == kv and kv != {}
    assert list(kv) == sorted(model) and list(reversed(kv)) == sorted(model, reverse=True)
    assert "007" in kv and "777" not in kv and bool(kv)
    assert sorted(kv.items()) == list(kv.items()) == sorted(model.items())
    assert list(kv.values()) == [model[key] for key in sorted(model)]
    assert ("007", model["007"]) in kv.items() and model["007"] in kv.values()
    assert kv.keys() & {"001", "nothing"} == {"001"}
    del kv["001"]
    with pytest.raises(KeyError):
        del kv["001"]
    with pytest.raises(KeyError):
        kv["001"]
    assert kv.pop("002") == model["002"] and kv.pop("002", None) is None
    with pytest.raises(KeyError):
        kv.pop("002")
    assert kv.setdefault("003") == model["003"] and kv.setdefault("x", b"new") == b"new"
    assert kv.popitem() == ("x", b"new")
    kv.update({"a": b"1"}, b=b"2")
    kv.update([("c", b"3")])
    assert kv.multi_get(["a", "b", "c"]) == [b"1", b"2", b"3"]
    kv.clear()
    assert len(kv) == 0 and not kv and kv == {}
    with pytest.raises(KeyError):
        kv.popitem()
    with pytest.raises(TypeError):
        hash(kv)


def test_ranges_of_items(kv):
    kv.put_many({c: c.encode() for c in "abcdef"})
    assert list(kv.keys("b", "e")) == ["b", "c", "d"] and len(kv.keys("b", "e")) == 3
    assert list(kv.items("e")) == [("e", b"e"), ("f", b"f")]
    assert list(kv.values(None, "c", reverse=True)) == [b"b", b"a"]
    assert list(reversed(kv.keys("b", "d"))) == ["c", "b"]
    assert ("c", b"c") in kv.items("b", "d") and ("e", b"e") not in kv.items("b", "d")
    assert list(kv.items("e", "b")) == []


def test_delete_range(kv):
    kv.put_many({c: b"" for c in "abcdef"})
    kv.delete_range("b", "d")
    assert list(kv) == ["a", "d", "e", "f"]
    kv.put("c", b"again")
    kv.delete_range("z", "a")
    kv.delete_range("e", None)
    assert list(kv) == ["a", "c", "d"]
    kv.delete_range(end="c")
    assert list(kv) == ["c", "d"]
    kv.delete_range()
    assert list(kv) == []


def test_multi_get_of_a_list_and_of_arrow(kv, db):
    kv.put_many({f"{i:04}": b"%d" % i for i in range(0, 1000, 2)})
    keys = [f"{i:04}" for i in range(1000)]
    expected = [None if i % 2 else b"%d" % i for i in range(1000)]
    for _ in range(2):
        assert kv.multi_get(keys) == expected
        for data_type in (pa.string(), pa.large_string(), pa.binary(), pa.string_view()):
            assert kv.multi_get(pa.array(keys, data_type)).to_pylist() == expected
        assert kv.multi_get(pa.chunked_array([keys[:10], keys[10:]])).to_pylist() == expected
        db.flush()
    assert kv.multi_get([]) == [] and len(kv.multi_get(pa.array([], pa.string()))) == 0
    with pytest.raises(ValueError):
        kv.multi_get(pa.array([None], pa.string()))
    with pytest.raises(ValueError):
        kv.multi_get(pa.array([1]))


def test_put_many_forms(kv):
    kv.put_many({"a": b"1", b"b": "2"})
    kv.put_many([("c", b"3"), ("a", b"4"), ("a", b"5")])
    kv.put_many(pa.table({"key": ["d", "e"], "value": [b"6", b"7"]}))
    kv.put_many(pa.record_batch({"value": [b"8"], "key": ["f"]}))
    chunked = pa.table(
        {
            "key": pa.chunked_array([["g"], ["h", "h"]]),
            "value": pa.chunked_array([[b"9"], [b"10", b"11"]]),
        }
    )
    kv.put_many(chunked)
    assert dict(kv.items()) == {
        "a": b"5",
        "b": b"2",
        "c": b"3",
        "d": b"6",
        "e": b"7",
        "f": b"8",
        "g": b"9",
        "h": b"11",
    }
    for wrong in (
        pa.table({"k": ["a"], "value": [b""]}),
        pa.table({"key": [1], "value": [b""]}),
        pa.table({"key": ["a"], "value": [b""], "more": [1]}),
    ):
        with pytest.raises(marbledb.SchemaError):
            kv.put_many(wrong)
    with pytest.raises(ValueError):
        kv.put_many(pa.table({"key": pa.array(["z", None]), "value": [b"", b""]}))
    kv.put_many({})
    assert len(kv) == 8


def test_put_many_takes_pairs_of_any_kind_and_the_last_of_a_key_wins(kv):
    pairs = [
        (b"a", b"1"),
        ("b", "2"),
        ["c", b"3"],
        (bytearray(b"d"), memoryview(b"4")),
        ("\u00e9", "\u20ac"),
        (b"a", b"5"),
        ("e", bytearray(b"6")),
    ]
    wanted = {"a": b"5", "b": b"2", "c": b"3", "d": b"4", "e": b"6", "\u00e9": "\u20ac".encode()}
    for given in (pairs, tuple(pairs), iter(pairs), (pair for pair in pairs)):
        kv.clear()
        kv.put_many(given)
        assert dict(kv.items()) == wanted


def test_put_many_takes_any_mapping_without_asking_its_length(kv):
    class Letters(collections.abc.Mapping):
        def __getitem__(self, key):
            return key.upper().encode()

        def __iter__(self):
            return iter("abc")

        def __len__(self):
            raise RuntimeError("counting takes too long")

    kv.put_many(Letters())
    assert dict(kv.items()) == {"a": b"A", "b": b"B", "c": b"C"}


def test_put_many_with_a_bad_pair_writes_nothing(kv):
    for bad in (("k",), ("k", b"", b""), (1, b""), ("k", None), 7, ("\ud800", b""), (b"\xff", b"")):
        for given in ([("a", b""), bad, ("b", b"")], iter([("a", b""), bad])):
            with pytest.raises((TypeError, ValueError)):
                kv.put_many(given)
    assert len(kv) == 0


def test_put_many_of_a_list_writes_more_than_fits_a_log_record_of_puts(kv):
    kv.put_many([(f"{i:03}", b"%03d" % i * 50_000) for i in range(200)])
    assert len(kv) == 200
    assert kv["117"] == b"117" * 50_000


def test_write_batch_is_atomic_and_ordered(kv, db):
    kv["old"] = b"1"
    with kv.write_batch(sync=True) as batch:
        batch.put("a", b"1")
        batch.put("a", b"2")
        batch.delete("old")
        batch.put("r1", b"")
        batch.delete_range("r0", "r9")
        batch.put("r2", b"")
        assert len(batch) == 6 and kv.get("a") is None
    assert dict(kv.items()) == {"a": b"2", "r2": b""}
    assert len(batch) == 0


def test_write_batch_is_discarded_by_an_exception(kv):
    with pytest.raises(RuntimeError):
        with kv.write_batch() as batch:
            batch.put("a", b"1")
            raise RuntimeError
    assert kv.get("a") is None
    with pytest.raises(RuntimeError):
        with kv.write_batch(transaction=False) as batch:
            batch.put("a", b"1")
            raise RuntimeError
    assert kv["a"] == b"1"


def test_write_batch_over_tables_is_all_or_nothing(db, people):
    other = db.kv("other")
    with db.write_batch() as batch:
        batch.put("k", b"v")
        batch.put("k", b"w", table="other")
        batch.insert("people", {"id": [100], "name": ["new"], "score": [0.0]})
        batch.delete_rows("people", [0, 1])
        batch.delete_row_range("people", 5, 8)
    assert db.kv()["k"] == b"v" and other["k"] == b"w"
    assert people.to_table(["id"])["id"].to_pylist() == [2, 3, 4, 8, 9, 100]
    with pytest.raises(marbledb.MarbleError):
        with db.write_batch() as batch:
            batch.put("never", b"")
            batch.put("k", b"", table="no such table")
    assert "never" not in db.kv()


def test_snapshot_sees_its_moment(kv, db):
    kv.put_many({f"{i:03}": b"old" for i in range(100)})
    with kv.snapshot() as moment:
        kv.put_many({f"{i:03}": b"new" for i in range(50)})
        kv.delete_range("080", None)
        kv["zzz"] = b""
        for _ in range(2):
            assert moment == {f"{i:03}": b"old" for i in range(100)}
            assert moment["000"] == b"old" and "zzz" not in moment and len(moment) == 100
            assert moment.get("zzz") is None and moment.multi_get(["099", "zzz"]) == [b"old", None]
            assert list(reversed(moment))[:2] == ["099", "098"]
            assert list(moment.items("010", "012")) == [("010", b"old"), ("011", b"old")]
            db.flush()
            db.compact()
        with pytest.raises(KeyError):
            moment["zzz"]
    with pytest.raises(marbledb.ClosedError):
        moment.get("000")
    assert len(kv) == 81


def test_snapshot_of_the_database(db, people):
    kv = db.kv()
    kv["k"] = b"1"
    with db.snapshot() as snapshot:
        kv["k"] = b"2"
        people.delete_range()
        assert snapshot.kv()["k"] == b"1" == kv.get("k", snapshot=snapshot)
        assert people.count(snapshot=snapshot) == 10 and people.count() == 0
        assert people.get(3, snapshot=snapshot)["name"] == "p3"
        assert people.to_table(["id"], snapshot=snapshot).num_rows == 10
        assert snapshot.sequence > 0
        other = db.create_table("later", people.schema, "id")
        assert other.count(snapshot=snapshot) == 0
    snapshot.close()
    assert snapshot.closed
    with pytest.raises(marbledb.ClosedError):
        people.count(snapshot=snapshot)


def test_binary_and_text_columns(db):
    raw = db.kv("raw", key_type=pa.binary())
    raw[b"\xff\x00"] = b"v"
    assert list(raw.items()) == [(b"\xff\x00", b"v")]
    assert db.kv("raw", key_type=pa.binary())[b"\xff\x00"] == b"v"
    with pytest.raises(marbledb.SchemaError, match="raw"):
        db.kv("raw", key_type=pa.string())
    schema = pa.schema(
        [
            pa.field("k", pa.large_string(), nullable=False),
            pa.field("v", pa.string(), nullable=False),
        ]
    )
    db.create_table("texts", schema, "k")
    texts = db.kv("texts")
    texts["ä"] = "ö"
    assert texts["ä"] == "ö" and list(texts.items()) == [("ä", "ö")]
    assert texts.multi_get(pa.array(["ä"])).to_pylist() == ["ö"]
    with pytest.raises(ValueError):
        texts.put("bad", b"\xff")


def test_kv_of_a_table_that_is_none(db, people):
    with pytest.raises(ValueError):
        db.kv("people")
    with pytest.raises(KeyError):
        db.kv("absent", create_if_missing=False)


def test_sync_and_timeout_arguments(kv):
    kv.put("a", b"", sync=True, timeout=5)
    kv.delete("a", sync=True)
    kv.put_many({"b": b""}, sync=True)
    with pytest.raises(ValueError):
        kv.put("a", b"", timeout=-1)
    assert list(kv) == ["b"]


def test_values_that_look_like_markers(kv, db):
    for value in (b"\0", b"\xff" * 8, b"__TOMBSTONE__", b"\xff\xff\xff\xff\0\0\0\0", b"ARROW1"):
        kv["k"] = value
        assert kv["k"] == value
        db.flush()
        assert kv["k"] == value
