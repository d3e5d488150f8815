# cython: language_level=3
# distutils: language=c++
"""Tables as datasets of pyarrow. A module of its own, because pyarrow.dataset takes long to
import."""

import logging
import os

# DuckDB looks for Dataset in this module, and only if it was imported.
import pyarrow.dataset  # noqa: F401

from libcpp.memory cimport shared_ptr
from libcpp.utility cimport move

from pyarrow._compute cimport Expression
from pyarrow._dataset cimport Dataset
from pyarrow.includes.common cimport CResult, GetResultValue
from pyarrow.includes.libarrow_dataset cimport CDataset
from pyarrow.lib cimport Schema, pyarrow_unwrap_schema

cdef extern from "dataset_capsule.h" namespace "marble_python":
    shared_ptr[CDataset] DatasetOf(object capsule) except *

_log = logging.getLogger("marbledb.dataset")


cdef class TableDataset(Dataset):
    """A table at one moment as a pyarrow.dataset.Dataset; made by `Table.to_dataset`.

    What a scan was asked for is logged by the logger ``marbledb.dataset`` at level DEBUG: columns
    and filter are those that a tool has handed down.

    Pickling keeps the place, not the moment: the copy shows the table as it is when it is
    unpickled. In a process that does not have the database open it is opened read-only."""

    cdef object source
    cdef object snapshot
    cdef object shown
    cdef tuple dictionary_columns

    def __init__(self):
        raise TypeError("use Table.to_dataset()")

    cdef TableDataset like(self, TableDataset other):
        self.source = other.source
        self.snapshot = other.snapshot
        self.shown = other.shown
        self.dictionary_columns = other.dictionary_columns
        return self

    @property
    def table(self):
        """The Table."""
        return self.source

    def __repr__(self):
        return f"<marbledb.TableDataset of {self.source!r}>"

    def __reduce__(self):
        if self.snapshot is not None:
            raise TypeError("a dataset of a snapshot cannot be pickled: a snapshot lives in one "
                            "process")
        path = self.source.database._real_path
        return _reopen, (path, self.source.name, self.shown, self._scan_options.get("filter"),
                         self.dictionary_columns)

    cdef log(self, what, filter, columns):
        kept = self._scan_options.get("filter")
        terms = [str(term) for term in (kept, filter) if term is not None]
        _log.debug("%s of table '%s':%s filter %s", what, self.source.name,
                   "" if columns is None else f" columns {columns};", " and ".join(terms) or "none")

    def scanner(self, *args, **kwargs):
        """As in pyarrow.dataset.Dataset; ClosedError if the database was closed."""
        self.source._check_open()
        if _log.isEnabledFor(logging.DEBUG):
            asked = {**dict(zip(("columns", "filter"), args)), **kwargs}
            columns = asked.get("columns")
            self.log("scanner", asked.get("filter"),
                     "all" if columns is None else ", ".join(columns) or "none")
        return Dataset.scanner(self, *args, **kwargs)

    def get_fragments(self, Expression filter=None):
        """As in pyarrow.dataset.Dataset: parts of the table by key, those that `filter` leaves."""
        self.source._check_open()
        self.log("fragments", filter, None)
        return Dataset.get_fragments(self, filter)

    def filter(self, expression not None):
        """As in pyarrow.dataset.Dataset."""
        cdef TableDataset filtered = Dataset.filter(self, expression)
        return filtered.like(self)

    def replace_schema(self, Schema schema not None):
        """As in pyarrow.dataset.Dataset."""
        cdef TableDataset replaced = TableDataset.__new__(TableDataset)
        cdef shared_ptr[CDataset] c_dataset = GetResultValue(
            self.dataset.ReplaceSchema(pyarrow_unwrap_schema(schema)))
        replaced.init(move(c_dataset))
        replaced._scan_options = dict(self._scan_options)
        replaced.like(self)
        replaced.shown = schema
        return replaced


def wrap(capsule, source, snapshot, dictionary_columns):
    """The dataset in a capsule that `Table.to_dataset` made."""
    cdef TableDataset self = TableDataset.__new__(TableDataset)
    self.init(DatasetOf(capsule))
    self.source = source
    self.snapshot = snapshot
    self.dictionary_columns = tuple(dictionary_columns)
    return self


def _reopen(path, name, schema, filter, dictionary_columns=()):
    from marbledb import _core
    table = _core._open_for_reading(path).table(name)
    dataset = table.to_dataset(dictionary_columns=dictionary_columns)
    if schema is not None:
        dataset = dataset.replace_schema(schema)
    return dataset if filter is None else dataset.filter(filter)
