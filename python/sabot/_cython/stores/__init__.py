"""Stores over one engine each: see `marbledb_store`."""
