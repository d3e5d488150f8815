"""A picture of the run: how fast each step was, and what lies on disk."""

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def write(path, steps, sizes):
    """Writes a PNG with the rate of every step and the sizes on disk."""
    steps = [step for step in steps if step["rows"] > 1]
    figure, (rates, disk) = pyplot.subplots(
        1, 2, figsize=(12, 0.36 * len(steps) + 1.8), width_ratios=(3, 1), layout="constrained"
    )
    names = [step["name"] for step in steps]
    values = [step["rows"] / max(step["seconds"], 1e-9) for step in steps]
    colours = ["tab:blue" if step["ok"] else "tab:red" for step in steps]
    bars = rates.barh(names, values, color=colours)
    rates.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3, fontsize=8)
    rates.set_xscale("log")
    rates.margins(x=0.15)
    rates.invert_yaxis()
    rates.set_xlabel("rows per second")
    rates.set_title("A year of flights through Marble")
    megabytes = [size / 1e6 for size in sizes.values()]
    bars = disk.bar(list(sizes), megabytes, color=["tab:grey", "tab:blue", "tab:cyan"])
    disk.bar_label(bars, [f"{value:,.1f}" for value in megabytes], fontsize=8)
    disk.tick_params(axis="x", labelrotation=20, labelsize=8)
    disk.set_ylabel("MB")
    disk.set_title("Sizes")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
