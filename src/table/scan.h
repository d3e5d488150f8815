// Scans of one table: from ScanOptions to record batches in the user's types.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/scan.h>

#include "db/core.h"
#include "tree/sorted_reader.h"

namespace marble {

/// Indices of the named columns in the order asked; all columns for nullopt. Invalid names the
/// column and the table if there is none of that name.
arrow::Result<std::vector<int>> ResolveColumns(
    const TableState& table, const std::optional<std::vector<std::string>>& columns);

/// What ScanOptions ask of a table, checked and resolved. A value.
struct ScanPlan {
  std::shared_ptr<const StoredSchema> schema;
  /// Stored columns to read: those of the result first (each once), then those only filtered by.
  std::vector<int> read_columns;
  /// Columns of the result, as indices into the table's schema, and where each stands in
  /// read_columns.
  std::vector<int> output_columns;
  std::vector<int> output_positions;
  /// nullptr keeps every row.
  std::shared_ptr<const ScanFilter> filter;
  EncodedRange range;
  Direction direction = Direction::kForward;
  int64_t limit = -1;
  int64_t batch_rows_max = 0;
};

arrow::Result<ScanPlan> PlanScan(const TableState& table, const ScanOptions& options);

/// Reads lazily. The reader keeps `core` (whose memory pool it uses), the view of `point` and the
/// snapshot.
arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenScan(
    std::shared_ptr<DatabaseCore> core, ReadPoint point, ScanPlan plan,
    std::shared_ptr<const Snapshot> snapshot);

/// Number of rows that the scan would return; no columns but those of the filter are read, and
/// with neither filter nor limit only what the files' metadata cannot tell (row_count.h).
arrow::Result<int64_t> CountScan(const DatabaseCore& core, const ReadPoint& point, ScanPlan plan);

}  // namespace marble
