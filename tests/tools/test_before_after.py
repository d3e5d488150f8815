"""benchmarks/before_after.py: how sure a median of ratios is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import before_after  # noqa: E402


def test_the_interval_of_a_median_is_that_of_the_sign_test():
    # Ranks as in tables of the binomial distribution.
    for count, low, high in [(6, 1, 6), (10, 2, 9), (25, 8, 18), (60, 22, 39), (100, 40, 61)]:
        assert before_after.interval_of_median(list(range(1, count + 1))) == (low, high), count


def test_few_values_have_their_range():
    assert before_after.interval_of_median([0.9]) == (0.9, 0.9)
    assert before_after.interval_of_median([0.9, 1.0, 1.2]) == (0.9, 1.2)


def test_a_row_tells_the_median_its_interval_and_the_spread():
    before, after = [10.0] * 6, [9.0, 10.0, 10.0, 11.0, 11.0, 12.0]
    ratio, text = before_after.row("get", before, after)
    assert ratio == 1.05
    assert text == "| get | 10 | 10.5 | 1.050 | 0.90 to 1.20 | 0.90 to 1.20 |"
