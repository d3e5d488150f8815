"""What `print` shows of a database and of a table: facts that are known without reading rows."""

from marbledb.errors import TableNotFound


def _size(count):
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value /= 1024
    else:
        unit = "TiB"
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def _held(stats):
    """Where the rows are. Older versions of a row count until they are merged away."""
    files = f"{stats['rows_in_files']} rows in files ({_size(stats['bytes_in_files'])})"
    return f"{files}, {_size(stats['memtable_bytes'])} in memory"


def describe_table(table):
    """Name, key, sizes and columns."""
    key = ", ".join(table.primary_key) or "none: rows stay in the order in which they came"
    lines = [repr(table), f"key:  {key}", f"size: {_held(table.stats())}"]
    for field in table.schema:
        lines.append(f"  {field.name}: {field.type}{'' if field.nullable else ' not null'}")
    return "\n".join(lines)


def describe_database(database):
    """Path, and each table with its key and sizes."""
    lines = [repr(database)]
    for name, stats in sorted(database.stats()["tables"].items()):
        try:
            key = ", ".join(database.table(name).primary_key)
        except TableNotFound:
            continue  # dropped a moment ago
        lines.append(f"  {name}{f' (key {key})' if key else ''}: {_held(stats)}")
    return "\n".join(lines)
