# cython: language_level=3
# distutils: language=c++
"""sabot's storage backends over `sabot::storage`: state by key, and tables of Arrow rows.

Both are context managers and thread-safe; closing one while its readers and iterators live is safe,
also at interpreter exit and after a fork. Errors are those of `marbledb.errors`.
"""

import atexit
import operator
import os
import sys
import weakref

# Before anything that links Arrow: checks pyarrow's version and loads libmarble.
import marbledb
import pyarrow as pa
import pyarrow.compute as pc

from libcpp.utility cimport move
from cython.operator cimport dereference as deref
from pyarrow._compute cimport Expression
from pyarrow.lib cimport (
    RecordBatchReader, pyarrow_unwrap_batch, pyarrow_unwrap_scalar, pyarrow_unwrap_schema,
    pyarrow_wrap_schema)

from marbledb import _convert
from marbledb import errors as _errors

STORAGE_SHIM_AVAILABLE = True

_open_backends = weakref.WeakSet()


cdef object exception_of(const CStatus& status):
    text = status.ToString().decode("utf-8", "replace").partition(":")[0]
    message = status.message().decode("utf-8", "replace")
    file = DetailFile(status).decode("utf-8", "surrogateescape")
    return _errors.make(KindNumber(status), text, message, file, DetailOffset(status))


SetExceptionMaker(exception_of)


cdef int check(const CStorageStatus& status) except -1 nogil:
    """Raises the exception of a failed status."""
    if status.ok():
        return 0
    with gil:
        raise exception_of(ToArrow(status))


cdef int check_rows(const CStorageStatus& status) except -1:
    """Like check, for calls whose only argument that can be invalid is rows or keys."""
    if status.IsInvalidArgument():
        raise _errors.SchemaError(status.message().decode("utf-8", "replace"))
    return check(status)


cdef int check_process(int generation) except -1:
    if generation != ForkGeneration():
        raise _errors.ClosedError("this object belongs to the parent process; open the path again "
                                  "in the child, after the parent has closed it")
    return 0


def _close_all():
    for backend in list(_open_backends):
        try:
            backend.close()
        except _errors.MarbleError as error:
            # The data are in the log; the next open replays them. The others are closed as well.
            print(f"sabot: closing a storage backend at exit: {error}", file=sys.stderr)


def _after_fork_in_child():
    AfterForkInChild()
    _open_backends.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork_in_child)


cdef string text(object key) except *:
    """A key or a name as UTF-8."""
    if isinstance(key, str):
        return (<str> key).encode("utf-8")
    if isinstance(key, bytes):
        return key
    raise TypeError(f"a str is required, not {type(key).__name__}")


cdef string blob(object value) except *:
    """A value: any bytes-like object."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return (<str> value).encode("utf-8")
    if value is None or isinstance(value, (int, float)):
        raise TypeError(f"a bytes-like object is required, not {type(value).__name__}")
    return memoryview(value).tobytes()


cdef inline bytes bytes_of(const string& data):
    return data


cdef object real_path(path):
    """The same for all spellings of one directory."""
    path = os.fsencode(path)
    return os.path.realpath(path) if path else path


cdef CStorageConfig config_of(path, memtable_size_mb, enable_bloom_filter, enable_sparse_index,
                              index_granularity) except *:
    cdef CStorageConfig config
    config.path = os.fsencode(path)
    config.memtable_size_mb = operator.index(memtable_size_mb)
    config.enable_bloom_filter = enable_bloom_filter
    config.enable_sparse_index = enable_sparse_index
    config.index_granularity = operator.index(index_granularity)
    return config


cdef class SabotStateBackend:
    """Keys (str) and values (bytes) in a directory, or in memory with ``backend_type="memory"``."""

    # Replaced by open and close under the GIL; calls without it hold a reference of their own.
    cdef shared_ptr[CStateBackend] backend
    cdef str kind
    cdef object _config
    cdef int generation
    cdef object __weakref__

    def __init__(self, backend_type="marbledb"):
        self.kind = backend_type
        if CreateStateBackend(text(backend_type)).get() == NULL:
            raise _errors.InvalidArgumentError(f"unknown backend type: {backend_type!r}")

    def __dealloc__(self):
        if self.generation != ForkGeneration():
            Leak(self.backend)
        else:
            with nogil:  # the last of its handles flushes and closes the database
                self.backend.reset()

    @property
    def backend_type(self):
        """The name of what is behind it, as it was given."""
        return self.kind

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close()

    cdef shared_ptr[CStateBackend] require(self) except *:
        if self.backend.get() == NULL:
            raise _errors.ClosedError("the state backend is not open")
        check_process(self.generation)
        return self.backend

    def open(self, path, *, memtable_size_mb=64, enable_bloom_filter=True,
             enable_sparse_index=True, index_granularity=8192):
        """Opens or creates the state at `path`. Opening it again with the same arguments is fine;
        a second process is refused with LockedError."""
        cdef CStorageStatus status
        cdef CStorageConfig config = config_of(path, memtable_size_mb, enable_bloom_filter,
                                               enable_sparse_index, index_granularity)
        cdef shared_ptr[CStateBackend] made
        wanted = (real_path(path), memtable_size_mb, enable_bloom_filter, enable_sparse_index,
                  index_granularity)
        if self.backend.get() != NULL:
            check_process(self.generation)
            if wanted != self._config:
                raise _errors.ConflictError("the backend is open with another configuration")
            return
        made = shared_ptr[CStateBackend](move(CreateStateBackend(text(self.kind))))
        with nogil:
            status = made.get().Open(config)
        check(status)
        self.backend = made
        self.generation = ForkGeneration()
        self._config = wanted
        _open_backends.add(self)

    def close(self):
        """Makes everything durable and lets go of the path. Idempotent."""
        cdef CStorageStatus status
        cdef shared_ptr[CStateBackend] backend
        if self.backend.get() == NULL or self.generation != ForkGeneration():
            return
        backend = self.backend
        self.backend.reset()
        _open_backends.discard(self)
        with nogil:
            status = backend.get().Close()
            backend.reset()
        check(status)

    def flush(self):
        """Everything written before is durable on return."""
        cdef CStorageStatus status
        cdef shared_ptr[CStateBackend] backend = self.require()
        with nogil:
            status = backend.get().Flush()
        check(status)

    def put(self, key, value):
        """Sets the value of `key`; an empty value is a value."""
        cdef CStorageStatus status
        cdef shared_ptr[CStateBackend] backend = self.require()
        cdef string c_key = text(key)
        cdef string c_value = blob(value)
        with nogil:
            status = backend.get().Put(c_key, c_value)
        check_rows(status)

    def get(self, key):
        """The value of `key`, or None."""
        cdef CStorageStatus status
        cdef shared_ptr[CStateBackend] backend = self.require()
        cdef string c_key = text(key)
        cdef string value
        with nogil:
            status = backend.get().Get(c_key, &value)
        if status.IsNotFound():
            return None
        check(status)
        return <bytes> value

    def delete(self, key):
        """Deletes `key`; an absent one is fine."""
        cdef CStorageStatus status
        cdef shared_ptr[CStateBackend] backend = self.require()
        cdef string c_key = text(key)
        with nogil:
            status = backend.get().Delete(c_key)
        check(status)

    def exists(self, key):
        """Whether there is a value of `key`."""
        cdef CStorageStatus status
        cdef shared_ptr[CStateBackend] backend = self.require()
        cdef string c_key = text(key)
        cdef c_bool found = False
        with nogil:
            status = backend.get().Exists(c_key, &found)
        check(status)
        return bool(found)

    def multi_get(self, keys):
        """A dict of each key to its value or None, all from the same moment."""
        cdef CStorageStatus status
        cdef shared_ptr[CStateBackend] backend = self.require()
        cdef vector[string] c_keys
        cdef OptionalValues values
        cdef size_t i
        keys = list(keys)
        c_keys.reserve(len(keys))
        for key in keys:
            c_keys.push_back(text(key))
        with nogil:
            status = MultiGet(deref(backend), c_keys, &values)
        check(status)
        return {keys[i]: bytes_of(values[i].value()) if values[i].has_value() else None
                for i in range(values.size())}

    def delete_range(self, start, end):
        """Deletes the keys in [start, end) in constant time; an empty end is unbounded."""
        cdef CStorageStatus status
        cdef shared_ptr[CStateBackend] backend = self.require()
        cdef string c_start = text(start)
        cdef string c_end = text(end)
        with nogil:
            status = backend.get().DeleteRange(c_start, c_end)
        check(status)

    def scan(self, start="", end="", reverse=False):
        """An iterator of (key, value) for the keys in [start, end), over one snapshot; an empty end
        is unbounded; last key first if `reverse`."""
        cdef CStorageStatus status
        cdef shared_ptr[CStateBackend] backend = self.require()
        cdef string c_start = text(start)
        cdef string c_end = text(end)
        cdef c_bool backwards = reverse
        cdef StateScan scan = StateScan.__new__(StateScan)
        with nogil:
            status = backend.get().NewIterator(c_start, c_end, &scan.iterator, backwards)
        scan.generation = ForkGeneration()
        check(status)
        return scan


cdef class StateScan:
    """An iterator of (key, value) pairs; made by `SabotStateBackend.scan`. One thread at a time."""

    cdef unique_ptr[CStateIterator] iterator
    cdef Pairs pairs
    cdef size_t position
    cdef size_t chunk
    cdef int generation
    cdef bint busy

    def __init__(self):
        raise TypeError("use SabotStateBackend.scan()")

    def __dealloc__(self):
        if self.generation != ForkGeneration():
            Leak(self.iterator)

    def __iter__(self):
        return self

    def __next__(self):
        cdef CStorageStatus status
        check_process(self.generation)
        if self.busy:
            raise RuntimeError("the iterator is in use by another thread")
        if self.position == self.pairs.size():
            self.chunk = min(max(self.chunk * 2, 8), 1024)
            self.busy = True
            try:
                with nogil:
                    status = TakePairs(deref(self.iterator), self.chunk, &self.pairs)
            finally:
                self.busy = False
                self.position = 0
            check(status)
            if self.pairs.size() == 0:
                raise StopIteration
        self.position += 1
        return (bytes_of(self.pairs[self.position - 1].first).decode("utf-8"),
                bytes_of(self.pairs[self.position - 1].second))


cdef class SabotStoreBackend:
    """Tables of Arrow rows in a directory, or in memory with ``backend_type="memory"``."""

    cdef shared_ptr[CStoreBackend] backend
    cdef str kind
    cdef object _config
    cdef int generation
    cdef object __weakref__

    def __init__(self, backend_type="marbledb"):
        self.kind = backend_type
        if CreateStoreBackend(text(backend_type)).get() == NULL:
            raise _errors.InvalidArgumentError(f"unknown backend type: {backend_type!r}")

    def __dealloc__(self):
        if self.generation != ForkGeneration():
            Leak(self.backend)
        else:
            with nogil:  # the last of its handles flushes and closes the database
                self.backend.reset()

    @property
    def backend_type(self):
        """The name of what is behind it, as it was given."""
        return self.kind

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close()

    cdef shared_ptr[CStoreBackend] require(self) except *:
        if self.backend.get() == NULL:
            raise _errors.ClosedError("the store backend is not open")
        check_process(self.generation)
        return self.backend

    def open(self, path, *, memtable_size_mb=64, enable_bloom_filter=True,
             enable_sparse_index=True, index_granularity=8192):
        """Opens or creates the tables at `path`. Opening it again with the same arguments is fine;
        a second process is refused with LockedError."""
        cdef CStorageStatus status
        cdef CStorageConfig config = config_of(path, memtable_size_mb, enable_bloom_filter,
                                               enable_sparse_index, index_granularity)
        cdef shared_ptr[CStoreBackend] made
        wanted = (real_path(path), memtable_size_mb, enable_bloom_filter, enable_sparse_index,
                  index_granularity)
        if self.backend.get() != NULL:
            check_process(self.generation)
            if wanted != self._config:
                raise _errors.ConflictError("the backend is open with another configuration")
            return
        made = shared_ptr[CStoreBackend](move(CreateStoreBackend(text(self.kind))))
        with nogil:
            status = made.get().Open(config)
        check(status)
        self.backend = made
        self.generation = ForkGeneration()
        self._config = wanted
        _open_backends.add(self)

    def close(self):
        """Makes everything durable and lets go of the path. Idempotent."""
        cdef CStorageStatus status
        cdef shared_ptr[CStoreBackend] backend
        if self.backend.get() == NULL or self.generation != ForkGeneration():
            return
        backend = self.backend
        self.backend.reset()
        _open_backends.discard(self)
        with nogil:
            status = backend.get().Close()
            backend.reset()
        check(status)

    def flush(self):
        """Everything written before is durable on return."""
        cdef CStorageStatus status
        cdef shared_ptr[CStoreBackend] backend = self.require()
        with nogil:
            status = backend.get().Flush()
        check(status)

    def create_table(self, name, schema, primary_key=None):
        """Creates a table. With `primary_key` (a column name or several; or the schema metadata key
        ``marble.primary_key``) inserts are upserts. Creating it again with an equal schema and key
        is fine, with another one a ConflictError."""
        cdef CStorageStatus status
        cdef shared_ptr[CStoreBackend] backend = self.require()
        cdef string c_name = text(name)
        cdef shared_ptr[CSchema] c_schema = pyarrow_unwrap_schema(schema)
        cdef CTableOptions options
        if c_schema.get() == NULL:
            raise TypeError(f"schema is a pyarrow.Schema, not {type(schema).__name__}")
        for column in _convert.names_of(primary_key):
            options.primary_key.push_back(text(column))
        with nogil:
            status = backend.get().CreateTable(c_name, c_schema, options)
        check_rows(status)

    def drop_table(self, name):
        """Drops a table; readers in progress finish."""
        cdef CStorageStatus status
        cdef shared_ptr[CStoreBackend] backend = self.require()
        cdef string c_name = text(name)
        with nogil:
            status = backend.get().DropTable(c_name)
        check(status)

    def list_tables(self):
        """Names of the tables, sorted; ``default`` is always there."""
        cdef vector[string] names
        cdef shared_ptr[CStoreBackend] backend = self.require()
        check(backend.get().ListTables(&names))
        return [names[i].decode("utf-8") for i in range(names.size())]

    def get_schema(self, name):
        """The schema of a table."""
        cdef shared_ptr[CSchema] c_schema
        cdef shared_ptr[CStoreBackend] backend = self.require()
        check(backend.get().GetSchema(text(name), &c_schema))
        return pyarrow_wrap_schema(c_schema)

    def insert_batch(self, name, batch):
        """Writes all rows or none: upsert on keyed tables. `batch` is a RecordBatch, a Table, or
        anything with ``__arrow_c_stream__``."""
        cdef CStorageStatus status
        cdef shared_ptr[CStoreBackend] backend = self.require()
        cdef string c_name = text(name)
        cdef vector[shared_ptr[CRecordBatch]] batches
        for held in _convert.batches_of(batch, self.get_schema(name), name):
            batches.push_back(pyarrow_unwrap_batch(held))
        with nogil:
            status = backend.get().InsertBatches(c_name, batches)
        check_rows(status)

    cdef object primary_key_of(self, name):
        cdef vector[string] columns
        cdef shared_ptr[CStoreBackend] backend = self.require()
        check(backend.get().GetPrimaryKey(text(name), &columns))
        return [columns[i].decode("utf-8") for i in range(columns.size())]

    cdef object keyed(self, name):
        """The primary key of a table that must have one."""
        primary_key = self.primary_key_of(name)
        if not primary_key:
            raise _errors.SchemaError(
                f"a range of keys needs a table with a primary key, and table '{name}' has none")
        return primary_key

    cdef int fill_bounds(self, name, key_range, vector[shared_ptr[CScalar]]& start,
                         vector[shared_ptr[CScalar]]& end) except -1:
        """The bounds as scalars of the key columns' types."""
        if key_range == (None, None):
            return 0
        lower, upper = _convert.range_of(key_range, self.get_schema(name), self.keyed(name), name)
        for scalar in lower:
            start.push_back(pyarrow_unwrap_scalar(scalar))
        for scalar in upper:
            end.push_back(pyarrow_unwrap_scalar(scalar))
        return 0

    cdef object reader_of(self, name, start_key, end_key):
        cdef CStorageStatus status
        cdef shared_ptr[CStoreBackend] backend = self.require()
        cdef string c_name = text(name)
        cdef CKeyRange key_range
        cdef shared_ptr[CRecordBatchReader] c_reader
        self.fill_bounds(name, (start_key, end_key), key_range.start, key_range.end)
        with nogil:
            status = ReaderOf(deref(backend), c_name, key_range, &c_reader)
        check_rows(status)
        return wrap_reader(c_reader)

    cdef object engine_reader(self, name, columns, filter):
        cdef CStatus status
        cdef shared_ptr[CStoreBackend] backend = self.require()
        cdef string c_name = text(name)
        cdef CScanOptions options
        cdef vector[string] names
        cdef shared_ptr[CRecordBatchReader] c_reader
        if columns is not None:
            for column in _convert.names_of(columns):
                names.push_back(text(column))
            options.columns = names
        if filter is not None:
            options.filter = (<Expression> filter).unwrap()
        with nogil:
            status = EngineReader(deref(backend), c_name, options, &c_reader)
        if not status.ok():
            raise exception_of(status)
        return wrap_reader(c_reader)

    def scan_table(self, name, columns=None, filter=None):
        """The rows as a pyarrow.Table, in key (or insertion) order: all, or some `columns`, and
        those for which `filter`, a pyarrow.compute.Expression, is true."""
        cdef shared_ptr[CStoreBackend] backend = self.require()
        if filter is not None and not isinstance(filter, pc.Expression):
            raise TypeError("filter is a pyarrow.compute.Expression, not " + type(filter).__name__)
        if HasEngine(deref(backend)):
            return self.engine_reader(name, columns, filter).read_all()
        return _select(self.reader_of(name, None, None).read_all(), columns, filter)

    def scan_batches(self, name):
        """The rows as a pyarrow.RecordBatchReader, lazily, over one snapshot."""
        return self.reader_of(name, None, None)

    def scan_range(self, name, start_key=None, end_key=None):
        """The rows with keys in [start_key, end_key) as a pyarrow.Table. A bound is a value, or a
        tuple of values for the first key columns; None is unbounded."""
        self.keyed(name)
        return self.reader_of(name, start_key, end_key).read_all()

    def new_iterator(self, name, start_key=None, end_key=None):
        """The same, lazily, as a pyarrow.RecordBatchReader. Without bounds it walks any table, with
        a key or without."""
        return self.reader_of(name, start_key, end_key)

    def delete_range(self, name, start_key=None, end_key=None):
        """Deletes the rows with keys in [start_key, end_key), in constant time."""
        cdef CStorageStatus status
        cdef shared_ptr[CStoreBackend] backend = self.require()
        cdef string c_name = text(name)
        cdef vector[shared_ptr[CScalar]] start, end
        self.fill_bounds(name, (start_key, end_key), start, end)
        with nogil:
            status = backend.get().DeleteRange(c_name, start, end)
        check_rows(status)


cdef object wrap_reader(const shared_ptr[CRecordBatchReader]& c_reader):
    cdef RecordBatchReader reader = RecordBatchReader.__new__(RecordBatchReader)
    reader.reader = c_reader
    return reader


def _select(table, columns, filter):
    """Columns and rows of a backend without an engine of its own."""
    columns = None if columns is None else _convert.names_of(columns)
    for column in columns or ():
        if column not in table.column_names:
            raise _errors.InvalidArgumentError(f"there is no column '{column}'")
    try:
        if filter is not None:
            table = table.filter(filter)
    except pa.ArrowNotImplementedError as error:
        raise _errors.NotSupportedError(f"filter: {error}") from error
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowKeyError) as error:
        raise _errors.InvalidArgumentError(f"filter: {error}") from error
    return table if columns is None else table.select(columns)
