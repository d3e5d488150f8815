// The `_sequence` and `_kind` columns of a block being written, made from the rows' slices. Used by
// the writer; refers to the rows' memory, which must stay until the block is written.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <arrow/array/data.h>
#include <arrow/status.h>

#include "row/row_batch.h"

namespace marble {

struct HiddenStatistics {
  uint64_t sequence_min = std::numeric_limits<uint64_t>::max();
  uint64_t sequence_max = 0;
  uint64_t deletes = 0;
  uint64_t non_puts = 0;  // deletes, and what versions to come may write

  void Merge(const HiddenStatistics& other);
};

class HiddenColumns {
 public:
  HiddenColumns(std::span<const RowBatch> slices, int64_t rows,
                std::optional<uint64_t> constant_sequence, bool with_kinds);

  /// Invalid if a row is no put and there is no `_kind` column.
  const arrow::Status& status() const { return status_; }
  const HiddenStatistics& statistics() const { return statistics_; }
  /// Appends the columns that the file has.
  void AppendTo(std::vector<std::shared_ptr<arrow::ArrayData>>* columns) const;

 private:
  void MakeSequences(std::span<const RowBatch> slices);
  void MakeKinds(std::span<const RowBatch> slices, bool with_kinds);

  const int64_t rows_;
  HiddenStatistics statistics_;
  arrow::Status status_;
  // What the columns point to: the rows' own memory if one slice has it all, else the vectors.
  const uint64_t* sequences_ = nullptr;
  const uint8_t* kinds_ = nullptr;
  std::vector<uint64_t> own_sequences_;
  std::vector<uint8_t> own_kinds_;
};

}  // namespace marble
