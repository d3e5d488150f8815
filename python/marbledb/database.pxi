# Databases and snapshots.

_COMPRESSION = {None: 0, "none": 0, "lz4": 1, "zstd": 2}
_POINT_LOOKUP = {None: 0, "none": 0, "bloom_filter": 1, "point_index": 2}


cdef object choice(dict choices, object value, str what):
    try:
        return choices[value]
    except (KeyError, TypeError):
        names = ", ".join(repr(name) for name in choices)
        raise InvalidArgumentError(f"{what} is one of {names}, not {value!r}") from None


def open(path, read_only=False, memory_budget="1GiB", *, create_if_missing=True,
         memtable_bytes="64MiB", log_bytes_max="512MiB", log_segment_bytes="16MiB",
         target_file_bytes="64MiB", level_base_bytes="1GiB", background_threads=2,
         use_mappings=True, auto_compaction=True):
    """Opens the database in directory `path`, and creates it if there is none.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        A directory. One process at a time may have it open for writing; opening it again in the
        same process with the same options gives another handle on the same database.
    read_only : bool
        Take no lock and write nothing; sees the state at the time of opening.
    memory_budget : int or str
        Bytes for write buffers, block cache and pinned indexes together.
    create_if_missing : bool
        Make the directory and an empty database if there is none.
    memtable_bytes : int or str
        Size at which a table's write buffer is flushed to a file.
    log_bytes_max : int or str
        Bytes of log after which idle tables are flushed, so that replay stays short.
    log_segment_bytes, target_file_bytes, level_base_bytes : int or str
        Sizes of a log segment, of a compaction's output files, and of level 1.
    background_threads : int
        Threads for flush and compaction, and up to as many more that read ahead of long scans.
    use_mappings : bool
        Map files into memory; without it every block goes through the block cache.
    auto_compaction : bool
        Compact in the background. Off is for bulk loads that call `Database.compact`.

    Raises
    ------
    LockedError, IncompatibleFormatError, CorruptionError, ConflictError, MarbleIOError;
    InvalidArgumentError for options out of range, where there is no database (and none may be
    created), and of a directory that holds something else
    """
    cdef COptions options
    cdef CStatus status
    cdef string c_path = os.fsencode(path)
    cdef Database database = Database.__new__(Database)
    if c_path.empty():
        raise InvalidArgumentError("path must not be empty")
    options.create_if_missing = create_if_missing
    options.read_only = read_only
    options.memory_budget = _convert.parse_size(memory_budget)
    options.memtable_bytes = _convert.parse_size(memtable_bytes)
    options.log_bytes_max = _convert.parse_size(log_bytes_max)
    options.log_segment_bytes = _convert.parse_size(log_segment_bytes)
    options.target_file_bytes = _convert.parse_size(target_file_bytes)
    options.level_base_bytes = _convert.parse_size(level_base_bytes)
    options.background_threads = operator.index(background_threads)
    options.use_mappings = use_mappings
    options.auto_compaction = auto_compaction
    with nogil:
        status = Take(CDatabase.Open(c_path, options), &database.db)
    check(status)
    database.generation = ForkGeneration()
    database.is_read_only = read_only
    database._real_path = os.path.realpath(os.fsdecode(path))
    _open_databases.add(database)
    return database


def _open_for_reading(path):
    """The database of `path` as it is open for writing in this process, else one opened read-only.
    (One that is open read-only shows the moment at which it was opened.)"""
    cdef Database database
    path = os.path.realpath(path)
    for database in list(_open_databases):
        if not database.closed and not database.is_read_only and database._real_path == path:
            return database
    return open(path, read_only=True)


cdef dict level_stats(const CLevelStats& level):
    return {"level": level.level, "runs": level.runs, "files": level.files, "rows": level.rows,
            "bytes": level.bytes}


cdef dict table_stats(const CTableStats& table):
    cdef size_t i
    return {
        "levels": [level_stats(table.levels[i]) for i in range(table.levels.size())],
        "memtable_bytes": table.memtable_bytes,
        "memtables": table.memtables,
        "rows_in_files": table.rows_in_files,
        "bytes_in_files": table.bytes_in_files,
    }


cdef dict database_stats(const CStats& s):
    cdef size_t i
    return {
        "last_sequence": s.last_sequence,
        "commits": s.commits,
        "log_bytes_written": s.log_bytes_written,
        "log_syncs": s.log_syncs,
        "log_bytes": s.log_bytes,
        "log_tail_cut_bytes": s.log_tail_cut_bytes,
        "flushes": s.flushes,
        "compactions": s.compactions,
        "trivial_moves": s.trivial_moves,
        "bytes_flushed": s.bytes_flushed,
        "bytes_compacted": s.bytes_compacted,
        "write_delays": s.write_delays,
        "write_stops": s.write_stops,
        "write_delay_micros": s.write_delay_micros,
        "write_delay_reason": s.write_delay_reason.decode("utf-8", "replace"),
        "snapshots": s.snapshots,
        "memory_budget": s.memory_budget,
        "memtable_bytes": s.memtable_bytes,
        "spare_bytes": s.spare_bytes,
        "block_cache_bytes": s.block_cache_bytes,
        "block_cache_hits": s.block_cache_hits,
        "block_cache_misses": s.block_cache_misses,
        "row_cache_bytes": s.row_cache_bytes,
        "row_cache_hits": s.row_cache_hits,
        "pinned_index_bytes": s.pinned_index_bytes,
        "files": s.files,
        "file_bytes": s.file_bytes,
        "background_error": s.background_error.decode("utf-8", "replace"),
        "tables": {s.tables[i].name.decode("utf-8"): table_stats(s.tables[i])
                   for i in range(s.tables.size())},
    }


cdef class Database:
    """An open database; made by `marbledb.open`. Thread-safe, and a context manager that closes."""

    cdef shared_ptr[CDatabase] db
    cdef int generation
    cdef bint is_read_only
    cdef readonly str _real_path  # of the directory, when it was opened
    cdef object __weakref__

    def __init__(self):
        raise TypeError("use marbledb.open(path)")

    def __dealloc__(self):
        if self.generation != ForkGeneration():
            Leak(self.db)
        else:
            with nogil:
                self.db.reset()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close()

    def __repr__(self):
        return f"<marbledb.Database {self.path!r}{' (closed)' if self.closed else ''}>"

    def __str__(self):
        """The path and the tables, on several lines."""
        return repr(self) if self.closed else _describe.describe_database(self)

    @property
    def path(self):
        """The directory, as it was given."""
        return os.fsdecode(self.db.get().path())

    @property
    def read_only(self):
        """Whether it was opened without the right to write."""
        return bool(self.is_read_only)

    @property
    def closed(self):
        """Whether `close` was called, or this is a forked child."""
        return self.generation != ForkGeneration() or self.db.get().closed()

    def close(self):
        """Makes all that was written durable and, with the last handle of this process, releases
        the lock. Idempotent.

        What was handed out (batches, tables, readers and iterators in progress) stays valid;
        every other call on this database and its tables raises ClosedError afterwards."""
        cdef CStatus status
        if self.generation != ForkGeneration():
            return
        with nogil:
            status = self.db.get().Close()
        _open_databases.discard(self)
        check(status)

    # Tables

    def create_table(self, name, schema, primary_key=None, *, compression="none",
                     bottom_compression=None, point_lookup="point_index", block_bytes=0, block_rows_max=0):
        """Creates a table, durable on return, and returns it.

        With `primary_key` (a column name or several) rows are unique by key and insert is upsert;
        without, the table only grows, in insertion order. Creating a table again with an equal
        schema and key is fine, with another one a ConflictError.

        Parameters
        ----------
        name : str
        schema : pyarrow.Schema, list of fields, dict of str to type, or ``__arrow_c_schema__``
            The schema metadata key ``marble.primary_key`` gives the key too.
        primary_key : str or sequence of str, optional
        compression : {"none", "lz4", "zstd"}
        bottom_compression : {"none", "lz4", "zstd"}, optional
            For what compaction has brought to the last level; None means as `compression`.
        point_lookup : {"point_index", "bloom_filter", "none"}
            What is kept beside each file to find a row by key.
        block_bytes : int or str
            Size of a block, the unit of compression; 0 lets the engine choose.
        block_rows_max : int
            Most rows in a block, at most 16,777,216; 0 means that.
        """
        cdef CStatus status
        cdef CTableOptions options
        cdef string c_name = utf8(name)
        cdef shared_ptr[CSchema] c_schema
        check_process(self.generation)
        schema = _convert.schema_of(schema)
        c_schema = pyarrow_unwrap_schema(schema)
        for column in _convert.names_of(primary_key):
            options.primary_key.push_back(utf8(column))
        options.compression = <Compression> (
            <int> choice(_COMPRESSION, compression, "compression"))
        if bottom_compression is not None:
            options.bottom_compression = <Compression> (
                <int> choice(_COMPRESSION, bottom_compression, "bottom_compression"))
        options.point_lookup = <PointLookup> (
            <int> choice(_POINT_LOOKUP, point_lookup, "point_lookup"))
        options.block_bytes = _convert.parse_size(block_bytes)
        options.block_rows_max = operator.index(block_rows_max)
        with nogil:
            status = self.db.get().CreateTable(c_name, c_schema, options)
        check_rows(status)
        return self.table(name)

    def drop_table(self, name):
        """Drops a table, durable on return. Readers in progress finish."""
        cdef CStatus status
        cdef string c_name = utf8(name)
        check_process(self.generation)
        with nogil:
            status = self.db.get().DropTable(c_name)
        check(status)

    def tables(self, *, internal=False):
        """Names of all tables, sorted; those that begin with ``__`` only if `internal`."""
        cdef vector[string] names
        check_process(self.generation)
        check(Take(self.db.get().ListTables(), &names))
        found = [names[i].decode("utf-8") for i in range(names.size())]
        return [name for name in found if internal or not name.startswith("__")]

    cdef int check_is_still(self, str name, uint32_t id) except -1:
        """What goes by a table's name must not meet another one: TableNotFound if that of this
        name has another id by now."""
        cdef CStatus status
        cdef string c_name = utf8(name)
        cdef shared_ptr[CTable] now
        check_process(self.generation)
        with nogil:
            status = Take(CTable.Open(self.db, c_name), &now)
        check(status)
        if now.get().info().id != id:
            raise TableNotFound(f"table '{name}' was dropped, and there is another one of that name")
        return 0

    def table(self, name):
        """The table of this name; TableNotFound (a KeyError) if there is none."""
        cdef CStatus status
        cdef string c_name = utf8(name)
        cdef Table table = Table.__new__(Table)
        check_process(self.generation)
        with nogil:
            status = Take(CTable.Open(self.db, c_name), &table.table)
        table.generation = ForkGeneration()
        check(status)
        table.attach(self)
        return table

    def import_file(self, table, path, *, create=False, primary_key=None, format=None,
                    ignore_unknown_columns=False, atomic=False, delimiter=None, nulls=("",),
                    sync=False, timeout=None, progress=None):
        """Inserts the rows of a file into a table, and returns how many: see `Table.import_file`
        for the other keywords.

        With `create` a table that does not exist is made, with the file's columns and
        `primary_key`; types of CSV columns are guessed from its beginning. It stays if the import
        fails. A table that exists with another key is a ConflictError."""
        if primary_key is not None and not create:
            raise InvalidArgumentError("primary_key is for a table to be made: give create=True")
        if create and table not in self:
            schema = file_schema(self, path, format, delimiter, nulls)
            self.create_table(table, schema, primary_key)
        target = self.table(table)
        if primary_key is not None and target.primary_key != tuple(_convert.names_of(primary_key)):
            raise ConflictError(f"table '{table}' has the key {target.primary_key}")
        return target.import_file(
            path, format=format, ignore_unknown_columns=ignore_unknown_columns, atomic=atomic,
            delimiter=delimiter, nulls=nulls, sync=sync, timeout=timeout, progress=progress)

    def kv(self, name="default", *, key_type=None, create_if_missing=True):
        """The key-value face of a table with one key and one value column.

        A table that does not exist is created as {key: `key_type` (utf8), value: binary}. Keys and
        values come back as str where their column is utf8, as bytes otherwise."""
        cdef CStatus status
        cdef string c_name = utf8(name)
        cdef KeyValue kv = KeyValue.__new__(KeyValue)
        check_process(self.generation)
        if key_type is not None:
            self._require_key_type(name, key_type, create_if_missing)
        cdef c_bool create = create_if_missing and not self.is_read_only
        with nogil:
            status = Take(CKeyValue.Open(self.db, c_name, create), &kv.kv)
        kv.generation = ForkGeneration()
        check(status)
        kv.attach(self)
        return kv

    def _require_key_type(self, name, key_type, create_if_missing):
        schema = pa.schema([pa.field("key", key_type, nullable=False),
                            pa.field("value", pa.binary(), nullable=False)])
        if name not in self:
            # Before the table is made, so that a refusal leaves nothing behind.
            if not _convert.is_text_or_bytes(key_type):
                raise SchemaError(f"the keys of table '{name}' are to be strings or binary, not "
                                  f"{key_type}")
            if create_if_missing:
                self.create_table(name, schema, primary_key="key")
            return
        table = self.table(name)
        found = table.schema.field(table.primary_key[0]).type if table.primary_key else None
        if found != key_type:
            raise SchemaError(f"the keys of table '{name}' are {found}, not {key_type}")

    def __getitem__(self, name):
        return self.table(name)

    def __contains__(self, name):
        return isinstance(name, str) and name in self.tables(internal=True)

    def __iter__(self):
        return iter(self.tables())

    # Writes and reads over several tables

    def write_batch(self, table="default", *, transaction=True, sync=False, timeout=None):
        """A group of writes to any tables that is committed as a whole by `WriteBatch.write`, or at
        the end of its ``with`` block. `table` is where writes go that name no table. An exception
        in the block discards it, unless `transaction` is false."""
        check_process(self.generation)
        return _new_batch(self, table, transaction, sync, timeout)

    def snapshot(self):
        """A pinned moment of all tables: give it as ``snapshot=`` to reads, or use its `kv`."""
        cdef CStatus status
        cdef Snapshot snapshot = Snapshot.__new__(Snapshot)
        check_process(self.generation)
        with nogil:
            status = Take(self.db.get().GetSnapshot(), &snapshot.snapshot)
        snapshot.generation = ForkGeneration()
        check(status)
        snapshot.owner = self
        return snapshot

    # Maintenance

    def flush(self):
        """Writes everything to table files, durable on return."""
        cdef CStatus status
        check_process(self.generation)
        with nogil:
            status = self.db.get().Flush()
        check(status)

    def sync(self):
        """Everything written before survives power loss on return (one fdatasync of the log)."""
        cdef CStatus status
        check_process(self.generation)
        with nogil:
            status = self.db.get().SyncLog()
        check(status)

    def compact(self, table=None):
        """Merges all files of a table (of all tables if None) into one run; waits until done."""
        cdef CStatus status
        cdef string c_table
        check_process(self.generation)
        if table is not None:
            c_table = utf8(table)
            if c_table.empty():
                raise TableNotFound("there is no table ''")
        with nogil:
            status = self.db.get().Compact(c_table)
        check(status)

    def wait_for_background(self):
        """Waits until no flush or compaction is due."""
        cdef CStatus status
        check_process(self.generation)
        with nogil:
            status = self.db.get().WaitForBackground()
        check(status)

    def stats(self):
        """Counters and sizes at this moment, as a dict; ``["tables"]`` has one entry a table."""
        cdef CStatus status
        cdef CStats stats
        check_process(self.generation)
        with nogil:
            status = Take(self.db.get().GetStats(), &stats)
        check(status)
        return database_stats(stats)


cdef class Snapshot:
    """A pinned moment; made by `Database.snapshot`. Reads through it see exactly the commits before
    it. Close it soon, because it keeps old row versions alive. A context manager."""

    cdef SnapshotRef snapshot
    cdef Database owner
    cdef int generation

    def __init__(self):
        raise TypeError("use Database.snapshot()")

    def __dealloc__(self):
        if self.generation != ForkGeneration():
            Leak(self.snapshot)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close()

    def __repr__(self):
        what = "closed" if self.closed else f"at {self.sequence}"
        return f"<marbledb.Snapshot {what} of {self.owner!r}>"

    @property
    def database(self):
        """The database whose moment it is."""
        return self.owner

    @property
    def sequence(self):
        """The last sequence number that is visible."""
        self.require()
        return self.snapshot.get().sequence()

    @property
    def closed(self):
        """Whether `close` was called."""
        return self.snapshot.get() == NULL or self.generation != ForkGeneration()

    def close(self):
        """Lets go of the moment. Idempotent. Readers made from it keep it until they are done."""
        if self.generation == ForkGeneration():
            self.snapshot.reset()

    def kv(self, name="default"):
        """The key-value face of a table, read-only, at this moment."""
        self.require()
        return _snapshot_of(self.owner.kv(name, create_if_missing=False), self, False)

    cdef int require(self) except -1:
        check_process(self.generation)
        if self.snapshot.get() == NULL:
            raise ClosedError("the snapshot was closed")
        return 0


cdef SnapshotRef moment(Snapshot snapshot) except *:
    """The snapshot to read, nullptr for the latest state."""
    cdef SnapshotRef latest
    if snapshot is None:
        return latest
    snapshot.require()
    return snapshot.snapshot
