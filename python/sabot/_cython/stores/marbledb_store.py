"""`MarbleDBStoreBackend`: sabot's table store, directly over `marbledb`.

It reads and writes the same files as `sabot._cython.storage.storage_shim.SabotStoreBackend`. The
two may have one path open side by side in a process, as long as their configurations agree.
"""

import os

import marbledb

# Names of sabot's StorageConfig, which this class takes beside the keywords of marbledb.open.
_STORAGE_CONFIG = {
    "memtable_size_mb": 64,
    "enable_bloom_filter": True,
    "enable_sparse_index": True,
    "index_granularity": 8192,
}
_BUDGET = 1 << 30


def _real_path(path):
    """The same for all spellings of one directory."""
    return os.path.realpath(os.fsencode(path))


def _open_arguments(config):
    """Keywords for marbledb.open, and options for create_table, as the shim derives them."""
    config = dict(config or {})
    storage = {name: config.pop(name, default) for name, default in _STORAGE_CONFIG.items()}
    memtable_bytes = storage["memtable_size_mb"] << 20
    config.setdefault("memtable_bytes", memtable_bytes)
    config.setdefault("memory_budget", max(_BUDGET, 4 * memtable_bytes))
    point_lookup = "point_index" if storage["enable_sparse_index"] else "bloom_filter"
    table = {
        "point_lookup": point_lookup if storage["enable_bloom_filter"] else "none",
        "block_rows_max": storage["index_granularity"],
    }
    return config, table


class MarbleDBStoreBackend:
    """Tables of Arrow rows in a directory. A context manager; thread-safe.

    Parameters
    ----------
    db_path : path, optional
        Where the tables are; `open` may give it instead.
    config : dict, optional
        Keywords of `marbledb.open`, and `memtable_size_mb`, `enable_bloom_filter`,
        `enable_sparse_index`, `index_granularity` as in sabot's StorageConfig.
    """

    def __init__(self, db_path=None, config=None):
        self._path = db_path
        self._open_config, self._table_config = _open_arguments(config)
        self._database = None
        self._open_path = None

    def __enter__(self):
        if self._database is None and self._path is not None:
            self.open()
        return self

    def __exit__(self, kind, value, traceback):
        self.close()

    @property
    def _db(self):
        if self._database is None:
            raise marbledb.ClosedError("the store backend is not open")
        return self._database

    def open(self, path=None):
        """Opens or creates the tables at `path`, or where the constructor said. Opening the same
        path again is fine."""
        path = self._path if path is None else path
        if path is None:
            raise marbledb.InvalidArgumentError("no path: give one to open() or to the constructor")
        if self._database is not None:
            if _real_path(path) != self._open_path:
                raise marbledb.ConflictError("the backend is open with another path")
            return
        self._open_path = _real_path(path)  # the working directory may change
        self._database = marbledb.open(path, **self._open_config)
        self._path = path

    def close(self):
        """Makes everything durable and lets go of the path. Idempotent."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def flush(self):
        """Everything written before is durable on return."""
        self._db.sync()

    def create_table(self, name, schema, primary_key=None):
        """Creates a table. With `primary_key` (a column name or several; or the schema metadata key
        ``marble.primary_key``) inserts are upserts. Creating it again with an equal schema and key
        is fine, with another one a ConflictError."""
        self._db.create_table(name, schema, primary_key, **self._table_config)

    def create_column_family(self, name, schema, primary_key=None):
        """The same as `create_table`: a table is a column family."""
        self.create_table(name, schema, primary_key)

    def drop_table(self, name):
        """Drops a table; readers in progress finish."""
        self._db.drop_table(name)

    def list_tables(self):
        """Names of the tables, sorted; ``default`` is always there."""
        return self._db.tables()

    def list_column_families(self):
        """The same as `list_tables`."""
        return self.list_tables()

    def insert_batch(self, name, batch):
        """Writes all rows or none: upsert on keyed tables. `batch` is a RecordBatch, a Table, or
        anything with ``__arrow_c_stream__``."""
        self._db.table(name).insert(batch)

    def scan_table(self, name, columns=None, filter=None):
        """The rows as a pyarrow.Table, in key (or insertion) order: all, or some `columns`, and
        those for which `filter`, a pyarrow.compute.Expression, is true."""
        return self._db.table(name).to_table(columns, filter)

    def scan_range_to_table(self, name, start_key=None, end_key=None):
        """The rows with keys in [start_key, end_key) as a pyarrow.Table. A bound is a value, or a
        tuple of values for the first key columns; None is unbounded."""
        table = self._db.table(name)
        if not table.primary_key:
            raise marbledb.SchemaError(
                f"a range of keys needs a table with a primary key, and table '{name}' has none"
            )
        return table.to_table(range=(start_key, end_key))

    def delete_range(self, name, start_key=None, end_key=None):
        """Deletes the rows with keys in [start_key, end_key), in constant time."""
        self._db.table(name).delete_range(start_key, end_key)

    def iter_batches(self, name):
        """Record batches of the table, lazily, over one snapshot, in key (or insertion) order."""
        return iter(self._db.table(name).scan())
