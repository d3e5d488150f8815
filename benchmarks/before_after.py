#!/usr/bin/env python3
"""Did a change cost speed? Two builds beside each other: the benchmarks of keys and values and of
tables, of Marble alone, by turns.

    benchmarks/before_after.py BEFORE AFTER [--rounds 5] [--rows 1000000]
                               [--benchmarks key-value,tables] [--workloads A,B] [--output DIR]

BEFORE and AFTER are build directories of the release preset with all targets built (build/release of
two clones). Each round runs one build and then the other, the first one changing from round to
round, so that what the machine does meanwhile meets both. Prints, and writes to DIR/before_after.md,
the medians and the median of the rounds' ratios after / before (of all figures less is better),
beside where that median lies with a probability of 95 percent, by the spread of the ratios from
round to round: of a hundred figures that are as before, five lie beside 1 even so.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ("key-value", "tables")
# Not those that measure the disk or last a given time.
KEY_VALUE = ("fillrandom,fillseq,fillbatch,overwrite,readrandom,readzipf,readmissing,multiget,scan,"
             "scanreverse,scanbatches,seek,prefix,ycsb-a,ycsb-b,ycsb-c,ycsb-f,ycsb-d,ycsb-e")

TIMES = ("ns/op", "us", "ms", "s")

Figures = dict[str, float]


def figures_of(path: Path) -> Figures:
    """Every time that was measured, by name."""
    found = {}
    for result in json.loads(path.read_text())["results"]:
        if result["workload"] == "compact":
            continue  # how much there is to merge is a matter of the moment
        for name, figure in result["figures"].items():
            if figure["unit"] not in TIMES:
                continue
            state = f", {result['state']}" if result["state"] else ""
            found[f"{result['workload']} {name}{state} ({figure['unit']})"] = figure["value"]
    return found


def run(benchmark: str, build: Path, arguments: argparse.Namespace) -> Figures:
    """One round of one build."""
    found = arguments.output / "round.json"
    found.unlink(missing_ok=True)
    if benchmark == "key-value":
        command = [str(build / "benchmarks/key_value_benchmark")]
        workloads = arguments.workloads or KEY_VALUE
    else:
        command = [sys.executable, str(ROOT / "benchmarks/python_tables.py")]
        workloads = arguments.workloads
    command += ["--rows", str(arguments.rows), "--rounds", "1", "--engines", "marble",
                "--json", str(found), "--directory", str(arguments.output / "database")]
    command += ["--workloads", workloads] if workloads else []
    environment = os.environ | {"LD_LIBRARY_PATH": str(build), "PYTHONPATH": str(build / "python")}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{ran.stdout}{ran.stderr}")
    return figures_of(found)


def interval_of_median(values: list[float]) -> tuple[float, float]:
    """Where the median lies with a probability of 95 percent, of sorted values, whatever their
    distribution (by the sign test). Of less than six values: their range."""
    n = len(values)
    outside, tail = 0, math.comb(n, 0) / 2**n
    while tail <= 0.025:
        outside += 1
        tail += math.comb(n, outside) / 2**n
    low = max(outside - 1, 0)
    return values[low], values[n - 1 - low]


def row(name: str, before: list[float], after: list[float]) -> tuple[float, str]:
    ratios = sorted(b / a for a, b in zip(before, after) if a > 0)
    ratio = statistics.median(ratios) if ratios else 1.0
    low, high = interval_of_median(ratios) if ratios else (1.0, 1.0)
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}" if ratios else ""
    return ratio, (f"| {name} | {statistics.median(before):.4g} | {statistics.median(after):.4g} "
                   f"| {ratio:.3f} | {low:.2f} to {high:.2f} | {spread} |")


def report_of(benchmark: str, rounds: list[tuple[Figures, Figures]]) -> str:
    """A table, the worst first, and the geometric mean of the ratios."""
    names = [name for name in rounds[0][0] if all(name in b and name in a for b, a in rounds)]
    rows = sorted((row(name, [b[name] for b, _ in rounds], [a[name] for _, a in rounds])
                   for name in names), reverse=True)
    positive = [ratio for ratio, _ in rows if ratio > 0]
    lines = [f"## {benchmark}: {len(rounds)} rounds", "",
             f"Geometric mean of {len(positive)} ratios: {statistics.geometric_mean(positive):.3f}",
             "", "| figure | before | after | after / before | so with 95 % | of the rounds |",
             "|---|---|---|---|---|---|"]
    return "\n".join(lines + [text for _, text in rows]) + "\n"


def two_builds(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> tuple[Path, Path]:
    """Of the arguments before and after; ends the program unless they are two builds."""
    builds = (arguments.before.resolve(), arguments.after.resolve())
    if builds[0] == builds[1]:
        parser.error("before and after are the same build")
    for build in builds:
        if not (build / "benchmarks/key_value_benchmark").exists():
            parser.error(f"not built: {build}/benchmarks/key_value_benchmark")
    return builds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--benchmarks", default=",".join(BENCHMARKS))
    parser.add_argument("--workloads", default="", help="of the one benchmark that is asked for")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench/before_after")
    arguments = parser.parse_args()
    benchmarks = arguments.benchmarks.split(",")
    if not set(benchmarks) <= set(BENCHMARKS) or arguments.rounds < 1:
        parser.error(f"benchmarks: {', '.join(BENCHMARKS)}; rounds: 1 or more")
    if arguments.workloads and len(benchmarks) > 1:
        parser.error("--workloads goes with one benchmark: --benchmarks key-value or tables")
    builds = two_builds(parser, arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    report = ""
    for benchmark in benchmarks:
        rounds = []
        for n in range(arguments.rounds):
            print(f"before_after: {benchmark}, round {n + 1} of {arguments.rounds}",
                  file=sys.stderr, flush=True)
            order = builds if n % 2 == 0 else builds[::-1]
            found = {build: run(benchmark, build, arguments) for build in order}
            rounds.append((found[builds[0]], found[builds[1]]))
        report += report_of(benchmark, rounds) + "\n"
        (arguments.output / "before_after.md").write_text(report)
    print(report, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
