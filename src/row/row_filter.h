// Decides which rows of a batch a scan's filter keeps.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/compute/expression.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include "row/batch_ops.h"
#include "row/range_kernel.h"
#include "row/stored_schema.h"

namespace marble {

/// Which rows of a batch are kept.
struct Selection {
  int64_t rows = 0;   // of the batch
  int64_t count = 0;  // kept
  /// A bit for each row; nullptr if all are kept or none.
  std::shared_ptr<arrow::Buffer> bits;

  bool all() const { return count == rows; }
  /// Stretches of kept rows, in order, the first `rows_max` rows of them.
  std::vector<RowSlice> Slices(int64_t rows_max) const;
};

/// Immutable, thread-safe. Comparisons of number-like columns with values are evaluated here, in
/// one pass each; whatever else the filter says by Arrow's kernels, if rows are left.
class RowFilter {
 public:
  /// `filter` is bound to the user's schema, is of type bool and decides row by row; `columns` are
  /// the top-level columns that it names, each once.
  static arrow::Result<std::shared_ptr<const RowFilter>> Make(
      std::shared_ptr<const StoredSchema> schema, arrow::compute::Expression filter,
      std::vector<int> columns);

  const std::vector<int>& columns() const { return columns_; }
  const arrow::compute::Expression& expression() const { return filter_; }

  /// `batch` has the stored columns columns(), in that order. Null is "no".
  arrow::Result<Selection> Select(const arrow::RecordBatch& batch) const;

 private:
  /// A term that is evaluated here.
  struct RangeTerm {
    int position;  // in columns_
    NumberRange range;
  };

  RowFilter() = default;
  int PositionOf(int column) const;
  std::optional<RangeTerm> AsRangeTerm(const arrow::compute::Expression& term) const;
  /// Clears the bits, from bit `first` on, of the rows that `terms` do not keep. `first` begins a
  /// byte; bits of the last byte behind the rows may be cleared.
  arrow::Status KeepByArrow(const arrow::compute::Expression& terms,
                            const arrow::RecordBatch& batch, int64_t first, uint8_t* bits) const;

  /// The same for any `first`, and no other bits.
  arrow::Status KeepPart(const arrow::compute::Expression& terms, const arrow::RecordBatch& part,
                         int64_t first, uint8_t* bits) const;

  std::shared_ptr<const StoredSchema> schema_;
  arrow::compute::Expression filter_;
  std::vector<int> columns_;
  std::shared_ptr<arrow::Schema> user_columns_;  // of columns_
  std::vector<RangeTerm> ranges_;
  bool has_tiny_ends_ = false;                      // one of them, that may count as zero
  std::optional<arrow::compute::Expression> rest_;  // the terms that are not in ranges_
};

}  // namespace marble
