// What a scan of a table reads and how it comes back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/compute/expression.h>
#include <arrow/scalar.h>

#include <marble/snapshot.h>

namespace marble {

/// A bound is a prefix of the key columns' values; empty means unbounded.
using KeyBound = std::vector<std::shared_ptr<arrow::Scalar>>;

struct KeyRange {
  KeyBound lower;  // inclusive
  KeyBound upper;  // exclusive
};

/// A scan that goes on for more than a few blocks has the next ones read, checked and decompressed
/// by up to `Options::background_threads` threads of the database while the caller is busy with
/// those it has, unless they were checked before. A filter is evaluated by these threads too.
struct ScanOptions {
  /// Names of top-level columns in the order wanted; nullopt means all, an empty list none (rows
  /// are counted only).
  std::optional<std::vector<std::string>> columns;
  /// Rows for which this is true are returned; may name columns that are not in `columns`. The
  /// default keeps every row.
  arrow::compute::Expression filter = arrow::compute::literal(true);
  /// Keyed tables only.
  KeyRange range;
  /// At most this many rows, after the filter; negative means all.
  int64_t limit = -1;
  /// Descending key order (or latest row first on append tables).
  bool reverse = false;
  /// Reads this snapshot; nullptr means the state at the time of the call. Must belong to the same
  /// database; kept alive by the reader.
  std::shared_ptr<const Snapshot> snapshot;
  /// Rows of a batch at most; where files cover a range alone their own batches pass through, cut
  /// to this.
  int64_t batch_rows_max = 128 * 1024;
};

}  // namespace marble
