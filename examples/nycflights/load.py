"""Loads the five tables into keyed tables."""

import marbledb
from console import Progress
from source import KEYS

BATCH_ROWS = 16_384


def run(path, data):
    """Creates and fills the tables; returns the steps done."""
    steps = []
    with marbledb.open(path) as db:
        for name, key in KEYS.items():
            table = data.tables[name]
            target = db.create_table(name, table.schema, primary_key=key, compression="lz4")
            progress = Progress(f"load {name}", table.num_rows)
            for begin in range(0, table.num_rows, BATCH_ROWS):
                target.insert(table.slice(begin, BATCH_ROWS))
                progress.update(begin)
            ok = target.count() == table.num_rows
            steps.append(progress.finish(ok, "key " + ", ".join(key)))
    return steps
