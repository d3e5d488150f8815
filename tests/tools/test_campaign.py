"""tools/campaign.py: what makes a campaign fail."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import campaign  # noqa: E402

HOUR = 3600.0


@pytest.fixture(autouse=True)
def output(tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "OUTPUT", tmp_path)


def lane_of(tmp_path, script, amount=100, parts=1):
    """A lane whose parts run `script`."""
    program = tmp_path / "program.py"
    program.write_text(script)
    return campaign.Lane("lane", str(program), "things", amount, r"(\d+) things", "AMOUNT",
                         "*", parts)  # fmt: skip


def run(lane, scale=1.0, seconds=HOUR):
    parts = [campaign.Part(lane, number, scale) for number in range(lane.parts)]
    for part in parts:
        part.run(7, time.monotonic() + seconds)
    (result,) = campaign.results_of(parts)
    return result


def test_a_lane_holds_if_its_parts_together_did_what_was_asked(tmp_path):
    result = run(lane_of(tmp_path, "print('50 things')", parts=2))
    assert (result.asked, result.done, result.failure) == (100, 100, "")
    assert result.row().startswith("| lane | 100 | 100 | things | ")
    assert result.row().endswith("| held |")


def test_a_lane_that_did_less_than_asked_has_failed(tmp_path):
    result = run(lane_of(tmp_path, "print('99 things')"))
    assert result.failure == "fewer than asked for"
    assert "| FAILED: fewer than asked for |" in result.row()


def test_so_has_one_whose_filter_names_no_test(tmp_path):
    assert run(lane_of(tmp_path, "pass")).failure == "fewer than asked for"


def test_the_part_that_failed_is_named_though_enough_was_done(tmp_path):
    script = "import os; print('100 things'); raise SystemExit(os.environ['GTEST_SHARD_INDEX'] == '1')"
    assert run(lane_of(tmp_path, script, parts=2)).failure == "part 1"


def test_a_part_that_hangs_is_killed_when_time_is_up(tmp_path):
    result = run(lane_of(tmp_path, "import time; time.sleep(600)"), seconds=0.2)
    assert result.failure == "part 0"
    assert result.parts[0].status == -9


def test_the_children_of_a_part_are_killed_with_it(tmp_path):
    script = f"""
import pathlib, subprocess, time
child = subprocess.Popen(["sleep", "600"])
pathlib.Path("{tmp_path}/child").write_text(str(child.pid))
time.sleep(600)
"""
    run(lane_of(tmp_path, script), seconds=5)
    try:
        state = Path("/proc", (tmp_path / "child").read_text(), "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return
    assert state.rpartition(")")[2].split()[0] == "Z"


def test_a_part_whose_time_has_not_come_when_time_is_up_is_not_run_and_fails(tmp_path):
    result = run(lane_of(tmp_path, "print('100 things')"), seconds=-1)
    assert result.failure == "part 0"
    assert result.parts[0].status is None


def test_a_scaled_lane_asks_for_its_part_of_everything(tmp_path):
    script = "import os; print(os.environ['AMOUNT'], 'things')"
    result = run(lane_of(tmp_path, script), scale=0.1)
    assert (result.asked, result.done, result.failure) == (10, 10, "")


def test_every_lane_names_a_filter_that_is_in_the_sources():
    sources = "".join(
        path.read_text() for path in (campaign.ROOT / "tests").glob("*/*_test.cc")
    )
    for lane in campaign.LANES:
        for pattern in filter(None, lane.filter.split(":")):
            suite = pattern.split("/")[-1].split(".")[0]
            assert f"({suite}, " in sources, f"{lane.name}: {suite}"
