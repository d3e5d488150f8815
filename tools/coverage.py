#!/usr/bin/env python3
"""Which branches of the engine the C++ tests took, out of a run of the build with counters.

    tools/coverage.py          after `bash tools/test.sh setup coverage` has run the tests

Reads what the tests of build/coverage counted, with gcovr (installed into build/venv if it is not
there). Branches that only an exception could take are left out: gcc counts one for nearly every call.
Writes a table to build/coverage/report.md and a page per source file to build/coverage/html, and ends
with status 1 if a part falls below what is asked of it.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/coverage"

# What reads bytes that a crash, a bad device or a stranger may have written.
PARSERS = (
    "src/base/coding",
    "src/db/altered_record",
    "src/db/commit_record",
    "src/db/creation",
    "src/db/leftovers",
    "src/db/log_recovery",
    "src/db/logged_operation",
    "src/db/recovery",
    "src/log/",
    "src/row/key_decoding",
    "src/row/stored_schema",
    "src/sst/aligned_payload",
    "src/sst/block_index",
    "src/sst/body_compression",
    "src/sst/kv_blocks",
    "src/sst/kv_decoder",
    "src/sst/lz4_frame",
    "src/sst/page_verifier",
    "src/sst/point_index",
    "src/sst/range_tombstone",
    "src/sst/sst_file",
    "src/sst/sst_format",
    "src/sst/sst_tail",
    "src/sst/sst_verify",
    "src/sst/zone_map",
    "src/table/decoded_size",
    "src/tree/file_names",
    "src/tree/manifest",
    "src/tree/version_edit",
)
FLOORS = {"recovery and parsers": 95.0, "all of src and include": 85.0}


def run_gcovr() -> list[dict[str, Any]]:
    """The figures of each file."""
    if importlib.util.find_spec("gcovr") is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "gcovr"], check=True)
    (BUILD / "html").mkdir(exist_ok=True)
    summary = BUILD / "summary.json"
    subprocess.run(
        [sys.executable, "-m", "gcovr", "--root", str(ROOT), str(BUILD), "-j", "2",
         "--filter", str(ROOT / "src") + "/", "--filter", str(ROOT / "include") + "/",
         "--exclude-throw-branches", "--exclude-unreachable-branches",
         "--gcov-ignore-parse-errors", "negative_hits.warn",
         "--gcov-suspicious-hits-threshold", "0",  # some lines do run more than 2^32 times
         "--merge-mode-functions", "separate",
         "--json-summary", str(summary), "--html-details", str(BUILD / "html/index.html")],
        check=True, cwd=ROOT,
    )  # fmt: skip
    files: list[dict[str, Any]] = json.loads(summary.read_text())["files"]
    return files


def percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0


def report_of(files: list[dict[str, Any]]) -> tuple[str, bool]:
    """A table of the two parts and of the files with the most branches not taken."""
    parts = {
        "recovery and parsers": [f for f in files if f["filename"].startswith(PARSERS)],
        "all of src and include": files,
    }
    rows = ["| part | branches | taken | % | asked | lines % |", "|---|---|---|---|---|---|"]
    enough = True
    for name, own in parts.items():
        total = sum(f["branch_total"] for f in own)
        taken = sum(f["branch_covered"] for f in own)
        lines = percent(sum(f["line_covered"] for f in own), sum(f["line_total"] for f in own))
        enough &= percent(taken, total) >= FLOORS[name]
        rows.append(f"| {name} | {total:,} | {taken:,} | {percent(taken, total):.1f} "
                    f"| {FLOORS[name]:.0f} | {lines:.1f} |")  # fmt: skip
    rows += ["", "| file | branches | not taken | % | lines % |", "|---|---|---|---|---|"]
    for f in sorted(files, key=lambda f: f["branch_covered"] - f["branch_total"])[:40]:
        rows.append(f"| {f['filename']} | {f['branch_total']} "
                    f"| {f['branch_total'] - f['branch_covered']} "
                    f"| {percent(f['branch_covered'], f['branch_total']):.1f} "
                    f"| {percent(f['line_covered'], f['line_total']):.1f} |")  # fmt: skip
    return "\n".join(rows) + "\n", enough


def main() -> int:
    report, enough = report_of(run_gcovr())
    (BUILD / "report.md").write_text(report)
    print(report, end="")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
