"""plyvel's iterator: every combination of its keywords against a model, and moving both ways."""

import itertools
import random

import marbledb
import pytest

KEYS = [f"{a}{b}" for a in "bcd" for b in ("", "1", "2", "22", "3", "\u00e9")]


@pytest.fixture
def filled(kv, db):
    """Entries in a file, in memory, overwritten and deleted."""
    kv.put_many({key: b"old" for key in KEYS[::2]})
    kv.put_many({"a": b"", "c0": b"", "zz": b""})
    db.flush()
    kv.put_many({key: key.encode() for key in KEYS})
    kv.delete_range("a", "b")
    kv.delete("c0")
    kv.delete("zz")
    return kv


MODEL = sorted(((key, key.encode()) for key in KEYS), key=lambda item: item[0].encode())


def expected(start, stop, prefix, include_start, include_stop, reverse):
    found = []
    for key, value in MODEL:
        raw = key.encode()
        if prefix is not None and not raw.startswith(prefix.encode()):
            continue
        if start is not None and (
            raw < start.encode() or raw == start.encode() and not include_start
        ):
            continue
        if stop is not None and (raw > stop.encode() or raw == stop.encode() and not include_stop):
            continue
        found.append((key, value))
    return found[::-1] if reverse else found


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("include_stop", [False, True])
@pytest.mark.parametrize("include_start", [False, True])
def test_every_range(filled, include_start, include_stop, reverse):
    flags = {"include_start": include_start, "include_stop": include_stop, "reverse": reverse}
    bounds = [None, "", "a", "b", "b1", "b15", "c2", "c22", "d\u00e9", "e"]
    for start, stop in itertools.product(bounds, bounds):
        wanted = expected(start, stop, None, include_start, include_stop, reverse)
        assert list(filled.iterator(start, stop, **flags)) == wanted, (start, stop)
    for prefix in ("", "b", "c2", "d\u00e9", "x"):
        wanted = expected(None, None, prefix, True, True, reverse)
        assert list(filled.iterator(prefix=prefix, **flags)) == wanted, prefix


def test_what_is_included(filled):
    keys = [key for key, _ in MODEL]
    assert list(filled.iterator(include_value=False)) == keys
    assert list(filled.iterator(include_key=False)) == [key.encode() for key in keys]
    assert list(filled.iterator(include_key=False, include_value=False)) == [None] * len(keys)


def test_prefix_excludes_start_and_stop(filled):
    with pytest.raises(TypeError, match="prefix"):
        filled.iterator(prefix="b", start="b")


def test_prefix_of_ff_bytes(db):
    import pyarrow as pa

    raw = db.kv("raw", key_type=pa.binary())
    raw.put_many({b"\xfe": b"", b"\xff": b"", b"\xff\xff": b"", b"\xff\xff\x01": b""})
    assert list(raw.keys()) == [b"\xfe", b"\xff", b"\xff\xff", b"\xff\xff\x01"]
    assert list(raw.iterator(prefix=b"\xff\xff", include_value=False)) == [
        b"\xff\xff",
        b"\xff\xff\x01",
    ]
    assert list(raw.iterator(prefix=b"\xfe", include_value=False)) == [b"\xfe"]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_random_walk_against_a_list(filled, seed, reverse):
    """The iterator stands between two entries of a list."""
    chosen = random.Random(seed)
    bounds = chosen.choice([(None, None), ("b2", "d2"), ("c", None), (None, "c3")])
    entries = expected(*bounds, None, True, False, False)
    iterator = filled.iterator(*bounds, reverse=reverse)
    position = len(entries) if reverse else 0
    for _ in range(300):
        move = chosen.choice(["next"] * 4 + ["prev"] * 4 + ["seek", "start", "stop"])
        if move == "seek":
            target = chosen.choice(KEYS + ["", "a", "b11", "zzz"])
            iterator.seek(target)
            position = sum(1 for key, _ in entries if key.encode() < target.encode())
        elif move == "start":
            iterator.seek_to_start()
            position = 0
        elif move == "stop":
            iterator.seek_to_stop()
            position = len(entries)
        else:
            forward = (move == "next") != reverse
            step = iterator.next if move == "next" else iterator.prev
            index = position if forward else position - 1
            if 0 <= index < len(entries):
                assert step() == entries[index]
                position += 1 if forward else -1
            else:
                with pytest.raises(StopIteration):
                    step()


def test_long_iteration_in_chunks(kv, db):
    kv.put_many({f"{i:06}": b"%d" % i for i in range(20_000)})
    db.flush()
    kv.put_many({f"{i:06}": b"new" for i in range(0, 20_000, 3)})
    wanted = [(f"{i:06}", b"%d" % i if i % 3 else b"new") for i in range(20_000)]
    assert list(kv.iterator()) == wanted
    assert list(kv.iterator(reverse=True)) == wanted[::-1]
    iterator = kv.iterator()
    there = [next(iterator) for _ in range(5_000)]
    back = []
    while True:
        try:
            back.append(iterator.prev())
        except StopIteration:
            break
    assert back == there[::-1] == wanted[4_999::-1]


def test_iterator_is_a_snapshot(kv, db):
    kv.put_many({f"{i:04}": b"old" for i in range(3000)})
    iterator = kv.iterator()
    next(iterator)
    kv.put_many({f"{i:04}x": b"new" for i in range(3000)})
    kv.delete_range()
    db.flush()
    db.compact()
    assert [key for key, _ in iterator] == [f"{i:04}" for i in range(1, 3000)]


def test_close_and_context_manager(kv):
    kv["a"] = b""
    with kv.iterator() as iterator:
        assert next(iterator) == ("a", b"") and not iterator.closed
    iterator.close()
    assert iterator.closed
    for call in (
        lambda: next(iterator),
        iterator.prev,
        iterator.seek_to_start,
        lambda: iterator.seek("a"),
    ):
        with pytest.raises(marbledb.ClosedError):
            call()
