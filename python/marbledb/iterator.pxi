# Walking over keys in order, both ways, with plyvel's interface.


cdef object successor(bytes key):
    """The smallest key greater than `key`."""
    return key + b"\0"


cdef object prefix_end(bytes prefix):
    """The smallest key greater than every key that begins with `prefix`; None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


cdef bytes as_bytes(object data):
    data = own(data)
    return data if isinstance(data, bytes) else (<str> data).encode("utf-8")


cdef tuple bounds_of(start, stop, prefix, include_start, include_stop):
    """Inclusive lower and exclusive upper bound, each bytes or None."""
    if prefix is not None:
        if start is not None or stop is not None:
            raise TypeError("'prefix' cannot be used together with 'start' or 'stop'")
        prefix = as_bytes(prefix)
        return (prefix or None), prefix_end(prefix)
    lower = upper = None
    if start is not None:
        lower = as_bytes(start)
        lower = lower if include_start else successor(lower)
    if stop is not None:
        upper = as_bytes(stop)
        upper = successor(upper) if include_stop else upper
    return lower, upper


cdef Iterator _new_iterator(KeyValue kv, Snapshot snapshot, tuple bounds, bint reverse,
                            bint include_key, bint include_value):
    cdef CStatus status
    cdef CIteratorOptions options
    cdef unique_ptr[CIterator] made
    cdef Iterator iterator = Iterator.__new__(Iterator)
    check_process(kv.generation)
    if bounds[0] is not None:
        options.lower = <string> bounds[0]
    if bounds[1] is not None:
        options.upper = <string> bounds[1]
    options.snapshot = moment(snapshot)
    with nogil:
        status = Take(kv.kv.get().NewIterator(options), &made)
    check(status)
    iterator.generation = ForkGeneration()
    iterator.cursor.reset(new Cursor(move(made), options.lower, options.upper))
    iterator.reverse = reverse
    iterator.text_keys = kv.text_keys
    iterator.text_values = kv.text_values
    iterator.include_key = include_key
    iterator.include_value = include_value
    if reverse:
        iterator.cursor.get().SeekToStop()
    return iterator


cdef class Iterator:
    """Walks over (key, value) pairs in key order over one snapshot; made by ``iterator()``.

    It stands between two entries: `next` steps over the one ahead, `prev` over the one behind (with
    ``reverse=True`` the other way round). It keeps working after the database was closed. One
    thread at a time may use it."""

    cdef unique_ptr[Cursor] cursor
    cdef int generation
    cdef bint reverse
    cdef bint text_keys
    cdef bint text_values
    cdef bint include_key
    cdef bint include_value
    cdef bint busy

    def __init__(self):
        raise TypeError("use KeyValue.iterator()")

    def __dealloc__(self):
        if self.generation != ForkGeneration():
            Leak(self.cursor)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close()

    def __iter__(self):
        return self

    cdef int require(self) except -1:
        check_process(self.generation)
        if self.cursor.get() == NULL:
            raise ClosedError("the iterator was closed")
        if self.busy:
            raise RuntimeError("the iterator is in use by another thread")
        return 0

    cdef object step(self, bint forward):
        cdef CStatus status
        cdef string_view key, value
        self.require()
        if not self.cursor.get().Ready(forward):
            self.busy = True
            with nogil:
                status = self.cursor.get().Fill(forward)
            self.busy = False
            check(status)
        if not self.cursor.get().Take(&key, &value):
            raise StopIteration
        if self.include_key:
            if self.include_value:
                return out(key, self.text_keys), out(value, self.text_values)
            return out(key, self.text_keys)
        return out(value, self.text_values) if self.include_value else None

    def __next__(self):
        return self.step(not self.reverse)

    def next(self):
        """Steps forward and returns the entry; StopIteration at the end."""
        return self.step(not self.reverse)

    def prev(self):
        """Steps back and returns the entry; StopIteration at the beginning."""
        return self.step(self.reverse)

    def seek(self, target):
        """Moves in front of the first key that is not less than `target`, within the range."""
        self.require()
        target = own(target)
        self.cursor.get().Seek(view(target))

    def seek_to_start(self):
        """Moves in front of the first key of the range."""
        self.require()
        self.cursor.get().SeekToStart()

    def seek_to_stop(self):
        """Moves behind the last key of the range."""
        self.require()
        self.cursor.get().SeekToStop()

    def close(self):
        """Lets go of the snapshot. Idempotent; a closed iterator raises ClosedError."""
        if self.generation == ForkGeneration() and not self.busy:
            self.cursor.reset()

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.cursor.get() == NULL or self.generation != ForkGeneration()
