"""Between what Python callers hand in and what the engine takes: sizes, rows, keys, bounds."""

import re

import pyarrow as pa
import pyarrow.types as pt

from marbledb.errors import SchemaError

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
            raise ValueError(f"not a size: {size!r}; give bytes or a text such as '64MiB'")
        return int(float(match[1]) * unit)
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"a size is an int or a str, not {type(size).__name__}")
    return size


def names_of(names):
    """A list of column names from one name, several, or None."""
    if names is None:
        return []
    return [names] if isinstance(names, str) else [str(name) for name in names]


def _family(data_type):
    """What two types of one family have in common, so that a cast between them changes no value."""
    if pt.is_dictionary(data_type):
        return _family(data_type.value_type)
    if pt.is_string(data_type) or pt.is_large_string(data_type) or pt.is_string_view(data_type):
        return "string"
    if pt.is_binary(data_type) or pt.is_large_binary(data_type) or pt.is_binary_view(data_type):
        return "binary"
    if pt.is_list(data_type) or pt.is_large_list(data_type) or pt.is_list_view(data_type):
        return ("list", _family(data_type.value_type))
    return data_type


def _as_column(column, field):
    """`column` in the layout of `field` where only the layout differs; else as it is, so that the
    engine's own check names the column."""
    if column.type != field.type and _family(column.type) == _family(field.type):
        return column.cast(field.type)
    return column


def table_of(data, schema=None):
    """A pyarrow.Table of anything that holds rows: Arrow objects, anything that exports an Arrow
    stream or array (Polars, DuckDB, pandas), a list of dicts, a dict of columns."""
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, pa.RecordBatchReader):
        return data.read_all()
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return pa.table(data)
    if isinstance(data, dict):
        return pa.Table.from_pydict(data, schema=schema)
    if isinstance(data, (list, tuple)) and all(isinstance(row, dict) for row in data):
        return pa.Table.from_pylist(list(data), schema=schema)
    raise TypeError(
        f"rows are Arrow data, an object with __arrow_c_stream__, a list of dicts or a dict of "
        f"columns, not {type(data).__name__}"
    )


def batches_of(data, schema):
    """Record batches of `data` for a table of `schema`. Layouts of one logical type (string_view
    for utf8, say) and the nullability of columns without nulls are adapted; nothing else is."""
    table = table_of(data, schema)
    if table.schema.equals(schema, check_metadata=False):
        return table.to_batches()
    if table.schema.names == schema.names:
        columns = [_as_column(column, field) for column, field in zip(table.columns, schema)]
        fields = [
            field
            if column.type == field.type and (field.nullable or column.null_count == 0)
            else pa.field(field.name, column.type)
            for column, field in zip(columns, schema)
        ]
        table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    # An empty batch still carries the schema to the engine's check.
    return table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]


def _one_batch(table):
    batches = table.combine_chunks().to_batches()
    if len(batches) == 1:
        return batches[0]
    return pa.RecordBatch.from_pylist([], schema=table.schema)


def one_batch_of(data, schema):
    """Like batches_of, as a single batch."""
    batches = batches_of(data, schema)
    if len(batches) == 1:
        return batches[0]
    return _one_batch(pa.Table.from_batches(batches, schema=None if batches else schema))


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


def _key_rows(keys, fields):
    """Rows of python values, one tuple a key."""
    for key in keys:
        if isinstance(key, dict):
            yield tuple(key[field.name] for field in fields)
        elif isinstance(key, tuple):
            if len(key) != len(fields):
                names = ", ".join(field.name for field in fields)
                raise SchemaError(f"a key has {len(fields)} values ({names}), not {len(key)}")
            yield key
        elif len(fields) == 1:
            yield (key,)
        else:
            raise SchemaError(f"a key of {len(fields)} columns is a tuple, not {key!r}")


def _key_array(values, field):
    try:
        return pa.array(values, type=field.type, from_pandas=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise SchemaError(f"column '{field.name}': {error}") from error


def key_batch(keys, schema, primary_key):
    """A record batch of key columns from one key, many keys, or Arrow data with those columns."""
    if not primary_key:
        raise SchemaError("the table has no primary key")
    fields = [schema.field(name) for name in primary_key]
    if is_one_key(keys, len(fields)):
        keys = [keys]
    if isinstance(keys, (pa.Array, pa.ChunkedArray)) and len(fields) == 1:
        keys = pa.table({fields[0].name: keys})
    is_columns = isinstance(keys, dict)
    if is_columns or hasattr(keys, "__arrow_c_stream__") or hasattr(keys, "__arrow_c_array__"):
        table = table_of(keys)
        missing = [field.name for field in fields if field.name not in table.column_names]
        if missing:
            raise SchemaError(f"the keys lack the key column '{missing[0]}'")
        columns = [_as_column(table[field.name], field) for field in fields]
        for column, field in zip(columns, fields):
            if column.type != field.type:
                raise SchemaError(
                    f"key column '{field.name}' is {field.type} in the table, not {column.type}"
                )
        return _one_batch(pa.Table.from_arrays(columns, schema=pa.schema(fields)))
    rows = list(_key_rows(keys, fields))
    arrays = [_key_array([row[i] for row in rows], field) for i, field in enumerate(fields)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def bound_of(bound, schema, primary_key):
    """A list of scalars, a prefix of the key columns, from a value, a tuple of values, or None."""
    if bound is None:
        return []
    if not primary_key:
        raise SchemaError("the table has no primary key, so it has no ranges of keys")
    values = bound if isinstance(bound, (tuple, list)) else (bound,)
    if len(values) > len(primary_key):
        raise SchemaError(f"a bound has at most {len(primary_key)} values, not {len(values)}")
    scalars = []
    for value, name in zip(values, primary_key):
        field = schema.field(name)
        if isinstance(value, pa.Scalar):
            value = value.as_py() if value.type != field.type else value
        scalars.append(value if isinstance(value, pa.Scalar) else _key_array([value], field)[0])
    return scalars


def range_of(key_range, schema, primary_key):
    """Lower and upper bound as lists of scalars from ``(start, end)`` or None."""
    if key_range is None:
        return [], []
    if not isinstance(key_range, (tuple, list)) or len(key_range) != 2:
        raise TypeError("range is a pair (start, end); None stands for no bound")
    start, end = key_range
    return bound_of(start, schema, primary_key), bound_of(end, schema, primary_key)


def _flat(column):
    """One binary-like array of a column that may be chunked, a view, or dictionary-encoded."""
    family = _family(column.type)
    wanted = pa.large_string() if family == "string" else pa.large_binary()
    if family not in ("string", "binary"):
        raise SchemaError(f"keys and values are strings or binary, not {column.type}")
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks == 1:
            column = column.chunk(0)
        else:
            column = pa.concat_arrays(
                [chunk.cast(wanted) for chunk in column.chunks] or [pa.array([], wanted)]
            )
    plain = (pa.string(), pa.binary(), pa.large_string(), pa.large_binary())
    return column if column.type in plain else column.cast(wanted)


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
