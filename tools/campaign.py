#!/usr/bin/env python3
"""The full campaigns: what the gate does in seconds, for about an hour on two processors.

    tools/campaign.py [--scale 1.0] [--seed N] [--minutes 60] [LANE...]

Builds nothing: `bash tools/test.sh setup build campaign` does all. Each lane runs a program of the
release build with larger figures (docs/testing.md says what it does), cut into parts; two parts more
run at once than there are processors. `--scale 0.1` asks for a tenth of everything. Ends with a table,
which is in build/campaign/report.md as well, and with status 1 if any part failed, if a lane did less
than it was asked for, or if all of them took longer than `--minutes`, when those that still run are
killed; the output of each is in build/campaign/LANE-PART.log. Progress goes to the standard error.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "build/release/tests"
OUTPUT = ROOT / "build/campaign"
STOPPED = threading.Event()  # by the user


@dataclass(frozen=True)
class Lane:
    """One campaign: `amount` of `unit`, told to the program by `variable`, in `parts`."""

    name: str
    program: str  # among the tests, or a script of this tree
    unit: str
    amount: int
    counted: str  # in the output: a pattern with a number, which are summed, or without, counted
    variable: str = ""
    filter: str = ""
    parts: int = 1
    arguments: tuple[str, ...] = ()

    @property
    def scales(self) -> bool:
        return bool(self.variable or self.arguments)

    @property
    def path(self) -> Path:
        return ROOT / self.program if self.program.endswith(".py") else TESTS / self.program


def fuzz(target: str, amount: int) -> Lane:
    """A fuzz target under the driver of the tree."""
    return Lane(
        f"fuzz-{target}",
        f"{target}_fuzz",
        "executions",
        amount,
        r"(\d+) mutations",
        arguments=(f"-runs={amount}", f"-artifact_prefix={OUTPUT}/{target}_",
                   str(ROOT / "tests/fuzz/corpus" / target)),
    )


# Those that take long whatever the machine come first.
LANES = (
    Lane("planted", "tools/planted.py", "bugs caught", 36, r"planted: (\d+) of"),
    Lane("soak", "concurrency_test", "seconds", 600, r", (\d+) seconds", "MARBLE_SOAK_SECONDS",
         "SoakTest.*"),
    Lane("memory", "crash_test", "failed allocations", 20_000, r"(\d+) runs with failing",
         "MARBLE_FAILED_ALLOCATIONS", "Scripts/FailedAllocationTest.*:OutOfMemoryTest.*", 4),
    Lane("model", "model_test", "operations", 30_000_000, r", (\d+) operations",
         "MARBLE_MODEL_OPERATIONS", "Options/ModelTest.*", 6),
    Lane("images", "crash_test", "crash images", 165_000, r"operations, (\d+) images",
         "MARBLE_CRASH_IMAGES", "Scripts/CrashImageTest.*", 4),
    Lane("errors", "crash_test", "I/O errors", 60_500, r"(\d+) errors in", "MARBLE_IO_ERRORS",
         "Scripts/IoErrorTest.*", 3),
    Lane("damages", "crash_test", "damages", 50_000, r": (\d+) damages", "MARBLE_DAMAGES",
         "Scripts/DamageTest.*", 3),
    Lane("kills", "crash_test", "kills", 3_000, r", (\d+) kills", "MARBLE_CRASH_CYCLES",
         "KillTest.*"),
    Lane("power", "crash_test", "cuts of power", 5_000, r", (\d+) cuts", "MARBLE_POWER_CUTS",
         "PowerLossTest.*"),
    Lane("full-disk", "crash_test", "times full", 200, r": (\d+) times full",
         "MARBLE_FULL_DISK_CYCLES", "FullDiskTest.*"),
    Lane("descriptors", "behaviour_test", "rounds", 14, r" to spare: ",
         "MARBLE_DESCRIPTOR_ROUNDS", "Files/FewDescriptorsTest.*"),
    Lane("faults", "model_test", "operations", 600_000, r", (\d+) operations, ",
         "MARBLE_FAULT_OPERATIONS", "Options/FaultsModelTest.*", 2),
    Lane("large", "crash_test", "MiB", 8_192, r"(\d+) MiB: ", "MARBLE_LARGE_DAMAGE_MIB",
         "LargeDamageTest.*"),
    fuzz("manifest", 3_000_000),
    fuzz("log", 800_000),
    fuzz("key", 1_200_000),
    fuzz("ipc", 100_000),
    fuzz("sst", 300_000),
    fuzz("database", 10_000),
    fuzz("operations", 800),
)  # fmt: skip


@dataclass
class Part:
    """A run of a lane's program."""

    lane: Lane
    number: int
    scale: float
    seconds: float = 0  # of processors
    count: int = 0
    status: int | None = None

    @property
    def log(self) -> Path:
        return OUTPUT / f"{self.lane.name}-{self.number}.log"

    def run(self, seed: int, deadline: float) -> None:
        """Until it ends, or is killed at `deadline` of the monotonic clock; not at all after it."""
        if time.monotonic() > deadline or STOPPED.is_set():
            return
        lane = self.lane
        environment = os.environ | {"MARBLE_SEED": str(seed)}
        arguments = [scaled_runs(argument, self.scale) for argument in lane.arguments]
        if lane.variable:
            environment[lane.variable] = str(max(int(lane.amount * self.scale), 1))
            arguments.append(f"--gtest_filter={lane.filter}")
            environment["GTEST_TOTAL_SHARDS"] = str(lane.parts)
            environment["GTEST_SHARD_INDEX"] = str(self.number)
        interpreter = [sys.executable] if lane.path.suffix == ".py" else []
        with self.log.open("w") as log:
            process = subprocess.Popen(
                [*interpreter, str(lane.path), *arguments],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=environment, cwd=OUTPUT, start_new_session=True,
            )  # fmt: skip
            while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
                if time.monotonic() > deadline or STOPPED.is_set():
                    os.killpg(process.pid, signal.SIGKILL)  # its children as well
                time.sleep(0.1)
        self.status = process.returncode = os.waitstatus_to_exitcode(ended[1])
        self.seconds = ended[2].ru_utime + ended[2].ru_stime
        found = re.findall(lane.counted, self.log.read_text(errors="replace"))
        self.count = sum(map(int, found)) if "(" in lane.counted else len(found)


def scaled_runs(argument: str, scale: float) -> str:
    """-runs=N with its number scaled; anything else as it is."""
    name, _, value = argument.partition("=")
    return f"{name}={max(int(int(value) * scale), 1)}" if name == "-runs" else argument


@dataclass(frozen=True)
class Result:
    """What became of a lane."""

    lane: Lane
    parts: list[Part]

    @property
    def asked(self) -> int:
        return int(self.lane.amount * self.parts[0].scale) if self.lane.scales else self.lane.amount

    @property
    def done(self) -> int:
        return sum(part.count for part in self.parts)

    @property
    def failure(self) -> str:
        """Empty if it held."""
        failed = [str(part.number) for part in self.parts if part.status != 0]
        if failed:
            return "part " + ", ".join(failed)
        return "fewer than asked for" if self.done < self.asked else ""

    def row(self) -> str:
        minutes = sum(part.seconds for part in self.parts) / 60
        verdict = f"FAILED: {self.failure}" if self.failure else "held"
        return (f"| {self.lane.name} | {self.asked:,} | {self.done:,} | {self.lane.unit} "
                f"| {minutes:.1f} | {verdict} |")  # fmt: skip


def results_of(parts: list[Part]) -> list[Result]:
    lanes = dict.fromkeys(part.lane for part in parts)
    return [Result(lane, [part for part in parts if part.lane is lane]) for lane in lanes]


def report_of(results: list[Result], seconds: float, seed: int) -> str:
    """A table, a row a lane."""
    rows = [f"seed {seed}, {os.cpu_count()} processors, {seconds / 60:.1f} minutes", "",
            "| campaign | asked for | done | of | processor minutes | result |",
            "|---|---|---|---|---|---|"]  # fmt: skip
    return "\n".join(rows + [result.row() for result in results]) + "\n"


def tell_progress(parts: list[Part], done: threading.Event) -> None:
    """A line every half minute."""
    start = time.monotonic()
    while not done.wait(30):
        ended = [part for part in parts if part.status is not None]
        failed = sum(part.status != 0 for part in ended)
        print(f"campaign: {(time.monotonic() - start) / 60:.1f} minutes, {len(ended)} of "
              f"{len(parts)} parts ended, {failed} failed", file=sys.stderr, flush=True)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("lanes", nargs="*", metavar="LANE",
                        help=f"default: all of {', '.join(lane.name for lane in LANES)}")  # fmt: skip
    parser.add_argument("--scale", type=float, default=1.0, help="part of the figures (default 1)")
    parser.add_argument("--minutes", type=float, default=60, help="the time it may take (default 60)")
    seed = os.environ.get("MARBLE_SEED") or int.from_bytes(os.urandom(4), "little")
    parser.add_argument("--seed", type=int, default=seed, help="default: MARBLE_SEED, or a new one")
    arguments = parser.parse_args()
    known = {lane.name: lane for lane in LANES}
    unknown = [name for name in arguments.lanes if name not in known]
    if unknown or arguments.scale <= 0:
        parser.error(f"no lane {', '.join(unknown)}" if unknown else "--scale must be positive")
    lanes = [known[name] for name in arguments.lanes] or list(LANES)
    missing = sorted({lane.program for lane in lanes if not lane.path.exists()})
    if missing:
        parser.error(f"not built: {', '.join(missing)}; run: bash tools/test.sh setup build")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    parts = [Part(lane, number, arguments.scale) for lane in lanes for number in range(lane.parts)]
    start = time.monotonic()
    done = threading.Event()
    for ended_by in (signal.SIGTERM, signal.SIGHUP):  # as ctrl-C: parts do not live on
        if signal.getsignal(ended_by) != signal.SIG_IGN:  # as nohup has it
            signal.signal(ended_by, signal.default_int_handler)
    threading.Thread(target=tell_progress, args=(parts, done), daemon=True).start()
    # Parts wait for the device, for their own threads, and those without memory for its return.
    with ThreadPoolExecutor((os.cpu_count() or 1) + 2) as workers:
        deadline = start + 60 * arguments.minutes
        try:
            list(workers.map(lambda part: part.run(arguments.seed, deadline), parts))
        except KeyboardInterrupt:
            STOPPED.set()
            raise
    done.set()
    seconds = time.monotonic() - start
    results = results_of(parts)
    report = report_of(results, seconds, arguments.seed)
    (OUTPUT / "report.md").write_text(report)
    print(report, end="")
    for part in parts:
        if part.status not in (0, None):
            print(f"\n{part.log}:\n" + "".join(part.log.open(errors="replace").readlines()[-20:]))
    too_long = seconds > 60 * arguments.minutes
    if too_long:
        print(f"\nit took longer than {arguments.minutes:g} minutes")
    return 1 if too_long or any(result.failure for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
