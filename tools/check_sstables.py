#!/usr/bin/env python3
"""Every SSTable under a folder is an Arrow IPC file for a reader that knows nothing of Marble.

    tools/check_sstables.py FOLDER

Each one opens with pyarrow.ipc.open_file, and with open_stream from byte 8 on, and both show the
same valid rows. Where a test has left `<database>.expected/<table>.arrow` beside a compacted
database, the rows of the SSTables with that table's columns are exactly the rows of that file.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

HIDDEN = ("_sequence", "_kind")
PUT = 0
DELETE = 1


def read_both_ways(path: Path) -> pa.Table:
    """The rows of an SSTable, read as a file and as a stream."""
    with pa.memory_map(str(path)) as source:
        reader = ipc.open_file(source)
        batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
        table = pa.Table.from_batches(batches, reader.schema)
        table.validate(full=True)
    with path.open("rb") as source:
        source.seek(8)
        streamed = ipc.open_stream(source).read_all()
    if not streamed.equals(table):
        raise ValueError("the stream reader shows other rows than the file reader")
    return table


def user_rows(table: pa.Table) -> pa.Table:
    """The rows that are puts, in the user's columns."""
    names = table.schema.names
    if any(name in names[:-2] for name in HIDDEN):
        raise ValueError(f"hidden columns are not the last ones: {names}")
    if "_kind" in names:
        kinds = set(pc.unique(table["_kind"]).to_pylist())
        if not kinds <= {PUT, DELETE}:
            raise ValueError(f"unknown kinds {kinds}")
        table = table.filter(pc.equal(table["_kind"], PUT))
    return table.drop_columns([name for name in HIDDEN if name in names])


def columns_of(schema: pa.Schema) -> tuple:
    return tuple((field.name, str(field.type)) for field in schema)


def sorted_rows(table: pa.Table) -> list[str]:
    # Python's datetime does not reach as far as a timestamp does.
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(index, field.name, table[index].cast(pa.int64()))
    return sorted(map(repr, table.to_pylist()))


def check_expected(database: Path, stored: dict[Path, pa.Table]) -> int:
    """Compares SSTables with what their tables hold; returns the number of rows compared."""
    rows = 0
    for path in sorted(Path(f"{database}.expected").glob("*.arrow")):
        with pa.memory_map(str(path)) as source:
            expected = ipc.open_file(source).read_all()
        parts = [table for table in stored.values()
                 if columns_of(table.schema) == columns_of(expected.schema)]
        got = [row for part in parts for row in sorted_rows(part)]
        if sorted(got) != sorted_rows(expected):
            raise ValueError(f"{database}: the SSTables of {path.stem} hold {len(got)} rows that "
                             f"differ from the {expected.num_rows} of the table")
        rows += expected.num_rows
    return rows


def main(folder: Path) -> int:
    files = rows = compared = 0
    databases = sorted(path.parent for path in folder.rglob("CURRENT"))
    for database in databases:
        stored = {}
        for path in sorted((database / "sst").glob("*.arrow")):
            try:
                table = read_both_ways(path)
                stored[path] = user_rows(table)
            except (pa.ArrowException, ValueError, OSError) as error:
                print(f"{path}: {error}")
                return 1
            files += 1
            rows += table.num_rows
        try:
            compared += check_expected(database, stored)
        except ValueError as error:
            print(error)
            return 1
    print(f"{files} SSTables of {len(databases)} databases: {rows} rows read both ways, "
          f"{compared} rows as the tables show them")
    if files == 0 or compared == 0:
        print("nothing to check: the tests left no databases behind")
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
