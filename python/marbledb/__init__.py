"""Marble: an embedded storage engine for Arrow data, as a key-value store and as tables.

import marbledb

with marbledb.open("/data/app") as db:
    kv = db.kv()                                   # an ordered mapping
    kv["user:1"] = b"Ada"
    table = db.create_table("people", schema, primary_key="id")
    table.insert(batch)                            # any Arrow data: upsert by key
    duckdb.sql("SELECT count(*) FROM table")       # anything that takes Arrow takes a table
"""

from marbledb._pyarrow_version import check as _check_pyarrow

_check_pyarrow()

from marbledb._core import (  # noqa: E402
    Database,
    Iterator,
    KeyValue,
    KeyValueSnapshot,
    Snapshot,
    Table,
    WriteBatch,
    open,
    repair,
    verify,
)
from marbledb._lifetime import install as _install_hooks  # noqa: E402
from marbledb.errors import (  # noqa: E402
    BusyError,
    ClosedError,
    ConflictError,
    CorruptionError,
    IncompatibleFormatError,
    InvalidArgumentError,
    LockedError,
    MarbleError,
    MarbleIOError,
    NotSupportedError,
    ReadOnlyError,
    SchemaError,
    TableNotFound,
)

_install_hooks()

__version__ = "0.1.0"

__all__ = [
    "BusyError",
    "ClosedError",
    "ConflictError",
    "CorruptionError",
    "Database",
    "IncompatibleFormatError",
    "InvalidArgumentError",
    "Iterator",
    "KeyValue",
    "KeyValueSnapshot",
    "LockedError",
    "MarbleError",
    "MarbleIOError",
    "NotSupportedError",
    "ReadOnlyError",
    "SchemaError",
    "Snapshot",
    "Table",
    "TableNotFound",
    "WriteBatch",
    "open",
    "repair",
    "verify",
]
