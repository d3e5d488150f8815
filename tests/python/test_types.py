"""The stubs, by mypy: the examples are right with them, and wrong calls are found."""

import subprocess
import sys

from conftest import REPOSITORY

WRONG = """\
import marbledb

with marbledb.open("/nowhere", memory_budget=1.5) as db:
    db.create_table(5, {})
    table = db["t"]
    table.insert()
    table.scan(columns=[1], revers=True)
    dataset = table.to_dataset()
    dataset.table.name.upper() + 1
    db.kv().get(b"key", 5).nothing
    len(table.primary_key.nothing)
"""


def test_examples_are_right_and_mistakes_are_found(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    examples = sorted((REPOSITORY / "examples" / "python").glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"]
    done = subprocess.run(
        [*command, "--cache-dir", REPOSITORY / "build" / "mypy", *examples, wrong],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert all("wrong.py:" in line for line in lines), done.stdout + done.stderr
    found = {int(line.split("wrong.py:")[1].split(":")[0]) for line in lines}
    assert found == {3, 4, 6, 7, 9, 10, 11}, done.stdout
