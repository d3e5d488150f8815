// A table as an Arrow dataset: what pyarrow, DuckDB, Polars and Acero scan with filters and columns
// handed down.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/dataset/type_fwd.h>
#include <arrow/result.h>

#include <marble/snapshot.h>
#include <marble/table.h>

namespace marble {

struct DatasetOptions {
  /// Columns of text or bytes of any length that come as dictionaries of what they are stored as,
  /// with int32 indices, encoded batch by batch. For columns of few distinct values that DuckDB is
  /// to group by: it then hashes each value once a batch. Conditions on them cost more than on
  /// text, and so does all of it where there are many distinct values.
  std::vector<std::string> dictionary_columns;
};

/// The rows of `table` at `snapshot` (nullptr: at this moment), whatever is written later. Its
/// fragments are ranges of keys, in order, that can be scanned in parallel; a scan gives the rows
/// in key (or insertion) order if it is asked for an order, and reads only the columns, and as far
/// as the filter tells, the keys that are wanted.
///
/// Types: string and binary views come as large_utf8 and large_binary, list views as lists,
/// run-end-encoded columns and dictionaries inside other types as their plain values, because
/// DuckDB hands down no filter to a dataset that has them.
///
/// Errors: Invalid for dictionary columns that the table does not have, or of another type.
///
/// Scans read on the executor that Arrow's ScanOptions name, or with `use_threads = false` on the
/// caller's thread. The dataset keeps the table and the snapshot. After Database::Close scans are
/// refused with Closed; those in progress, and fragments that were handed out, go on.
arrow::Result<std::shared_ptr<arrow::dataset::Dataset>> MakeDataset(
    std::shared_ptr<Table> table, std::shared_ptr<const Snapshot> snapshot = nullptr,
    const DatasetOptions& options = {});

}  // namespace marble
