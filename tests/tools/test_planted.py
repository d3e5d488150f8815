"""tools/planted.py reads plants strictly, and every plant applies to the sources as they are."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("planted", ROOT / "tools" / "planted.py")
planted = importlib.util.module_from_spec(SPEC)
sys.modules["planted"] = planted
SPEC.loader.exec_module(planted)

HEAD = "bug: It leaks.\ntest: io_test Some.Test\n"
PIECE = "file: src/a.cc\n--- replace\n  old();\n--- by\n  fresh();\n--- end\n"
PLANTS = planted.load()


def test_plant_is_read_as_it_is_written():
    plant = planted.parse(HEAD + "with: A=1 B=2\ngate: yes\n" + PIECE, "07_it_leaks.txt")
    assert plant == planted.Plant(7, "it_leaks", "It leaks.", "io_test", "Some.Test",
                                  ("A=1", "B=2"), True,
                                  (planted.Change("src/a.cc", "  old();\n", "  fresh();\n"),))


@pytest.mark.parametrize("text, name, message", [
    (HEAD + PIECE, "leak.txt", "not named like"),
    (HEAD, "01_a.txt", "changes nothing"),
    ("bug: It leaks.\n" + PIECE, "01_a.txt", "needs 'bug: ...' and 'test: PROGRAM FILTER'"),
    (HEAD + "speed: high\n" + PIECE, "01_a.txt", "'speed'"),
    (HEAD + "nonsense\n" + PIECE, "01_a.txt", "01_a.txt:3: neither"),
    (HEAD + PIECE.replace("--- end\n", ""), "01_a.txt", "a piece without '--- end'"),
    (HEAD + PIECE.replace("--- replace\n", ""), "01_a.txt", "01_a.txt:4: neither"),
    (HEAD + PIECE.replace("file: src/a.cc\n", ""), "01_a.txt", "out of place"),
])
def test_plant_that_is_not_well_formed_is_refused(text, name, message):
    with pytest.raises(planted.PlantError, match=message):
        planted.parse(text, name)


@pytest.mark.parametrize("source", ["", "  old();\n  old();\n", "  older();\n"])
def test_plant_whose_text_does_not_stand_there_once_does_not_apply(source):
    plant = planted.parse(HEAD + PIECE, "01_a.txt")
    with pytest.raises(planted.PlantError, match="does not apply"):
        planted.patched(plant, lambda path: source)


def test_pieces_of_one_file_are_all_replaced():
    plant = planted.parse(HEAD + PIECE + "--- replace\n  x();\n--- by\n--- end\n", "01_a.txt")
    assert planted.patched(plant, lambda path: "  x();\n  old();\n") == {"src/a.cc": "  fresh();\n"}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_every_plant_applies_to_the_sources(plant):
    assert all(path.startswith("src/") and path.endswith(".cc")
               for path in planted.patched(plant, planted.read_source))


def test_every_plant_stands_in_the_list_with_its_test():
    documented = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    rows = {int(line.split("|")[1]): line for line in documented.splitlines()
            if line.startswith("| ") and line.split("|")[1].strip().isdigit()}
    assert sorted(rows) == [plant.number for plant in PLANTS]
    for plant in PLANTS:
        name = plant.filter.strip("*").removeprefix("Scripts/").split("/")[0].split("*")[0]
        assert name in rows[plant.number]


def test_gate_runs_five():
    assert len(planted.choose(PLANTS, [], gate=True)) == 5


@pytest.mark.parametrize("status, output, expected", [
    (0, "[ RUN      ] A.B\n[  PASSED  ] 1 test.\n", "passed"),
    (0, "[  PASSED  ] 0 tests.\n", "broken"),  # the filter names no test
    (1, "[ RUN      ] A.B\n[  FAILED  ] A.B (1 ms)\n", "failed"),
    (-11, "[ RUN      ] A.B\n", "failed"),
    (127, "error while loading shared libraries\n", "broken"),
    (-9, "", "broken"),
])
def test_verdict_needs_a_test_that_ran(status, output, expected):
    assert planted.verdict(status, output) == expected
