"""Compiled parts of sabot that Marble provides: `storage.storage_shim`, `stores.marbledb_store`.

`sabot` itself is a namespace package, so that it lives beside an installed package of that name."""
