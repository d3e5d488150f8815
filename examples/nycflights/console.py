"""What the user sees: progress on stderr, the final table on stdout."""

import sys
import time


def say(text):
    """One line of progress."""
    print(f"nycflights: {text}", file=sys.stderr, flush=True)


class Progress:
    """A line that is rewritten on a terminal, and written once, at the end, elsewhere."""

    def __init__(self, name, total):
        self.name = name
        self.total = total
        self.begun = time.perf_counter()
        self._shown = 0.0

    def update(self, done):
        now = time.perf_counter()
        if sys.stderr.isatty() and now - self._shown > 0.1:
            self._shown = now
            share = done / max(self.total, 1)
            bar = "#" * int(30 * share)
            print(
                f"\r{self.name:<34} [{bar:<30}] {share:4.0%}", end="", file=sys.stderr, flush=True
            )

    def finish(self, ok=True, note=""):
        """Ends the line; returns the step for the report."""
        seconds = time.perf_counter() - self.begun
        if sys.stderr.isatty():
            print("\r" + " " * 78 + "\r", end="", file=sys.stderr)
        say(f"{self.name}: {self.total:,} in {seconds:.2f} s" + ("" if ok else " - WRONG"))
        return {"name": self.name, "rows": self.total, "seconds": seconds, "ok": ok, "note": note}


def sizes_on_disk(database, data):
    """Bytes of the source in memory and of the closed database's files."""
    files = [path for path in database.rglob("*") if path.is_file()]
    tables = sum(path.stat().st_size for path in files if path.suffix == ".arrow")
    # A preallocated log segment counts by its blocks, as du does.
    used = sum(path.stat().st_blocks * 512 for path in files)
    return {
        "source as Arrow": sum(table.nbytes for table in data.tables.values()),
        "table files": tables,
        "log, manifest and rest": max(used - tables, 0),
    }


def human(size):
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"


def print_report(steps, sizes, picture):
    """The table of what was done."""
    width = max(len(step["name"]) for step in steps)
    print(f"{'step':<{width}}  {'rows':>9}  {'seconds':>8}  {'rows/s':>12}  check")
    print(f"{'-' * width}  {'-' * 9}  {'-' * 8}  {'-' * 12}  {'-' * 5}")
    for step in steps:
        rate = step["rows"] / max(step["seconds"], 1e-9)
        check = "ok" if step["ok"] else "WRONG"
        print(
            f"{step['name']:<{width}}  {step['rows']:>9,}  {step['seconds']:>8.3f}  {rate:>12,.0f}"
            f"  {check}{'  ' + step['note'] if step['note'] else ''}"
        )
    print()
    for name, size in sizes.items():
        print(f"{name + ':':<24} {human(size)}")
    print(f"{'plot:':<24} {picture}")
