"""Arrow arrays of Python values that lose nothing. pyarrow alone cuts what does not fit: 1.5 becomes
1 in an integer column, and a time of day vanishes in a date column."""

import datetime
import numbers
from decimal import Decimal

import pyarrow as pa
import pyarrow.types as pt

_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}

# Of every data type Arrow takes these whole or not at all.
_NEVER_CUT = {int, str, bytes, bool, type(None)}

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


def _require(values, data_type):
    """ValueError if one of `values`, which Arrow has taken as `data_type`, was cut."""
    if pt.is_dictionary(data_type) or pt.is_run_end_encoded(data_type):
        data_type = data_type.value_type
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
    array = pa.array(values, data_type)
    # numpy arrays and pandas series of numbers are cast by Arrow, which refuses losses.
    if getattr(values, "dtype", object) == object:
        if len(values) > _FEW or not _NEVER_CUT.issuperset(map(type, values)):
            _require(values, data_type)
    return array
