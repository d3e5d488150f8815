# cython: language_level=3
# distutils: language=c++
"""The compiled half of marbledb: handles on the engine's objects, nothing that decides."""

import json
import operator
import os
import weakref
from collections.abc import Mapping, MutableMapping

import pyarrow as pa

from cython.operator cimport dereference as deref
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cpython.datetime cimport import_datetime
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libcpp.utility cimport move

from pyarrow._compute cimport Expression
from pyarrow.lib cimport (
    RecordBatchReader, check_status, pyarrow_unwrap_array, pyarrow_unwrap_batch,
    pyarrow_unwrap_data_type, pyarrow_unwrap_field, pyarrow_unwrap_scalar, pyarrow_unwrap_schema,
    pyarrow_wrap_array, pyarrow_wrap_batch, pyarrow_wrap_schema)

from marbledb._marble cimport *

from marbledb import _convert
from marbledb import _describe
from marbledb import _views
from marbledb import errors as _errors
from marbledb.errors import (
    ClosedError, ConflictError, InvalidArgumentError, ReadOnlyError, SchemaError, TableNotFound)

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

import_datetime()  # for CellAt

include "status.pxi"
include "database.pxi"
include "batch.pxi"
include "iterator.pxi"
include "key_value.pxi"
include "transfer.pxi"
include "table.pxi"
include "trust.pxi"
