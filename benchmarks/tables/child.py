"""The process of one engine in one round, and the parent's end of it."""

import importlib
import multiprocessing
import os
import shutil
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from . import data
from .engine import SQL_THREADS
from .workloads import STEPS, Bench

# By name: module and class. Tonbo is not measured.
ENGINES = {
    "marble": ("marble", "Marble"), "marble-lz4": ("marble", "MarbleLz4"),
    "marble-zstd": ("marble", "MarbleZstd"), "marble-lz4-zstd": ("marble", "MarbleLz4Zstd"),
    "marble-append": ("marble", "MarbleAppend"),
    "duckdb-key": ("duck", "DuckdbKey"), "duckdb": ("duck", "Duckdb"),
    "duckdb-sorted": ("duck", "DuckdbSorted"), "lance": ("lance_engine", "Lance"),
    "parquet-zstd": ("files", "Parquet"), "feather": ("files", "Feather"),
    "feather-lz4": ("files", "FeatherLz4"), "polars": ("files", "Polars"),
    "sqlite": ("sqlite", "Sqlite"),
}
SQLITE_ROWS_MAX = 1_000_000
# Libraries that read the number of their threads once; the others are told while they run.
THREADS = {"LANCE_CPU_THREADS": str(SQL_THREADS), "POLARS_MAX_THREADS": str(SQL_THREADS)}


def serve(connection: Connection, name: str, directory: Path, rows: Path, plan: data.Plan) -> None:
    """Runs in the child: the engine's facts, then a step for each number received."""
    os.environ.update(THREADS)
    try:
        module, kind = ENGINES[name]
        engine = getattr(importlib.import_module(f"{__package__}.{module}"), kind)(directory)
        bench = Bench(engine, plan, data.mapped(rows / "events.arrow"),
                      data.mapped(rows / "lineitem.arrow"))
        data.touch(bench.batches + bench.lineitem)
        connection.send({"name": name, "family": engine.family, "version": engine.version,
                         "note": engine.note, "floor": name == "sqlite", "left_out": engine.leaves_out})
        while (number := connection.recv()) is not None:
            step = STEPS[number]
            connection.send({name: figure._asdict()
                             for name, figure in step.run(bench, step.state).items()})
        engine.close()
    except EOFError:  # the parent has ended, because of another engine
        return
    except Exception:
        connection.send(traceback.format_exc())


class Child:
    """Started at once; owns its directory, which `close` removes."""

    def __init__(self, name: str, directory: Path, rows: Path, plan: data.Plan):
        self.name, self.directory = name, directory / name
        self.directory.mkdir()
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, daemon=True,
                                       args=(other, name, self.directory, rows, plan))
        self.process.start()
        other.close()
        self.facts = self.receive("start")

    def receive(self, what: str) -> dict[str, Any]:
        try:
            answer = self.connection.recv()
        except EOFError:
            self.process.join()
            sys.exit(f"{self.name}: {what}: the process ended with {self.process.exitcode}")
        if isinstance(answer, str):
            sys.exit(f"{self.name}: {what} failed\n{answer}")
        return answer

    def run(self, number: int) -> dict[str, Any]:
        """Figures of a step; none if the engine leaves it out."""
        step = STEPS[number]
        left_out = step.workload in self.facts["left_out"]
        if left_out and step.workload not in ("ingest", "compact"):
            return {}
        start = time.monotonic()
        self.connection.send(number)
        figures = self.receive(step.workload)
        if left_out:
            return {}
        shown = ", ".join(f"{name} {figure['value']:.4g} {figure['unit']}"
                          for name, figure in figures.items())
        print(f"  {step.workload} {step.state} {self.name}: {shown} "
              f"({time.monotonic() - start:.1f} s)", file=sys.stderr, flush=True)
        return figures

    def close(self) -> None:
        self.connection.send(None)
        self.process.join()
        if self.process.exitcode != 0:
            sys.exit(f"{self.name}: closing: the process ended with {self.process.exitcode}")
        shutil.rmtree(self.directory)
