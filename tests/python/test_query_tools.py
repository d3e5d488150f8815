"""Random tables with a random history, random questions: DuckDB, Polars, DataFusion and pyarrow get
out of a dataset what pyarrow gets out of the same rows in memory. MARBLE_SEED chooses the run,
MARBLE_QUERY_TABLES how many tables it has."""

import datetime
import operator
import os
import random
from decimal import Decimal

import datafusion
import duckdb
import marbledb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pytest

SEED = int(os.environ.get("MARBLE_SEED", "20261128"))
TABLES = int(os.environ.get("MARBLE_QUERY_TABLES", "6"))
ROUNDS = 7

DAY = datetime.datetime(2026, 1, 1)
UTC = datetime.timezone.utc
WORDS = ["", "a", "ab", "b", "é", "it's", "zz", "a\0b"]


def hours(number):
    return DAY + datetime.timedelta(hours=number)


# name: (type, value of a number 0..40). Numbers are small so that filters find something, and
# floats are exact in binary so that sums do not depend on the order.
TYPES = {
    "i8": (pa.int8(), lambda n: n - 20),
    "u16": (pa.uint16(), lambda n: n * 1600),
    "i32": (pa.int32(), lambda n: (n - 20) * 10_000_000),
    "i64": (pa.int64(), lambda n: (n - 20) * 2**40),
    "u64": (pa.uint64(), lambda n: n * 2**50),
    "f32": (pa.float32(), lambda n: (n - 20) / 4),
    "f64": (pa.float64(), lambda n: (n - 20) / 8),
    "flag": (pa.bool_(), lambda n: n % 2 == 0),
    "text": (pa.string(), lambda n: WORDS[n % len(WORDS)]),
    "large": (pa.large_string(), lambda n: WORDS[n % 5] + "x"),
    "view": (pa.string_view(), lambda n: WORDS[n % 3] * 9),
    "bytes": (pa.binary(), lambda n: bytes([n, 255 - n])[: n % 3]),
    "level": (pa.dictionary(pa.int32(), pa.string()), lambda n: f"l{n % 4}"),
    "day": (pa.date32(), lambda n: hours(24 * n).date()),
    "sec": (pa.timestamp("s"), hours),
    "ms": (pa.timestamp("ms"), hours),
    "us": (pa.timestamp("us"), hours),
    "utc": (pa.timestamp("us", "UTC"), lambda n: hours(n).replace(tzinfo=UTC)),
    "cents": (pa.decimal128(9, 2), lambda n: Decimal(n - 20) / 4),
    "list": (pa.list_(pa.int32()), lambda n: [n] * (n % 3)),
    "pair": (pa.struct([("x", pa.int32()), ("y", pa.string())]), lambda n: {"x": n, "y": f"y{n}"}),
}
NESTED = {"list", "pair"}
KEYS = ["i8", "u16", "i32", "i64", "u64", "f64", "text", "large", "bytes", "day", "us", "utc", "cents"]
GROUPS = ["flag", "text", "level", "i8", "day"]
SUMS = ["i8", "u16", "f32", "f64"]


class History:
    """A table of Marble and, in plain Python, the rows that it has to have."""

    def __init__(self, db, name, rng):
        self.rng, self.db = rng, db
        self.key = rng.sample(KEYS, rng.choice([1, 1, 2, 3]))
        others = [kind for kind in TYPES if kind not in self.key]
        columns = self.key + rng.sample(others, rng.randint(5, 9))
        columns += [kind for kind in ("flag", "f64") if kind not in columns]
        rng.shuffle(columns)
        # Column names are kinds of column, so that they say what a value may be.
        self.columns = columns
        schema = pa.schema([pa.field(c, TYPES[c][0], c not in self.key) for c in columns])
        self.table = db.create_table(name, schema, self.key)
        self.rows = {}

    def value(self, column):
        if column not in self.key and self.rng.random() < 0.2:
            return None
        return TYPES[column][1](self.rng.randrange(41))

    def row(self):
        return {column: self.value(column) for column in self.columns}

    def key_of(self, row):
        return tuple(row[column] for column in self.key)

    def insert(self):
        rows = [self.row() for _ in range(self.rng.choice([1, 20, 300]))]
        self.table.upsert(rows)
        self.rows.update((self.key_of(row), row) for row in rows)

    def delete(self):
        keys = self.rng.sample(sorted(self.rows), min(len(self.rows), self.rng.randint(0, 20)))
        keys.append(self.key_of(self.row()))
        self.table.delete([dict(zip(self.key, key)) for key in keys])
        for key in keys:
            self.rows.pop(key, None)

    def delete_range(self):
        low, high = sorted(self.value(self.key[0]) for _ in range(2))
        if self.rng.random() < 0.5:
            self.table.delete_range(low, high)
            self.rows = {key: row for key, row in self.rows.items() if not low <= key[0] < high}

    def alter(self):
        """Drops a column, or adds one with a default."""
        spare = [c for c in self.columns if c not in self.key and c not in ("flag", "f64")]
        new = [c for c in TYPES if c not in self.columns and c not in NESTED]
        if len(spare) > 3 and self.rng.random() < 0.4:
            gone = self.rng.choice(spare)
            self.table.drop_column(gone)
            self.columns.remove(gone)
            self.rows = {key: {c: row[c] for c in self.columns} for key, row in self.rows.items()}
        elif new:
            added = self.rng.choice(new)
            default = self.rng.choice([None, TYPES[added][1](7)])
            self.table.add_column(added, TYPES[added][0], default=default)
            self.columns.append(added)
            self.rows = {key: {**row, added: default} for key, row in self.rows.items()}

    def go_on(self):
        steps = [self.insert] * 5 + [self.delete, self.delete_range, self.alter]
        steps += [self.db.flush, self.db.compact]
        for _ in range(self.rng.randint(3, 12)):
            self.rng.choice(steps)()

    def expected(self):
        """The rows in key order."""
        rows = [self.rows[key] for key in sorted(self.rows)]
        return pa.Table.from_pylist(rows, self.table.schema)


class Said:
    """One condition in the four languages."""

    def __init__(self, arrow, polars, duck, fusion):
        self.arrow, self.polars, self.duck, self.fusion = arrow, polars, duck, fusion

    def __repr__(self):
        return self.duck


def literals(column, value):
    """A value for pyarrow, Polars, DuckDB and DataFusion."""
    data_type = TYPES[column][0]
    if pa.types.is_dictionary(data_type) or pa.types.is_string_view(data_type):
        data_type = pa.string()
    arrow = pc.scalar(pa.scalar(value, data_type))
    quoted = "'" + str(value).replace("'", "''") + "'"
    if isinstance(value, bytes):
        blob = "".join(f"\\x{byte:02x}" for byte in value)
        return arrow, pl.lit(value), f"'{blob}'::BLOB", f"X'{value.hex()}'"
    if isinstance(value, bool):
        return arrow, pl.lit(value), str(value), str(value)
    if isinstance(value, datetime.datetime):
        # Polars compares only times of one unit; DuckDB and DataFusion convert.
        polars = pl.lit(value, pl.from_arrow(pa.array([value], data_type)).dtype)
        kind = "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP"
        return arrow, polars, f"{kind} {quoted}", f"TIMESTAMP {quoted}"
    if isinstance(value, datetime.date):
        return arrow, pl.lit(value), f"DATE {quoted}", f"DATE {quoted}"
    if isinstance(value, str):
        # A zero byte is a chr() in SQL.
        text = quoted.replace("\0", "' || chr(0) || '")
        return arrow, pl.lit(value), f"({text})", f"({text})"
    if isinstance(value, Decimal):
        return arrow, pl.lit(value), f"{value}", f"CAST('{value}' AS DECIMAL(9, 2))"
    sql_type = {pa.uint64(): "UBIGINT", pa.float32(): "FLOAT", pa.float64(): "DOUBLE"}
    duck = f"CAST({quoted} AS {sql_type.get(data_type, 'BIGINT')})"
    return arrow, pl.lit(value), duck, duck.replace("UBIGINT", "BIGINT UNSIGNED")


COMPARISONS = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Asking:
    """Random conditions over the columns of a history."""

    def __init__(self, history):
        self.rng = history.rng
        self.columns = [column for column in history.columns if column not in NESTED]
        # Comparisons with the key are what scans make ranges of.
        self.columns += [history.key[0]] * 3

    def compared(self):
        column = self.rng.choice(self.columns)
        sign = self.rng.choice(list(COMPARISONS))
        if column in ("flag", "level"):
            sign = self.rng.choice(["=", "<>"])
        value = TYPES[column][1](self.rng.randrange(41))
        arrow, polars, duck, fusion = literals(column, value)
        compare = COMPARISONS[sign]
        return Said(
            compare(pc.field(column), arrow),
            compare(pl.col(column), polars),
            f'"{column}" {sign} {duck}',
            f'"{column}" {sign} {fusion}',
        )

    def listed(self):
        column = self.rng.choice(self.columns)
        values = [TYPES[column][1](self.rng.randrange(41)) for _ in range(self.rng.randint(1, 6))]
        all_of = [literals(column, value) for value in values]
        arrow = pc.field(column) == all_of[0][0]
        polars = pl.col(column) == all_of[0][1]
        for one in all_of[1:]:
            arrow |= pc.field(column) == one[0]
            polars |= pl.col(column) == one[1]
        if column in ("i32", "i64", "text", "day"):
            arrow = pc.field(column).isin(pa.array(values, TYPES[column][0]))
            polars = pl.col(column).is_in(values)
        duck, fusion = (", ".join(one[i] for one in all_of) for i in (2, 3))
        return Said(arrow, polars, f'"{column}" IN ({duck})', f'"{column}" IN ({fusion})')

    def null(self):
        column = self.rng.choice(self.columns)
        if self.rng.random() < 0.5:
            sql = f'"{column}" IS NULL'
            return Said(pc.field(column).is_null(), pl.col(column).is_null(), sql, sql)
        sql = f'"{column}" IS NOT NULL'
        return Said(pc.field(column).is_valid(), pl.col(column).is_not_null(), sql, sql)

    def condition(self, depth=2):
        if depth == 0 or self.rng.random() < 0.3:
            return self.rng.choice([self.compared] * 4 + [self.listed, self.null])()
        if self.rng.random() < 0.2:
            # What pyarrow's is_in says of null is not what SQL's IN says, so it is not negated.
            one = self.compared()
            return Said(~one.arrow, ~one.polars, f"NOT ({one.duck})", f"NOT ({one.fusion})")
        a, b = self.condition(depth - 1), self.condition(depth - 1)
        if self.rng.random() < 0.5:
            sql = [f"({x}) AND ({y})" for x, y in ((a.duck, b.duck), (a.fusion, b.fusion))]
            return Said(a.arrow & b.arrow, a.polars & b.polars, *sql)
        sql = [f"({x}) OR ({y})" for x, y in ((a.duck, b.duck), (a.fusion, b.fusion))]
        return Said(a.arrow | b.arrow, a.polars | b.polars, *sql)


def plain(value):
    """Tools differ in what they call equal values, not in what is equal."""
    if isinstance(value, dict):
        return tuple(plain(item) for item in value.values())
    if isinstance(value, list):
        return tuple(plain(item) for item in value)
    if isinstance(value, datetime.datetime) and value.tzinfo:
        return value.astimezone(UTC)
    return value


def rows_of(table):
    """Rows in an order of their own."""
    columns = [[plain(value) for value in column.to_pylist()] for column in table.columns]
    return sorted(zip(*columns), key=lambda row: [(value is None, value) for value in row])


def by_duckdb(dataset, columns, said, group):
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    connection.register("t", dataset)
    return connection.sql(sql_of(columns, said and said.duck, group)).to_arrow_table()


def by_datafusion(dataset, columns, said, group):
    context = datafusion.SessionContext()
    context.register_dataset("t", dataset)
    try:
        return context.sql(sql_of(columns, said and said.fusion, group)).to_arrow_table()
    except Exception as error:
        # What it knows to be never true it hands to any pyarrow dataset as a value, not an expression.
        assert "BooleanScalar to pyarrow._compute.Expression" in str(error), error
        return None


def sql_of(columns, condition, group):
    if group:
        by, summed = group
        what = f'"{by}", count(*), count("{summed}"), sum("{summed}"), min("{summed}"), max("{summed}")'
    else:
        what = ", ".join(f'"{column}"' for column in columns)
    where = f" WHERE {condition}" if condition else ""
    return f"SELECT {what} FROM t{where}" + (f' GROUP BY "{group[0]}"' if group else "")


def by_polars(dataset, columns, said, group):
    frame = pl.scan_pyarrow_dataset(dataset)
    if said:
        frame = frame.filter(said.polars)
    if group:
        by, summed = group
        value = pl.col(summed)
        # Polars gives 0 for the sum of nothing, SQL null.
        total = pl.when(value.count() > 0).then(value.cast(pl.Float64).sum())
        frame = frame.group_by(by).agg(
            pl.len(), value.count().alias("n"), total.alias("sum"), value.min().alias("min"),
            value.max().alias("max"),
        )
    else:
        frame = frame.select(columns)
    return frame.collect().to_arrow()


def by_pyarrow(dataset, columns, said, group):
    keep = said and said.arrow
    if not group:
        return dataset.to_table(columns, filter=keep)
    by, summed = group
    rows = dataset.to_table(list(dict.fromkeys(group)), filter=keep)
    how = [([], "count_all")] + [(summed, what) for what in ("count", "sum", "min", "max")]
    # Acero groups by a dictionary only if all batches have the same one.
    return rows.unify_dictionaries().group_by(by).aggregate(how)


TOOLS = [by_pyarrow, by_duckdb, by_polars, by_datafusion]


def check(history, memory):
    """One question to all."""
    rng, dataset = history.rng, history.table.to_dataset()
    said = Asking(history).condition() if rng.random() < 0.9 else None
    columns = rng.sample(history.columns, rng.randint(1, len(history.columns)))
    groups = [column for column in history.columns if column in GROUPS]
    sums = [column for column in history.columns if column in SUMS]
    group = (rng.choice(groups), rng.choice(sums)) if rng.random() < 0.4 else None
    wanted = rows_of(by_pyarrow(pa.dataset.dataset(memory), columns, said, group))
    for tool in TOOLS:
        answer = tool(dataset, columns, said, group)
        found = [] if answer is None else rows_of(answer)
        assert found == wanted, f"seed {SEED}: {tool.__name__} of {columns} {group} where {said}"
    if not group:
        keep = said and said.arrow
        assert rows_of(history.table.to_table(columns, filter=keep)) == wanted


@pytest.mark.parametrize("number", range(TABLES))
def test_all_tools_find_the_same(tmp_path, number):
    rng = random.Random(SEED * 1000 + number)
    # Small memtables and files, so that rows lie on several levels.
    sizes = {"memtable_bytes": "64KiB", "target_file_bytes": "64KiB", "level_base_bytes": "256KiB"}
    with marbledb.open(tmp_path / "db", **sizes) as db:
        history = History(db, "t", rng)
        for _ in range(ROUNDS):
            history.go_on()
            memory = history.expected()
            # Not equals(): of dictionaries it compares the codes.
            assert history.table.to_table().to_pylist() == memory.to_pylist(), f"seed {SEED}"
            # As the dataset shows it: Arrow itself filters no views.
            memory = memory.cast(history.table.to_dataset().schema)
            for _ in range(2):
                check(history, memory)


def test_where_tools_differ_from_pyarrow_it_is_not_the_table(db):
    """Polars and DataFusion compare NaN as a largest number, and Polars leaves null out of "not
    in". What they hand down is compared by Arrow, which does neither, whatever dataset it is."""
    schema = pa.schema([pa.field("id", pa.int64(), False), ("x", pa.float64()), ("n", pa.int64())])
    table = db.create_table("t", schema, "id")
    table.insert({"id": [1, 2, 3, 4], "x": [1.0, 5.0, float("nan"), None], "n": [1, None, 3, 4]})
    memory = pa.dataset.dataset(table.to_table())
    for keep in (pl.col("x") > 3, ~pl.col("n").is_in([1, 3])):
        found, other = (
            pl.scan_pyarrow_dataset(dataset).filter(keep).collect()["id"].to_list()
            for dataset in (table.to_dataset(), memory)
        )
        assert found == other != pl.DataFrame(table).filter(keep)["id"].to_list()
    for dataset in (table.to_dataset(), memory):
        context = datafusion.SessionContext()
        context.register_dataset("t", dataset)
        assert context.sql("SELECT id FROM t WHERE x > 3").to_pydict() == {"id": [2]}
        connection = duckdb.connect()
        connection.register("t", dataset)
        assert connection.sql("SELECT id FROM t WHERE x > 3").fetchall() == [(2,), (3,)]
