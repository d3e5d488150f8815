#include "tree/merge_input.h"

#include <optional>
#include <utility>

#include "row/batch_ops.h"

namespace marble {

arrow::Result<bool> MergeInput::NextBatch(const Retention& retention) {
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(std::optional<RowBatch> next, reader_->Next());
    if (!next.has_value()) {
      batch = RowBatch();
      return false;
    }
    batch = std::move(*next);
    bytes_ = -1;
    output_round = 0;
    ranges_done_ = 0;
    ARROW_RETURN_NOT_OK(retention.Select(batch, &ranges_));
    if (NextRange()) return true;
  }
}

bool MergeInput::NextRange() {
  if (ranges_done_ == ranges_.size()) return false;
  const RowRange& range =
      step_ > 0 ? ranges_[ranges_done_] : ranges_[ranges_.size() - 1 - ranges_done_];
  ++ranges_done_;
  pos = step_ > 0 ? range.begin : range.end - 1;
  stop = step_ > 0 ? range.end : range.begin - 1;
  hidden = range.hidden;
  return true;
}

void MergeInput::Measure() {
  bytes_ = BatchBytes(*batch.columns);
  row_bytes_ = bytes_ / batch.num_rows() + 1;
}

}  // namespace marble
