"""benchmarks/count_instructions.py: what callgrind says, and the table made of it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import count_instructions  # noqa: E402

ANNOTATED = """
419,286,240 (100.0%)  PROGRAM TOTALS

 1,234,567 (56.7%)  a.cc:marble::benchmark::(anonymous namespace)::RunA(marble::benchmark::Session*) [lib]
     4,200 (10.0%)  a.cc:marble::benchmark::(anonymous namespace)::RunA(marble::benchmark::Session*)'2 [lib]
     1,000 ( 0.1%)  b.cc:marble::benchmark::(anonymous namespace)::Seek(marble::benchmark::Session*) [lib]
       900 ( 0.1%)  b.cc:marble::(anonymous namespace)::Seek(marble::Other*) [lib]
"""


def test_a_workloads_instructions_are_the_largest_inclusive_figure_of_its_function():
    assert count_instructions.instructions_of(ANNOTATED) == {"ycsb-a": 1_234_567, "seek": 1_000}


def test_the_table_begins_with_what_became_most_expensive():
    table = count_instructions.table_of({"seek": 100, "scan": 200}, {"seek": 103, "scan": 190})
    assert table.splitlines()[2:] == ["| seek | 100 | 103 | 1.030 |", "| scan | 200 | 190 | 0.950 |"]
