// One source of a merge: its current batch, the rows of it that take part, and the place reached.
// Owned by the merge, used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <arrow/result.h>

#include "row/key_encoding.h"
#include "tree/retention.h"
#include "tree/sorted_reader.h"

namespace marble {

/// The merge reads and moves `pos` itself (no calls per row). Walking upward the rows left of the
/// current range are [pos, stop), walking downward (stop, pos].
class MergeInput {
 public:
  MergeInput(std::unique_ptr<SortedReader> reader, int index, bool reverse)
      : index(index), reader_(std::move(reader)), step_(reverse ? -1 : 1) {}

  /// Goes to the next batch with rows that take part; false at the end of the source.
  arrow::Result<bool> NextBatch(const Retention& retention);
  /// Goes to the batch's next range; false if there is none.
  bool NextRange();

  int64_t left() const { return (stop - pos) * step_; }
  std::string_view head() const { return batch.keys[pos]; }
  /// Estimated bytes of all columns of a row; computed once a batch.
  int64_t row_bytes() {
    if (bytes_ < 0) Measure();
    return row_bytes_;
  }
  /// Bytes of all columns of the batch.
  int64_t batch_bytes() {
    if (bytes_ < 0) Measure();
    return bytes_;
  }

  const int index;  // of the source: the lower is the newer
  RowBatch batch;
  int64_t pos = 0;
  int64_t stop = 0;
  bool hidden = false;  // the current range's
  /// Where the merge's output keeps `batch`; valid if `output_round` is the output's.
  int32_t output_source = 0;
  uint64_t output_round = 0;

 private:
  void Measure();

  std::unique_ptr<SortedReader> reader_;
  const int64_t step_;
  std::vector<RowRange> ranges_;
  size_t ranges_done_ = 0;
  int64_t bytes_ = -1;
  int64_t row_bytes_ = 0;
};

}  // namespace marble
