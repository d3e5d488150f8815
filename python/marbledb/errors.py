"""What Marble raises. Every class is a MarbleError and, where that fits, also the built-in
exception that a caller would expect. A miss is no error: ``get`` gives None, ``[]`` a KeyError."""

__all__ = [
    "MarbleError",
    "BusyError",
    "ClosedError",
    "ConflictError",
    "CorruptionError",
    "IncompatibleFormatError",
    "InvalidArgumentError",
    "LockedError",
    "MarbleIOError",
    "NotSupportedError",
    "ReadOnlyError",
    "SchemaError",
    "TableNotFound",
]


class MarbleError(Exception):
    """Base of all errors of Marble.

    ``file`` is the path of the file concerned or None, ``offset`` the byte offset in it or None.
    """

    file = None
    offset = None


class CorruptionError(MarbleError, OSError):
    """Bytes on disk are not what was written; ``file`` and ``offset`` tell where."""


class ConflictError(MarbleError, ValueError):
    """A name is taken by something different, or options of an open database disagree."""


class LockedError(MarbleError, OSError):
    """Another process has the database open; the message has its pid and host."""


class ClosedError(MarbleError, RuntimeError):
    """The database, snapshot or iterator was closed, or belongs to the parent of this process."""


class ReadOnlyError(MarbleError, OSError):
    """The database was opened read-only, or writes stopped after an I/O error."""


class IncompatibleFormatError(MarbleError, ValueError):
    """The files were written by a newer or an unknown version."""


class TableNotFound(MarbleError, KeyError):
    """There is no table of this name."""

    __str__ = Exception.__str__


class BusyError(MarbleError, TimeoutError):
    """A write waited for background work longer than its timeout; nothing was written."""


class MarbleIOError(MarbleError, OSError):
    """The operating system refused a read or a write."""


class InvalidArgumentError(MarbleError, ValueError):
    """An argument is not acceptable; the message says which and why."""


class SchemaError(InvalidArgumentError):
    """Rows or keys do not fit the table; the message names the column."""


class NotSupportedError(MarbleError, NotImplementedError):
    """Something that Marble cannot store or do, by name."""


# By the number of marble::ErrorKind.
_BY_KIND = (
    None,
    CorruptionError,
    ConflictError,
    LockedError,
    ClosedError,
    ReadOnlyError,
    IncompatibleFormatError,
    TableNotFound,
    BusyError,
)

# By the name of Arrow's status code, for errors that carry no kind.
_BY_CODE = {
    "IOError": MarbleIOError,
    "Invalid": InvalidArgumentError,
    "Type error": SchemaError,
    "Key error": SchemaError,
    "Index error": InvalidArgumentError,
    "Capacity error": InvalidArgumentError,
    "NotImplemented": NotSupportedError,
    "Out of memory": MemoryError,
}


def make(kind, code, message, file=None, offset=None, about_rows=False):
    """The exception for an arrow::Status of this kind (a number) and code (Arrow's name for it).
    ``about_rows`` says that an invalid argument can only be the rows that were handed in."""
    cls = _BY_KIND[kind] if 0 < kind < len(_BY_KIND) else _BY_CODE.get(code, MarbleError)
    if about_rows and cls is InvalidArgumentError:
        cls = SchemaError
    error = cls(message)
    if isinstance(error, MarbleError):
        error.file = file or None
        error.offset = offset if offset is not None and offset >= 0 else None
    return error
