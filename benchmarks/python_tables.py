#!/usr/bin/env python3
"""Tables from Python: marbledb beside DuckDB, Lance, Parquet, Feather, Polars and SQLite, in one run.

    benchmarks/python_tables.py [--rows N | --full] [--rounds N] [--engines A,B] [--workloads A,B]
                                [--json FILE] [--directory DIR] [--seed N] [--list]

Each engine has a process of its own; they take turns, workload by workload. Every answer is compared
with what numpy finds in the rows. Writes the JSON that benchmarks/report.py reads; prints medians.
docs/performance.md says how each engine is used.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any, Iterable

from tables import data
from tables.child import ENGINES, SQLITE_ROWS_MAX, Child
from tables.workloads import STEPS, WORKLOADS, steps_for

FULL_ROWS = 20_000_000


def names(text: str, known: Iterable[str]) -> list[str]:
    wanted = text.split(",")
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return wanted


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--full", action="store_true",
                        help=f"{FULL_ROWS:,} rows; three rounds take about an hour")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--directory", type=Path, default=Path("python_tables.tmp"))
    parser.add_argument("--list", action="store_true", help="names engines and workloads")
    arguments = parser.parse_args()
    if arguments.list:
        print(f"engines: {', '.join(ENGINES)}\nworkloads: {', '.join(WORKLOADS)}")
        sys.exit()
    if arguments.full:
        arguments.rows = FULL_ROWS
    arguments.engines = names(arguments.engines, ENGINES)
    arguments.workloads = names(arguments.workloads, WORKLOADS)
    if arguments.rows < 1000 or arguments.rounds < 1:
        sys.exit("at least 1,000 rows and one round")
    if arguments.rows > SQLITE_ROWS_MAX and "sqlite" in arguments.engines:
        arguments.engines.remove("sqlite")
    return arguments


def run_round(number: int, arguments: argparse.Namespace, rows: Path,
              plan: data.Plan) -> tuple[list[dict], list[dict]]:
    """Facts of the engines, and results. Another engine is first in each round."""
    directory = arguments.directory / f"round{number}"
    directory.mkdir()
    children = [Child(name, directory, rows, plan) for name in arguments.engines]
    results = []
    for step in steps_for(arguments.workloads):
        print(f"round {number}: {step.workload} {step.state}", file=sys.stderr, flush=True)
        first = number % len(children)
        for child in children[first:] + children[:first]:
            figures = child.run(STEPS.index(step))
            if figures and step.workload in arguments.workloads:
                results.append({"round": number, "engine": child.name, "workload": step.workload,
                                "state": step.state, "note": child.facts["note"], "series": {},
                                "figures": figures, "load": os.getloadavg()[0]})
    for child in children:
        child.close()
    return [child.facts for child in children], results


def show(engines: list[str], results: list[dict]) -> None:
    values: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for result in results:
        for name, figure in result["figures"].items():
            key = (result["workload"], result["state"], name, figure["unit"])
            values.setdefault(key, {}).setdefault(result["engine"], []).append(figure["value"])
    print(f"{'medians':44}" + "".join(f"{name:>14}" for name in engines))
    for (workload, state, name, unit), found in values.items():
        line = "".join(f"{statistics.median(found[engine]):14.5g}" if engine in found else f"{'':14}"
                       for engine in engines)
        print(f"{' '.join((workload, state, name, unit)):44}{line}")


def facts() -> dict[str, Any]:
    return {"processor": platform.processor() or platform.machine(), "cores": str(os.cpu_count()),
            "kernel": platform.release(), "python": platform.python_version(),
            "load at the start": f"{os.getloadavg()[0]:.2f}"}


def main() -> None:
    arguments = options()
    about = facts()
    shutil.rmtree(arguments.directory, ignore_errors=True)
    rows = arguments.directory / "rows"
    rows.mkdir(parents=True)
    print(f"making {arguments.rows:,} rows", file=sys.stderr, flush=True)
    data.make(rows, arguments.rows, arguments.seed)
    plan = data.plan(rows, arguments.seed)
    bytes_per_row = (rows / "events.arrow").stat().st_size / arguments.rows
    engines: list[dict] = []
    results: list[dict] = []
    for number in range(1, arguments.rounds + 1):
        engines, found = run_round(number, arguments, rows, plan)
        results += found
    shutil.rmtree(arguments.directory)
    show(arguments.engines, results)
    if arguments.json is not None:
        found = {"rows": arguments.rows, "mode": "tables", "facts": about, "engines": engines,
                 "size": f"{arguments.rows:,} rows of {bytes_per_row:.0f} bytes in Arrow, "
                         "{id, ts, user, kind, amount, note}, id in random order",
                 "results": results}
        arguments.json.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
