#!/usr/bin/env python3
"""Plants known bugs, one at a time, and sees that the test named for each of them fails.

    tools/planted.py                  all of tests/planted
    tools/planted.py NUMBER...        these
    tools/planted.py --gate           those with the line "gate: yes", as tools/test.sh runs them
    tools/planted.py --runs 10 ...    each so often, every time with another MARBLE_SEED

A bug is a file in tests/planted: what it is, which test must fail (a program of build/release/tests
and a filter of GoogleTest), with which variables, and pieces of source to be replaced, each of which
must stand in its file exactly once. A copy of the source is changed, compiled with the release
build's own command and linked into build/planted/NUMBER; neither the tree nor build/release is
touched. The same test must pass without the bug, or "caught" would mean nothing.

Exit status 1 if a bug is not caught in every run, does not apply or does not compile.
"""

import argparse
import concurrent.futures
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PLANTS = ROOT / "tests" / "planted"
RELEASE = ROOT / "build" / "release"
OUTPUT = ROOT / "build" / "planted"
LIBRARY = "libmarble.so.0"
TEST_SECONDS_MAX = 300


class PlantError(Exception):
    """A plant that cannot be read, does not apply, does not compile, or says nothing."""


class Change(NamedTuple):
    path: str
    old: str
    new: str


class Plant(NamedTuple):
    number: int
    name: str
    bug: str
    program: str
    filter: str
    variables: tuple[str, ...]  # NAME=VALUE
    gate: bool
    changes: tuple[Change, ...]

    @property
    def test(self) -> tuple[str, str, tuple[str, ...]]:
        return self.program, self.filter, self.variables


class Result(NamedTuple):
    plant: Plant
    caught: int
    runs: int
    seconds: float  # of compiling, linking and the first run
    problem: str

    @property
    def good(self) -> bool:
        return not self.problem and self.caught == self.runs


# ---- Reading plants ----

def parse(text: str, file_name: str) -> Plant:
    head, changes = split(text, file_name)
    named = re.fullmatch(r"(\d\d)_(\w+)\.txt", file_name)
    if not named:
        raise PlantError(f"{file_name}: not named like 01_what_it_does.txt")
    unknown = head.keys() - {"bug", "test", "with", "gate"}
    if unknown or "bug" not in head or len(head.get("test", "").split()) != 2:
        raise PlantError(f"{file_name}: needs 'bug: ...' and 'test: PROGRAM FILTER', and knows "
                         f"'with: NAME=VALUE...' and 'gate: yes'; it has {sorted(head)}")
    if not changes:
        raise PlantError(f"{file_name}: changes nothing")
    program, test_filter = head["test"].split()
    return Plant(int(named[1]), named[2], head["bug"], program, test_filter,
                 tuple(head.get("with", "").split()), head.get("gate") == "yes", tuple(changes))


def split(text: str, file_name: str) -> tuple[dict[str, str], list[Change]]:
    """The lines "key: value" in front, and the pieces to be replaced."""
    head: dict[str, str] = {}
    changes: list[Change] = []
    path = ""
    section = ""  # of a piece: "replace" or "by"
    pieces = {"replace": "", "by": ""}
    order = {"": "replace", "replace": "by", "by": "end"}
    for number, line in enumerate(text.splitlines(), 1):
        word = line.removeprefix("--- ")
        if word != line:
            if word != order[section] or not path:
                raise PlantError(f"{file_name}:{number}: '--- {word}' out of place")
            if word == "end":
                changes.append(Change(path, pieces["replace"], pieces["by"]))
                pieces = {"replace": "", "by": ""}
            section = "" if word == "end" else word
        elif section:
            pieces[section] += line + "\n"
        else:
            key, colon, value = line.partition(": ")
            if not colon:
                raise PlantError(f"{file_name}:{number}: neither 'key: value' nor '--- ...'")
            if key == "file":
                path = value
            else:
                head[key] = value
    if section:
        raise PlantError(f"{file_name}: a piece without '--- end'")
    return head, changes


def load() -> list[Plant]:
    plants = [parse(path.read_text(encoding="utf-8"), path.name)
              for path in sorted(PLANTS.glob("*.txt"))]
    numbers = [plant.number for plant in plants]
    if len(set(numbers)) != len(numbers):
        raise PlantError("two plants have one number")
    return plants


def patched(plant: Plant, read) -> dict[str, str]:
    """The changed files; `read` gives a file's text by its path in the tree."""
    files: dict[str, str] = {}
    for change in plant.changes:
        text = files.get(change.path)
        if text is None:
            text = read(change.path)
        count = text.count(change.old)
        if not change.old or count != 1:
            raise PlantError(f"does not apply: {count} places in {change.path} have its text, "
                             "not one; the source has moved on")
        files[change.path] = text.replace(change.old, change.new)
    return files


def read_source(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


# ---- Building ----

def run(command: list[str] | str, what: str, folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, shell=isinstance(command, str), text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise PlantError(f"{what} failed:\n{done.stdout[-1500:]}")
    return done.stdout


class Builder:
    """Compiles and links as the release build does, to other places. Thread-safe once made."""

    def __init__(self, plants: list[Plant]):
        if not (RELEASE / "build.ninja").exists():
            raise PlantError("there is no build/release: bash tools/build.sh release")
        programs = sorted({plant.program for plant in plants})
        # The plants are made of the sources as they are: so must be what they are linked with.
        run(["cmake", "--build", str(RELEASE), "--target", "marble", *programs], "the build")
        entries = json.loads((RELEASE / "compile_commands.json").read_text(encoding="utf-8"))
        self.compile = {os.path.relpath(entry["file"], ROOT): entry for entry in entries}
        self.link = {name: self.link_command(name, f"tests/{name}") for name in programs}
        self.link["marble"] = self.link_command("marble", "libmarble.so")

    @staticmethod
    def link_command(target: str, output: str) -> str:
        lines = run(["ninja", "-C", str(RELEASE), "-t", "commands", target], "ninja").splitlines()
        # Others follow each other by "&&": the library's symbolic links are made, too.
        commands = [part for line in lines for part in line.split(" && ")]
        found = [command for command in commands if f" -o {output}" in command]
        if len(found) != 1:
            raise PlantError(f"{len(found)} commands link {target}, not one")
        return found[0]

    def uses_library(self, program: str) -> bool:
        """Or is it linked with the layers' objects, as unit tests are?"""
        return "libmarble.so" in self.link[program]

    def build(self, plant: Plant, folder: Path) -> tuple[Path, str]:
        """The program to run with the bug, and where it is to find its library."""
        files = patched(plant, read_source)
        objects = {}
        for path, text in files.items():
            copy = folder / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text, encoding="utf-8")
            objects.update(self.compile_copy(path, copy))
        if self.uses_library(plant.program):
            self.relink("marble", objects, folder / LIBRARY)
            return RELEASE / "tests" / plant.program, str(folder)
        program = folder / plant.program
        self.relink(plant.program, objects, program)
        return program, ""

    def compile_copy(self, path: str, copy: Path) -> dict[str, str]:
        """The release build's object, and the one to link in its place."""
        entry = self.compile[path]
        arguments = shlex.split(entry["command"])
        source = arguments.index(entry["file"])
        output = arguments.index("-o") + 1
        original = arguments[output]
        arguments[source] = str(copy)
        arguments[output] = str(copy) + ".o"
        run(arguments, f"compiling {path}", Path(entry["directory"]))
        return {original: arguments[output]}

    def relink(self, target: str, objects: dict[str, str], output: Path) -> None:
        command = self.link[target]
        for original, planted in objects.items():
            if command.split().count(original) != 1:
                raise PlantError(f"{original} is not linked into {target}")
            command = command.replace(f" {original} ", f" {planted} ")
        command, count = re.subn(r" -o \S+ ", f" -o {output} ", command)
        if count != 1:
            raise PlantError(f"linking {target} does not name one output")
        run(command, f"linking {target}", RELEASE)


# ---- Running ----

def verdict(status: int, output: str) -> str:
    """Of a run of a test: "passed", "failed", or "broken" if it did not say either."""
    if status == 0 and re.search(r"^\[  PASSED  \] [1-9]", output, re.MULTILINE):
        return "passed"
    began = "[ RUN      ]" in output
    if began and (status < 0 or "[  FAILED  ]" in output):
        return "failed"
    return "broken"


def run_test(plant: Plant, program: Path, library: str, seed: int, log: Path) -> str:
    environment = dict(os.environ, MARBLE_SEED=str(seed), TEST_TMPDIR=str(log.parent))
    environment.pop("MARBLE_TEST_DIRECTORY", None)  # what is left behind there must be sound
    for variable in plant.variables:
        name, _, value = variable.partition("=")
        environment[name] = value
    if library:
        environment["LD_LIBRARY_PATH"] = library
    command = [str(program), f"--gtest_filter={plant.filter}"]
    with open(log, "w", encoding="utf-8") as out:
        print(f"MARBLE_SEED={seed}", *plant.variables, shlex.join(command), file=out, flush=True)
        process = subprocess.Popen(command, cwd=log.parent, env=environment, stdout=out,
                                   stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   start_new_session=True)
        try:
            status = process.wait(TEST_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its children as well
            process.wait()
            return "broken"
    return verdict(status, log.read_text(encoding="utf-8", errors="replace"))


class Campaign:
    def __init__(self, builder: Builder, runs: int, seed: int | None):
        self.builder = builder
        self.runs = runs
        self.seed = seed
        self.passed: dict[tuple, str] = {}  # verdicts of tests without a bug
        self.locks: dict[tuple, threading.Lock] = {}
        self.guard = threading.Lock()

    def next_seed(self) -> int:
        return self.seed if self.seed is not None else random.randrange(1, 2**31)

    def without_bug(self, plant: Plant, folder: Path) -> str:
        """Once for each test, however many plants it catches."""
        with self.guard:
            lock = self.locks.setdefault(plant.test, threading.Lock())
        with lock:
            if plant.test not in self.passed:
                self.passed[plant.test] = run_test(
                    plant, RELEASE / "tests" / plant.program, "", self.next_seed(),
                    folder / "without_bug.log")
            return self.passed[plant.test]

    def check(self, plant: Plant) -> Result:
        folder = OUTPUT / f"{plant.number:02}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        caught, seconds, start = 0, 0.0, time.monotonic()
        try:
            program, library = self.builder.build(plant, folder)
            for number in range(self.runs):
                log = folder / f"run_{number + 1}.log"
                outcome = run_test(plant, program, library, self.next_seed(), log)
                if outcome == "broken":
                    raise PlantError(f"the test did not run to an end: {log}")
                caught += outcome == "failed"
                seconds = seconds or time.monotonic() - start
            if (outcome := self.without_bug(plant, folder)) != "passed":
                raise PlantError(f"without the bug the test {outcome}, too: {folder}")
        except PlantError as error:
            return Result(plant, caught, self.runs, time.monotonic() - start, str(error))
        return Result(plant, caught, self.runs, seconds, "")


def row(result: Result) -> str:
    plant = result.plant
    words = "caught" if result.good else "NOT CAUGHT"
    if result.runs > 1:
        words += f" {result.caught} of {result.runs}"
    return (f"{plant.number:02} {plant.name:32} {words:16} {result.seconds:6.1f} s  "
            f"{plant.program} {plant.filter}")


def choose(plants: list[Plant], numbers: list[int], gate: bool) -> list[Plant]:
    unknown = set(numbers) - {plant.number for plant in plants}
    if unknown:
        raise PlantError(f"no plant has the number {sorted(unknown)[0]}")
    return [plant for plant in plants
            if (not numbers or plant.number in numbers) and (not gate or plant.gate)]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int, metavar="NUMBER")
    parser.add_argument("--gate", action="store_true", help="those that the gate runs")
    parser.add_argument("--runs", type=int, default=1, help="runs of each, with different seeds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="plants at once")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    seed = os.environ.get("MARBLE_SEED")
    try:
        plants = choose(load(), options.numbers, options.gate)
        campaign = Campaign(Builder(plants), options.runs, int(seed) if seed else None)
    except PlantError as error:
        print(f"planted: {error}")
        return 1
    results = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(campaign.check, plants):
            print(row(result), flush=True)
            if result.problem:
                print("   " + result.problem.replace("\n", "\n   "), flush=True)
            results.append(result)
    good = sum(result.good for result in results)
    print(f"planted: {good} of {len(results)} bugs were caught, in "
          f"{time.monotonic() - start:.0f} s; what the tests said is in build/planted")
    return 0 if results and good == len(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
