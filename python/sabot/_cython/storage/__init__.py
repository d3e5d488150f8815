"""The storage interface of sabot: see `storage_shim`."""
