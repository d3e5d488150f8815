"""Arrow arrays of Python values, and of arrays of another type, that lose nothing (but that floats
are rounded). pyarrow alone cuts what does not fit: 1.5 becomes 1 in an integer column, a time of day
vanishes in a date column, and 1e39 becomes infinity where 32 bits hold a float."""

import datetime
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


def _require_finite(numbers, data_type):
    """ValueError if a finite one of the numbers, an array, is none as `data_type`."""
    limit = _INFINITE.get(data_type)
    if limit is None:
        return
    wide = numbers.cast(pa.float64())
    beyond = pc.and_(pc.is_finite(wide), pc.greater_equal(pc.abs(wide), limit))
    if pc.any(beyond).as_py():
        raise ValueError(f"{wide.filter(beyond)[0].as_py()!r} is beyond every {data_type}")


def _require(values, data_type):
    """ValueError if one of `values`, which Arrow has taken as `data_type`, was cut."""
    if pt.is_dictionary(data_type) or pt.is_run_end_encoded(data_type):
        data_type = data_type.value_type
    if data_type in _INFINITE:
        return _require_finite(pa.array(values, pa.float64()), data_type)
    if pt.is_nested(data_type):
        for part, part_type in _children(values, data_type):
            _require(part, part_type)
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
    if dtype != object and getattr(dtype, "kind", "") in _CAST_KINDS:
        return exact_cast(pa.array(values), data_type)
    array = pa.array(values, data_type)
    # Other numpy arrays and pandas series are cast by Arrow, which refuses losses.
    if dtype == object:
        if len(values) > _FEW or not _NEVER_CUT.issuperset(map(type, values)):
            _require(values, data_type)
    return array


# numpy's floats, datetimes and timedeltas.
_CAST_KINDS = ("f", "M", "m")


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


def exact_cast(array, data_type):
    """`array` (or chunked array) cast to `data_type`; ValueError or ArrowException if another kind
    of value is wanted or a value would be cut. Floats are rounded."""
    if array.type == data_type:
        return array
    if has_list_view(array.type):
        raise ValueError(f"{array.type} cannot be cast to {data_type}")
    if pt.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    elif pt.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    wanted = data_type
    if pt.is_dictionary(wanted) or pt.is_run_end_encoded(wanted):
        wanted = wanted.value_type
    from_chars = _is_text(array.type) or _is_bytes(array.type)
    other_kind = from_chars != (_is_text(wanted) or _is_bytes(wanted)) and not pt.is_null(array.type)
    if other_kind or pt.is_temporal(array.type) and not pt.is_temporal(wanted):
        raise ValueError(f"a column of {array.type} is no {data_type}")
    if pt.is_floating(array.type):
        _require_finite(array, wanted)
    plain = array.cast(wanted)
    # Arrow refuses to cut numbers and units; it cuts days out of moments, and truths out of numbers.
    if not pt.is_null(array.type) and (_holds(wanted, _is_coarse) or _holds(array.type, _is_coarse)):
        if not plain.cast(array.type).equals(array):
            raise ValueError(f"{array.type} cannot be cast to {data_type} without loss")
    if wanted == data_type:
        return plain
    if pt.is_run_end_encoded(data_type):
        return pc.run_end_encode(plain, run_end_type=data_type.run_end_type)
    return plain.cast(data_type)
