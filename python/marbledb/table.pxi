# The table face.


cdef int fill_bound(vector[shared_ptr[CScalar]]& bound, list scalars) except -1:
    for scalar in scalars:
        bound.push_back(pyarrow_unwrap_scalar(scalar))
    return 0


cdef int fill_range(CKeyRange& key_range, object pair, Table table) except -1:
    lower, upper = _convert.range_of(pair, table.schema, table.primary_key, table.table_name)
    fill_bound(key_range.lower, lower)
    fill_bound(key_range.upper, upper)
    return 0


cdef int fill_names(optional[vector[string]]& names, object columns) except -1:
    cdef vector[string] listed
    if columns is None:
        return 0
    for name in _convert.names_of(columns):
        listed.push_back(utf8(name))
    names = listed
    return 0


cdef bint is_one_key(keys, int width) except -1:
    if type(keys) is int or type(keys) is str:
        return True
    return _convert.is_one_key(keys, width)


cdef dict row_of(const CRecordBatch* batch, tuple names):
    """The only row of a batch as a dict."""
    cdef dict row = {}
    cdef shared_ptr[CArray] column
    cdef PyObject* cell
    cdef int i = 0
    for name in names:
        column = batch.column(i)
        cell = CellAt(deref(column), 0)
        if cell == NULL:
            row[name] = pyarrow_wrap_array(column)[0].as_py()
        else:
            row[name] = <object> cell
            Py_DECREF(<object> cell)
        i += 1
    return row


cdef int alter_table(Table table, const CSchemaChange& change) except -1:
    cdef CStatus status
    cdef string name = utf8(table.table_name)
    table.owner.check_is_still(table.table_name, table.table.get().info().id)
    with nogil:
        status = table.owner.db.get().AlterTable(name, change)
    check_rows(status)
    return 0


cdef class Table:
    """Rows with a primary key, or none; made by `Database.table` or `Database.create_table`.

    Anything that takes Arrow data can take a Table: it offers ``__arrow_c_stream__``.
    Thread-safe."""

    cdef shared_ptr[CTable] table
    cdef Database owner
    cdef str table_name
    cdef object table_schema
    cdef tuple key_columns
    cdef tuple column_names
    cdef object key_schema
    cdef shared_ptr[CSchema] c_key_schema
    cdef const CTableInfo* known  # what the five above were made of; lives as long as `table`
    cdef int generation

    def __init__(self):
        raise TypeError("use Database.table(name)")

    def __dealloc__(self):
        if self.generation != ForkGeneration():
            Leak(self.table)

    cdef attach(self, Database database):
        self.owner = database
        self.table_name = self.table.get().info().name.decode("utf-8")
        self.refresh()

    cdef int refresh(self) except -1:
        # The schema may have been changed through another handle.
        cdef const CTableInfo* info = &self.table.get().info()
        if info == self.known:
            return 0
        cdef vector[string] key = info.options.primary_key
        cdef size_t i
        schema = pyarrow_wrap_schema(info.schema)
        cdef tuple key_columns = tuple([key[i].decode("utf-8") for i in range(key.size())])
        cdef tuple column_names = tuple(schema.names)
        key_schema = pa.schema([schema.field(name) for name in key_columns])
        cdef shared_ptr[CSchema] c_key_schema = pyarrow_unwrap_schema(key_schema)
        # Another thread may have done the same meanwhile, of a later schema. Nothing below lets
        # others run between two of the fields.
        if &self.table.get().info() != info:
            return self.refresh()
        replaced = (self.table_schema, self.key_columns, self.column_names, self.key_schema)
        self.table_schema = schema
        self.key_columns = key_columns
        self.column_names = column_names
        self.key_schema = key_schema
        self.c_key_schema = c_key_schema
        self.known = info
        del replaced  # their destructors run Python
        return 0

    cdef shared_ptr[CRecordBatch] batch_of_key(self, key) except *:
        """Of one key. What is common is made without pyarrow; what is wrong with the rest, the long
        way says."""
        cdef shared_ptr[CRecordBatch] batch = BatchOfKey(self.c_key_schema, key)
        if batch.get() == NULL:
            batch = pyarrow_unwrap_batch(_convert.key_batch(key, self.key_schema, self.table_name))
        return batch

    @property
    def database(self):
        """The database of the table."""
        return self.owner

    @property
    def name(self):
        """The name of the table."""
        return self.table_name

    @property
    def schema(self):
        """The schema: a pyarrow.Schema, its key columns not nullable."""
        self.refresh()
        return self.table_schema

    @property
    def primary_key(self):
        """Names of the key columns, a tuple; empty if the table has no key."""
        self.refresh()
        return self.key_columns

    def __repr__(self):
        key = f" key {self.primary_key}" if self.primary_key else ""
        return f"<marbledb.Table {self.name!r}{key} of {self.owner!r}>"

    def __str__(self):
        """Name, key, sizes and columns, on several lines."""
        return repr(self) if self.owner.closed else _describe.describe_table(self)

    # Writing

    def insert(self, data, *, sync=False, timeout=None):
        """Writes all rows of `data` or none: upserts by key, of which the last row wins; or appends.

        `data` is a RecordBatch, Table, list of dicts, or dict of columns; or it comes in parts: a
        RecordBatchReader, any object with ``__arrow_c_stream__`` (Polars, DuckDB, DataFusion,
        pandas), an iterable of any of these. Parts are read one by one: more than an eighth of the
        memory budget is not held (`bulk_load`); nothing is written if one raises, or if the table
        is altered meanwhile (ConflictError). Columns are taken by name, in any order. In dicts a
        column may be missing: its values are null, and refused if it is not nullable. A column that
        the table does not have, one that is missing in Arrow data, another type, a value that does
        not fit, a null key, invalid UTF-8: SchemaError that names the column. With `sync` the rows
        survive power loss on return; `timeout`: seconds to wait for background work (BusyError)."""
        cdef CStatus status
        cdef CWriteOptions options = MakeWriteOptions(sync, seconds(timeout))
        cdef vector[shared_ptr[CRecordBatch]] batches
        if _convert.comes_in_parts(data):
            self.insert_parts(data, options, in_files=False)
            return
        check_process(self.generation)
        for batch in _convert.batches_of(data, self.schema, self.name):
            batches.push_back(pyarrow_unwrap_batch(batch))
        with nogil:
            status = self.table.get().Insert(batches, options)
        check_rows(status)

    def upsert(self, data, *, sync=False, timeout=None):
        """`insert` into a keyed table; SchemaError if the table has no key."""
        if not self.primary_key:
            raise SchemaError(f"table '{self.name}' has no primary key: use insert")
        self.insert(data, sync=sync, timeout=timeout)

    def bulk_load(self, data, *, sync=False, timeout=None):
        """`insert` by way of files, however few the rows, which are sorted in files beside the
        table, an eighth of the memory budget at a time. Returns how many there were."""
        return self.insert_parts(data, MakeWriteOptions(sync, seconds(timeout)), in_files=True)

    cdef int64_t insert_parts(self, data, const CWriteOptions& options, bint in_files) except -1:
        cdef CStatus status
        cdef int64_t rows = 0
        cdef RecordBatchReader reader
        check_process(self.generation)
        reader = _convert.reader_of(data, self.schema, self.name)
        with nogil:
            if in_files:
                status = Take(BulkLoad(self.table, reader.reader.get(), options), &rows)
            else:
                status = Take(self.table.get().InsertReader(reader.reader.get(), options), &rows)
        check_status(status) if IsPythonError(status) else check_rows(status)
        return rows

    def import_file(self, path, *, format=None, ignore_unknown_columns=False, atomic=False,
                    delimiter=None, nulls=("",), sync=False, timeout=None, progress=None):
        """Inserts the rows of a file, and returns how many were committed.

        Parameters
        ----------
        path : str, bytes or os.PathLike
        format : {"parquet", "arrow", "arrows", "csv"}, optional
            Parquet, Arrow IPC file, Arrow IPC stream, CSV; by default what the extension says.
        ignore_unknown_columns : bool
            Leave out columns that the table does not have, instead of refusing the file.
        atomic : bool
            All rows in one commit, or none. Without it they are committed about every 8 MiB.
        delimiter : str, optional
            Between the values of a CSV file; a comma, or a tab in files named .tsv.
        nulls : sequence of str
            What stands for null in a CSV file unless it is quoted.
        sync : bool
            The rows survive power loss on return.
        timeout : float, optional
            Seconds that each commit may wait for background work.
        progress : callable, optional
            Called with ``(rows, bytes, bytes_total)``; False ends the import.

        Columns are matched by name and cast where nothing is lost (docs/transfer.md); other types,
        unknown columns and missing ones that cannot be null are a SchemaError. An exception has the
        attribute ``rows_committed``: so many of the file's first rows are there, and stay."""
        cdef CStatus status
        cdef CStatus raised
        cdef CImportOptions options
        cdef CImportResult result
        cdef string c_path = os.fsencode(path)
        check_process(self.generation)
        fill_import(options, format, ignore_unknown_columns, atomic, delimiter, nulls)
        options.write = MakeWriteOptions(sync, seconds(timeout))
        if progress is not None:
            options.progress = MakeProgress(<PyObject*> progress, &raised)
        with nogil:
            status = ImportFile(self.table, c_path, options, &result)
        try:
            check_transfer(status, raised)
        except BaseException as error:  # an interrupt too
            error.rows_committed = result.rows
            raise
        return result.rows

    def export_file(self, path, columns=None, filter=None, range=None, limit=None, reverse=False, *,
                    Snapshot snapshot=None, format=None, compression=None, overwrite=False,
                    delimiter=None, progress=None):
        """Writes rows to a file, and returns how many; arguments up to `snapshot` are `scan`'s.

        Parameters
        ----------
        format : {"parquet", "arrow", "arrows", "csv"}, optional
            Parquet, Arrow IPC file, Arrow IPC stream, CSV; by default what the extension says.
        compression : {"none", "lz4", "zstd"}, optional
            zstd for Parquet and none for the others, unless given.
        overwrite : bool
            Replace a file of this name; else that is a ConflictError.
        delimiter : str, optional
            Between the values of a CSV file; a comma, or a tab in files named .tsv.
        progress : callable, optional
            Called with ``(rows, bytes, 0)``; False ends the export: there is no file, and the
            result is None.

        The file appears complete and synced, or not at all. If only the sync of its folder fails,
        which comes last, that is raised and the file is there."""
        cdef CStatus status
        cdef CStatus raised
        cdef CExportOptions options
        cdef CExportResult result
        cdef string c_path = os.fsencode(path)
        self.fill_scan(options.scan, columns, filter, range, limit, reverse, snapshot)
        options.format = <FileFormat> <int> choice(_FORMATS, format, "format")
        options.overwrite = overwrite
        options.csv_delimiter = delimiter_of(delimiter)
        if compression is not None:
            options.compression = <Compression> <int> choice(_COMPRESSION, compression,
                                                             "compression")
        if progress is not None:
            options.progress = MakeProgress(<PyObject*> progress, &raised)
        with nogil:
            status = Take(ExportFile(self.table, c_path, options), &result)
        check_transfer(status, raised)
        return None if result.cancelled else result.rows

    def delete(self, keys, *, sync=False, timeout=None):
        """Deletes rows by key, in one commit; absent ones are fine.

        `keys` is one key (a value; a tuple if the key has several columns; a dict), a list of keys,
        or Arrow data that has the key columns."""
        cdef CStatus status
        cdef CWriteOptions options = MakeWriteOptions(sync, seconds(timeout))
        cdef shared_ptr[CRecordBatch] c_keys
        check_process(self.generation)
        batches = _convert.key_batches(keys, self.schema, self.primary_key, self.table_name)
        if len(batches) > 1:
            self.owner.check_is_still(self.table_name, self.table.get().info().id)
            with self.owner.write_batch(sync=sync, timeout=timeout) as group:
                for batch in batches:
                    group.delete_rows(self.name, batch)
            return
        c_keys = pyarrow_unwrap_batch(batches[0])
        with nogil:
            status = self.table.get().Delete(c_keys, options)
        check_rows(status)

    def delete_range(self, start=None, end=None, *, sync=False, timeout=None):
        """Deletes the rows whose keys are in [start, end), in constant time. A bound is a value, or
        a tuple of values for the first key columns; None is unbounded."""
        cdef CStatus status
        cdef CWriteOptions options = MakeWriteOptions(sync, seconds(timeout))
        cdef CKeyRange key_range
        check_process(self.generation)
        if not self.primary_key:
            raise SchemaError(f"table '{self.name}' has no primary key")
        fill_range(key_range, (start, end), self)
        with nogil:
            status = self.table.get().DeleteRange(key_range, options)
        check_rows(status)

    # Columns

    def alter(self, *, rename=None, drop=(), widen=None, allow_nulls=(), add=None, defaults=None,
              reorder=()):
        """Changes the columns: all of this, in this order, or nothing; durable on return.

        No file is rewritten: rows that are there are read with the new schema. Writers of the table
        wait meanwhile; readers in progress go on with the schema they began with. This and every
        other handle of the table has the new schema at once; a dataset made before says that it is
        outdated. SchemaError, with the column named, for what cannot be done.

        Parameters
        ----------
        rename : dict of str to str, optional
            Old to new names, in this order; key columns too. A name must be free when it is taken.
        drop : str or sequence of str
            Not key columns. A later column of the same name is another one.
        widen : dict of str to pyarrow.DataType, optional
            A type that holds every value of the present one in the same order (a wider integer or
            float, float64 for int32, large_string for string, ...), or one that is stored alike
            (a dictionary). Not key columns.
        allow_nulls : str or sequence of str
            Columns that may be null from now on.
        add : pyarrow.Schema, pyarrow.Field, a list of fields or a dict of str to type, optional
            New last columns.
        defaults : dict of str to value, optional
            What rows that are there have in new columns; null where nothing is given. At most 256
            bytes each with offsets (text: 248 as string, 240 as large_string). Reading writes them
            out for each row: of string, binary and nested types over 2 GiB in a block are an error.
        reorder : sequence of str
            The columns in this order; those not named follow as they stand.
        """
        cdef CSchemaChange change
        cdef vector[string] order
        for column, name in dict(rename or {}).items():
            change.Rename(utf8(column), utf8(name))
        for column in _convert.names_of(drop):
            change.Drop(utf8(column))
        for column, type in dict(widen or {}).items():
            change.Widen(utf8(column), pyarrow_unwrap_data_type(pa.lib.ensure_type(type)))
        for column in _convert.names_of(allow_nulls):
            change.AllowNulls(utf8(column))
        for field, default in _convert.new_columns(add, defaults):
            change.Add(pyarrow_unwrap_field(field), pyarrow_unwrap_scalar(default))
        for column in _convert.names_of(reorder):
            order.push_back(utf8(column))
        if not order.empty():
            change.Reorder(order)
        alter_table(self, change)

    def add_column(self, name, type, *, default=None, nullable=True):
        """Adds a last column; rows that are there have `default` in it. See `alter`."""
        self.alter(add=pa.field(name, type, nullable), defaults={name: default})

    def drop_column(self, name):
        """Drops a column that is none of the key. See `alter`."""
        self.alter(drop=name)

    def rename_column(self, name, new_name):
        """Renames a column. See `alter`."""
        self.alter(rename={name: new_name})

    # Reading

    def get(self, keys, columns=None, *, Snapshot snapshot=None, ordered=True):
        """Looks up rows by key. One key (a value; a tuple if the key has several columns; a dict)
        gives a dict or None; a list of keys, or Arrow data with the key columns, gives a
        pyarrow.Table of the rows that exist, in the order of the keys. With ``ordered=False`` rows
        come as they are found, which is faster for many keys."""
        check_process(self.generation)
        self.refresh()
        if self.key_columns and is_one_key(keys, len(self.key_columns)):
            return self.get_one(keys, columns, snapshot)
        batches = _convert.key_batches(keys, self.schema, self.primary_key, self.table_name)
        if len(batches) > 1 and snapshot is None:
            with self.owner.snapshot() as now:
                found = [self.look_up(batch, columns, now, ordered) for batch in batches]
        else:
            found = [self.look_up(batch, columns, snapshot, ordered) for batch in batches]
        return pa.Table.from_batches(found)

    cdef object get_one(self, key, columns, Snapshot snapshot):
        cdef shared_ptr[CRecordBatch] found
        cdef tuple names
        if columns is not None:
            columns = tuple(_convert.names_of(columns))
        while True:
            names = self.column_names if columns is None else columns
            self.find(self.batch_of_key(key), columns, snapshot, True, &found)
            if &self.table.get().info() == self.known:
                break
            self.refresh()  # altered meanwhile: the row may have other columns than the names
        return row_of(found.get(), names) if found.get().num_rows() else None

    cdef object look_up(self, batch, columns, Snapshot snapshot, ordered):
        cdef shared_ptr[CRecordBatch] found
        self.find(pyarrow_unwrap_batch(batch), columns, snapshot, ordered, &found)
        return pyarrow_wrap_batch(found)

    cdef int find(self, shared_ptr[CRecordBatch] c_keys, columns, Snapshot snapshot, ordered,
                  shared_ptr[CRecordBatch]* found) except -1:
        cdef CStatus status
        cdef optional[vector[string]] names
        cdef SnapshotRef c_snapshot = moment(snapshot)
        cdef RowOrder order = RowOrder.kOfKeys if ordered else RowOrder.kAny
        fill_names(names, columns)
        with nogil:
            status = Take(self.table.get().Get(c_keys, names, NULL, c_snapshot, order), found)
        check_rows(status)
        return 0

    def contains(self, keys, *, Snapshot snapshot=None):
        """Whether there are rows with these keys, given as for `get`: one key gives a bool; a list
        of keys, or Arrow data with the key columns, a pyarrow.BooleanArray, one entry a key. Reads
        no other columns than the key's. As a semi-join: ``keys.filter(table.contains(keys))``."""
        check_process(self.generation)
        self.refresh()
        if self.key_columns and is_one_key(keys, len(self.key_columns)):
            return self.exists(keys, snapshot)
        batches = _convert.key_batches(keys, self.schema, self.primary_key, self.table_name)
        if len(batches) == 1:
            return self.exist(pyarrow_unwrap_batch(batches[0]), snapshot)
        if snapshot is not None:
            return pa.concat_arrays(
                [self.exist(pyarrow_unwrap_batch(batch), snapshot) for batch in batches])
        with self.owner.snapshot() as now:
            return pa.concat_arrays(
                [self.exist(pyarrow_unwrap_batch(batch), now) for batch in batches])

    cdef object exists(self, key, Snapshot snapshot):
        """Of one key, a bool."""
        return self.exist(self.batch_of_key(key), snapshot)[0].as_py()

    cdef object exist(self, shared_ptr[CRecordBatch] c_keys, Snapshot snapshot):
        cdef CStatus status
        cdef SnapshotRef c_snapshot = moment(snapshot)
        cdef shared_ptr[CBooleanArray] found
        with nogil:
            status = Take(self.table.get().Contains(c_keys, c_snapshot), &found)
        check_rows(status)
        return pyarrow_wrap_array(<shared_ptr[CArray]> found)

    def __contains__(self, key):
        check_process(self.generation)
        self.refresh()
        if not self.key_columns:
            raise SchemaError(f"table '{self.name}' has no primary key")
        return self.exists(key, None)

    cdef int fill_scan(self, CScanOptions& options, columns, filter, range, limit, reverse,
                       Snapshot snapshot) except -1:
        check_process(self.generation)
        fill_names(options.columns, columns)
        if filter is not None:
            if not isinstance(filter, Expression):
                raise TypeError("filter is a pyarrow.compute.Expression, such as "
                                "pc.field('id') > 5, not " + type(filter).__name__)
            options.filter = (<Expression> filter).unwrap()
        if range is not None:
            fill_range(options.range, range, self)
        if limit is not None:
            limit = operator.index(limit)
            if limit < 0:
                raise InvalidArgumentError("limit must not be negative")
            options.limit = limit
        options.reverse = reverse
        options.snapshot = moment(snapshot)
        return 0

    def scan(self, columns=None, filter=None, range=None, limit=None, reverse=False, *,
             Snapshot snapshot=None, batch_rows_max=131072):
        """A pyarrow.RecordBatchReader over one snapshot, lazily, in key (or insertion) order.

        Parameters
        ----------
        columns : list of str, optional
            Columns wanted, in this order; all if None.
        filter : pyarrow.compute.Expression, optional
            Rows for which it is true; it may name columns that are not in `columns`.
        range : (start, end), optional
            Keys in [start, end); each a value, a tuple of values for the first key columns, or
            None.
        limit : int, optional
            At most this many rows, after the filter.
        reverse : bool
            Descending key order; latest row first on tables without a key.
        snapshot : Snapshot, optional
            Read this moment, not the latest.
        batch_rows_max : int
            Most rows in one batch.

        The reader keeps what it needs: it goes on after `Database.close`."""
        cdef CStatus status
        cdef CScanOptions options
        cdef shared_ptr[CRecordBatchReader] c_reader
        cdef RecordBatchReader reader
        self.fill_scan(options, columns, filter, range, limit, reverse, snapshot)
        batch_rows_max = operator.index(batch_rows_max)
        if batch_rows_max < 1:
            raise InvalidArgumentError("batch_rows_max must be positive")
        options.batch_rows_max = batch_rows_max
        with nogil:
            status = Take(self.table.get().Scan(options), &c_reader)
        check(status)
        reader = RecordBatchReader.__new__(RecordBatchReader)
        reader.reader = Guard(c_reader)
        return reader

    def to_table(self, columns=None, filter=None, range=None, limit=None, reverse=False, *,
                 Snapshot snapshot=None):
        """Like `scan`, as one pyarrow.Table."""
        return self.scan(columns, filter, range, limit, reverse, snapshot=snapshot).read_all()

    def count(self, filter=None, range=None, *, Snapshot snapshot=None):
        """The exact number of rows."""
        cdef CStatus status
        cdef CScanOptions options
        cdef int64_t rows = 0
        self.fill_scan(options, [], filter, range, None, False, snapshot)
        with nogil:
            status = Take(self.table.get().Count(options), &rows)
        check(status)
        return rows

    def __len__(self):
        """The exact number of rows; reads those of which the files' metadata do not tell."""
        return self.count()

    def __bool__(self):
        return self.to_table([], limit=1).num_rows > 0

    def __arrow_c_schema__(self):
        """The schema as an Arrow C schema capsule."""
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema=None):
        """All rows, lazily, over one snapshot, as an Arrow C stream capsule."""
        return self.scan().__arrow_c_stream__(requested_schema)

    def to_dataset(self, Snapshot snapshot=None, *, dictionary_columns=()):
        """A pyarrow.dataset.Dataset over one moment of the table: this one, or `snapshot`.

        DuckDB, Polars (``scan_pyarrow_dataset``), DataFusion (``register_dataset``) and pyarrow hand
        down their filters and columns to it: only the columns and the keys wanted are read, in
        parallel; the logger ``marbledb.dataset`` shows what was handed down. Rows come in key (or
        insertion) order where an order is asked for. String views come as large_string, and
        likewise (see marble/dataset.h); `dictionary_columns`, of text or bytes, come as dictionaries,
        which DuckDB groups several times as fast if they have few distinct values. Later writes are
        not seen; old row versions are kept while it lives. After `Database.close` it can no longer
        be scanned."""
        cdef CStatus status
        cdef DatasetRef c_dataset
        cdef SnapshotRef c_snapshot = moment(snapshot)
        names = _convert.names_of(dictionary_columns)
        cdef vector[string] c_columns = [name.encode() for name in names]
        check_process(self.generation)
        from marbledb import _dataset
        with nogil:
            status = Take(MakeGuardedDataset(self.table, c_snapshot, c_columns), &c_dataset)
        if snapshot is None:
            check_rows(status)
        check(status)
        return _dataset.wrap(DatasetCapsule(c_dataset), self, snapshot, names)

    def _check_open(self):
        """ClosedError if the database was closed."""
        check_process(self.generation)
        if self.owner.closed:
            raise ClosedError(f"the database '{self.owner.path}' was closed")

    def stats(self):
        """Sizes of this table, as a dict: levels, files, rows and bytes in them, memory."""
        self.owner.check_is_still(self.table_name, self.table.get().info().id)
        return self.owner.stats()["tables"][self.name]
