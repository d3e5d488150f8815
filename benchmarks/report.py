#!/usr/bin/env python3
"""Makes a Markdown report with plots out of the JSON of key_value_benchmark, of
python_key_value.py and of python_tables.py.

    benchmarks/report.py --output DIRECTORY FILE.json...

Writes DIRECTORY/report.md and the pictures beside it. Each file gets a section of its own: figures
of different sizes are not mixed. Of all figures less is better; a ratio above 1 says how many times
as much the peer takes as Marble, as the median of the ratios of each round.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Callable, Iterable, NamedTuple, Optional

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

Key = tuple[str, str, str]  # workload, figure, state


class Peer(NamedTuple):
    """A target relative to peers: Marble is to be at least `factor` times as fast."""
    engines: str | tuple[str, ...]  # beginning of the names, "" for all; or whole names
    factor: float

    def among(self, names: Iterable[str]) -> list[str]:
        if isinstance(self.engines, tuple):
            return [name for name in names if name in self.engines]
        return [name for name in names if name.startswith(self.engines)]

    def wanted(self) -> str:
        listed = self.engines if isinstance(self.engines, str) else " or ".join(self.engines)
        return f"{self.factor:.3g} x {listed or 'the best'}"


class Target(NamedTuple):
    workload: str
    figure: str
    state: str
    peers: tuple[Peer, ...] = ()
    at_most: Optional[float] = None
    marble: str = "marble"


BOTH = (Peer("rocksdb", 3), Peer("lmdb", 1.7))
SCANNED = (Peer("lmdb", 0.8), Peer("rocksdb", 5))
# What is to be shown, as far as one figure of Marble and those of its peers say it.
TARGETS = (
    Target("fillrandom", "until_quiet", "", (Peer("rocksdb-tuned", 4), Peer("lmdb", 4))),
    Target("fillseq", "until_quiet", "", (Peer("rocksdb", 3), Peer("lmdb", 1))),
    Target("fillbatch", "until_quiet", "", (Peer("", 4),)),
    Target("readrandom", "get", "compacted", (Peer("rocksdb", 3), Peer("lmdb", 3))),
    Target("readrandom", "get", "loaded", (Peer("rocksdb", 2), Peer("lmdb", 2))),
    Target("readzipf", "get", "compacted", (Peer("", 2),)),
    Target("readzipf", "get", "loaded", (Peer("", 2),)),
    Target("readmissing", "get", "compacted", (Peer("rocksdb-mmap", 1.5),)),
    Target("readmissing", "get", "loaded", (Peer("rocksdb-mmap", 1.5),)),
    Target("multiget", "key", "compacted", (Peer("", 8),)),
    Target("multiget", "key", "loaded", (Peer("", 8),)),
    Target("scan", "row", "compacted", (Peer("", 2),)),
    Target("scan", "row", "loaded", (Peer("", 2),)),
    Target("scanbatches", "row", "compacted", (Peer("", 6),)),
    Target("scanbatches", "row", "loaded", (Peer("", 6),)),
    Target("deleterange", "delete", "compacted", at_most=5_000),
    Target("seek", "seek", "compacted", (Peer("lmdb", 1.3),)),
    Target("seek", "seek", "loaded", (Peer("lmdb", 0.8), Peer("rocksdb-tuned", 4))),
    Target("seekagain", "seek", "compacted", (Peer("lmdb", 1.3),)),
    Target("seekagain", "seek", "loaded", (Peer("lmdb", 0.8), Peer("rocksdb-tuned", 4))),
    Target("ycsb-a", "operation", "loaded", BOTH),
    Target("ycsb-b", "operation", "loaded", BOTH),
    Target("ycsb-f", "operation", "loaded", BOTH),
    Target("ycsb-c", "operation", "loaded", (Peer("", 2),)),
    Target("ycsb-d", "operation", "loaded", (Peer("", 2),)),
    Target("ycsb-e", "operation", "loaded", SCANNED),
    Target("synced1", "put", "loaded", (Peer("", 1), Peer("bare", 0.9))),
    Target("synced4", "put", "loaded", (Peer("", 1.5),)),
    Target("mixed", "put_p99.9", "loaded", (Peer("rocksdb", 1),)),
    Target("mixed", "get_p99.9", "loaded", (Peer("rocksdb", 1),)),
    Target("mixed", "put_max", "loaded", at_most=50e6),
    Target("mixed", "get_max", "loaded", at_most=50e6),
    Target("killedlog", "open", "", at_most=2_500),
    Target("reopen", "open", "compacted", at_most=50),
    Target("readrandom", "get", "limited", (Peer("", 0.8),)),
    Target("readzipf", "get", "limited", (Peer("", 1.2),)),
    Target("python", "put", "", (Peer("rocksdict", 3),)),
    Target("python", "get", "", (Peer("lmdb", 1.4),)),
    Target("python", "multi_get", "", (Peer("rocksdict", 5),)),
    Target("python", "put_many", "", (Peer("rocksdict", 10),)),
    Target("python", "put_many_arrow", "", (Peer("rocksdict", 10),)),
)

FEATHER, UNSORTED = ("feather",), ("duckdb", "duckdb-key")
FILES = ("feather", "parquet-zstd")
TABLE_TARGETS = (
    Target("ingest", "durable", "", (Peer("duckdb-key", 7), Peer("lance", 1))),
    Target("ingest", "quiet", "", (Peer("duckdb-key", 4),)),
    Target("ingest", "durable", "", (Peer(FEATHER, 0.7),), marble="marble-append"),
    Target("scan", "best", "compacted", (Peer(FEATHER, 0.9), Peer("duckdb", 4), Peer("lance", 6))),
    Target("scan", "best", "compacted",
           (Peer("feather-lz4", 0.9), Peer("duckdb", 1.5), Peer("lance", 2.5)), marble="marble-lz4"),
    Target("upsert", "scan_best", "compacted", (Peer("duckdb", 3),)),
    Target("project_sum", "best", "compacted", (Peer(FEATHER, 0.95), Peer("duckdb", 1))),
    Target("filter", "clustered", "compacted", (Peer("duckdb", 1),)),
    Target("filter", "clustered", "compacted", (Peer("duckdb", 1),), marble="marble-append"),
    Target("filter", "unclustered", "compacted", (Peer("duckdb", 4), Peer(FEATHER, 1))),
    Target("key_range", "best", "loaded", (Peer(UNSORTED, 200), Peer("lance", 200))),
    Target("key_range", "best", "compacted", (Peer("duckdb-sorted", 5),)),
    Target("point", "single", "loaded", (Peer("", 30),)),
    Target("point", "single", "compacted", (Peer("", 30),)),
    Target("point", "thousands", "loaded", (Peer("", 20),)),
    Target("point", "thousands", "compacted", (Peer("", 20),)),
    Target("upsert", "commit", "compacted",
           (Peer("duckdb-key", 8), Peer(("duckdb",), 3), Peer("lance", 15))),
    Target("upsert", "memory", "compacted", at_most=256),
    Target("delete", "commit", "upserted", (Peer("lance", 3), Peer("duckdb", 1))),
    Target("queries", "q6", "compacted", (Peer(FILES, 1),)),
    Target("queries", "q1", "compacted", (Peer(FILES, 1 / 1.15),)),
    Target("group", "best", "compacted", (Peer(FILES, 1 / 1.15),)),
    Target("size", "in_files", "compacted", (Peer("feather-lz4", 1),), marble="marble-lz4"),
    Target("size", "in_files", "compacted", (Peer("parquet-zstd", 1 / 1.2),), marble="marble-zstd"),
)


class Run:
    """The figures of one file."""

    def __init__(self, path: Path):
        self.name = path.stem
        self.data = json.loads(path.read_text(encoding="utf-8"))
        self.engines = [engine["name"] for engine in self.data["engines"]]
        self.floors = {e["name"] for e in self.data["engines"] if e.get("floor")}
        self.families = {e["name"]: e["family"] for e in self.data["engines"]}
        self.is_tables = self.data["mode"] == "tables"
        self.units: dict[Key, str] = {}
        self.rows: dict[Key, int] = {}  # handled in a figure's time, if its rate makes sense
        self.values: dict[Key, dict[str, dict[int, float]]] = {}  # by engine and round
        for result in self.data["results"]:
            for figure, entry in result["figures"].items():
                key = (result["workload"], figure, result["state"])
                self.units[key] = entry["unit"]
                if entry.get("rows"):
                    self.rows[key] = entry["rows"]
                engines = self.values.setdefault(key, {})
                engines.setdefault(result["engine"], {})[result["round"]] = entry["value"]

    def peers(self) -> list[str]:
        return [e for e in self.engines
                if self.families[e] != "marble" and e not in self.floors]

    def median(self, key: Key, engine: str) -> Optional[float]:
        rounds = self.values.get(key, {}).get(engine)
        return statistics.median(rounds.values()) if rounds else None

    def ratio(self, key: Key, peers: Iterable[str], marble: str = "marble") -> Optional[float]:
        """How many times as much the best of `peers` takes as Marble."""
        engines = self.values.get(key, {})
        peers = [peer for peer in peers if peer in engines]
        ratios = []
        for number, ours in engines.get(marble, {}).items():
            theirs = [engines[peer][number] for peer in peers if number in engines[peer]]
            if theirs and ours > 0:
                ratios.append(min(theirs) / ours)
        return statistics.median(ratios) if ratios else None


def short(value: Optional[float]) -> str:
    if value is None:
        return ""
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def title(key: Key) -> str:
    workload, figure, state = key
    return f"{workload}: {figure.replace('_', ' ')}" + (f", {state}" if state else "")


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def about(run: Run) -> list[str]:
    data = run.data
    size = data["size"] if run.is_tables else (
        f"{data['rows']:,} rows, keys {data['keys']}, values of {data['value_bytes']} bytes")
    lines = [f"## {run.name}", "", size + f", mode {data['mode']}.", ""]
    lines += [f"- {name}: {text}" for name, text in data["facts"].items()] + [""]
    notes = {e["name"]: e["note"] for e in data["engines"] if "note" in e}
    for result in data["results"]:
        if result["workload"] in ("fillrandom", "fillsome", "open-limited") and result["note"]:
            notes[result["engine"]] = result["note"]
    rows = [[e["name"], e["version"], notes.get(e["name"], "")] for e in data["engines"]]
    lines += table(["engine", "version", "configuration"], rows)
    reasons: dict[tuple[str, str], list[str]] = {}
    for engine in data["engines"]:
        for workload, reason in engine.get("left_out", {}).items():
            reasons.setdefault((engine["name"], reason), []).append(workload)
    if reasons:
        lines += ["Left out:", ""] + [f"- {name}: {', '.join(workloads)} ({reason})"
                                      for (name, reason), workloads in reasons.items()] + [""]
    return lines


def judge(run: Run, target: Target) -> Iterable[list[str]]:
    key = (target.workload, target.figure, target.state)
    ours = run.median(key, target.marble)
    if ours is None:
        return
    name = title(key) + (f" ({target.marble})" if target.marble != "marble" else "")
    for peer in target.peers:
        floors = sorted(run.floors) if peer.engines == "bare" else []
        peers = floors or peer.among(run.peers())
        ratio = run.ratio(key, peers, target.marble)
        if ratio is not None:
            verdict = "yes" if ratio >= peer.factor else "**no**"
            yield [name, peer.wanted(), f"{ratio:.2f} x", verdict]
    if target.at_most is not None:
        verdict = "yes" if ours <= target.at_most else "**no**"
        unit = run.units[key]
        yield [name, f"at most {short(target.at_most)} {unit}", f"{short(ours)} {unit}", verdict]


def judge_scan_after_delete(run: Run) -> Iterable[list[str]]:
    after = run.median(("deleterange", "scan_after", "compacted"), "marble")
    before = run.median(("scan", "row", "compacted"), "marble")
    if after and before:
        yield ["scan after deleterange, a remaining row", "at most 1.1 x before",
               f"{after / before:.2f} x", "yes" if after <= 1.1 * before else "**no**"]


def judge_size(run: Run) -> Iterable[list[str]]:
    """The smallest of Marble's codecs whose gets are ahead of RocksDB's."""
    size: Key = ("resources", "on_disk", "compacted")
    get: Key = ("readrandom", "get", "compacted")
    rocksdb = [e for e in run.engines if run.families[e] == "rocksdb"]
    tuned = [e for e in rocksdb if e.endswith("-tuned")]
    theirs = run.median(size, tuned[0]) if tuned else None
    ahead = [e for e in run.engines if run.families[e] == "marble"
             and (run.ratio(get, rocksdb, marble=e) or 0) > 1 and run.median(size, e)]
    if not theirs or not ahead:
        return
    best = min(ahead, key=lambda engine: run.median(size, engine) or 0)
    ratio = (run.median(size, best) or 0) / theirs
    yield [f"size on disk, compacted ({best})", "at most RocksDB's with LZ4", f"{ratio:.2f} x",
           "yes" if ratio <= 1 else "**no**"]


def judge_scan_after_upsert(run: Run) -> Iterable[list[str]]:
    """In each round beside the scan before it."""
    after = run.values.get(("upsert", "scan_best", "compacted"), {}).get("marble", {})
    before = run.values.get(("scan", "best", "compacted"), {}).get("marble", {})
    ratios = [before[number] / after[number] for number in after if number in before]
    if ratios:
        rate = statistics.median(ratios)
        yield ["scan after upserting 1 %, its rate", "0.45 x that before", f"{rate:.2f} x",
               "yes" if rate >= 0.45 else "**no**"]


def targets(run: Run) -> list[str]:
    if run.is_tables:
        rows = [row for target in TABLE_TARGETS for row in judge(run, target)]
        rows += judge_scan_after_upsert(run)
    else:
        rows = [row for target in TARGETS for row in judge(run, target)]
        rows += [*judge_scan_after_delete(run), *judge_size(run)]
    if not rows:
        return []
    missed = sum(row[-1] != "yes" for row in rows)
    lines = [f"### What is to be shown: {len(rows) - missed} of {len(rows)}", ""]
    return lines + table(["figure", "wanted", "measured", "shown"], rows)


def figures(run: Run) -> list[str]:
    peers = run.peers()
    rows = []
    for key, engines in run.values.items():
        best = run.ratio(key, peers)
        row = [title(key), run.units[key]] + [short(run.median(key, e)) for e in run.engines]
        rows.append(row + [f"{best:.2f}" if best is not None else ""])
    head = ["median", "unit", *run.engines, "best peer / marble"]
    ratio_rows = []
    for key in run.values:
        ratios = [run.ratio(key, [peer]) for peer in peers]
        if any(ratio is not None for ratio in ratios):
            ratio_rows.append([title(key)] + ["" if r is None else f"{r:.2f}" for r in ratios])
    lines = ["### Figures", "", *table(head, rows)]
    rates = [[title(key)] + [rate(run, key, engine) for engine in run.engines] for key in run.rows]
    if rates:
        lines += ["### Millions of rows a second", "", *table(["", *run.engines], rates)]
    return lines + ["### Each peer's figure, in Marble's", "", *table(["", *peers], ratio_rows)]


def rate(run: Run, key: Key, engine: str) -> str:
    value = run.median(key, engine)
    seconds = {"s": 1.0, "ms": 1e-3, "us": 1e-6}[run.units[key]]
    return short(run.rows[key] / (value * seconds) / 1e6) if value else ""


def save(directory: Path, name: str) -> str:
    plt.tight_layout()
    plt.savefig(directory / name, dpi=110)
    plt.close()
    return name


def is_plotted(run: Run, key: Key) -> bool:
    """Times; of tables, not those of one number of threads or of one way among several."""
    workload, figure, _ = key
    if run.is_tables:
        of_one_way = figure.endswith(("_thread", "_threads")) or figure in (
            "first_way", "or_replace", "merge")
        return run.units[key] in ("s", "ms", "us") and workload != "compact" and not of_one_way
    return run.units[key].startswith("ns") and workload not in ("mixed", "overload", "compact")


def plot_ratios(run: Run, directory: Path) -> Iterable[str]:
    """One mark for each peer in a row for each figure that is a time."""
    keys = [key for key in run.values if is_plotted(run, key)
            and run.ratio(key, run.peers()) is not None]
    if not keys:
        return
    plt.figure(figsize=(9, 1.5 + 0.24 * len(keys)))
    for peer in run.peers():
        points = [(run.ratio(key, [peer]), -row) for row, key in enumerate(keys)]
        points = [(ratio, row) for ratio, row in points if ratio is not None]
        if points:
            plt.plot(*zip(*points), "o", label=peer, alpha=0.75)
    plt.axvline(1, color="black", linewidth=1)
    plt.xscale("log")
    plt.yticks([-row for row in range(len(keys))], [title(key) for key in keys], fontsize=8)
    plt.xlabel("time of the peer / time of Marble (right of 1: Marble is ahead)")
    plt.grid(axis="x", alpha=0.3)
    plt.legend(loc="upper center", bbox_to_anchor=(0.5, 1 + 1.2 / len(keys)), ncol=4, fontsize=8)
    yield save(directory, f"{run.name}-ratios.png")


def series_of(run: Run, workload: str, name: str) -> dict[str, tuple[list[float], list[float]]]:
    """Of the first round, by engine: seconds and values."""
    found = {}
    for result in run.data["results"]:
        series = result["series"].get(name)
        if result["workload"] != workload or result["round"] != 1 or not series:
            continue
        values = series["values"]
        found[result["engine"]] = ([i * series["seconds"] for i in range(len(values))], values)
    return found


def plot_series(run: Run, directory: Path) -> Iterable[str]:
    wanted = (("fillrandom", "puts"), ("overwrite", "puts"), ("overload", "put"),
              ("overload", "put_slowest"), ("mixed", "put"), ("mixed", "get"))
    for workload, name in wanted:
        engines = series_of(run, workload, name)
        if not any(values for _, values in engines.values()):
            continue
        plt.figure(figsize=(9, 3.6))
        for engine, (seconds, values) in engines.items():
            plt.plot(seconds, values, label=engine, linewidth=1.2)
        slowest = name.endswith("slowest")
        plt.yscale("log")
        plt.xlabel("seconds")
        plt.ylabel("slowest operation, ns" if slowest else "operations a second")
        plt.title(f"{workload}: {name.replace('_', ', ')}, first round")
        plt.grid(alpha=0.3)
        plt.legend(fontsize=8, ncol=4)
        yield save(directory, f"{run.name}-{workload}-{name}.png")


def plot_latency(run: Run, directory: Path) -> Iterable[str]:
    quantiles = ("p50", "p99", "p99.9", "max")
    for workload, operation in (("mixed", "put"), ("mixed", "get"), ("overload", "put")):
        keys = [(workload, f"{operation}_{quantile}", "loaded") for quantile in quantiles]
        engines = [e for e in run.engines if run.median(keys[0], e) is not None]
        if not engines:
            continue
        plt.figure(figsize=(7, 3.6))
        for engine in engines:
            plt.plot(quantiles, [run.median(key, engine) for key in keys], "o-", label=engine)
        plt.yscale("log")
        plt.ylabel("ns")
        plt.title(f"{workload}: latency of {operation}")
        plt.grid(alpha=0.3)
        plt.legend(fontsize=8)
        yield save(directory, f"{run.name}-{workload}-{operation}-latency.png")


PLOTS: tuple[Callable[[Run, Path], Iterable[str]], ...] = (plot_ratios, plot_series, plot_latency)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="directory of the report")
    parser.add_argument("files", type=Path, nargs="+", help="JSON of a benchmark")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    lines = ["# Engines beside each other", "",
             "Of all figures less is better. Ratios are medians of the rounds' ratios; above 1 the "
             "peer takes longer than Marble.", ""]
    for path in arguments.files:
        run = Run(path)
        lines += about(run) + targets(run)
        for plot in PLOTS:
            for picture in plot(run, arguments.output):
                lines += [f"![{picture.removesuffix('.png')}]({picture})", ""]
        lines += figures(run)
    (arguments.output / "report.md").write_text("\n".join(lines), encoding="utf-8")
    print(f"report: {arguments.output / 'report.md'}")


if __name__ == "__main__":
    main()
