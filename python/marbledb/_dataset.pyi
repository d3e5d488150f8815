from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from marbledb._core import Snapshot, Table

class TableDataset(ds.Dataset):
    @property
    def table(self) -> Table: ...
    def scanner(self, *args: Any, **kwargs: Any) -> ds.Scanner: ...
    def get_fragments(self, filter: pc.Expression | None = None) -> Any: ...
    def filter(self, expression: pc.Expression) -> TableDataset: ...
    def replace_schema(self, schema: pa.Schema) -> TableDataset: ...

def wrap(
    capsule: object, source: Table, snapshot: Snapshot | None, dictionary_columns: Iterable[str]
) -> TableDataset: ...
