"""Arrow arrays of Python values, and of arrays of another type, that lose nothing (but that floats
are rounded). pyarrow alone cuts what does not fit: 1.5 becomes 1 in an integer column, a time of day
vanishes in a date column, and 1e39 becomes infinity where 32 bits hold a float."""

import datetime
import math
import numbers
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}

# Of every data type Arrow takes these whole or not at all.
_NEVER_CUT = {int, str, bytes, bool, type(None)}

# From here on a number becomes infinity.
_INFINITE = {pa.float16(): 65520.0, pa.float32(): 3.4028235677973366e38}

# Of a float that was made a decimal and a float again, the part by which it may differ: what is more
# was cut by the decimal's scale.
_HAIR = {pa.float16(): 2.0**-10, pa.float32(): 2.0**-22, pa.float64(): 2.0**-50}

# Up to so many values are looked at one by one before anything else is asked: a key, mostly.
_FEW = 8


def _is_whole(value):
    return not isinstance(value, (numbers.Real, Decimal)) or value == int(value)


def _moment_fits(step, unit):
    """Whether a datetime, time or timedelta is a multiple of a unit of `step` microseconds."""

    def fits(value):
        if isinstance(value, datetime.timedelta):
            part = value.microseconds
        else:
            part = getattr(value, "microsecond", 0)
        # pandas has nanoseconds too.
        finer = 0 if unit == "ns" else getattr(value, "nanosecond", getattr(value, "nanoseconds", 0))
        return part % step == 0 and finer == 0 and _is_whole(value)

    return fits


def _is_day(value):
    if isinstance(value, datetime.datetime):
        return value.time() == datetime.time() and getattr(value, "nanosecond", 0) == 0
    return _is_whole(value)


def _rule(data_type):
    """(types of which every value fits, test of a value of another type); None for data types into
    which pyarrow itself refuses what does not fit."""
    if pt.is_integer(data_type):
        return set(), _is_whole
    if pt.is_date(data_type):
        return {datetime.date}, _is_day
    if pt.is_timestamp(data_type) or pt.is_time(data_type) or pt.is_duration(data_type):
        step = _MICROSECONDS[data_type.unit]
        kinds = {datetime.datetime, datetime.time, datetime.timedelta} if step == 1 else set()
        return kinds, _moment_fits(step, data_type.unit)
    return None


def _are_whole_numbers(values):
    try:
        return pt.is_integer(pa.infer_type(values))
    except (pa.ArrowException, TypeError, ValueError):
        return False


def _has_infinity(array):
    """Whether a float in it, or in what it consists of, is infinite."""
    if pt.is_floating(array.type):
        return pc.any(pc.is_inf(array)).as_py()
    return any(_has_infinity(part) for part in _parts(array))


def _parts(array):
    """The arrays that a nested one, which is not chunked, consists of; none of others."""
    data_type = array.type
    if pt.is_struct(data_type):
        return array.flatten()
    if pt.is_map(data_type):
        return [array.keys, array.items]
    if pt.is_list(data_type) or pt.is_large_list(data_type) or pt.is_fixed_size_list(data_type):
        return [array.flatten()]
    return []


def _became_infinite(value, data_type):
    """Whether it is a finite number, beyond those of the type."""
    number = float(value.as_py() if isinstance(value, pa.Scalar) else value)
    return math.isfinite(number) and abs(number) >= _INFINITE[data_type]


def _require(values, data_type, has_infinity):
    """ValueError if one of `values`, which Arrow has taken as `data_type`, was cut. `has_infinity`:
    some of what Arrow made of them is infinite."""
    if pt.is_dictionary(data_type) or pt.is_run_end_encoded(data_type):
        data_type = data_type.value_type
    if data_type in _INFINITE:
        for value in values if has_infinity else ():
            if value is not None and _became_infinite(value, data_type):
                raise ValueError(f"{value!r} is beyond every {data_type}")
        return
    if pt.is_nested(data_type):
        for part, part_type in _children(values, data_type):
            _require(part, part_type, has_infinity)
        return
    rule = _rule(data_type)
    if rule is None:
        return
    safe, fits = rule
    if len(values) > _FEW and _are_whole_numbers(values):
        return
    if not (safe | _NEVER_CUT).issuperset(map(type, values)):
        for value in values:
            # NaN and NaT stand for null where Arrow takes them at all.
            if value is not None and value == value and not fits(value):
                raise ValueError(f"{value!r} is no {data_type} without loss")


def _children(values, data_type):
    """(values, type) of what nested values consist of."""
    present = [value for value in values if value is not None]
    if pt.is_struct(data_type):
        for field in data_type:
            if all(isinstance(value, dict) for value in present):
                yield [value.get(field.name) for value in present], field.type
    elif pt.is_map(data_type):
        pairs = [pair for value in present
                 for pair in (value.items() if isinstance(value, dict) else value)]
        if all(isinstance(pair, tuple) for pair in pairs):
            yield [pair[0] for pair in pairs], data_type.key_type
            yield [pair[1] for pair in pairs], data_type.item_type
    elif hasattr(data_type, "value_type"):
        yield [item for value in present for item in value], data_type.value_type


def exact_array(values, data_type):
    """pyarrow.array(values, data_type); ValueError if a value would be cut."""
    if not hasattr(values, "__len__"):
        values = list(values)
    dtype = getattr(values, "dtype", object)
    kind = getattr(dtype, "kind", "")
    if dtype != object and kind in _CAST_KINDS:
        return exact_cast(pa.array(values), data_type, any_zone=True)
    if kind == "S":
        values = values.tolist()  # Arrow takes the padding for a part of texts
    array = pa.array(values, data_type)
    # Other numpy arrays and pandas series are cast by Arrow, which refuses losses.
    if dtype == object:
        if len(values) > _FEW or not _NEVER_CUT.issuperset(map(type, values)):
            _require(values, data_type, _has_infinity(array))
    return array


# numpy's numbers, datetimes and timedeltas.
_CAST_KINDS = ("i", "u", "f", "M", "m")


def _holds(data_type, is_such):
    """Whether a type, or one that it consists of, is such."""
    if is_such(data_type):
        return True
    if pt.is_dictionary(data_type) or pt.is_run_end_encoded(data_type):
        return _holds(data_type.value_type, is_such)
    if isinstance(data_type, pa.BaseExtensionType):
        return _holds(data_type.storage_type, is_such)
    return any(_holds(data_type.field(i).type, is_such) for i in range(data_type.num_fields))


def _is_view_of_list(data_type):
    return pt.is_list_view(data_type) or pt.is_large_list_view(data_type)


def _is_text(data_type):
    return (pt.is_string(data_type) or pt.is_large_string(data_type)
            or pt.is_string_view(data_type))


def _is_bytes(data_type):
    return (pt.is_binary(data_type) or pt.is_large_binary(data_type)
            or pt.is_binary_view(data_type) or pt.is_fixed_size_binary(data_type))


def _is_coarse(data_type):
    return pt.is_date(data_type) or pt.is_time(data_type) or pt.is_boolean(data_type)


def has_list_view(data_type):
    """Whether Arrow's casts from this type cannot be trusted: they read views of lists as lists."""
    return _holds(data_type, _is_view_of_list)


def _storage(array):
    """The values of dictionaries, run ends and extension types as an array of their own type."""
    while True:
        if pt.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        elif pt.is_run_end_encoded(array.type):
            array = pc.run_end_decode(array)
        elif isinstance(array.type, pa.BaseExtensionType):
            storage = array.type.storage_type
            if isinstance(array, pa.ChunkedArray):
                array = pa.chunked_array([chunk.storage for chunk in array.chunks], storage)
            else:
                array = array.storage
        else:
            return array


def _value_type(data_type):
    while not pt.is_nested(data_type) and hasattr(data_type, "value_type"):
        data_type = data_type.value_type
    if isinstance(data_type, pa.BaseExtensionType):
        return _value_type(data_type.storage_type)
    return data_type


def _was_cut_by_scale(before, after):
    """Whether a float is another number as the decimal that it became."""
    wide = before.cast(pa.float64())
    again = after.cast(before.type).cast(pa.float64())
    hair = pc.multiply(pc.abs(wide), _HAIR[before.type])
    return pc.any(pc.greater(pc.abs(pc.subtract(again, wide)), hair)).as_py()


def _compare(before, after, any_zone):
    """ValueError if `after`, which `before` was cast to, is another kind of value or was cut. Arrays
    that are not chunked. `any_zone`: times without a zone are UTC."""
    if before.type == after.type or pt.is_null(before.type):
        return
    parts = _parts(before)
    if parts:
        for part, cast in zip(parts, _parts(after)):
            _compare(part, cast, any_zone)
        return
    others = f"a column of {before.type} is no {after.type}"
    if (_is_text(before.type) or _is_bytes(before.type)) != (
            _is_text(after.type) or _is_bytes(after.type)):
        raise ValueError(others)
    if pt.is_temporal(before.type) and not pt.is_temporal(after.type):
        raise ValueError(others)
    if not any_zone and pt.is_timestamp(before.type) and pt.is_timestamp(after.type) and (
            (before.type.tz is None) != (after.type.tz is None)):
        raise ValueError(others)
    if before.type in _HAIR and pt.is_decimal(after.type) and _was_cut_by_scale(before, after):
        raise ValueError(f"{before.type} cannot be cast to {after.type} without loss")
    if after.type in _INFINITE and _has_infinity(after):
        for value, cast in zip(before, after):
            if cast.is_valid and math.isinf(cast.as_py()) and _became_infinite(value, after.type):
                raise ValueError(f"{value.as_py()!r} is beyond every {after.type}")
    # Arrow refuses to cut numbers and units; it cuts days out of moments, and truths out of numbers.
    if _is_coarse(before.type) or _is_coarse(after.type):
        if not after.cast(before.type).equals(before):
            raise ValueError(f"{before.type} cannot be cast to {after.type} without loss")


def exact_cast(array, data_type, any_zone=False):
    """`array` (or chunked array) cast to `data_type`; ValueError or ArrowException if another kind
    of value is wanted or a value would be cut. Floats become the nearest floats, and decimals only
    where their scale suffices. With `any_zone` times without a zone may be given one, and taken
    theirs."""
    if array.type == data_type:
        return array
    if has_list_view(array.type):
        raise ValueError(f"{array.type} cannot be cast to {data_type}")
    array = _storage(array)
    wanted = _value_type(data_type)
    plain = array.cast(wanted)
    if isinstance(array, pa.ChunkedArray):
        for before, after in zip(array.chunks, plain.chunks):
            _compare(before, after, any_zone)
    else:
        _compare(array, plain, any_zone)
    if wanted == data_type:
        return plain
    if pt.is_run_end_encoded(data_type):
        return pc.run_end_encode(plain, run_end_type=data_type.run_end_type)
    return plain.cast(data_type)
