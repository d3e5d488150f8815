# The key-value face, and the same at a snapshot.

# What TryGetFromMemory writes into; only touched with the GIL held.
cdef string _scratch
cdef size_t _SCRATCH_MAX = 1 << 20

cdef object _MISSING = object()


cdef bint is_text(object data_type):
    return (pa.types.is_string(data_type) or pa.types.is_large_string(data_type)
            or pa.types.is_string_view(data_type))


cdef list see_pairs(list pairs, PairViews* views):
    """Fills `views` with the keys and values of `pairs`. Returns what the caller keeps beside
    `pairs` while they are read."""
    cdef list kept = []
    cdef Py_ssize_t i = views.AddTuples(<PyObject*>pairs, 0)
    while i < len(pairs):
        key, value = pairs[i]
        key, value = own(key), own(value)
        kept.append((key, value))
        views.Add(view(key), view(value))
        i = views.AddTuples(<PyObject*>pairs, i + 1)
    return kept


cdef class KeyValue:
    """A table of one key and one value column as an ordered MutableMapping; made by `Database.kv`.

    Keys and values may be given as bytes, any bytes-like object, or str (its UTF-8); they come back
    as the column's type: str for utf8 columns, bytes for binary ones. Order is bytewise.
    Thread-safe; but `pop`, `popitem`, `setdefault` and `del kv[key]` read and then write, in two steps
    that other writers can come between. Reads that find their answer in memory keep the GIL; all else
    releases it."""

    cdef shared_ptr[CKeyValue] kv
    cdef Database owner
    cdef str table_name
    cdef int generation
    cdef bint text_keys
    cdef bint text_values
    cdef str key_name
    cdef str value_name

    def __init__(self):
        raise TypeError("use Database.kv(name)")

    def __dealloc__(self):
        if self.generation != ForkGeneration():
            Leak(self.kv)

    cdef attach(self, Database database):
        cdef shared_ptr[CSchema] c_schema = self.kv.get().info().schema
        schema = pyarrow_wrap_schema(c_schema)
        self.owner = database
        self.table_name = self.kv.get().info().name.decode("utf-8")
        self.text_keys = is_text(schema.field(0).type)
        self.text_values = is_text(schema.field(1).type)
        self.key_name, self.value_name = schema.names

    @property
    def database(self):
        """The database of the table."""
        return self.owner

    @property
    def name(self):
        """The name of the table."""
        return self.table_name

    def __repr__(self):
        return f"<marbledb.KeyValue {self.name!r} of {self.owner!r}>"

    # Reading

    def get(self, key, default=None, *, Snapshot snapshot=None):
        """The value of `key`, or `default` if there is none."""
        cdef CStatus status
        cdef CPinnedValue pinned
        cdef CReadOptions options
        cdef string_view c_key
        cdef c_bool found = False
        cdef c_bool in_memory = False
        key = own(key)
        c_key = view(key)
        check_process(self.generation)
        if snapshot is None:
            check(Take(self.kv.get().TryGetFromMemory(c_key, &_scratch, &found), &in_memory))
            if in_memory:
                if not found:
                    return default
                value = out_string(_scratch, self.text_values)
                if _scratch.capacity() > _SCRATCH_MAX:
                    _scratch.clear()
                    _scratch.shrink_to_fit()
                return value
        options = MakeReadOptions(moment(snapshot))
        with nogil:
            status = Take(self.kv.get().GetPinned(c_key, &pinned, options), &found)
        check(status)
        return out(pinned.view(), self.text_values) if found else default

    def exists(self, key, *, Snapshot snapshot=None):
        """Whether there is a value of `key`."""
        cdef CStatus status
        cdef CReadOptions options = MakeReadOptions(moment(snapshot))
        cdef string_view c_key
        cdef c_bool found = False
        key = own(key)
        c_key = view(key)
        check_process(self.generation)
        with nogil:
            status = Take(self.kv.get().Exists(c_key, options), &found)
        check(status)
        return bool(found)

    def multi_get(self, keys, *, Snapshot snapshot=None):
        """The values of `keys`, in order, None for absent ones, all from the same moment.

        An Arrow array of keys gives an Arrow array of values, with nulls: the fast way for many."""
        cdef CStatus status
        cdef CReadOptions options = MakeReadOptions(moment(snapshot))
        cdef vector[string_view] views
        cdef Values values
        cdef shared_ptr[CArray] c_array
        cdef size_t i
        check_process(self.generation)
        is_arrow = isinstance(keys, (pa.Array, pa.ChunkedArray))
        if is_arrow:
            held = _convert.key_array(keys)
            c_array = pyarrow_unwrap_array(held)
            check_rows(ViewsOf(deref(c_array), &views))
        else:
            held = [own(key) for key in keys]
            views.reserve(len(held))
            for key in held:
                views.push_back(view(key))
        with nogil:
            status = MultiGet(deref(self.kv), views, options, &values)
        check(status)
        if is_arrow:
            with nogil:
                status = ArrayOf(values, &c_array)
            check(status)
            found = pyarrow_wrap_array(c_array)
            return found.cast(pa.large_string()) if self.text_values else found
        return [
            out(ValueAt(values, i), self.text_values) if IsThere(values, i) else None
            for i in range(values.size())
        ]

    def iterator(self, start=None, stop=None, prefix=None, include_start=True, include_stop=False,
                 reverse=False, include_key=True, include_value=True, *, Snapshot snapshot=None):
        """An `Iterator` over (key, value) pairs, or keys or values alone, in key order.

        `start` and `stop`, or `prefix`, bound the range; ``include_start=False`` leaves `start`
        itself out, ``include_stop=True`` takes `stop` in. `reverse` begins at the end."""
        return _new_iterator(
            self, snapshot, bounds_of(start, stop, prefix, include_start, include_stop), reverse,
            include_key, include_value)

    def keys(self, start=None, end=None, reverse=False):
        """A view of the keys in [start, end); None is unbounded."""
        return _views.RangeKeys(self, start, end, reverse)

    def values(self, start=None, end=None, reverse=False):
        """A view of the values of the keys in [start, end); None is unbounded."""
        return _views.RangeValues(self, start, end, reverse)

    def items(self, start=None, end=None, reverse=False):
        """A view of the (key, value) pairs of the keys in [start, end); None is unbounded."""
        return _views.RangeItems(self, start, end, reverse)

    def snapshot(self):
        """This table, read-only, as it is now: a context manager."""
        return _snapshot_of(self, self.owner.snapshot(), True)

    # Writing

    def put(self, key, value, *, sync=False, timeout=None):
        """Sets the value of `key`. With `sync` it survives power loss on return; `timeout`, in
        seconds, bounds the wait for background work (BusyError)."""
        cdef CStatus status
        cdef CWriteOptions options = MakeWriteOptions(sync, seconds(timeout))
        cdef string_view c_key, c_value
        key, value = own(key), own(value)
        c_key, c_value = view(key), view(value)
        check_process(self.generation)
        with nogil:
            status = self.kv.get().Put(c_key, c_value, options)
        check_rows(status)

    def put_many(self, data, *, sync=False, timeout=None):
        """Sets many keys in one commit: a mapping, an iterable of pairs, or Arrow data (anything
        with ``__arrow_c_stream__``) with the table's key and value columns."""
        cdef CStatus status
        cdef CWriteOptions options = MakeWriteOptions(sync, seconds(timeout))
        cdef shared_ptr[CArray] c_keys, c_values
        check_process(self.generation)
        if isinstance(data, (pa.Table, pa.RecordBatch)) or hasattr(data, "__arrow_c_stream__"):
            keys, values = _convert.pairs_of(data, self.key_name, self.value_name)
            c_keys, c_values = pyarrow_unwrap_array(keys), pyarrow_unwrap_array(values)
            with nogil:
                status = self.kv.get().PutMany(deref(c_keys), deref(c_values), options)
            check_rows(status)
            return
        if isinstance(data, (list, tuple, dict)):
            # Nobody else can change this list while the views into its objects are read.
            self.put_list(list(data.items() if isinstance(data, dict) else data), options)
        else:
            # What makes its pairs on the way has them copied: they need not all exist at once.
            self.put_copies(data.items() if isinstance(data, Mapping) else data, options)

    cdef put_list(self, list pairs, const CWriteOptions& options):
        cdef CStatus status
        cdef PairViews views
        kept = see_pairs(pairs, &views)
        with nogil:
            status = views.Put(deref(self.kv), options)
        check_rows(status)

    cdef put_copies(self, pairs, const CWriteOptions& options):
        cdef CStatus status
        cdef PairBuilder builder
        for key, value in pairs:
            key, value = own(key), own(value)
            check(builder.Append(view(key), view(value)))
        with nogil:
            status = builder.Put(deref(self.kv), options)
        check_rows(status)

    def delete(self, key, *, sync=False, timeout=None):
        """Deletes `key`; an absent one is fine."""
        cdef CStatus status
        cdef CWriteOptions options = MakeWriteOptions(sync, seconds(timeout))
        cdef string_view c_key
        key = own(key)
        c_key = view(key)
        check_process(self.generation)
        with nogil:
            status = self.kv.get().Delete(c_key, options)
        check(status)

    def delete_range(self, start=None, end=None, *, sync=False, timeout=None):
        """Deletes the keys in [start, end) in constant time; None is unbounded."""
        cdef CStatus status
        cdef CWriteOptions options = MakeWriteOptions(sync, seconds(timeout))
        cdef c_bool bounded = end is not None
        cdef string_view c_start, c_end
        start = b"" if start is None else own(start)
        end = b"" if end is None else own(end)
        c_start, c_end = view(start), view(end)
        check_process(self.generation)
        with nogil:
            status = DeleteRange(deref(self.kv), c_start, bounded, c_end, options)
        check(status)

    def write_batch(self, *, transaction=True, sync=False, timeout=None):
        """A `WriteBatch` whose writes go to this table; see `Database.write_batch`."""
        self.owner.check_is_still(self.table_name, self.kv.get().info().id)
        return _new_batch(self.owner, self.name, transaction, sync, timeout)

    # The rest of MutableMapping

    def __getitem__(self, key):
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key, value):
        self.put(key, value)

    def __delitem__(self, key):
        if not self.exists(key):
            raise KeyError(key)
        self.delete(key)

    def __contains__(self, key):
        return self.exists(key)

    def __iter__(self):
        return self.iterator(include_value=False)

    def __reversed__(self):
        return self.iterator(include_value=False, reverse=True)

    def __len__(self):
        """The exact number of keys; reads those of which the files' metadata do not tell."""
        self.owner.check_is_still(self.table_name, self.kv.get().info().id)
        return self.owner.table(self.name).count()

    def __bool__(self):
        return next(iter(self), _MISSING) is not _MISSING

    def __eq__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        return self is other or dict(self.items()) == dict(other.items())

    __hash__ = None

    def pop(self, key, default=_MISSING):
        """Deletes `key` and returns its value; `default`, or KeyError, if there is none."""
        value = self.get(key, default)
        if value is _MISSING:
            raise KeyError(key)
        self.delete(key)
        return value

    def popitem(self):
        """Deletes the last key and returns (key, value); KeyError if there is none."""
        item = next(self.iterator(reverse=True), None)
        if item is None:
            raise KeyError("popitem(): the table is empty")
        self.delete(item[0])
        return item

    def setdefault(self, key, default=b""):
        """The value of `key`, after setting it to `default` if there is none."""
        value = self.get(key, _MISSING)
        if value is not _MISSING:
            return value
        self.put(key, default)
        return self[key]

    def update(self, other=(), /, **more):
        """Sets many keys, in one commit."""
        if isinstance(other, Mapping) or not hasattr(other, "keys"):
            pairs = list(other.items() if isinstance(other, Mapping) else other)
        else:
            pairs = [(key, other[key]) for key in other.keys()]
        pairs.extend(more.items())
        self.put_many(pairs)

    def clear(self):
        """Deletes all keys in constant time."""
        self.delete_range()


MutableMapping.register(KeyValue)


cdef KeyValueSnapshot _snapshot_of(KeyValue kv, Snapshot snapshot, bint owns):
    cdef KeyValueSnapshot made = KeyValueSnapshot.__new__(KeyValueSnapshot)
    made._kv = kv
    made._snapshot = snapshot
    made._owns = owns
    return made


cdef class KeyValueSnapshot:
    """A key-value table at a pinned moment, read-only; made by `KeyValue.snapshot`."""

    cdef KeyValue _kv
    cdef Snapshot _snapshot
    cdef bint _owns

    def __init__(self):
        raise TypeError("use KeyValue.snapshot()")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close()

    def close(self):
        """Lets go of the moment, unless the snapshot was made by `Database.snapshot`.
        Idempotent."""
        if self._owns:
            self._snapshot.close()

    def get(self, key, default=None):
        """The value of `key` at that moment, or `default`."""
        return self._kv.get(key, default, snapshot=self._snapshot)

    def exists(self, key):
        """Whether there was a value of `key`."""
        return self._kv.exists(key, snapshot=self._snapshot)

    def multi_get(self, keys):
        """As `KeyValue.multi_get`."""
        return self._kv.multi_get(keys, snapshot=self._snapshot)

    def iterator(self, start=None, stop=None, prefix=None, include_start=True, include_stop=False,
                 reverse=False, include_key=True, include_value=True):
        """As `KeyValue.iterator`."""
        return self._kv.iterator(start, stop, prefix, include_start, include_stop, reverse,
                                 include_key, include_value, snapshot=self._snapshot)

    def keys(self, start=None, end=None, reverse=False):
        """As `KeyValue.keys`."""
        return _views.RangeKeys(self, start, end, reverse)

    def values(self, start=None, end=None, reverse=False):
        """As `KeyValue.values`."""
        return _views.RangeValues(self, start, end, reverse)

    def items(self, start=None, end=None, reverse=False):
        """As `KeyValue.items`."""
        return _views.RangeItems(self, start, end, reverse)

    def __getitem__(self, key):
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __contains__(self, key):
        return self.exists(key)

    def __iter__(self):
        return self.iterator(include_value=False)

    def __reversed__(self):
        return self.iterator(include_value=False, reverse=True)

    def __len__(self):
        """The exact number of keys; reads those of which the files' metadata do not tell."""
        self._kv.owner.check_is_still(self._kv.table_name, self._kv.kv.get().info().id)
        return self._kv.database.table(self._kv.name).count(snapshot=self._snapshot)

    def __bool__(self):
        return next(iter(self), _MISSING) is not _MISSING

    def __eq__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        return self is other or dict(self.items()) == dict(other.items())

    __hash__ = None


Mapping.register(KeyValueSnapshot)
