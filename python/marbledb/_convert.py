"""Between what Python callers hand in and what the engine takes: sizes, rows, keys, bounds."""

import re
from collections.abc import Mapping, Set

import pyarrow as pa
import pyarrow.types as pt

from marbledb._exact import exact_array, exact_cast, has_list_view
from marbledb.errors import InvalidArgumentError, SchemaError

# What can be iterated over and gives no parts of a table.
_NO_PARTS = (Mapping, Set, str, bytes, bytearray, memoryview, pa.Table, pa.RecordBatch)

_UNITS = {"": 1, "B": 1}
for _power, _letter in enumerate("KMGT", start=1):
    _UNITS[_letter + "IB"] = 1024**_power
    _UNITS[_letter + "B"] = 1000**_power
    _UNITS[_letter] = 1024**_power


def parse_size(size):
    """Bytes of an int or of a text such as ``"64MiB"``, ``"1.5 GB"``."""
    if isinstance(size, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", size)
        unit = _UNITS.get(match[2].upper()) if match else None
        if unit is None:
            raise InvalidArgumentError(
                f"not a size: {size!r}; give bytes or a text such as '64MiB'"
            )
        return int(float(match[1]) * unit)
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"a size is an int or a str, not {type(size).__name__}")
    return size


def schema_of(schema):
    """A pyarrow.Schema of what `Database.create_table` takes."""
    if isinstance(schema, pa.Schema):
        return schema
    if hasattr(schema, "__arrow_c_schema__"):
        return pa.schema(schema)
    kind = type(schema).__name__
    if hasattr(schema, "__arrow_c_stream__") or hasattr(schema, "__arrow_c_array__"):
        raise TypeError(f"create_table takes a schema and no rows: give that of the {kind}")
    try:
        return pa.schema(schema)
    except (pa.ArrowException, AttributeError, TypeError, ValueError) as error:
        raise TypeError(
            f"schema is a pyarrow.Schema, a list of fields or a dict of name to type: {error}"
        ) from error


def names_of(names):
    """A list of column names from one name, several, or None."""
    if names is None:
        return []
    return [names] if isinstance(names, str) else [str(name) for name in names]


def new_columns(fields, defaults):
    """(pyarrow.Field, pyarrow.Scalar or None) for each column to add, as `Table.alter` takes them."""
    if fields is None:
        fields = []
    elif isinstance(fields, pa.Field):
        fields = [fields]
    elif isinstance(fields, dict):
        fields = [pa.field(name, type) for name, type in fields.items()]
    defaults = dict(defaults or {})
    found = []
    for field in fields:
        if not isinstance(field, pa.Field):
            raise TypeError(f"a column to add is a pyarrow.Field, not {type(field).__name__}")
        default = defaults.pop(field.name, None)
        if default is not None:
            try:
                default = _scalar(default, field.type)
            except (pa.ArrowException, TypeError, ValueError) as error:
                raise SchemaError(f"column '{field.name}': the default {default!r} is no "
                                  f"{field.type}: {error}") from error
        found.append((field, default))
    for name in defaults:
        raise SchemaError(f"there is a default of '{name}', which is not added")
    return found


def _scalar(value, data_type):
    """A pyarrow.Scalar of `data_type` of a value, or of a scalar of another type."""
    if isinstance(value, pa.Scalar):
        if value.type == data_type:
            return value
        if pt.is_temporal(value.type):  # nanoseconds are no Python value
            return exact_cast(pa.repeat(value, 1), data_type)[0]
        value = value.as_py()
    return exact_array([value], data_type)[0]


def _family(data_type):
    """What two types of one family have in common, so that a cast between them changes no value."""
    if pt.is_dictionary(data_type):
        return _family(data_type.value_type)
    if pt.is_string(data_type) or pt.is_large_string(data_type) or pt.is_string_view(data_type):
        return "string"
    if pt.is_binary(data_type) or pt.is_large_binary(data_type) or pt.is_binary_view(data_type):
        return "binary"
    if pt.is_list(data_type) or pt.is_large_list(data_type):
        return ("list", _family(data_type.value_type))
    return data_type


# What pyarrow raises where values do not fit a type.
_MISFITS = (pa.ArrowException, OverflowError, TypeError, ValueError)


def _where(table, column):
    return (f"table '{table}': " if table else "") + f"column '{column}'"


def is_text_or_bytes(data_type):
    """Whether keys of a key-value table can be of this type."""
    return not pt.is_dictionary(data_type) and _family(data_type) in ("string", "binary")


def _as_column(column, field, name=None):
    """`column` in the layout of `field` where only the layout differs; else as it is, so that the
    engine's own check names the column."""
    if column.type == field.type or has_list_view(column.type):
        return column
    if _family(column.type) == _family(field.type):
        try:
            column.validate(full=True)  # a cast trusts its input
            return column.cast(field.type)
        except _MISFITS as error:
            raise SchemaError(f"{_where(name, field.name)}: {error}") from error
    return column


def _values(values, field, name):
    """The array of `field` of Python values, or of an array of another type that they fit."""
    try:
        if isinstance(values, (str, bytes, dict)):
            raise TypeError(f"a sequence of values is required, not {type(values).__name__}")
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            if values.type != field.type:
                values.validate(full=True)
            return exact_cast(values, field.type)
        return exact_array(values, field.type)
    except MemoryError:
        raise
    except _MISFITS as error:
        raise SchemaError(f"{_where(name, field.name)}: {error}") from error


def _refuse_unknown(given, schema, name):
    for column in given:
        if column not in schema.names:
            raise SchemaError(f"{_where(name, column)} is not in the table")


def _table_of_columns(columns, schema, name):
    """A table of a dict of columns. Columns that are not there are null; unknown ones refused."""
    _refuse_unknown(columns, schema, name)
    arrays = {
        field.name: _values(columns[field.name], field, name)
        for field in schema
        if field.name in columns
    }
    rows = len(next(iter(arrays.values()))) if arrays else 0
    for column, array in arrays.items():
        if len(array) != rows:
            raise SchemaError(
                f"{_where(name, column)} has {len(array)} values, where "
                f"column '{next(iter(arrays))}' has {rows}"
            )
    for field in schema:
        if field.name not in arrays:
            if not field.nullable:
                raise SchemaError(f"{_where(name, field.name)} is missing, and cannot be null")
            arrays[field.name] = pa.nulls(rows, field.type)
    return pa.Table.from_arrays([arrays[field.name] for field in schema], schema=schema)


def _table_of_rows(rows, schema, name):
    """A table of a list of dicts. Columns that a row lacks are null; unknown ones refused."""
    known = set(schema.names)
    for row in rows:
        if not known.issuperset(row):
            _refuse_unknown(row, schema, name)
    columns = [_values([row.get(field.name) for row in rows], field, name) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _made(maker, data):
    try:
        return maker(data)
    except MemoryError:
        raise
    except _MISFITS as error:
        raise SchemaError(f"the rows are no table: {error}") from error


def table_of(data, schema=None, name=None):
    """A pyarrow.Table of anything that holds rows: Arrow objects, anything that exports an Arrow
    stream or array (Polars, DuckDB, pandas), a list of dicts, a dict of columns. The last two are
    made to fit `schema`, of table `name`, if it is given."""
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, pa.RecordBatchReader):
        return data.read_all()
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return _made(pa.table, data)
    is_columns = isinstance(data, dict)
    if is_columns or isinstance(data, (list, tuple)) and all(isinstance(row, dict) for row in data):
        if schema is not None:
            return (_table_of_columns if is_columns else _table_of_rows)(data, schema, name)
        return _made(pa.Table.from_pydict if is_columns else pa.Table.from_pylist, data)
    hint = "; collect() gives its rows" if hasattr(data, "collect") else ""
    raise TypeError(
        f"rows are Arrow data, an object with __arrow_c_stream__, a list of dicts or a dict of "
        f"columns, not {type(data).__name__}{hint}"
    )


def batches_of(data, schema, name=None):
    """Record batches of `data` for table `name` of `schema`. The order of the columns, layouts of
    one logical type (string_view for utf8, say) and the nullability of columns without nulls are
    adapted; nothing else is."""
    table = table_of(data, schema, name)
    if table.schema.names != schema.names and sorted(table.schema.names) == sorted(schema.names):
        table = table.select(schema.names)
    if table.schema.equals(schema, check_metadata=False):
        return table.to_batches()
    if table.schema.names == schema.names:
        columns = [_as_column(column, field, name) for column, field in zip(table.columns, schema)]
        fields = [
            field
            if column.type == field.type and (field.nullable or column.null_count == 0)
            else pa.field(field.name, column.type)
            for column, field in zip(columns, schema)
        ]
        table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    # An empty batch still carries the schema to the engine's check.
    return table.to_batches() or [_no_rows(table.schema)]


def _no_rows(schema):
    """A batch without rows. (pyarrow makes none of some nested types of Python values.)"""
    return pa.record_batch([pa.nulls(0, field.type) for field in schema], schema=schema)


def comes_in_parts(data):
    """Whether rows of `data` come one part after the other, so that not all need be in memory."""
    if _is_stream(data):
        return True
    if isinstance(data, (list, tuple)):
        return not all(isinstance(row, dict) for row in data)
    if isinstance(data, _NO_PARTS) or hasattr(data, "__arrow_c_array__"):
        return False
    return hasattr(data, "__iter__")


def _rows_in(parts, schema, name):
    """Batches of each of `parts` as `batches_of` gives them; streams among them are not held."""
    for part in parts:
        if isinstance(part, dict) and not (part and all(map(_is_column, part.values()))):
            raise TypeError("an iterable gives parts, not rows: make a list of the rows")
        if _is_stream(part):
            part = _opened(part)
            yield from batches_of(_no_rows(part.schema), schema, name)  # they may give none
            yield from _rows_in(part, schema, name)
        else:
            yield from batches_of(part, schema, name)


def _is_stream(data):
    is_held = isinstance(data, (pa.Table, pa.RecordBatch))
    return not is_held and hasattr(data, "__arrow_c_stream__")


def _opened(stream):
    is_open = isinstance(stream, pa.RecordBatchReader)
    return stream if is_open else _made(pa.RecordBatchReader.from_stream, stream)


def _is_column(values):
    return hasattr(values, "__iter__") and not isinstance(values, (str, bytes, dict))


def _adapted(given, schema):
    """The schema of what `batches_of` makes of batches of the schema `given`."""
    if sorted(given.names) != sorted(schema.names):
        return given
    return pa.schema(
        field if _family(given.field(field.name).type) == _family(field.type)
        else given.field(field.name)
        for field in schema
    )


def reader_of(data, schema, name=None):
    """A pyarrow.RecordBatchReader of `data` for table `name` of `schema`, adapted like
    `batches_of`, part by part: of a reader, of an object that exports a stream, of an iterable of
    anything that holds rows, or of rows themselves. What is raised while rows are read comes
    through; what exports no rows of a table is a SchemaError."""
    if not comes_in_parts(data):
        return pa.RecordBatchReader.from_batches(schema, batches_of(data, schema, name))
    given = schema
    if _is_stream(data):
        data = _opened(data)
        given = _adapted(data.schema, schema)
    return pa.RecordBatchReader.from_batches(given, _rows_in(data, schema, name))


def _combined(table):
    """The rows of `table` in as few batches as Arrow can: several if a column is over 2 GiB."""
    if any(column.num_chunks > 1 for column in table.columns):
        _validate(table)
    return table.combine_chunks().to_batches() or [_no_rows(table.schema)]


def is_one_key(keys, width):
    """Whether `keys` is one key (a value, a tuple for several key columns, a dict) and not many."""
    if isinstance(keys, (str, bytes, bytearray, memoryview, dict)):
        return not isinstance(keys, dict) or not any(
            isinstance(value, (list, pa.Array, pa.ChunkedArray)) for value in keys.values()
        )
    if isinstance(keys, tuple):
        return width > 1 or len(keys) == 1
    if isinstance(keys, (list, set, frozenset, range, pa.Array, pa.ChunkedArray)):
        return False
    return not (
        hasattr(keys, "__arrow_c_stream__")
        or hasattr(keys, "__arrow_c_array__")
        or hasattr(keys, "__array__")
        and getattr(keys, "ndim", 0) > 0
    )


def _key_rows(keys, fields, name):
    """Rows of python values, one tuple a key."""
    for key in keys:
        if isinstance(key, dict):
            for field in fields:
                if field.name not in key:
                    raise SchemaError(f"table '{name}': the key lacks the key column '{field.name}'")
            yield tuple(key[field.name] for field in fields)
        elif isinstance(key, tuple):
            if len(key) != len(fields):
                names = ", ".join(field.name for field in fields)
                raise SchemaError(
                    f"table '{name}': a key has {len(fields)} values ({names}), not {len(key)}"
                )
            yield key
        elif len(fields) == 1:
            yield (key,)
        else:
            raise SchemaError(
                f"table '{name}': a key of {len(fields)} columns is a tuple, not {key!r}"
            )


def _key_columns(keys, fields, name):
    """Columns of keys that are a dict of columns or Arrow data."""
    names = list(keys) if isinstance(keys, dict) else None
    if names is None:
        keys = table_of(keys)
        names = keys.column_names
    for field in fields:
        if field.name not in names:
            raise SchemaError(f"table '{name}': the keys lack the key column '{field.name}'")
    if isinstance(keys, dict):
        columns = {field.name: keys[field.name] for field in fields}
        return _table_of_columns(columns, pa.schema(fields), name).columns
    columns = [_as_column(keys[field.name], field, name) for field in fields]
    for column, field in zip(columns, fields):
        if column.type != field.type:
            raise SchemaError(
                f"key column '{field.name}' is {field.type} in table '{name}', not {column.type}"
            )
    return columns


def key_batches(keys, schema, primary_key, name):
    """Record batches of key columns of table `name` from one key, many keys, or Arrow data with
    those columns: one, unless a column is over 2 GiB."""
    if not primary_key:
        raise SchemaError(f"table '{name}' has no primary key")
    fields = [schema.field(name) for name in primary_key]
    if is_one_key(keys, len(fields)):
        keys = [keys]
    if isinstance(keys, (pa.Array, pa.ChunkedArray)) and len(fields) == 1:
        if isinstance(keys, pa.Array) and keys.type == fields[0].type:
            return [pa.RecordBatch.from_arrays([keys], schema=pa.schema(fields))]
        keys = pa.table({fields[0].name: keys})
    is_columns = isinstance(keys, dict)
    if is_columns or hasattr(keys, "__arrow_c_stream__") or hasattr(keys, "__arrow_c_array__"):
        columns = _key_columns(keys, fields, name)
    else:
        rows = list(_key_rows(keys, fields, name))
        columns = [
            _values([row[i] for row in rows], field, name) for i, field in enumerate(fields)
        ]
    return _combined(pa.Table.from_arrays(columns, schema=pa.schema(fields)))


def key_batch(key, key_schema, name):
    """The batch of one key (`is_one_key`) of table `name`."""
    row = next(_key_rows((key,), key_schema, name))
    columns = [_values([value], field, name) for value, field in zip(row, key_schema)]
    return pa.RecordBatch.from_arrays(columns, schema=key_schema)


def bound_of(bound, schema, primary_key, name):
    """A list of scalars, a prefix of the key columns of table `name`, from a value, a tuple of
    values, or None."""
    if bound is None:
        return []
    if not primary_key:
        raise SchemaError(f"table '{name}' has no primary key, so it has no ranges of keys")
    values = bound if isinstance(bound, (tuple, list)) else (bound,)
    if len(values) > len(primary_key):
        raise SchemaError(
            f"table '{name}': a bound has at most {len(primary_key)} values, not {len(values)}"
        )
    scalars = []
    for value, column in zip(values, primary_key):
        try:
            scalars.append(_scalar(value, schema.field(column).type))
        except MemoryError:
            raise
        except _MISFITS as error:
            raise SchemaError(f"{_where(name, column)}: {error}") from error
    return scalars


def range_of(key_range, schema, primary_key, name):
    """Lower and upper bound in table `name` as lists of scalars from ``(start, end)`` or None."""
    if key_range is None:
        return [], []
    if not isinstance(key_range, (tuple, list)) or len(key_range) != 2:
        raise TypeError("range is a pair (start, end); None stands for no bound")
    start, end = key_range
    return bound_of(start, schema, primary_key, name), bound_of(end, schema, primary_key, name)


def _validate(data):
    """Before Arrow computes with data from outside, which it trusts. The engine checks for itself."""
    try:
        data.validate(full=True)
    except pa.ArrowException as error:
        raise SchemaError(f"the data are not valid: {error}") from error


def _flat(column):
    """One binary-like array of a column that may be chunked, a view, or dictionary-encoded."""
    family = _family(column.type)
    wanted = pa.large_string() if family == "string" else pa.large_binary()
    if family not in ("string", "binary"):
        raise SchemaError(f"keys and values are strings or binary, not {column.type}")
    if isinstance(column, pa.ChunkedArray) and column.num_chunks == 1:
        column = column.chunk(0)
    plain = (pa.string(), pa.binary(), pa.large_string(), pa.large_binary())
    if isinstance(column, pa.Array) and column.type in plain:
        return column
    _validate(column)
    if isinstance(column, pa.Array):
        return column.cast(wanted)
    return pa.concat_arrays(
        [chunk.cast(wanted) for chunk in column.chunks] or [pa.array([], wanted)]
    )


def pairs_of(data, key_name, value_name):
    """Two equally long arrays, keys and values, of Arrow data with columns of these names."""
    table = table_of(data)
    if sorted(table.column_names) != sorted((key_name, value_name)):
        raise SchemaError(
            f"put_many takes the columns '{key_name}' and '{value_name}', not "
            + ", ".join(f"'{name}'" for name in table.column_names)
        )
    return _flat(table[key_name]), _flat(table[value_name])


def key_array(keys):
    """One binary-like array of Arrow keys."""
    return _flat(keys)
