# Atomic groups of writes.


cdef WriteBatch _new_batch(Database database, table, transaction, sync, timeout):
    cdef WriteBatch batch = WriteBatch.__new__(WriteBatch)
    batch.owner = database
    batch.default_name = table
    batch.default_table = utf8(table)
    batch.transaction = transaction
    batch.sync = sync
    batch.timeout = seconds(timeout)
    return batch


cdef class WriteBatch:
    """Writes to any number of tables that become visible, and survive, as a whole or not at all.

    Made by `Database.write_batch` or `KeyValue.write_batch`. As a context manager it is written at
    the end of the block, and discarded if the block raises. Later operations win on a key."""

    cdef CWriteBatch batch
    cdef Database owner
    cdef object default_name
    cdef string default_table
    cdef bint transaction
    cdef bint sync
    cdef bint busy
    cdef double timeout

    def __init__(self):
        raise TypeError("use Database.write_batch() or KeyValue.write_batch()")

    def __repr__(self):
        return f"<marbledb.WriteBatch of {self.batch.count()} operations for {self.owner!r}>"

    @property
    def database(self):
        """The database that `write` commits to."""
        return self.owner

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None or not self.transaction:
            self.write()
        else:
            self.clear()

    def __len__(self):
        """Number of operations."""
        return self.batch.count()

    cdef string where(self, table) except *:
        if self.busy:
            raise RuntimeError("the batch is being written by another thread")
        return self.default_table if table is None else utf8(table)

    def put(self, key, value, table=None):
        """Sets one key of a key-value table."""
        key, value = own(key), own(value)
        self.batch.Put(<string_view> self.where(table), view(key), view(value))

    def delete(self, key, table=None):
        """Deletes one key of a key-value table."""
        key = own(key)
        self.batch.Delete(<string_view> self.where(table), view(key))

    def delete_range(self, start=None, end=None, table=None):
        """Deletes the keys in [start, end) of a key-value table; None is unbounded."""
        cdef bint unbounded = end is None
        start = b"" if start is None else own(start)
        end = b"" if end is None else own(end)
        self.batch.DeleteRange(<string_view> self.where(table), view(start), view(end), unbounded)

    def insert(self, table, data):
        """Adds rows to a table: upsert on keyed tables. `data` as in `Table.insert`: all of
        it is held until the commit."""
        cdef Table target = self.owner.table(table)
        # Made before `where` is asked: other threads may run meanwhile.
        cdef list batches = list(_convert.reader_of(data, target.schema, target.name))
        cdef string name = self.where(table)
        for batch in batches:
            self.batch.Insert(<string_view> name, pyarrow_unwrap_batch(batch))

    def delete_rows(self, table, keys):
        """Deletes rows of a keyed table by key. `keys` as in `Table.delete`."""
        cdef Table target = self.owner.table(table)
        cdef list batches = list(
            _convert.key_batches(keys, target.schema, target.primary_key, target.name))
        cdef string name = self.where(table)
        for batch in batches:
            self.batch.DeleteKeys(<string_view> name, pyarrow_unwrap_batch(batch))

    def delete_row_range(self, table, start=None, end=None):
        """Deletes the rows of a keyed table in [start, end), as `Table.delete_range` does."""
        cdef Table target = self.owner.table(table)
        cdef CKeyRange key_range
        fill_range(key_range, (start, end), target)
        self.batch.DeleteRange(<string_view> self.where(table), key_range)

    def clear(self):
        """Forgets all operations."""
        self.where(None)
        self.batch.Clear()

    def write(self):
        """Commits all operations, or none, and empties the batch."""
        cdef CStatus status
        cdef CWriteOptions options = MakeWriteOptions(self.sync, self.timeout)
        check_process(self.owner.generation)
        self.where(None)
        self.busy = True
        try:
            with nogil:
                status = self.owner.db.get().Write(self.batch, options)
        finally:
            self.busy = False
        check_rows(status)
        self.batch.Clear()
