"""Parts of benchmarks/python_tables.py: Marble's tables beside other ways of keeping Arrow data."""
