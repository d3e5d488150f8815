#!/usr/bin/env python3
"""Did a change cost instructions? Runs the key-value benchmark of two build directories under callgrind,
at once, and tells for each workload how many instructions its thread took, drawing the operations
included and of both states together. Where the host is too restless for before_after.py, these are nearly
the same each time. Not in them: waiting for memory, and what background and helper threads do (who does a
helper's work is up to the scheduler, so scans vary a little).

    build/venv/bin/python benchmarks/count_instructions.py BEFORE AFTER      (needs valgrind)
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from before_after import two_builds

WORKLOADS = {"fillrandom": "FillRandom", "readrandom": "ReadRandom", "readzipf": "ReadZipf",
             "readmissing": "ReadMissing", "multiget": "MultiGet", "scan": "ScanForward",
             "scanreverse": "ScanReverse", "scanbatches": "ScanBatches", "seek": "Seek",
             "prefix": "ScanPrefixes", "ycsb-a": "RunA", "ycsb-b": "RunB", "ycsb-c": "RunC",
             "ycsb-f": "RunF", "ycsb-d": "RunD", "ycsb-e": "RunE", "overwrite": "Overwrite"}

# "1,234 (56.7%)  file.cc:marble::benchmark::(anonymous namespace)::RunA(marble::benchmark::Session*, ..."
LINE = re.compile(r"^\s*([\d,]+) \(.*namespace\)::(\w+)\(marble::benchmark::Session")


def instructions_of(annotated: str) -> dict[str, int]:
    """By workload, of callgrind_annotate's inclusive figures."""
    found: dict[str, int] = {}
    for line in annotated.splitlines():
        if match := LINE.match(line):
            count = int(match[1].replace(",", ""))
            found[match[2]] = max(found.get(match[2], 0), count)
    return {name: found[function] for name, function in WORKLOADS.items() if function in found}


def start(build: Path, rows: int, folder: Path) -> "subprocess.Popen[bytes]":
    toggles = [f"--toggle-collect=*namespace)::{function}(*" for function in WORKLOADS.values()]
    command = ["valgrind", "--tool=callgrind",
               f"--callgrind-out-file={folder}/callgrind.%p", *toggles,
               str(build / "benchmarks/key_value_benchmark"), "--rows", str(rows), "--rounds", "1",
               "--engines", "marble", "--workloads", ",".join(WORKLOADS),
               "--directory", str(folder / "database"), "--json", str(folder / "result.json")]
    # Valgrind has no use for an allocator that takes memory by the GiB.
    environment = os.environ | {"LD_LIBRARY_PATH": str(build), "ARROW_DEFAULT_MEMORY_POOL": "system"}
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def annotate(folder: Path) -> dict[str, int]:
    # Of the processes the engine's has counted most.
    largest = max(folder.glob("callgrind.*"), key=lambda path: path.stat().st_size)
    told = subprocess.run(["callgrind_annotate", "--auto=no", "--inclusive=yes", "--threshold=100",
                           str(largest)],
                          capture_output=True, text=True, check=True)
    return instructions_of(told.stdout)


def table_of(before: dict[str, int], after: dict[str, int]) -> str:
    ratios = sorted(((after[name] / before[name], name) for name in before.keys() & after.keys()),
                    reverse=True)
    lines = ["| workload | before | after | after / before |", "|---|---|---|---|"]
    lines += [f"| {name} | {before[name]:,} | {after[name]:,} | {ratio:.3f} |"
              for ratio, name in ratios]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        parser.error("valgrind is not installed (Debian: apt install valgrind)")
    builds = two_builds(parser, arguments)
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root) / name for name in ("before", "after")]
        for folder in folders:
            folder.mkdir()
        running = [start(build, arguments.rows, folder) for build, folder in zip(builds, folders)]
        print("count_instructions: both builds run under callgrind, a minute or two", file=sys.stderr)
        codes = [process.wait() for process in running]
        for process, folder, code in zip(running, folders, codes):
            if code != 0:
                sys.exit(f"{' '.join(process.args)} failed:\n{(folder / 'log').read_text()}")
        print(table_of(*map(annotate, folders)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
